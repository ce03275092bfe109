"""When an endpoint had a weakness."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from spectra.model.findinglife import FRESH, Interval, Stay, Told, intervals, state, then
from spectra.model.findings import Affected
from spectra.model.vulns import Product
from tests.store.scribe import T0

DAY = timedelta(days=1)
WHY = Affected("CVE-2024-6387", Product("a", "v", "p"), "cpe", "criterion", "< 2", "nvd", 0.9)


def day(number: float) -> datetime:
    """A day of the story."""
    return T0 + number * DAY


def stay(since: float, until: float | None, software: int | None, *, open: bool = True) -> Stay:
    """A version between two days."""
    return Stay(open, day(since), None if until is None else day(until), None, software)


def told(since: float, until: float | None = None) -> Told:
    """What was told between two days."""
    return Told(day(since), None if until is None else day(until), WHY)


def lived(stays: Sequence[Stay], **said: Sequence[Told]) -> list[tuple[float, float, float | None, str]]:
    """opened, known, closed in days, and why; software `s1` is 1."""
    by = {int(name[1:]): rows for name, rows in said.items()}
    return [
        ((i.opened - T0) / DAY, (i.known - T0) / DAY, i.closed and (i.closed - T0) / DAY, i.closed_why)
        for i in intervals(stays, by)
    ]


def test_what_is_learned_later_was_true_before() -> None:
    """It is open since the endpoint was first seen so, and known since it was told."""
    assert lived([stay(1, None, 1)], s1=[told(9)]) == [(1, 9, None, "")]
    assert lived([stay(1, 5, 1), stay(5, None, 2)], s1=[told(9)]) == [(1, 9, 5, "upgraded")]


def test_an_upgrade_that_does_not_help() -> None:
    """Stretches that follow on each other are one, whatever service rows they are of; the first told is what counts."""
    both = [stay(1, 3, 1), stay(3, 4, 1), stay(4, None, 2)]
    assert lived(both, s1=[told(2)], s2=[told(6)]) == [(1, 2, None, "")]
    assert intervals(both, {1: [told(2)], 2: [told(6)]})[0].stay == both[-1]


def test_why_it_ended() -> None:
    """Another version, a closed port, or the source took it back while the service was still there."""
    assert lived([stay(1, 3, 1), stay(3, None, 2)], s1=[told(0)]) == [(1, 0, 3, "upgraded")]
    assert lived([stay(1, 3, 1), stay(3, None, None, open=False)], s1=[told(0)]) == [(1, 0, 3, "gone")]
    assert lived([stay(1, None, 1)], s1=[told(0, 5)]) == [(1, 0, 5, "withdrawn")]
    assert lived([stay(1, 3, 1), stay(3, None, 2)], s1=[told(0, 3)]) == [(1, 0, 3, "upgraded")]
    assert lived([stay(1, 3, 1), stay(3, None, 2)], s1=[told(0, 5)]) == [(1, 0, 3, "upgraded")]


def test_what_was_taken_back_before_it_was_seen_never_was() -> None:
    """And what is told once more counts from then on, not from ever."""
    assert lived([stay(4, None, 1)], s1=[told(0, 3)]) == []
    assert lived([stay(1, None, 1)], s1=[told(0, 3), told(6)]) == [(1, 0, 3, "withdrawn"), (6, 6, None, "")]
    assert lived([stay(1, None, 1)], s1=[told(6), told(0, 6)]) == [(1, 0, None, "")]


def test_a_closed_port_in_between() -> None:
    """The finding is back with the service: a second interval."""
    stays = [stay(1, 3, 1), stay(3, 5, None, open=False), stay(5, None, 1)]
    assert lived(stays, s1=[told(0)]) == [(1, 0, 3, "gone"), (5, 0, None, "")]
    assert state(intervals(stays, {1: [told(0)]}), day(60)) == "reopened"


def test_states() -> None:
    """New for a week after it opened or became known, whichever came later; then open; closed at its end."""
    opened = intervals([stay(1, None, 1)], {1: [told(10)]})
    assert state(opened, day(10) + FRESH - timedelta(seconds=1)) == "new"
    assert state(opened, day(10) + FRESH) == "open"
    assert state(intervals([stay(10, None, 1)], {1: [told(1)]}), day(16)) == "new"
    assert state(intervals([stay(1, 2, 1)], {1: [told(1)]}), day(3)) == "closed"


def test_as_it_was_then() -> None:
    """At a past moment nothing is known of what was seen or told later."""
    stays, said = [stay(1, 5, 1), stay(5, None, 2)], {1: [told(3, 8)], 2: [told(6)]}
    assert intervals(*then(stays, said, day(2))) == []
    (at_four,) = intervals(*then(stays, said, day(4)))
    assert (at_four.opened, at_four.known, at_four.closed) == (day(1), day(3), None)
    (at_five,) = intervals(*then(stays, said, day(5)))
    assert (at_five.closed, at_five.closed_why) == (day(5), "upgraded")


# Against a model that looks at every day -----------------------------------------------------------------------------

DAYS = 14


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[Stay], dict[int, list[Told]]]:
    """An endpoint's versions back to back, and what was told of two kinds of software, in stretches apart."""
    cuts = sorted(draw(st.sets(st.integers(0, DAYS - 1), min_size=1, max_size=6)))
    stays = [
        stay(begin, end, draw(st.sampled_from([1, 2, None])), open=draw(st.sampled_from([True, True, False])))
        for begin, end in zip(cuts, [*cuts[1:], None], strict=True)
    ]
    said: dict[int, list[Told]] = {}
    for software in (1, 2):
        ends = sorted(draw(st.sets(st.integers(0, DAYS), max_size=4)))
        pairs = list(zip(ends[::2], [*ends[1::2], None], strict=False))
        said[software] = draw(st.permutations([told(begin, end) for begin, end in pairs]))
    return stays, said


