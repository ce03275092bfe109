"""Which process serves a data folder: recorded, verified, stopped.

The record is a hint, never proof: a pid is only believed together with its start time, so that a pid the machine has
given to somebody else is never signalled.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from spectra.engines.files import write_private
from spectra.engines.locks import FolderLock
from spectra.engines.processes import alive, identity, open_pidfd, wait_for_exit
from spectra.errors import SetupError

_MAX_STATE_BYTES = 64 * 1024
Stopped = Literal["stopped", "not_running", "timeout"]


class RunState(msgspec.Struct, frozen=True, forbid_unknown_fields=False):
    """The process serving a data folder. `url` is the API's; `process` tells it from a later one with its pid."""

    pid: int
    url: str
    started: datetime
    version: str
    process: str = ""

    @classmethod
    def of_this_process(cls, url: str, version: str) -> RunState:
        """The state to write when this process begins to serve."""
        pid = os.getpid()
        return cls(pid=pid, url=url, started=datetime.now(UTC), version=version, process=identity(pid))


def _run_dir(data_dir: Path) -> Path:
    return data_dir / "run"


def _make_run_dir(data_dir: Path) -> Path:
    folder = _run_dir(data_dir)
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)  # on its own: `mode` does not hold for parents
    folder.mkdir(exist_ok=True, mode=0o700)
    return folder


def _state_file(data_dir: Path) -> Path:
    return _run_dir(data_dir) / "state.json"


def write_state(data_dir: Path, state: RunState) -> None:
    """Record `state`, mode 0600, whole or not at all."""
    write_private(_make_run_dir(data_dir) / _state_file(data_dir).name, msgspec.json.encode(state).decode())


def read_state(data_dir: Path) -> RunState | None:
    """The recorded state, running or not; None without one. `SetupError` where the record cannot be read."""
    path = _state_file(data_dir)
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(_MAX_STATE_BYTES), type=RunState)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise SetupError(
            f"{path} belongs to another user.", hint="Run this as the user who ran `spectra up`."
        ) from error
    except msgspec.DecodeError as error:
        raise SetupError(f"{path} is damaged: {error}.", hint="Remove it if no Spectra is running.") from error


def remove_state(data_dir: Path, *, only_pid: int | None = None) -> None:
    """Remove the record; with `only_pid` only if it is still that process's. Removing none is harmless."""
    if only_pid is not None:
        state = read_state(data_dir)
        if state is None or state.pid != only_pid:
            return
    _state_file(data_dir).unlink(missing_ok=True)


def running_state(data_dir: Path) -> RunState | None:
    """The recorded state if its process is alive and still the same one."""
    state = read_state(data_dir)
    return state if state is not None and _is_same(state) else None


def is_running(data_dir: Path) -> bool:
    """Whether a Spectra serves `data_dir`."""
    return running_state(data_dir) is not None


def _is_same(state: RunState) -> bool:
    if not alive(state.pid):
        return False
    now = identity(state.pid)
    return not (now and state.process) or now == state.process


def stop(data_dir: Path, timeout_s: float) -> Stopped:
    """Ask the process serving `data_dir` to stop (SIGTERM) and wait for its end, at most `timeout_s` seconds.

    `timeout` means it still runs; the record is removed only when it does not. `SetupError` for another user's.
    """
    state = read_state(data_dir)
    if state is None:
        return "not_running"
    deadline = time.monotonic() + timeout_s
    with open_pidfd(state.pid) as pidfd:
        # Checked after the pidfd was opened: from here on it can only mean the process that was checked.
        if not _is_same(state):
            remove_state(data_dir, only_pid=state.pid)
            return "not_running"
        _terminate(state.pid, pidfd)
        ended = wait_for_exit(state.pid, deadline - time.monotonic())
    if not ended:
        return "timeout"
    remove_state(data_dir, only_pid=state.pid)
    return "stopped"


def _terminate(pid: int, pidfd: int | None) -> None:
    try:
        if pidfd is None:
            os.kill(pid, signal.SIGTERM)
        else:
            signal.pidfd_send_signal(pidfd, signal.SIGTERM)
    except ProcessLookupError:
        pass
    except PermissionError as error:
        raise SetupError(f"Process {pid} belongs to another user.", hint="Stop it as that user.") from error


@contextlib.contextmanager
def instance_lock(data_dir: Path) -> Generator[None]:
    """Held while this process serves `data_dir`; `SetupError` naming the process that already does."""
    with FolderLock(_make_run_dir(data_dir) / "instance.lock", "The data folder"):
        yield
