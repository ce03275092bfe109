"""Files that hold a secret."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spectra.errors import SetupError
from spectra.identity import private_file


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    """A missing file is a `SetupError` with its path, not a traceback."""
    with pytest.raises(SetupError, match=r"there is no file .*absent"):
        private_file.read(tmp_path / "absent")


def test_nothing_is_left_beside_the_file(tmp_path: Path) -> None:
    """Neither success nor refusal leaves a temporary copy of the secret behind."""
    path = tmp_path / "secret"
    private_file.write(path, b"one")
    with pytest.raises(SetupError):
        private_file.write(path, b"two")
    private_file.write(path, b"three", overwrite=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]
    assert private_file.read(path) == b"three"


def test_a_folder_and_a_pipe_are_no_files(tmp_path: Path) -> None:
    """A folder or a named pipe in the place of the file is refused at once; reading a pipe would wait for ever."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    with pytest.raises(SetupError, match="not a regular file"):
        private_file.read(pipe)
    with pytest.raises(SetupError):
        private_file.read(tmp_path)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    """A file beyond 64 KB is something else and is refused."""
    path = tmp_path / "huge"
    private_file.write(path, bytes(private_file.MAX_BYTES + 1))
    with pytest.raises(SetupError, match="larger than"):
        private_file.read(path)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A path through a regular file is a `SetupError` that names the path."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SetupError, match=r"cannot write .*secret"):
        private_file.write(tmp_path / "file" / "secret", b"x")


def test_a_link_to_a_private_file_is_followed(tmp_path: Path) -> None:
    """Secrets are often mounted as links: the mode of the file behind it counts."""
    private_file.write(tmp_path / "real", b"x")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert private_file.read(tmp_path / "link") == b"x"
    (tmp_path / "real").chmod(0o644)
    with pytest.raises(SetupError, match="chmod 600"):
        private_file.read(tmp_path / "link")
