"""The statistics of the detectors, held against what is known of them."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from spectra.ai.agents import stats

T0 = datetime(2027, 1, 1, tzinfo=UTC)


def test_rhythm() -> None:
    """The median gap and its deviation; what comes together is one, and two moments have no rhythm."""
    beat = stats.rhythm(T0 + timedelta(seconds=60 * n + extra) for n in range(11) for extra in (0, 1))
    assert beat == (60, 0, 10, 600)
    assert stats.rhythm([T0, T0 + timedelta(hours=1)]) is None


def test_a_poisson_tail_is_bounded_from_above() -> None:
    """By Chernoff: never below the true chance, and within two orders of it."""
    for mean, count in ((1.0, 10), (5.0, 30), (100.0, 180)):
        true = math.log10(
            sum(math.exp(-mean + k * math.log(mean) - math.lgamma(k + 1)) for k in range(count, count + 200))
        )
        assert true <= stats.poisson_tail(count, mean) <= true + 2
    assert stats.poisson_tail(3, 5) == 0


def test_a_robust_z_is_not_moved_by_what_is_odd() -> None:
    """A tenth of odd values changes little; no spread counts as one."""
    assert stats.robust_z(10, [5.0] * 20) == 5
    assert stats.robust_z(30, [*range(10), 1000]) == pytest.approx(25 / (3 * stats.MAD_TO_SIGMA))


def test_hours_overlap() -> None:
    """So that no half hour is cut in two; what has no time is apart."""
    found = stats.hours([(T0 + timedelta(minutes=29), "a"), (T0 + timedelta(minutes=31), "b"), (None, "c")])
    assert ["a", "b"] in found.values()
    assert found[-1] == ["c"]
    assert stats.share(1, 0) == 0
    assert stats.newest([None, T0], T0 + timedelta(days=1)) == T0
