"""The record of the serving process, and stopping it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from spectra.engines.lifecycle import (
    RunState,
    instance_lock,
    is_running,
    read_state,
    remove_state,
    running_state,
    stop,
    write_state,
)
from spectra.engines.processes import identity
from spectra.errors import SetupError
from tests.engines.conftest import root_only

STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
POLITE = "import signal; print('up', flush=True); signal.pause()"
STARTED = datetime(2026, 1, 1, tzinfo=UTC)


def state_of(pid: int, process: str) -> RunState:
    """A record as `spectra up` writes it."""
    return RunState(pid=pid, url="http://127.0.0.1:8765", started=STARTED, version="0.1", process=process)


@pytest.fixture(params=[POLITE, STUBBORN], ids=["polite", "stubborn"])
def child(request: pytest.FixtureRequest) -> Generator[subprocess.Popen[str]]:
    """A process that ends on SIGTERM, or does not."""
    with subprocess.Popen([sys.executable, "-c", request.param], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        yield process
        process.kill()


def test_a_state_is_written_read_and_removed(data_dir: Path) -> None:
    """The record round-trips, is private, and leaves no other file behind."""
    assert read_state(data_dir) is None
    assert not is_running(data_dir)
    state = RunState.of_this_process("http://127.0.0.1:8765", "0.1")
    write_state(data_dir, state)
    write_state(data_dir, state)
    assert read_state(data_dir) == running_state(data_dir) == state
    assert is_running(data_dir)
    (file,) = (data_dir / "run").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
    remove_state(data_dir, only_pid=state.pid + 1)
    assert is_running(data_dir)
    remove_state(data_dir, only_pid=state.pid)
    remove_state(data_dir, only_pid=state.pid)
    remove_state(data_dir)
    assert read_state(data_dir) is None


def test_another_process_with_the_same_pid_is_not_ours(data_dir: Path) -> None:
    """A pid that was given to another process is neither "running" nor signalled, and the record goes."""
    write_state(data_dir, state_of(os.getpid(), "an-earlier-boot:123"))
    assert not is_running(data_dir)
    assert stop(data_dir, 1) == "not_running"
    assert read_state(data_dir) is None


def test_a_record_without_identity_is_believed_while_the_pid_lives(data_dir: Path) -> None:
    """Where the machine offers no start times, a live pid has to do."""
    write_state(data_dir, state_of(os.getpid(), ""))
    assert is_running(data_dir)
    write_state(data_dir, state_of(2**22 + 1, ""))
    assert not is_running(data_dir)


@pytest.mark.parametrize("with_pidfd", [True, False])
def test_stop(data_dir: Path, child: subprocess.Popen[str], with_pidfd: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ends is "stopped" and its record gone; one that does not is reported, its record kept."""
    if not with_pidfd:
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    write_state(data_dir, state_of(child.pid, identity(child.pid)))
    if child.args == [sys.executable, "-c", STUBBORN]:
        assert stop(data_dir, 0.05) == "timeout"
        assert is_running(data_dir)
    else:
        assert stop(data_dir, 30) == "stopped"
        assert stop(data_dir, 1) == "not_running"


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b'{"pid": "x"}', b"\xff", b"[" * 100_000])
def test_a_damaged_record_is_named(data_dir: Path, content: bytes) -> None:
    """Whatever stands in the file, the answer is an error that says which file and what to do."""
    (data_dir / "run").mkdir(parents=True)
    (data_dir / "run" / "state.json").write_bytes(content)
    with pytest.raises(SetupError, match=r"state\.json is damaged.*Remove it"):
        read_state(data_dir)


def test_a_failed_write_leaves_the_old_record(data_dir: Path) -> None:
    """A record that cannot be put in place leaves no temporary file."""
    (data_dir / "run" / "state.json" / "in the way").mkdir(parents=True)
    with pytest.raises(OSError, match=r"state\.json"):
        write_state(data_dir, state_of(1, ""))
    assert [entry.name for entry in (data_dir / "run").iterdir()] == ["state.json"]


def test_one_instance_per_folder(data_dir: Path) -> None:
    """The second instance on a folder is told who has it; afterwards it is free."""
    refused = pytest.raises(SetupError, match=f"in use by process {os.getpid()}")
    with instance_lock(data_dir), refused, instance_lock(data_dir):
        pytest.fail("two instances on one folder")
    with instance_lock(data_dir):
        assert (data_dir / "run" / "instance.lock").read_text() == f"{os.getpid()}\n"


@root_only
def test_records_of_another_user(data_dir: Path) -> None:
    """Another user's record and process are named as such, not taken for absent."""
    state = state_of(os.getpid(), identity(os.getpid()))
    path = data_dir / "run" / "state.json"
    write_state(data_dir, state)
    assert msgspec.json.decode(path.read_bytes(), type=RunState) == state
    nobody = 65534
    os.seteuid(nobody)
    try:
        with pytest.raises(SetupError, match="belongs to another user"):
            read_state(data_dir)
    finally:
        os.seteuid(0)


@root_only
def test_a_process_of_another_user_is_not_stopped(folder: Path, child: subprocess.Popen[str]) -> None:
    """Without the right to signal the process, that is said, and the record stays."""
    write_state(folder, state_of(child.pid, identity(child.pid)))
    nobody = 65534
    for path in (folder, folder / "run", folder / "run" / "state.json"):
        os.chown(path, nobody, nobody)
    os.setresuid(nobody, nobody, 0)  # the kernel lets a real uid of 0 signal root's processes
    try:
        with pytest.raises(SetupError, match=f"Process {child.pid} belongs to another user"):
            stop(folder, 1)
    finally:
        os.setresuid(0, 0, 0)
    assert is_running(folder)
