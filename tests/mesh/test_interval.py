"""Tests of spectra.mesh.interval: the estimates agree with plain formulas over every sample."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.mesh.interval import Arrivals, Offset

GAPS = st.lists(st.floats(0, 1000), min_size=1, max_size=60)


def weights(count: int) -> list[float]:
    """How much each of `count` gaps weighs: all the same up to sixteen, then each new one a sixteenth."""
    found: list[float] = []
    for n in range(1, count + 1):
        share = max(1 / 16, 1 / n)
        found = [w * (1 - share) for w in found] + [share]
    return found


@given(GAPS)
def test_mean_and_deviation_are_the_weighted_ones(gaps: list[float]) -> None:
    """Kept in two numbers, they are those of the whole history with its fading weights."""
    arrivals = Arrivals()
    for gap in gaps:
        arrivals.add(gap)
    weighted = list(zip(weights(len(gaps)), gaps, strict=True))
    mean = sum(w * gap for w, gap in weighted)
    variance = sum(w * (gap - mean) ** 2 for w, gap in weighted)
    assert arrivals.mean == pytest.approx(mean, abs=1e-6)
    assert arrivals.deviation == pytest.approx(math.sqrt(variance), abs=1e-4)


def test_who_is_little_known_gets_what_everybody_gets() -> None:
    """Three gaps say nothing yet, however wild they are; the fourth counts."""
    arrivals = Arrivals()
    for gap in (5, 50, 5):
        arrivals.add(gap)
    assert arrivals.patience(15, 60, 4) == 15
    arrivals.add(50)
    assert arrivals.patience(15, 60, 4) == 60
    assert arrivals.patience(15, 1000, 4) == pytest.approx(27.5 + 4 * 22.5)


@given(GAPS, st.floats(1, 100), st.floats(100, 500))
def test_patience_stays_in_its_bounds(gaps: list[float], least: float, most: float) -> None:
    """Nobody can earn less than everybody has, nor patience without end."""
    arrivals = Arrivals()
    for gap in gaps:
        arrivals.add(gap)
        assert least <= arrivals.patience(least, most, 4) <= most


def test_a_change_of_habit_is_learned() -> None:
    """After a hundred short gaps, forty long ones are what is ordinary."""
    arrivals = Arrivals()
    for gap in [1.0] * 100 + [20.0] * 40:
        arrivals.add(gap)
    assert 18 < arrivals.mean <= 20


def test_an_offset_is_unknown_before_the_first_sample() -> None:
    """None is not zero."""
    assert Offset().seconds is None


@given(st.floats(-1000, 1000), st.lists(st.floats(0, 10), min_size=1, max_size=100))
def test_the_offset_is_that_of_the_least_delayed_of_late(skew: float, delays: list[float]) -> None:
    """It is between the best of the last eight and the best of the last sixteen samples."""
    offset = Offset()
    for delay in delays:
        offset.add(skew - delay)
    assert offset.seconds is not None
    assert skew - min(delays[-8:]) <= offset.seconds <= skew - min(delays[-16:])


def test_a_clock_that_was_set_back_is_noticed() -> None:
    """Ten minutes ahead, then right: within sixteen samples the estimate is right too."""
    offset = Offset()
    for sample in [600.0] * 20 + [-0.01] * 16:
        offset.add(sample)
    assert offset.seconds == -0.01
