"""Sweeping: what is over goes, and the thread that does it ends when it is told to."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from spectra.model.ai import Label
from spectra.store import aicache
from spectra.store.aibudgets import Limit, reserve
from spectra.store.aicalls import KEPT, Call, record
from spectra.store.aisweep import Sweeper, sweep
from spectra.store.database import Database
from tests.support.waiting import eventually

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = hashlib.sha256(b"asked").digest()


def fill(database: Database) -> None:
    """An answer, a request and a reservation."""
    aicache.put(database, KEY, b"answer", now=NOW, keep=timedelta(hours=1))
    record(database, Call(NOW, "alice", "chat", "local", "m", Label.LOCAL_ONLY, "answered"))
    reserve(database, "alice", "local", tokens=5, cost=0, of_account=Limit(10), of_provider=Limit(), now=NOW)


def test_what_is_over_is_removed(database: Database) -> None:
    """Each in its time, and nothing before."""
    fill(database)
    assert sweep(database, NOW) == 0
    assert sweep(database, NOW + timedelta(minutes=16)) == 1
    assert sweep(database, NOW + timedelta(hours=1)) == 1
    assert sweep(database, NOW + KEPT + timedelta(seconds=1)) == 1


def test_it_goes_on_until_it_is_stopped(database: Database) -> None:
    """On a thread of its own; one that was never started can be stopped as well."""
    fill(database)
    sweeper = Sweeper(database, lambda: NOW + timedelta(days=1), every_s=0.01)
    sweeper.start()
    try:
        eventually(lambda: aicache.get(database, KEY, NOW) is None)
    finally:
        sweeper.stop()
    Sweeper(database, lambda: NOW).stop()
