"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from spectra.engines.account import Account, server_account
from spectra.engines.files import write_private

ME = Account("me", os.geteuid(), os.getegid())


def test_a_file_is_replaced_whole_and_private(tmp_path: Path) -> None:
    """Whatever was there, mode 0600, and no spare is left beside it."""
    path = tmp_path / "x.conf"
    path.write_text("before")
    path.chmod(0o644)
    write_private(path, "after: ä\n")
    assert path.read_text("utf-8") == "after: ä\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_private_file_is_replaced_whole(tmp_path: Path) -> None:
    """A link under the file's name is replaced, not written through, and a failure leaves the old file alone."""
    target, elsewhere = tmp_path / "conf", tmp_path / "elsewhere"
    elsewhere.write_text("untouched")
    target.symlink_to(elsewhere)
    write_private(target, "new", ME)
    assert (target.read_text(), elsewhere.read_text()) == ("new", "untouched")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with pytest.raises(UnicodeEncodeError):
        write_private(target, "\ud800", ME)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["conf", "elsewhere"]
    assert target.read_text() == "new"


def test_it_belongs_to_the_account(tmp_path: Path) -> None:
    """To the server's user where we are root; else it is ours anyway."""
    account = server_account()
    write_private(tmp_path / "x.conf", "", account)
    assert (tmp_path / "x.conf").stat().st_uid == account.uid


def test_what_cannot_be_put_in_place_leaves_nothing(tmp_path: Path) -> None:
    """A folder stands where the file is to be."""
    (tmp_path / "x.conf" / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match=r"x\.conf"):
        write_private(tmp_path / "x.conf", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["x.conf"]
