"""Sealed secrets: only the key opens them, only for what they belong to."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest

from spectra.errors import SetupError
from spectra.identity import private_file
from spectra.identity.errors import IdentityError
from spectra.identity.sealing import SealKey


def test_a_secret_comes_back(tmp_path: Path) -> None:
    """Under the key of the same file, which was made on first use, for nobody else to read."""
    path = tmp_path / "keys" / "seal.key"
    key = SealKey.at(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    sealed = key.seal(b"secret", "factor-1")
    assert b"secret" not in sealed
    again = SealKey.at(path)
    assert (again.id, again.open(sealed, "factor-1")) == (key.id, b"secret")
    assert base64.b64decode(path.read_bytes()).hex() not in repr(key)
    assert key.seal(b"secret", "factor-1") != sealed


def test_nothing_else_opens_it(tmp_path: Path) -> None:
    """Not another key, not for another row, not altered, not cut."""
    key, other = SealKey.at(tmp_path / "a"), SealKey.at(tmp_path / "b")
    sealed = key.seal(b"secret", "factor-1")
    altered = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for opener, what, of in (
        (other, sealed, "factor-1"),
        (key, sealed, "factor-2"),
        (key, altered, "factor-1"),
        (key, sealed[:20], "factor-1"),
        (key, b"", "factor-1"),
    ):
        with pytest.raises(IdentityError):
            opener.open(what, of)
    assert other.id != key.id


@pytest.mark.parametrize("content", [b"", b"no base64!", base64.b64encode(bytes(31))])
def test_a_file_that_is_no_key(tmp_path: Path, content: bytes) -> None:
    """It is refused rather than written over."""
    path = tmp_path / "seal.key"
    private_file.write(path, content)
    with pytest.raises(SetupError):
        SealKey.at(path)
    assert path.read_bytes() == content
