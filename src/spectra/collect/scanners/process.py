"""Running an installed tool: an argument list and never a shell, in a private folder, bounded in time and bytes."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from spectra.collect.scanners.base import MAX_OUTPUT, NotInstalled

GRACE_S = 5.0  # from SIGTERM to SIGKILL
WATCH_S = 0.5
MAX_ERRORS = 16 * 1024  # bytes kept of standard error, from its end
_CHUNK = 64 * 1024


@dataclass(slots=True)
class Ended:
    """How a tool ended. `stopped`: why we ended it; empty if it ended by itself."""

    code: int = 0
    stopped: str = ""
    errors: bytearray = field(default_factory=bytearray)

    @property
    def said(self) -> str:
        """The end of what it wrote to standard error."""
        return self.errors.decode("utf-8", "replace").strip()


def _nothing(_: bytes) -> None:
    pass


async def run_tool(
    command: Sequence[str],
    folder: Path,
    *,
    stdin: bytes,
    deadline_s: float,
    hear: Callable[[bytes], None],
    stop_if: Callable[[], str],
    complain: Callable[[bytes], None] = _nothing,
    politely: signal.Signals = signal.SIGTERM,
) -> Ended:
    """Run `command` in `folder`, its home for the time; `hear` gets its standard output in pieces, `complain` what it
    writes to standard error; `politely` is the signal it is asked by to end, before SIGKILL.

    It is ended when `stop_if`, asked twice a second, gives a reason, after `deadline_s` seconds, or when this call is
    cancelled, which then returns as well: what the tool wrote until then is the result.
    """
    ended = Ended()
    process = await _start(command, folder)
    try:
        async with asyncio.timeout(deadline_s), asyncio.TaskGroup() as group:
            group.create_task(_feed(process, stdin))
            group.create_task(_hear(process, hear))
            group.create_task(_keep(process, ended.errors, complain))
            group.create_task(_watch(process, stop_if, ended, politely))
    except TimeoutError:
        ended.stopped = f"stopped after {deadline_s:g} s"
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
        ended.stopped = "stopped on request"
    finally:
        await _end(process, politely)
    ended.code = process.returncode if process.returncode is not None else -1
    return ended


def tool_version(name: str, *arguments: str) -> str:
    """What `name ARGUMENTS` prints, at most 4 KB; empty if it is not installed or does not answer within 10 s."""
    path = shutil.which(name)
    return printed(path, *arguments) if path else ""


def printed(path: str | os.PathLike[str], *arguments: str) -> str:
    """What the program at `path` prints, at most 4 KB; empty if it cannot run or does not answer within 10 s."""
    try:
        done = subprocess.run([path, *arguments], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout[:4096] + done.stderr[:4096]).decode("utf-8", "replace")


def find(name: str, hint: str) -> str:
    """The path of an installed tool; raises `NotInstalled` with `hint`."""
    path = shutil.which(name)
    if path is None:
        raise NotInstalled(f"{name} is not installed on this machine.", hint=hint)
    return path


def write_private(path: Path, data: bytes) -> None:
    """A new file for the tool to read, for its owner alone."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(data)


def written(path: Path) -> int:
    """How many bytes the tool has written there; 0 where there is nothing."""
    return path.stat().st_size if path.exists() else 0


def read_output(path: Path, limit: int = MAX_OUTPUT) -> bytes:
    """What the tool wrote there, at most `limit` bytes; nothing where there is nothing."""
    if not path.exists():
        return b""
    with path.open("rb") as stream:
        return stream.read(limit)


async def _start(command: Sequence[str], folder: Path) -> asyncio.subprocess.Process:
    # Nothing of our environment (credentials, proxies, options) reaches the tool, nor does the user's configuration
    # of it; a session of its own keeps the terminal's Ctrl-C for us, who then end it in order.
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), "LANG": "C"}
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
    )


async def _feed(process: asyncio.subprocess.Process, data: bytes) -> None:
    assert process.stdin is not None
    with suppress(OSError):  # it closed its input early: its exit code tells more
        process.stdin.write(data)
        await process.stdin.drain()
    process.stdin.close()


async def _hear(process: asyncio.subprocess.Process, hear: Callable[[bytes], None]) -> None:
    assert process.stdout is not None
    while data := await process.stdout.read(_CHUNK):
        hear(data)


async def _keep(process: asyncio.subprocess.Process, kept: bytearray, complain: Callable[[bytes], None]) -> None:
    assert process.stderr is not None
    while data := await process.stderr.read(_CHUNK):
        complain(data)
        kept += data
        del kept[:-MAX_ERRORS]


async def _watch(
    process: asyncio.subprocess.Process, stop_if: Callable[[], str], ended: Ended, politely: signal.Signals
) -> None:
    while process.returncode is None and not ended.stopped:
        with suppress(TimeoutError):
            async with asyncio.timeout(WATCH_S):
                await process.wait()
        ended.stopped = stop_if()
    if ended.stopped:
        await _end(process, politely)


async def _end(process: asyncio.subprocess.Process, politely: signal.Signals) -> None:
    """End the tool and what it started: politely, then not."""
    if process.returncode is None:
        _signal(process, politely)
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                await process.wait()
    _signal(process, signal.SIGKILL)
    await process.wait()


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
