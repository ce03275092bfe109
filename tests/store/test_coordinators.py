"""Coordinators on one database know of one another by their beats."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from spectra.store import coordinators
from spectra.store.coordinators import Coordinator
from spectra.store.database import Database

NOON = datetime(2027, 1, 1, 12, tzinfo=UTC)


def test_who_was_heard_of_late_is_alive(database: Database) -> None:
    """With the place that it told of last; nobody else is."""
    coordinators.beat(database, "b", "https://b:1", NOON)
    coordinators.beat(database, "a", "", NOON - timedelta(seconds=31))
    assert coordinators.alive(database, NOON, 30) == [Coordinator("b", "https://b:1")]
    coordinators.beat(database, "a", "https://a:1", NOON)
    coordinators.beat(database, "a", "https://a:2", NOON + timedelta(seconds=5))
    assert coordinators.alive(database, NOON, 30) == [Coordinator("a", "https://a:2"), Coordinator("b", "https://b:1")]


def test_who_ended_in_good_order_is_gone_at_once(database: Database) -> None:
    """Nobody waits for its silence; that it was not there is no error."""
    coordinators.beat(database, "a", "", NOON)
    for _ in range(2):
        coordinators.gone(database, "a")
    assert coordinators.alive(database, NOON, 30) == []


def test_who_was_silent_for_a_day_is_forgotten(database: Database) -> None:
    """When somebody new comes."""
    coordinators.beat(database, "a", "", NOON)
    coordinators.beat(database, "b", "", NOON + timedelta(days=2))
    assert coordinators.alive(database, NOON, 30 * 86400) == [Coordinator("b", "")]
