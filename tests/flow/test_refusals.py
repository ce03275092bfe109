"""Refusals: counted in the store without making anybody wait, however many there are."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from spectra.flow import refusals
from spectra.flow.refusals import RefusalLog
from spectra.store import refusals as stored
from spectra.store.database import Database
from tests.flow.desk import Clock
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine


@pytest.fixture
def notes(database: Database, clock: Clock) -> Iterator[RefusalLog]:
    """One that writes at once."""
    made = RefusalLog(database, clock, every_s=0.0)
    made.start()
    yield made
    made.stop()


def counts(database: Database) -> dict[tuple[str, str], int]:
    """What the store counted."""
    return {(row.kind, row.who): row.count for row in stored.every(database)}


def test_each_is_counted_and_told(notes: RefusalLog, database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """By kind and who, with the newest detail; a line in the log."""
    with caplog.at_level(logging.WARNING, "spectra.mesh"):
        for _ in range(3):
            notes.note("token_used", "192.0.2.1", "used already")
        notes.note("impostor", "w1", "says it is w2", times=5)
        eventually(lambda: counts(database) == {("token_used", "192.0.2.1"): 3, ("impostor", "w1"): 5})
    assert {"refused: token_used", "refused: impostor"} <= set(caplog.messages)


def test_what_is_left_is_written_at_the_end(database: Database, clock: Clock) -> None:
    """However long the pause between two writes."""
    notes = RefusalLog(database, clock, every_s=3600.0)
    notes.start()
    notes.note("untrusted", "192.0.2.1")
    notes.stop()
    assert counts(database) == {("untrusted", "192.0.2.1"): 1}


def test_senders_without_end_are_counted_together(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded between two writes."""
    monkeypatch.setattr(refusals, "MOST", 3)
    notes = RefusalLog(database, clock, every_s=3600.0)
    notes.start()
    for n in range(10):
        notes.note("untrusted", f"192.0.2.{n}")
    notes.stop()
    found = counts(database)
    assert found[("untrusted", refusals.OTHERS)] == 7
    assert sum(found.values()) == 10


def test_texts_of_strangers_are_made_harmless(notes: RefusalLog, database: Database) -> None:
    """On one line and bounded, in the log as in the store."""
    notes.note("impostor", "a\x1b[31m\nb" + "x" * 500, "d\r\n" * 500)
    eventually(lambda: stored.every(database))
    (row,) = stored.every(database)
    assert row.who.isprintable()
    assert len(row.who) <= 100
    assert row.detail.isprintable()


def test_a_database_that_is_away_costs_the_count_alone(
    database: Database, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has them, and nobody who notes something hears of it."""
    database.close()
    notes = RefusalLog(database, clock, every_s=0.0)
    with caplog.at_level(logging.WARNING, "spectra.mesh"):
        notes.start()
        notes.note("untrusted", "192.0.2.1")
        notes.stop()
    assert "refused: untrusted" in caplog.messages
    assert "refusals could not be counted" in caplog.messages
