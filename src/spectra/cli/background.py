"""Starting something that runs on after the command has ended, and telling how its start went."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from spectra.cli.output import note
from spectra.errors import SetupError, SpectraError

LOOK_EVERY_S = 0.1
END_WITHIN_S = 30.0
LOG_LINES = 20
LOG_TAIL_BYTES = 16 * 1024

T = TypeVar("T")


class StartFailed(SpectraError):
    """A detached start did not become ready; the message carries the end of its log."""

    reason = "start_failed"


@dataclass
class Started:
    """A process of its own session; its log begins at `start` of the file."""

    process: subprocess.Popen[bytes]
    log: Path
    start: int
    what: str


def begin(call: Sequence[str], log: Path, what: str) -> Started:
    """Start `call` as a session of its own, its output at the end of `log`. Raises `SetupError`."""
    try:
        log.parent.parent.mkdir(parents=True, exist_ok=True, mode=0o700)  # on its own: `mode` is not for parents
        log.parent.mkdir(exist_ok=True, mode=0o700)
        with log.open("ab") as stream:
            start = stream.tell()
            child = subprocess.Popen(
                call, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True, cwd="/"
            )
    except OSError as error:
        raise SetupError(f"cannot start {what}: {error.strerror} ({error.filename})") from error
    return Started(child, log, start, what)


def until(started: Started, ready: Callable[[], T | None], within_s: float) -> T:
    """What `ready` says first; `StartFailed` with the end of the log where it ends before, or takes too long."""
    child, what = started.process, started.what
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            code = child.wait(timeout=LOOK_EVERY_S)
        except subprocess.TimeoutExpired:
            if (found := ready()) is not None:
                child.returncode = 0  # it is on its own now: nobody here will wait for it
                return found
            continue
        raise StartFailed(
            f"{what} ended with code {code} while starting{_log_end(started)}", hint=f"Log: {started.log}"
        )
    _end(child)
    raise StartFailed(
        f"{what} was not ready within {within_s:.0f} s and was stopped{_log_end(started)}", hint=f"Log: {started.log}"
    )


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(END_WITHIN_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _log_end(started: Started) -> str:
    """Write the last lines of this start's log to standard error; returns what the message adds about them."""
    with started.log.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(started.start, size - LOG_TAIL_BYTES))
        lines = stream.read(LOG_TAIL_BYTES).decode("utf-8", "replace").splitlines()[-LOG_LINES:]
    for line in lines:
        note(f"| {line}")
    return "; the end of its log is above" if lines else ""
