"""The do-not-scan list on a machine's disk."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from spectra.collect.lawbook import Lawbook, LawUnknown, Told
from spectra.errors import SetupError
from spectra.model.lawbook import LawBook

RULES = msgspec.Raw(b'["192.0.2.0/24"]')


class Mesh:
    """What a coordinator tells; None: none answers."""

    def __init__(self, version: int | None) -> None:
        self.version = version
        self.asked = 0

    def __call__(self) -> Told:
        """The list of the moment."""
        self.asked += 1
        if self.version is None:
            raise SetupError("nobody answers", reason="unreachable")
        return Told(self.version, RULES)


def test_it_is_read_where_it_is_too_old(tmp_path: Path) -> None:
    """Once for a version; a restart finds it on disk, readable for its owner alone."""
    mesh = Mesh(3)
    book = Lawbook(tmp_path, mesh)
    assert book.version == -1
    book.require(2)
    book.require(3)
    assert (book.version, mesh.asked) == (3, 1)
    assert Lawbook(tmp_path, mesh).version == 3
    assert msgspec.json.decode(book.read(), type=LawBook) == LawBook(3, ("192.0.2.0/24",))
    assert (tmp_path / "law.json").stat().st_mode & 0o777 == 0o600
    mesh.version = 5
    book.require(4)
    assert (book.version, Lawbook(tmp_path, mesh).version) == (5, 5)


def test_without_a_list_nothing_is_lawful(tmp_path: Path) -> None:
    """Also where an order names none; and where the newest is older than what an order needs."""
    mesh = Mesh(None)
    with pytest.raises(LawUnknown, match="nobody answers"):
        Lawbook(tmp_path, mesh).require(0)
    mesh.version = 1
    book = Lawbook(tmp_path, mesh)
    with pytest.raises(LawUnknown, match="version 1; 2 is needed"):
        book.require(2)
    mesh.version = None
    book.require(1)  # what is here is enough


def test_a_list_that_is_older_again_is_taken(tmp_path: Path) -> None:
    """A coordinator that was restored from a backup has an older one, and orders by it."""
    mesh = Mesh(9)
    book = Lawbook(tmp_path, mesh)
    book.renew()
    mesh.version = 4
    book.renew()
    assert book.version == Lawbook(tmp_path, mesh).version == 4


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": -1, "rules": []}', b'{"version": 1}'])
def test_a_damaged_list_is_none(tmp_path: Path, content: bytes) -> None:
    """It is asked for anew."""
    (tmp_path / "law.json").write_bytes(content)
    book = Lawbook(tmp_path, mesh := Mesh(1))
    assert book.version == -1
    book.require(1)
    assert mesh.asked == 1


def test_a_list_that_has_gone(tmp_path: Path) -> None:
    """It is not guessed; the next order has it read anew."""
    book = Lawbook(tmp_path, mesh := Mesh(1))
    book.require(1)
    (tmp_path / "law.json").unlink()
    with pytest.raises(LawUnknown, match="cannot be read"):
        book.read()
    book.require(1)
    assert (mesh.asked, book.read()) == (2, b'{"version":1,"rules":["192.0.2.0/24"]}')
