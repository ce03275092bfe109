"""Token buckets in the database."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spectra.ingest.rate import RateLimiter
from spectra.store.database import Database
from spectra.store.limits import AccountLimit, Buckets, Rate

pytestmark = pytest.mark.engine

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def later(seconds: float) -> datetime:
    """So many seconds after the start."""
    return NOW + timedelta(seconds=seconds)


@pytest.fixture
def buckets(database: Database) -> Buckets:
    """The buckets of a database of the test's own."""
    return Buckets(database)


@pytest.fixture
def other(database: Database) -> Iterator[Buckets]:
    """The buckets of a second coordinator on the same database."""
    with Database(database.url, pool_size=6) as second:
        yield Buckets(second)


def rows(database: Database) -> int:
    """How many buckets are kept."""
    with database.connection() as connection:
        row = connection.execute("SELECT count(*) FROM bucket").fetchone()
    assert row
    return row[0]


def test_a_burst_is_admitted_and_then_the_rate(buckets: Buckets) -> None:
    """A fresh account may ask a minute's worth at once, then one per interval; the wait told is exactly enough."""
    rate = Rate(6)
    assert [buckets.take("alice", "plan", rate, at=NOW) for _ in range(6)] == [0.0] * 6
    assert buckets.take("alice", "plan", rate, at=NOW) == pytest.approx(10)
    assert buckets.take("alice", "plan", rate, at=later(9.999)) == pytest.approx(0.001)
    assert buckets.take("alice", "plan", rate, at=later(10)) == 0.0
    assert buckets.take("alice", "plan", rate, at=later(10)) == pytest.approx(10)


def test_refusals_cost_nothing(buckets: Buckets) -> None:
    """Asking too often does not push the moment of admission away."""
    rate = Rate(60)
    for _ in range(60):
        buckets.take("alice", "plan", rate, at=NOW)
    assert [buckets.take("alice", "plan", rate, at=later(0.5)) for _ in range(50)] == pytest.approx([0.5] * 50)
    assert buckets.take("alice", "plan", rate, at=later(1)) == 0.0


def test_accounts_and_kinds_do_not_share(buckets: Buckets) -> None:
    """One account's flood slows neither another nor its own requests of another kind."""
    rate = Rate(1)
    assert buckets.take("alice", "plan", rate) == 0.0
    assert buckets.take("alice", "plan", rate) > 0
    assert buckets.take("bob", "plan", rate) == 0.0
    assert buckets.take("alice", "search", rate) == 0.0


def test_a_rate_of_zero_and_admins_are_not_limited(buckets: Buckets, database: Database) -> None:
    """Nobody waits where the limit is off, and an admin nowhere; neither has a row."""
    assert {buckets.take("alice", "plan", Rate(0)) for _ in range(5)} == {0.0}
    assert buckets.peek("alice", "plan", Rate(0)) == 0.0
    limit = AccountLimit(buckets, "ingest", 1)
    assert {limit.admit("root", "admin", NOW) for _ in range(5)} == {0.0}
    assert rows(database) == 0
    assert limit.admit("alice", "contributor", NOW) == 0.0
    assert limit.admit("alice", "contributor", NOW) > 0


def test_peeking_takes_nothing(buckets: Buckets) -> None:
    """What it would answer, and it still would."""
    rate = Rate(2)
    assert {buckets.peek("alice", "plan", rate, at=NOW) for _ in range(5)} == {0.0}
    assert [buckets.take("alice", "plan", rate, at=NOW) for _ in range(2)] == [0.0, 0.0]
    assert buckets.peek("alice", "plan", rate, at=NOW) == pytest.approx(30)


def test_a_clock_set_back_locks_nobody_out(buckets: Buckets) -> None:
    """After the clock was set back by an hour an account waits for one interval, not for an hour, and gains none."""
    rate = Rate(60)
    for _ in range(60):
        assert buckets.take("alice", "plan", rate, at=later(3600)) == 0.0
    assert buckets.take("alice", "plan", rate, at=NOW) == pytest.approx(1)
    assert buckets.take("alice", "plan", rate, at=later(0.9)) == pytest.approx(0.1)
    assert buckets.take("alice", "plan", rate, at=later(1)) == 0.0
    assert buckets.take("alice", "plan", rate, at=later(1)) == pytest.approx(1)


def test_a_limit_made_stricter_counts_at_once(buckets: Buckets) -> None:
    """An account that has used up the wide limit does not begin anew under the narrow one."""
    for _ in range(60):
        buckets.take("alice", "plan", Rate(60), at=NOW)
    assert buckets.take("alice", "plan", Rate(6), at=NOW) == pytest.approx(10)


def test_the_longest_idle_are_forgotten(buckets: Buckets, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that says no more than no row does is removed in passing, so that strangers cannot fill the table."""
    for number in range(20):
        buckets.take(f"net {number}", "form", Rate(1), at=NOW - timedelta(days=400))
    buckets.take("alice", "plan", Rate(1))
    assert rows(database) == 21
    began = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: began + 601)
    assert buckets.take("alice", "plan", Rate(1)) > 0
    assert rows(database) == 1


def test_two_coordinators_admit_exactly_the_burst(buckets: Buckets, other: Buckets) -> None:
    """Of many requests at one moment, by threads of two coordinators, exactly the burst is admitted."""
    rate = Rate(50)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit((buckets, other)[n % 2].take, "alice", "plan", rate, at=NOW) for n in range(400)]
        waits = [one.result() for one in asked]
    assert waits.count(0.0) == 50
    assert min(wait for wait in waits if wait) == pytest.approx(60 / 50)


def test_two_coordinators_over_a_stretch_of_time(buckets: Buckets, other: Buckets) -> None:
    """Threads that ask in any order over 20 s: never more than the burst and what the stretch refills, hardly fewer."""
    rate = Rate(20, 1.0)

    def ask(first: int) -> int:
        door = (buckets, other)[first % 2]
        return sum(door.take("alice", "plan", rate, at=later(n / 100)) == 0.0 for n in range(first, 2000, 4))

    with ThreadPoolExecutor(4) as pool:
        admitted = sum(pool.map(ask, range(4)))
    assert 20 + 20 * 20 - 20 <= admitted <= 20 + 20 * 20


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 120), st.lists(st.floats(0, 30), min_size=1, max_size=40))
def test_admits_what_the_bucket_in_memory_admits(buckets: Buckets, rate: int, gaps: list[float]) -> None:
    """The same questions at the same moments have the same answers as the plain bucket of `ingest.rate`."""
    account = f"alice {time.monotonic_ns()}"
    model, at = RateLimiter(rate), NOW
    for gap in gaps:
        at += timedelta(seconds=round(gap))
        theirs = model.admit(account, "user", at)
        ours = buckets.take(account, "plan", Rate(rate), at=at)
        assert ours == pytest.approx(theirs, abs=1e-3)
