"""Processes: told apart, waited for, ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from spectra.engines import processes
from spectra.engines.processes import Wakeup, alive, end_all, find_processes, identity, open_pidfd, wait_for_exit

STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"


@pytest.fixture
def child() -> Generator[subprocess.Popen[str]]:
    """A process that ignores SIGTERM."""
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        yield process
        process.kill()


@pytest.fixture(params=["pidfd", "polling"])
def waiting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to wait: by pidfd, and on a kernel without it."""
    if request.param == "polling":
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    return str(request.param)


@pytest.mark.usefixtures("waiting")
def test_waiting_for_an_end(child: subprocess.Popen[str]) -> None:
    """A live process is not taken for ended, and a zombie counts as ended."""
    assert not wait_for_exit(child.pid, 0.01)
    child.kill()
    assert wait_for_exit(child.pid, 10)
    assert not alive(child.pid)
    child.wait(10)
    assert wait_for_exit(child.pid, 0)


@pytest.mark.usefixtures("waiting")
def test_the_ladder_climbs_until_all_are_gone(child: subprocess.Popen[str]) -> None:
    """A signal that is ignored is followed by the next, and a process already gone is no error."""
    assert end_all([child.pid], [(signal.SIGTERM, 0.05)]) == [child.pid]
    assert end_all([child.pid], [(signal.SIGTERM, 0.05), (signal.SIGKILL, 10.0)]) == []
    assert end_all([child.pid], [(signal.SIGTERM, 0.05)]) == []


def test_identity_tells_processes_apart(child: subprocess.Popen[str]) -> None:
    """The identity of a process is stable and its own; a process that is gone has none."""
    assert identity(child.pid) == identity(child.pid) != identity(os.getpid())
    child.kill()
    child.wait(10)
    assert identity(child.pid) == ""


def test_without_proc_everything_degrades(
    child: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Elsewhere than on Linux: alive is known, identity is not, and nothing is found."""
    monkeypatch.setattr(processes, "_PROC", tmp_path / "none")
    assert alive(child.pid)
    assert not alive(0)
    assert identity(child.pid) == ""
    assert find_processes("python", os.getuid(), tmp_path, "x") == []
    child.kill()
    child.wait(10)
    assert not alive(child.pid)


def test_processes_are_found_by_folder_or_mark(tmp_path: Path, sleeper: Callable[..., subprocess.Popen[bytes]]) -> None:
    """A process counts by its working folder or by the mark in its command line, and only with name and owner."""
    pid, owner = sleeper(cwd=tmp_path).pid, os.geteuid()
    assert find_processes("sh", owner, tmp_path, "no-such-mark") == [pid]
    assert pid in find_processes("sh", owner, tmp_path / "other", "read nothing")
    assert find_processes("sh", owner + 1, tmp_path, "read nothing") == []
    assert find_processes("other", owner, tmp_path, "read nothing") == []


def test_a_wakeup_wakes_and_is_remembered() -> None:
    """A wait ends by `set` from another thread, later waits end at once, and `clear` arms it again."""
    wakeup = Wakeup()
    assert not wakeup.wait(0)
    threading.Timer(0.01, wakeup.set).start()
    assert wakeup.wait(10)
    for _ in range(100_000):
        wakeup.set()
    assert wakeup.wait(10)
    wakeup.clear()
    assert not wakeup.wait(0)


def test_a_wakeup_ends_with_the_process(child: subprocess.Popen[str]) -> None:
    """The death of the process behind a pidfd ends the wait too, without counting as a wake-up."""
    with open_pidfd(child.pid) as pidfd:
        if pidfd is None:
            pytest.skip("this kernel has no pidfds")
        child.kill()
        assert not Wakeup().wait(10, pidfd)
    with open_pidfd(2**22 + 1) as gone:
        assert gone is None
