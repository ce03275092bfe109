"""The chain as people read it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest

from spectra.errors import NotFound
from spectra.store import blocks
from spectra.store.chainpages import one, page
from spectra.store.database import Database
from spectra.store.provenance import GENESIS, Entry, commit

pytestmark = pytest.mark.engine

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def chain(database: Database) -> Database:
    """Three submissions, each followed by a block: six entries."""
    for number in range(3):
        commit(database, lambda _, n=number: (None, [Entry("observation.accepted", f"{n:064x}", {}, NOW)]))
        blocks.add(database, network=f"198.51.{number}.0/24", reason="x", by="root", now=NOW)
    return database


def test_pages_go_both_ways(chain: Database) -> None:
    """Newest first, before a number or the next after one; of a kind, of a noun, about a subject."""
    assert [one.seq for one in page(chain)] == [6, 5, 4, 3, 2, 1]
    assert [one.seq for one in page(chain, before=5, limit=2)] == [4, 3]
    assert [one.seq for one in page(chain, after=1, limit=2)] == [3, 2]
    assert [one.seq for one in page(chain, kind="block")] == [6, 4, 2]
    assert page(chain, kind="block") == page(chain, kind="block.added")
    assert page(chain, kind="bloc") == page(chain, kind="block.x") == ()
    assert [one.seq for one in page(chain, kind="observation.accepted")] == [5, 3, 1]
    newest = page(chain, limit=1)[0]
    assert page(chain, subject=newest.subject) == (newest,)


def test_acts_are_withheld_from_those_who_may_not_read_them(chain: Database) -> None:
    """The entry is there with its hash; its subject and text are not, and no subject can be asked for."""
    newest, older = page(chain, limit=2, told=False)
    told = page(chain, limit=1)[0]
    assert (newest.withheld, newest.subject, newest.hash) == (True, "", told.hash)
    assert (older.withheld, older.subject) == (False, f"{2:064x}")
    assert page(chain, subject=told.subject, told=False) == ()
    assert page(chain, subject=older.subject, told=False) == (older,)
    assert one(chain, 6, told=False).text == ""


def test_an_entry_is_proved(chain: Database) -> None:
    """Anybody can compute the hash again from what is told; the ends of the chain have one neighbour."""
    proof = one(chain, 2)
    text = bytes.fromhex(proof.entry.previous) + proof.text.encode() + proof.entry.at.encode()
    assert hashlib.sha256(text).hexdigest() == proof.entry.hash
    assert (proof.hashes, proof.follows, proof.followed) == (True, True, True)
    assert one(chain, 1).entry.previous == GENESIS.hex()
    assert one(chain, 1).follows
    assert one(chain, 6).followed is None
    with pytest.raises(NotFound):
        one(chain, 7)


def test_an_entry_that_was_changed_does_not_hold(chain: Database) -> None:
    """By itself, and to those beside it."""
    with chain.connection() as connection:
        connection.execute("UPDATE provenance SET entry = replace(entry, 'root', 'nobody') WHERE seq = 2")
        connection.execute("UPDATE provenance SET hash = %s WHERE seq = 4", [bytes(32)])
    assert not one(chain, 2).hashes
    assert not one(chain, 4).hashes
    assert one(chain, 3).followed
    assert one(chain, 4).followed is False
    assert not one(chain, 5).follows
