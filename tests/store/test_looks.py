"""What is new to somebody is what came since they looked the time before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from spectra.store import looks
from spectra.store.database import Database

pytestmark = pytest.mark.engine

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_a_visit_keeps_what_was_new_at_its_beginning(database: Database) -> None:
    """Until half an hour without a look ends it; then what came since the last look is new."""
    assert looks.since(database, "ann", NOW) == NOW - looks.FIRST
    assert looks.look(database, "ann", NOW) == NOW - looks.FIRST
    for minutes in (20, 40, 60):
        assert looks.look(database, "ann", NOW + timedelta(minutes=minutes)) == NOW - looks.FIRST
    assert looks.since(database, "ann", NOW + timedelta(hours=2)) == NOW - looks.FIRST
    assert looks.look(database, "ann", NOW + timedelta(hours=2)) == NOW + timedelta(hours=1)
    assert looks.look(database, "bob", NOW + timedelta(hours=2)) == NOW + timedelta(hours=2) - looks.FIRST


def test_who_has_seen_all_is_told_what_comes_next(database: Database) -> None:
    """Whether or not they ever looked before."""
    assert looks.seen(database, "ann", NOW) == NOW
    assert looks.look(database, "ann", NOW + timedelta(minutes=5)) == NOW
