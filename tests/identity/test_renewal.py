"""When to renew: at two thirds, spread out, at once when late, and patiently where it fails."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from spectra.identity.renewal import BACKDATE, due, needs_renewal, next_attempt

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
DAY, ZERO, SECOND = timedelta(days=1), timedelta(0), timedelta(seconds=1)
LIVES = st.timedeltas(min_value=timedelta(minutes=5), max_value=timedelta(days=3650))


@given(LIVES, st.text(max_size=60))
def test_it_is_due_around_two_thirds(life: timedelta, seed: str) -> None:
    """Within 5 % of the life since it was issued either way, and again at the same moment."""
    at = due(NOW - BACKDATE, NOW + life, seed)
    assert abs((at - NOW) / life - 2 / 3) <= 0.0500001
    assert due(NOW - BACKDATE, NOW + life, seed) == at


@given(st.timedeltas(min_value=SECOND, max_value=timedelta(minutes=3)), st.text(max_size=20))
def test_a_short_life_is_not_over_when_it_begins(life: timedelta, seed: str) -> None:
    """A certificate of seconds is backdated by a minute like any other, and not due the moment it is issued."""
    assert NOW < due(NOW - BACKDATE, NOW + life, seed) < NOW + life
    assert NOW < due(NOW, NOW + life, seed) < NOW + life


def test_nodes_that_joined_together_do_not_renew_together() -> None:
    """A thousand of them spread over the 2.4 hours, a tenth of a day: no quarter of an hour gets more than a fifth."""
    times = sorted(due(NOW, NOW + DAY, str(serial)) for serial in range(1000))
    assert times[-1] - times[0] > timedelta(hours=2)
    quarter = timedelta(minutes=15)
    assert max(sum(t <= u < t + quarter for u in times) for t in times) < 200


@given(LIVES, st.text(max_size=20), st.floats(0, 3))
def test_it_needs_renewal_from_then_on(life: timedelta, seed: str, part: float) -> None:
    """Also long after: a machine that woke late renews at once."""
    now = NOW + life * part
    assert needs_renewal(NOW, NOW + life, seed, now) == (now >= due(NOW, NOW + life, seed))
    assert needs_renewal(NOW, NOW + life, seed, NOW + life)
    assert not needs_renewal(NOW, NOW + life, seed, NOW)


def test_waiting_grows_and_stops_growing() -> None:
    """5 s, 10 s, 20 s ... 15 minutes, less the jitter of a fifth at most."""
    for failures, seconds in [(1, 5), (2, 10), (3, 20), (8, 640), (9, 900), (10**9, 900)]:
        wait = next_attempt(failures, NOW, NOW + DAY, "n1") - NOW
        assert timedelta(seconds=seconds) * 0.8 <= wait <= timedelta(seconds=seconds)


def test_nodes_do_not_all_try_again_at_one_moment() -> None:
    """When the CA comes back after all of them have failed the same number of times."""
    assert len({next_attempt(9, NOW, NOW + DAY, f"n{i}") for i in range(100)}) == 100


@given(st.integers(-1, 100), st.timedeltas(min_value=-30 * DAY, max_value=30 * DAY), st.text(max_size=20))
def test_the_next_attempt_is_soon_enough_and_not_at_once(failures: int, left: timedelta, seed: str) -> None:
    """At least 4 s ahead, at most 15 minutes, and with time left, within a third of it (but for the 5 s)."""
    wait = next_attempt(failures, NOW, NOW + left, seed) - NOW
    assert 4 * SECOND <= wait <= timedelta(minutes=15)
    if left > ZERO:
        assert wait <= max(left / 3, 5 * SECOND)
