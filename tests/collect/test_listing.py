"""Lists of people: entries with their lines, and a bound on all of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spectra.collect import listing


def test_entries_have_their_lines() -> None:
    """Comments and empty lines count, and are none."""
    text = "# ours\n\n 192.0.2.1  # the printer\nvpn.example.org\n"
    assert list(listing.entries(text)) == [(3, "192.0.2.1"), (4, "vpn.example.org")]


def test_what_cannot_be_a_list_is_told(tmp_path: Path) -> None:
    """Missing, of other letters, or too large."""
    path = tmp_path / "list.txt"
    with pytest.raises(FileNotFoundError):
        listing.read(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UnicodeDecodeError):
        listing.read(path)
    path.write_bytes(b"")
    os.truncate(path, listing.MAX_FILE)
    assert len(listing.read(path)) == listing.MAX_FILE
    os.truncate(path, listing.MAX_FILE + 1)
    with pytest.raises(listing.TooLarge, match="larger than"):
        listing.read(path)