def affected_on(stays: Sequence[Stay], said: dict[int, list[Told]], at: datetime) -> bool:
    """Whether it was affected at a moment: told before, or first told later and not taken back before."""
    here = next((s for s in stays if s.since <= at and (s.until is None or at < s.until)), None)
    if here is None or not here.open or here.software is None:
        return False
    rows = said[here.software]
    first = min(rows, key=lambda row: row.since, default=None)
    return any((row is first or row.since <= at) and (row.until is None or at < row.until) for row in rows)


@given(stories())
def test_day_by_day(story: tuple[list[Stay], dict[int, list[Told]]]) -> None:
    """On each day it is affected exactly where an interval says so; intervals do not touch, and end for a reason."""
    stays, said = story
    found = intervals(stays, said)
    for number in range(DAYS + 1):
        at = day(number)
        assert affected_on(stays, said, at) == any(_covers(i, at) for i in found), number
    for one, other in pairwise(found):
        assert one.closed is not None
        assert one.closed < other.opened
    for interval in found:
        assert bool(interval.closed_why) == (interval.closed is not None)
        assert interval.known in {row.since for rows in said.values() for row in rows}


def _covers(interval: Interval, at: datetime) -> bool:
    return interval.opened <= at and (interval.closed is None or at < interval.closed)


@given(stories(), st.integers(0, DAYS))
def test_a_past_moment_tells_what_held_then(story: tuple[list[Stay], dict[int, list[Told]]], number: int) -> None:
    """It is open then exactly if the version of that moment was affected by what had been told and not taken back."""
    stays, said = story
    at = day(number)
    found = intervals(*then(stays, said, at))
    here = next((s for s in stays if s.since <= at and (s.until is None or at < s.until)), None)
    rows = said.get(here.software or 0, []) if here and here.open else []
    holds = any(row.since <= at and (row.until is None or at < row.until) for row in rows)
    assert (bool(found) and found[-1].closed is None) == holds
