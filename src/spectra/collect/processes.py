"""What processes take and whom they started, as /proc tells it; and how much a folder holds."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

MAX_FAMILY: Final = 4096
MAX_FILES: Final = 20_000

_PROC: Final = Path("/proc")
_TICK_S: Final = 1.0 / os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_ENVIRONMENT: Final = 64 * 1024  # bytes of it that are looked at


class Taken(NamedTuple):
    """What a process takes: bytes in memory; processor time in s, that of ended children included. `began` names it
    together with its id, which the system gives out again.
    """

    memory: int
    cpu_s: float
    began: int


def taken(pid: int) -> Taken | None:
    """See `Taken`; None for a process that is not there, or has ended."""
    try:
        data = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    # proc(5): the name, in parentheses, may hold anything; the state is the first field after it, the third of all.
    fields = data.rpartition(b")")[2].split()
    if len(fields) < 22 or fields[0] in (b"Z", b"X"):
        return None
    cpu = sum(int(ticks) for ticks in fields[11:15]) * _TICK_S
    return Taken(int(fields[21]) * _PAGE, cpu, int(fields[19]))


def family(pid: int) -> dict[int, Taken]:
    """A process and all that descend from it and live, at most `MAX_FAMILY`."""
    found: dict[int, Taken] = {}
    waiting = [pid]
    while waiting and len(found) < MAX_FAMILY:
        one = waiting.pop()
        if one in found:
            continue
        told = taken(one)
        if told is not None:
            found[one] = told
        waiting += _children(one)
    return found


def end(processes: Mapping[int, Taken]) -> None:
    """Kill those of these that are still the same."""
    for pid, told in processes.items():
        now = taken(pid)
        if now is not None and now.began == told.began:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def gone(processes: Mapping[int, Taken], within_s: float) -> bool:
    """Wait for these to have ended; whether they have."""
    deadline, pause = time.monotonic() + within_s, threading.Event()
    left = dict(processes)
    while left := {pid: told for pid, told in left.items() if (now := taken(pid)) and now.began == told.began}:
        if time.monotonic() >= deadline:
            return False
        pause.wait(0.01)
    return True


def end_leftovers(folder: Path) -> int:
    """Kill every process whose home or working folder lies in `folder`: what a killed agent's tasks left. How many."""
    count = 0
    for pid in _all():
        if pid != os.getpid() and _lives_in(pid, str(folder)):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                count += 1
    return count


def written(folder: Path) -> int:
    """The bytes that the files below a folder take. One with too many files is told as 2^63."""
    total, count = 0, 0
    waiting = [str(folder)]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                count += 1
                if count > MAX_FILES:
                    return 2**63
                with suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    total += max(status.st_size, status.st_blocks * 512) if entry.is_file(follow_symlinks=False) else 0
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
    return total


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for thread in (_PROC / str(pid) / "task").iterdir():
            with suppress(OSError):
                found += [int(word) for word in (thread / "children").read_bytes().split()]
    return found


def _all() -> Iterator[int]:
    with suppress(OSError):
        yield from (int(path.name) for path in _PROC.iterdir() if path.name.isdecimal())


def _lives_in(pid: int, folder: str) -> bool:
    with suppress(OSError):
        place = str((_PROC / str(pid) / "cwd").readlink()).removesuffix(" (deleted)")
        if place == folder or place.startswith(f"{folder}/"):
            return True
    with suppress(OSError), (_PROC / str(pid) / "environ").open("rb") as file:
        homes = [word for word in file.read(_ENVIRONMENT).split(b"\0") if word.startswith((b"HOME=", b"TMPDIR="))]
        places = [os.fsdecode(word.partition(b"=")[2]) for word in homes]
        return any(place == folder or place.startswith(f"{folder}/") for place in places)
    return False
