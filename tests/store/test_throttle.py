"""Throttling: bursts, refilling, all or none, on any coordinator, and nothing that grows for ever."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spectra.store import throttle
from spectra.store.database import Database
from spectra.store.throttle import Bucket

pytestmark = pytest.mark.engine

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SLOW = Bucket("slow", each_s=30.0, burst=3)
WIDE = Bucket("wide", each_s=1.0, burst=100)


def after(seconds: float) -> datetime:
    """A moment."""
    return T0 + timedelta(seconds=seconds)


def rows(database: Database) -> int:
    """How much is remembered."""
    with database.connection() as connection:
        row = connection.execute("SELECT count(*) FROM login_throttle").fetchone()
    return row[0] if row else 0


def test_a_burst_and_then_one_at_a_time(database: Database) -> None:
    """Three at once, then one for every thirty seconds; being refused costs nothing."""
    assert [throttle.charge(database, [SLOW], T0) for _ in range(3)] == [0, 0, 0]
    assert [throttle.charge(database, [SLOW], after(s)) for s in (0, 10, 29)] == [30, 20, 1]
    assert throttle.charge(database, [SLOW], after(30)) == 0
    assert throttle.charge(database, [SLOW], after(30)) == 30


def test_all_or_none(database: Database) -> None:
    """An attempt that one bucket refuses is counted in no other."""
    for _ in range(3):
        throttle.charge(database, [SLOW, WIDE], T0)
    for _ in range(200):
        assert throttle.charge(database, [WIDE, SLOW], T0) == 30
    assert [throttle.charge(database, [WIDE], T0) for _ in range(97)] == [0] * 97
    assert throttle.charge(database, [WIDE], T0) > 0


def test_success_is_taken_back(database: Database) -> None:
    """`forgive` takes back one, `forget` all."""
    for _ in range(50):
        assert throttle.charge(database, [SLOW], T0) == 0
        throttle.forgive(database, [SLOW], T0)
    for _ in range(3):
        throttle.charge(database, [SLOW], T0)
    throttle.forget(database, SLOW)
    assert throttle.charge(database, [SLOW], T0) == 0


def test_coordinators_count_together(database: Database) -> None:
    """Twenty attempts at the same moment by two of them: the burst gets through, and no more."""
    with Database(database.url, pool_size=4) as other, ThreadPoolExecutor(8) as pool:
        made = [pool.submit(throttle.charge, (database, other)[n % 2], [SLOW, WIDE], T0) for n in range(20)]
        waits = [one.result() for one in made]
    assert waits.count(0) == 3


def test_what_is_over_is_forgotten(database: Database) -> None:
    """Strangers' names leave nothing behind: rows go with later attempts."""
    for n in range(50):
        throttle.charge(database, [Bucket(f"name {n}", 1.0, 5)], T0)
    assert rows(database) == 50
    throttle.charge(database, [SLOW], after(10))
    assert rows(database) == 1


def test_a_clock_that_was_set_back_locks_nobody_out(database: Database) -> None:
    """What was counted in a wrong future is no reason to wait for it."""
    for _ in range(3):
        throttle.charge(database, [SLOW], T0 + timedelta(days=365))
    assert throttle.charge(database, [SLOW], T0) == 0


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.integers(0, 40), max_size=25))
def test_the_count_is_that_of_a_bucket(database: Database, gaps: list[int]) -> None:
    """Against a second, naive model: tokens that refill."""
    throttle.forget(database, SLOW)
    tokens, at = 3.0, 0
    for gap in gaps:
        at += gap
        tokens = min(3.0, tokens + gap / 30)
        admitted = throttle.charge(database, [SLOW], after(at)) == 0
        assert admitted is (tokens > 1 - 1e-9)
        tokens -= 1 if admitted else 0
