"""Waiting for processes and telling them apart, without polling where the kernel offers a pidfd (Linux >= 5.3).

Everything degrades where `/proc` or pidfds are missing: identity becomes "alive", waiting becomes a bounded poll.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Generator, Iterable
from pathlib import Path
from threading import Event

_PROC = Path("/proc")
_POLL_S = 0.05


class Wakeup:
    """A flag that a signal handler may set safely and that `poll(2)` can wait for beside a pidfd.

    `threading.Event` is not enough: its lock is not re-entrant, and a handler may interrupt the thread that holds it.
    """

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._is_set = False

    @property
    def is_set(self) -> bool:
        """Whether `set` was called since the last `clear`."""
        return self._is_set

    def set(self) -> None:
        """Wake every present and future `wait`, until `clear`."""
        self._is_set = True
        with contextlib.suppress(BlockingIOError):  # a full pipe wakes as well as one byte
            os.write(self._write, b"\0")

    def clear(self) -> None:
        """Forget earlier calls of `set`."""
        self._is_set = False
        with contextlib.suppress(BlockingIOError):
            while os.read(self._read, 512):
                pass

    def wait(self, timeout_s: float, pidfd: int | None = None) -> bool:
        """Wait until woken, until the process behind `pidfd` ended, or `timeout_s`; True if woken."""
        if not self._is_set:
            _readable([self._read, *([] if pidfd is None else [pidfd])], timeout_s)
        return self._is_set

    def __del__(self) -> None:
        os.close(self._read)
        os.close(self._write)


def _readable(fds: Iterable[int], timeout_s: float) -> bool:
    poll = select.poll()  # not select(2), whose descriptors end at 1023
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return bool(poll.poll(max(0.0, timeout_s) * 1000))


@contextlib.contextmanager
def open_pidfd(pid: int) -> Generator[int | None]:
    """A descriptor that turns readable when `pid` ends; None where the kernel has none or `pid` is gone already."""
    try:
        fd = os.pidfd_open(pid)
    except (AttributeError, OSError):
        yield None
        return
    try:
        yield fd
    finally:
        os.close(fd)


def _stat_fields(pid: int) -> list[str] | None:
    """Fields 3.. of `/proc/PID/stat` (proc(5)); the name before them may itself hold blanks and parentheses."""
    try:
        return (_PROC / str(pid) / "stat").read_text("latin-1").rpartition(")")[2].split()
    except OSError:
        return None


def alive(pid: int) -> bool:
    """Whether `pid` runs. A zombie has ended: only its parent has not looked yet."""
    if pid <= 0:
        return False
    fields = _stat_fields(pid)
    if fields:
        return fields[0] not in "ZX"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def identity(pid: int) -> str:
    """`boot:start-ticks` of a process, which no later process with the same pid shares; "" where unknown."""
    fields = _stat_fields(pid)
    if fields is None or len(fields) < 20:
        return ""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        boot = ""
    return f"{boot}:{fields[19]}"


def wait_for_exit(pid: int, timeout_s: float) -> bool:
    """Wait until `pid` ended; False if it still runs after `timeout_s`."""
    with open_pidfd(pid) as pidfd:
        if pidfd is not None:
            return _readable([pidfd], timeout_s) or not alive(pid)
    deadline = time.monotonic() + timeout_s
    pause = Event()
    while alive(pid):
        if time.monotonic() >= deadline:
            return False
        pause.wait(_POLL_S)
    return True


def end_all(pids: Iterable[int], ladder: Iterable[tuple[signal.Signals, float]]) -> list[int]:
    """Send each signal of `ladder` to those still alive, giving them its seconds to end; returns the survivors."""
    left = [pid for pid in pids if alive(pid)]
    for number, seconds in ladder:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + seconds
        left = [pid for pid in left if not wait_for_exit(pid, deadline - time.monotonic())]
        if not left:
            break
    return left


def find_processes(name: str, owner: int, folder: Path, mark: str) -> list[int]:
    """Pids of user `owner` called `name` whose working folder is `folder` or whose command line holds `mark`.

    The mark decides where `/proc/PID/cwd` cannot be read: root in a container without CAP_SYS_PTRACE.
    """
    if not _PROC.is_dir():
        return []
    pids = (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())
    return [pid for pid in pids if _matches(pid, name, owner, folder, mark)]


def _matches(pid: int, name: str, owner: int, folder: Path, mark: str) -> bool:
    entry = _PROC / str(pid)
    try:
        if entry.stat().st_uid != owner or (entry / "comm").read_text().strip() != name:
            return False
        if mark.encode() in (entry / "cmdline").read_bytes():
            return alive(pid)
        return (entry / "cwd").samefile(folder) and alive(pid)
    except (OSError, UnicodeDecodeError):
        return False
