"""Answers that are kept: for how long, how many, how large."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from spectra.store import aicache
from spectra.store.database import Database

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def key(text: str) -> bytes:
    """The key of what was asked."""
    return hashlib.sha256(text.encode()).digest()


def put(database: Database, text: str, value: bytes = b"answer", *, now: datetime = NOW) -> bool:
    """Keep an answer for a day."""
    return aicache.put(database, key(text), value, now=now, keep=24 * HOUR)


def test_an_answer_is_kept_until_its_time_is_over(database: Database) -> None:
    """A later one for the same question takes its place, an earlier one does not."""
    assert aicache.get(database, key("q"), NOW) is None
    assert put(database, "q")
    assert aicache.get(database, key("q"), NOW + 23 * HOUR) == b"answer"
    assert aicache.get(database, key("q"), NOW + 24 * HOUR) is None
    assert put(database, "q", b"newer", now=NOW + HOUR)
    assert put(database, "q", b"older")
    assert aicache.get(database, key("q"), NOW + 24 * HOUR) == b"newer"


def test_what_is_too_large_or_not_to_be_kept_is_not(database: Database) -> None:
    """And a key that is no digest is a defect."""
    assert not put(database, "q", bytes(aicache.MAX_VALUE_BYTES + 1))
    assert not aicache.put(database, key("q"), b"answer", now=NOW, keep=timedelta())
    assert aicache.get(database, key("q"), NOW) is None
    with pytest.raises(ValueError, match="SHA-256"):
        aicache.put(database, b"what is 192.0.2.1?", b"answer", now=NOW, keep=HOUR)


def test_what_is_old_and_the_oldest_of_too_many_are_forgotten(database: Database) -> None:
    """The newest stay."""
    for number in range(5):
        put(database, str(number), now=NOW + number * HOUR)
    assert aicache.purge(database, NOW + 24 * HOUR, most=3) == 2
    assert aicache.get(database, key("1"), NOW + 5 * HOUR) is None
    assert aicache.get(database, key("2"), NOW + 5 * HOUR) == b"answer"
    assert aicache.purge(database, NOW + 26 * HOUR) == 1
    assert aicache.clear(database) == 2
