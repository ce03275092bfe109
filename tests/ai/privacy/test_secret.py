"""The secret of a node: made once, for the owner alone."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from spectra.ai.privacy.secret import NAME, SIZE, ensure
from spectra.errors import SetupError


def test_it_is_made_once(tmp_path: Path) -> None:
    """32 bytes of mode 0600, the same again, and nothing else is left in the folder."""
    folder = tmp_path / "data"
    made = ensure(folder)
    assert len(made) == SIZE
    assert ensure(folder) == made
    assert [p.name for p in folder.iterdir()] == [NAME]
    assert stat.S_IMODE((folder / NAME).stat().st_mode) == 0o600


def test_what_is_none_is_refused(tmp_path: Path) -> None:
    """Open to others, of another size, a link, or in a folder that is a file."""
    path = tmp_path / NAME
    path.write_bytes(b"x" * SIZE)
    path.chmod(0o640)
    with pytest.raises(SetupError, match="others can reach it"):
        ensure(tmp_path)
    path.write_bytes(b"x")
    path.chmod(0o600)
    with pytest.raises(SetupError, match="does not hold 32 bytes"):
        ensure(tmp_path)
    path.rename(tmp_path / "real")
    path.symlink_to(tmp_path / "real")
    with pytest.raises(SetupError, match="cannot keep"):
        ensure(tmp_path)
    with pytest.raises(SetupError, match="cannot keep"):
        ensure(tmp_path / "real")
