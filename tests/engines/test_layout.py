"""Folders: private, reachable, and short enough for a socket."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.engines.account import Account
from spectra.engines.layout import (
    MAX_SOCKET_BYTES,
    Layout,
    prepare_folders,
    prepare_sockets,
    remove_sockets,
)
from spectra.errors import SetupError
from tests.engines.asking import value
from tests.engines.conftest import ServerFactory

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("name", ["x" * 120, "comma,and 'quote'"])
def test_folders_a_socket_cannot_live_in(make_server: ServerFactory, folder: Path, name: str) -> None:
    """A path too long for a socket address, or with separators in it, gets a short private socket folder."""
    place = folder / name
    if os.geteuid() == 0:
        folder.chmod(0o711)
    server = make_server(place)
    url = server.start()
    assert value(url, "SELECT 1") == 1
    sockets = Layout.of(place).sockets
    assert folder not in sockets.parents
    status = sockets.stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o700, (place / "postgres").stat().st_uid)
    server.stop()
    assert not sockets.exists()


def me() -> Account:
    """The user the tests run as, who needs no switching."""
    return Account("me", os.geteuid(), os.getegid())


@given(st.integers(min_value=1, max_value=150))
def test_the_socket_path_always_fits(length: int) -> None:
    """Whatever the length of the data folder's path, the socket's path fits its address and stays the same."""
    layout = Layout(Path("/" + "d" * length))
    path = os.fsencode(layout.sockets / ".s.PGSQL.5432")
    assert len(path) <= MAX_SOCKET_BYTES
    assert layout.sockets == Layout(layout.data_dir).sockets


def test_folders_are_private(tmp_path: Path) -> None:
    """A new data folder is closed to everybody else, and an existing one is kept as it is."""
    layout = Layout.of(tmp_path / "a" / "data")
    prepare_folders(layout, me())
    prepare_folders(layout, me())
    assert stat.S_IMODE(layout.data_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE(layout.log.parent.stat().st_mode) == 0o700


def test_a_socket_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """A link planted under the folder's name is not followed; an own folder that stood open is closed."""
    layout = Layout.of(tmp_path)
    layout.sockets.mkdir(mode=0o755)
    assert stat.S_IMODE(prepare_sockets(layout, me()).stat().st_mode) == 0o700
    layout.sockets.rmdir()
    layout.sockets.symlink_to(tmp_path)
    with pytest.raises(SetupError, match="does not belong to me"):
        prepare_sockets(layout, me())
    remove_sockets(layout)
    assert layout.sockets.is_symlink()
