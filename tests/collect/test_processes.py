"""What processes take, whom they started, and what folders hold."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spectra.collect import processes
from spectra.collect.processes import Taken, end, end_leftovers, family, gone, taken, written
from tests.support.waiting import eventually

SLEEPER = (
    "import os, signal\nif os.fork() == 0: os.setsid()\nprint(os.getpid(), flush=True)\n"
    "held = b'x' * 30 * 2**20\nsignal.pause()"
)


def test_what_a_process_takes() -> None:
    """Memory in bytes, processor time in seconds; nothing for one that is not there or was not waited for."""
    told = taken(os.getpid())
    assert told is not None
    assert 10 * 2**20 < told.memory < 10 * 2**30
    assert 0 < told.cpu_s < 10_000
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert taken(process.pid) is None
    assert taken(process.pid) is None


def test_a_family_ends_together() -> None:
    """Children count wherever they have gone; one whose id was given out again is not touched."""
    with subprocess.Popen([sys.executable, "-I", "-c", SLEEPER], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        pids = {int(process.stdout.readline()) for _ in range(2)}
        found = family(process.pid)
        assert set(found) == pids
        eventually(lambda: sum(one.memory for one in family(process.pid).values()) > 60 * 2**20)
        end({pid: told._replace(began=told.began - 1) for pid, told in found.items()})
        assert not gone(found, 0.0)
        end(found)
        assert gone(found, 60.0)
    assert family(process.pid) == {}


def test_what_a_killed_agent_left_is_ended(tmp_path: Path) -> None:
    """By home or by working folder, and nobody else's."""
    below = tmp_path / "tasks" / "one"
    below.mkdir(parents=True)
    places = [(below, str(tmp_path)), (tmp_path, str(below)), (tmp_path, f"{tmp_path}/tasks-of-others")]
    ran = [subprocess.Popen(["sleep", "600"], cwd=cwd, env={"HOME": home}) for cwd, home in places]
    try:
        eventually(lambda: all(Path(f"/proc/{one.pid}/cmdline").read_bytes().startswith(b"sleep") for one in ran))
        assert end_leftovers(tmp_path / "tasks") == 2
        assert [one.wait() for one in ran[:2]] == [-signal.SIGKILL] * 2
        assert ran[2].poll() is None
    finally:
        for one in ran:
            one.kill()
            one.wait()


def test_what_a_folder_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files at any depth; links are not followed; too many files are endlessly much."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "one").write_bytes(bytes(10_000))
    (tmp_path / "a" / "b" / "two").write_bytes(bytes(20_000))
    (tmp_path / "a" / "link").symlink_to("/proc/kcore")
    (tmp_path / "a" / "round").symlink_to(tmp_path)
    assert 30_000 <= written(tmp_path) <= 60_000
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**30)
    assert written(tmp_path) > 2**30
    assert written(tmp_path / "absent") == 0
    monkeypatch.setattr(processes, "MAX_FILES", 3)
    assert written(tmp_path) == 2**63


def test_it_is_bounded() -> None:
    """Nobody is anybody's descendant without end."""
    assert isinstance(family(1).get(1), Taken)
    assert len(family(1)) <= processes.MAX_FAMILY
