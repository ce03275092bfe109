"""`pace`: the rate limit, and backing off."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spectra.collect.scanners.pace import Bucket, Outcome, Pace


@given(st.floats(1, 5000), st.integers(1, 50), st.lists(st.floats(0, 0.5), min_size=1, max_size=200))
def test_no_window_of_time_has_more_than_the_rate_and_one_burst(rate: float, burst: int, pauses: list[float]) -> None:
    """However the caller dawdles between attempts, no stretch of time sees more than rate * length + burst of them."""
    bucket, now, sent = Bucket(burst), 1000.0, list[float]()
    for pause in pauses:
        now += pause / rate
        now += bucket.take(now, rate)
        sent.append(now)
    for first in range(len(sent)):
        length = sent[-1] - sent[first]
        assert len(sent) - first <= length * rate + burst + 1.001


def feed(pace: Pace, outcome: Outcome, count: int = 64) -> float:
    """Tell `count` outcomes; the rate afterwards."""
    for _ in range(count):
        pace.tell(outcome)
    return pace.rate


def test_refusals_and_answers_keep_the_full_rate() -> None:
    """A network that answers is scanned as fast as allowed, and no faster."""
    pace = Pace(1000, 500)
    assert feed(pace, Outcome.CLOSED, 1000) == 1000
    assert feed(pace, Outcome.OPEN, 1000) == 1000
    assert pace.concurrency == 500


def test_a_rise_of_timeouts_halves_and_calm_brings_it_back() -> None:
    """Multiplicative decrease on a window of timeouts; additive increase to the full rate after it."""
    pace = Pace(1000, 500)
    feed(pace, Outcome.CLOSED)
    assert feed(pace, Outcome.FILTERED) == 500
    assert pace.concurrency == 250
    before, after = pace.rate, feed(pace, Outcome.CLOSED)
    assert before < after < 1000
    assert feed(pace, Outcome.CLOSED, 64 * 20) == 1000


def test_a_firewall_that_drops_everything_is_not_taken_for_congestion() -> None:
    """Timeouts that stay at one level become the usual, and the rate grows again."""
    pace = Pace(1000, 500)
    low = min(feed(pace, Outcome.FILTERED) for _ in range(5))
    assert low < 1000
    assert feed(pace, Outcome.FILTERED, 64 * 30) == 1000


def test_failures_of_this_machine_always_back_off_down_to_a_floor() -> None:
    """Out of descriptors or routes: each window halves, but a probe a second stays."""
    pace = Pace(100, 10)
    assert feed(pace, Outcome.LOCAL) == 50
    assert feed(pace, Outcome.LOCAL, 64 * 50) >= 1
    assert pace.concurrency == 1
