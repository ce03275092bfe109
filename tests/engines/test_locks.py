"""One owner per folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from spectra.engines.locks import FolderLock
from spectra.errors import SetupError


def test_the_second_owner_is_told_of_the_first(tmp_path: Path) -> None:
    """A held lock names its holder; once released it can be had, and the file is private and stays."""
    path = tmp_path / "lock"
    first, second = FolderLock(path, "The folder"), FolderLock(path, "The folder")
    with first:
        first.acquire()
        with pytest.raises(SetupError, match=rf"The folder {tmp_path} is in use by process {os.getpid()}\."):
            second.acquire()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with second:
        assert path.read_text() == f"{os.getpid()}\n"
    second.release()
    assert path.exists()


def test_a_lock_file_with_anything_in_it(tmp_path: Path) -> None:
    """What stands in the file is shown only if it is a pid, and never decides who owns the folder."""
    path = tmp_path / "lock"
    with FolderLock(path, "The folder"):
        path.write_bytes(b"\xff\x00 not a pid")
        with pytest.raises(SetupError, match="in use by another process"):
            FolderLock(path, "The folder").acquire()
    with FolderLock(path, "The folder"):
        assert path.read_text() == f"{os.getpid()}\n"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """A link under the lock's name is an error, not a file to truncate."""
    victim = tmp_path / "victim"
    victim.write_text("kept")
    (tmp_path / "lock").symlink_to(victim)
    with pytest.raises(OSError, match="lock"):
        FolderLock(tmp_path / "lock", "The folder").acquire()
    assert victim.read_text() == "kept"


def test_a_folder_that_cannot_be_locked(tmp_path: Path) -> None:
    """A fault of the file system passes through and leaves no descriptor behind."""
    os.mkfifo(tmp_path / "lock")
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(OSError, match=r"."):
        FolderLock(tmp_path / "lock", "The folder").acquire()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
