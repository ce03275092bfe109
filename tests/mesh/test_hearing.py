"""Tests of spectra.mesh.hearing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.mesh.hearing import Hearing


def hearing() -> Hearing:
    """A clock that is ticked every second, and stands still for five after the fabric was away."""
    started = Hearing(1.0, 5.0)
    started.tick(100.0)
    return started


def test_it_begins_with_the_first_tick() -> None:
    """What the steady clock said before is nobody's silence."""
    clock = Hearing(1.0, 5.0)
    assert clock.at(1e6) == 0.0
    assert clock.tick(1e6) == 0.0
    assert clock.at(1e6 + 0.5) == 0.5


def test_it_goes_with_the_time_while_ticks_are_in_time() -> None:
    """Second by second."""
    clock = hearing()
    for n in range(1, 11):
        assert clock.tick(100.0 + n) == n
    assert clock.strain == 0
    assert clock.hold(110.0) == ""


def test_a_process_that_was_stopped_counts_two_ticks() -> None:
    """An hour of sleep is no hour of silence, and it strains."""
    clock = hearing()
    assert clock.at(3700.0) == 2.0
    assert clock.tick(3700.0) == 2.0
    assert clock.strain == 1
    assert clock.hold(3700.0) == "late"
    assert clock.tick(3701.0) == 3.0
    assert clock.strain == pytest.approx(0.9)
    assert clock.hold(3701.0) == ""


def test_strain_is_bounded_and_recovers() -> None:
    """Ten late ticks are four at most, and forty in time undo them."""
    clock = hearing()
    at = 100.0
    for _ in range(10):
        clock.tick(at := at + 10)
    assert clock.strain == 4
    for _ in range(41):
        clock.tick(at := at + 1)
    assert clock.strain == pytest.approx(0, abs=1e-9)


def test_without_the_fabric_it_stands_still() -> None:
    """And for as long again as nodes need to find the fabric once it is back."""
    clock = hearing()
    clock.deaf()
    for n in range(1, 20):
        assert clock.tick(100.0 + n) == 0.0
    assert clock.hold(119.0) == "deaf"
    clock.hears(119.0)
    assert clock.hold(119.0) == "settling"
    for n in range(20, 24):
        assert clock.tick(100.0 + n) == 0.0
    clock.tick(124.0)
    assert clock.hold(124.0) == ""
    assert clock.at(124.5) > clock.ticked


def test_who_hears_already_need_not_settle() -> None:
    """Being told again that the fabric is there changes nothing."""
    clock = hearing()
    clock.hears(100.0)
    assert clock.hold(100.0) == ""
    assert clock.tick(101.0) == 1.0


def test_a_moment_before_the_last_tick_is_that_tick() -> None:
    """A message may have come in before the tick that was done first."""
    clock = hearing()
    clock.tick(101.0)
    assert clock.at(100.2) == 1.0
    assert clock.tick(100.2) == 1.0
    assert clock.tick(101.5) == 1.5


@given(st.lists(st.tuples(st.sampled_from(["tick", "deaf", "hears"]), st.floats(0, 30)), max_size=60))
def test_it_never_goes_back_and_never_faster_than_time(steps: list[tuple[str, float]]) -> None:
    """Whatever happens, between two ticks it advances by no more than passed, and by two ticks at most."""
    clock, at = hearing(), 100.0
    for what, gap in steps:
        if what == "deaf":
            clock.deaf()
        elif what == "hears":
            clock.hears(at)
        before, at = clock.ticked, at + gap
        assert before <= clock.tick(at) <= before + min(gap, 2.0) + 1e-9
