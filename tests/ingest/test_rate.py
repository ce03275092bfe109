"""Token buckets."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.ingest.rate import RateLimiter

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def later(seconds: float) -> datetime:
    """So many seconds after the start."""
    return NOW + timedelta(seconds=seconds)


def test_a_burst_is_admitted_and_then_the_rate() -> None:
    """A fresh contributor may send a minute's worth at once, then one per interval; the wait told is enough."""
    limiter = RateLimiter(6)
    assert [limiter.admit("alice", "contributor", NOW) for _ in range(6)] == [0.0] * 6
    wait = limiter.admit("alice", "contributor", NOW)
    assert wait == pytest.approx(10.0)
    assert limiter.admit("alice", "contributor", later(9.9)) > 0
    assert limiter.admit("alice", "contributor", later(10.1)) == 0.0


def test_refusals_cost_nothing() -> None:
    """Asking too often does not push the moment of admission away."""
    limiter = RateLimiter(60, burst=1)
    limiter.admit("alice", "user", NOW)
    waits = [limiter.admit("alice", "user", later(0.5)) for _ in range(100)]
    assert waits == pytest.approx([0.5] * 100)
    assert limiter.admit("alice", "user", later(1)) == 0.0


def test_contributors_do_not_share() -> None:
    """One contributor's flood does not slow another."""
    limiter = RateLimiter(1)
    assert limiter.admit("alice", "user", NOW) == 0.0
    assert limiter.admit("alice", "user", NOW) > 0
    assert limiter.admit("bob", "user", NOW) == 0.0


def test_admins_and_rate_zero_are_not_limited() -> None:
    """An admin is never told to wait, nor is anybody where the limit is off; neither is tracked."""
    limited, open_to_all = RateLimiter(1), RateLimiter(0)
    assert {limited.admit("root", "admin", NOW) for _ in range(50)} == {0.0}
    assert {open_to_all.admit("alice", "user", NOW) for _ in range(50)} == {0.0}
    assert len(limited) == len(open_to_all) == 0


def test_asking_out_of_order_gives_nothing_away() -> None:
    """Threads that ask a little out of order do not refill a bucket twice, and the wait told is still enough."""
    limiter = RateLimiter(60, burst=1)
    assert limiter.admit("alice", "user", later(30)) == 0.0
    assert limiter.admit("alice", "user", NOW) == pytest.approx(31)
    assert limiter.admit("alice", "user", later(30)) == pytest.approx(1)
    assert limiter.admit("alice", "user", later(31)) == 0.0


def test_a_clock_set_back_locks_nobody_out() -> None:
    """After the clock was set back by an hour a contributor waits for one interval, not for an hour, and gains none."""
    limiter = RateLimiter(60, burst=1)
    assert limiter.admit("alice", "user", later(3600)) == 0.0
    assert limiter.admit("alice", "user", NOW) == pytest.approx(1)
    assert limiter.admit("alice", "user", later(1)) == 0.0


def test_memory_is_bounded() -> None:
    """Of many contributors only the latest are tracked; the one idle for longest is forgotten first."""
    limiter = RateLimiter(1, max_contributors=2)
    for name in ("alice", "bob", "alice", "carol"):
        limiter.admit(name, "user", NOW)
    assert len(limiter) == 2
    assert limiter.admit("alice", "user", NOW) > 0
    assert limiter.admit("bob", "user", NOW) == 0.0


def test_threads_do_not_exceed_the_burst() -> None:
    """Of many submissions at one moment from several threads exactly the burst is admitted."""
    limiter = RateLimiter(50)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(limiter.admit, "alice", "user", NOW) for _ in range(400)]
        waits = [one.result() for one in asked]
    assert waits.count(0.0) == 50


@given(st.integers(1, 120), st.integers(1, 10), st.lists(st.floats(0, 5), max_size=60))
def test_never_more_than_burst_and_rate(rate: int, burst: int, gaps: list[float]) -> None:
    """Over any stretch of time no more is admitted than the burst and what the rate refills."""
    limiter, at, admitted = RateLimiter(rate, burst), 0.0, 0
    for gap in gaps:
        at += gap
        admitted += limiter.admit("alice", "user", later(at)) == 0.0
    assert admitted <= burst + at * rate / 60 + 1e-3
