"""Privileged acts, read back from the chain."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from spectra.errors import Corrupt
from spectra.store import blocks, do_not_scan
from spectra.store.audit_trail import acts
from spectra.store.database import Database
from spectra.store.provenance import Entry, commit

pytestmark = pytest.mark.engine

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def busy(database: Database) -> Database:
    """A chain of submissions, with acts between them."""
    for number in range(3):
        commit(database, lambda _, n=number: (None, [Entry("observation.accepted", f"{n:064x}", {}, NOW)]))
        blocks.add(database, network=f"198.51.{number}.0/24", reason="x", by="root", now=NOW)
    do_not_scan.add(database, network="203.0.113.0/24", reason="", by="root", now=NOW)
    return database


def test_acts_are_what_is_no_submission(busy: Database) -> None:
    """Newest first; of one kind, of one noun, about one subject, and page by page."""
    found = acts(busy)
    assert not any(act.kind.startswith("observation.") for act in found)
    assert [act.seq for act in found] == sorted((act.seq for act in found), reverse=True)
    assert [act.kind for act in found] == ["do_not_scan.added", *["block.added"] * 3]
    assert [act.kind for act in acts(busy, kind="block.added")] == ["block.added"] * 3
    assert acts(busy, kind="block") == acts(busy, kind="block.added")
    assert acts(busy, kind="bloc") == acts(busy, kind="observation") == ()
    newest = acts(busy, kind="block", limit=1)[0]
    assert acts(busy, subject=newest.subject) == (newest,)
    assert acts(busy, kind="block", before=newest.seq) == acts(busy, kind="block")[1:]
    assert (newest.at, newest.detail["network"], newest.detail["added_by"]) == (NOW, "198.51.2.0/24", "root")


def test_a_damaged_entry_is_told(busy: Database) -> None:
    """And where: the walk of the chain says the rest."""
    damaged = acts(busy, limit=1)[0]
    with busy.connection() as connection:
        connection.execute("UPDATE provenance SET subject = 'x' WHERE seq = %s", [damaged.seq])
    with pytest.raises(Corrupt, match=f"Entry {damaged.seq} "):
        acts(busy)
