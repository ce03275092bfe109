"""The server's log file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from spectra.engines.serverlog import ServerLog


def test_the_log_is_bounded_and_keeps_the_newest(tmp_path: Path) -> None:
    """Past its bound the newest part moves to `.1`, and what the child writes afterwards starts a new file."""
    log = ServerLog(tmp_path / "log", max_bytes=100)
    assert not log.rotate()
    fd = log.open()
    os.write(fd, b"old\n" * 50)
    assert log.rotate()
    assert not log.rotate()
    os.write(fd, b"new\n")
    os.close(fd)
    assert (tmp_path / "log").read_bytes() == b"new\n"
    assert (tmp_path / "log.1").read_bytes() == b"old\n" * 25
    assert {stat.S_IMODE(entry.stat().st_mode) for entry in tmp_path.iterdir()} == {0o600}


def test_last_lines_are_of_this_start(tmp_path: Path) -> None:
    """An error quotes what was logged since the log was opened, not an earlier start's trouble."""
    log = ServerLog(tmp_path / "log")
    assert log.last_lines() == ""
    (tmp_path / "log").write_text("earlier trouble\n")
    fd = log.open()
    assert log.last_lines() == ""
    os.write(fd, b"".join(b"line %d \xff\n" % n for n in range(5000)))
    os.close(fd)
    assert log.last_lines(2) == "line 4998 \ufffd\nline 4999 \ufffd"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """The log is never written through a link."""
    (tmp_path / "log").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="log"):
        ServerLog(tmp_path / "log").open()
