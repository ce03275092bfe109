"""What runs on after the command: started, waited for, and ended where it does not get ready."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from spectra.cli.background import StartFailed, begin, until
from spectra.engines.processes import alive, end_all
from spectra.errors import SetupError
from tests.support.waiting import eventually

PYTHON = [sys.executable, "-c"]
STUBBORN = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
print("up", flush=True)
signal.pause()
"""


def test_it_runs_on_in_a_session_of_its_own(tmp_path: Path) -> None:
    """What is ready is left alone: Ctrl-C in this terminal does not reach it."""
    log = tmp_path / "new" / "log" / "x.log"
    started = begin([*PYTHON, STUBBORN], log, "It")
    assert until(started, lambda: "ready" if "up" in log.read_text() else None, 60.0) == "ready"
    pid = started.process.pid
    assert os.getsid(pid) == pid
    assert alive(pid)
    assert end_all([pid], [(signal.SIGKILL, 30.0)]) == []
    eventually(lambda: not alive(pid))
    os.waitpid(pid, 0)


def test_what_ends_at_once_shows_its_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The last lines of this start's log, not of earlier ones."""
    log = tmp_path / "log" / "x.log"
    log.parent.mkdir()
    log.write_text("an earlier failure\n")
    started = begin([*PYTHON, "import sys; print('no room'); sys.exit(7)"], log, "It")
    with pytest.raises(StartFailed, match="It ended with code 7 while starting; the end of its log is above"):
        until(started, lambda: None, 60.0)
    said = capsys.readouterr().err
    assert "| no room" in said
    assert "earlier" not in said


def test_what_never_gets_ready_is_ended(tmp_path: Path) -> None:
    """The wait is bounded."""
    started = begin([*PYTHON, STUBBORN], tmp_path / "log" / "x.log", "It")
    with pytest.raises(StartFailed, match="not ready within"):
        until(started, lambda: None, 0.3)
    assert started.process.returncode is not None


def test_what_cannot_be_started(tmp_path: Path) -> None:
    """A program that is not there, or a log that cannot be, is a clear error."""
    with pytest.raises(SetupError, match="cannot start It"):
        begin(["/nonexistent/program"], tmp_path / "log" / "x.log", "It")
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="cannot start It"):
        begin(["/bin/true"], tmp_path / "file" / "log" / "x.log", "It")
