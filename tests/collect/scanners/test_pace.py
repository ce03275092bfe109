"""`pace`: the rate limit, and backing off."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.collect.scanners.pace import Bucket, Outcome, Pace, Patience, Timing


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


class Limited:
    """A host of the tests' own that answers at most `rate` attempts a second, after a burst."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._tokens, self._at = burst, 0.0

    def answers(self, at: float) -> bool:
        """Whether an attempt at `at` seconds is answered."""
        self._tokens = min(self._burst, self._tokens + (at - self._at) * self._rate)
        self._at = at
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def insist(host: Limited, ports: int) -> tuple[int, int]:
    """Ask `ports` at once and then again as patience says: ports never answered, and attempts made."""
    patience, now = Patience(), 0.0
    left = sum(not host.answers(now) for _ in range(ports))
    attempts = ports
    while left and patience.again(silent=left == ports):
        now += 1.0  # the timeout of the last attempts
        missed = 0
        for _ in range(left):
            answered = host.answers(now)
            patience.tell(answered=answered)
            attempts += 1
            missed += not answered
            now += patience.gap_s
        left = missed
    return left, attempts


@pytest.mark.parametrize(("rate", "burst"), [(100, 5), (20, 5), (10, 5), (3, 3), (2, 1), (1, 1)])
def test_patience_hears_every_port_of_a_host_that_takes_so_much_and_no_more(rate: float, burst: float) -> None:
    """Down to one attempt a second: all sixty ports answer in the end."""
    left, attempts = insist(Limited(rate, burst), 60)
    assert left == 0
    assert attempts < 60 * Patience.ROUNDS


def test_patience_does_not_wait_for_a_firewall() -> None:
    """Nothing answers when asked again: after a sample the rest is not spaced out, and there is no third time."""
    patience = Patience()
    assert patience.again(silent=False)
    for _ in range(Patience.SAMPLE):
        assert patience.gap_s > 0
        patience.tell(answered=False)
    assert patience.gap_s == 0
    assert not patience.again(silent=False)


def test_patience_with_a_host_that_is_silent_is_one_more_time_at_full_speed() -> None:
    """As long as it has not answered at all."""
    patience = Patience()
    assert patience.again(silent=True)
    assert patience.gap_s == 0
    patience.tell(answered=False)
    assert not patience.again(silent=True)


def test_patience_ends() -> None:
    """However many rounds bring a little: their number is bounded, and so is the slowness."""
    patience, rounds = Patience(), 0
    while patience.again(silent=False):
        rounds += 1
        patience.tell(answered=True)
        for _ in range(20):
            patience.tell(answered=False)
        assert patience.gap_s <= Patience.SLOWEST_S
    assert rounds == Patience.ROUNDS


def test_timing_follows_what_a_host_shows() -> None:
    """The given time until it is known; then a margin above its answers, never below what is fair, never above."""
    timing = Timing(3.0)
    for _ in range(Timing.ENOUGH):
        assert timing.timeout_s == 3.0
        timing.tell(0.001)
    assert timing.timeout_s == Timing.LEAST_S
    for _ in range(50):
        timing.tell(0.5)
    assert 0.8 <= timing.timeout_s < 3.0
    timing.tell(30.0)
    assert timing.timeout_s == 3.0
    changing = Timing(3.0, steady=False)
    for _ in range(10):
        changing.tell(0.001)
    assert changing.timeout_s == 3.0
