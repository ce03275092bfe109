"""Quiet hours: when a message waits, and until when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectra.act.notify.quiet import held_until
from spectra.errors import BadRequest
from spectra.model.alerts import QuietHours

NIGHT = QuietHours(start="22:00", end="07:00", zone="Europe/Paris")
CLOCK = st.times().map(lambda at: f"{at:%H:%M}")


def at(text: str) -> datetime:
    """A moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_hours_go_past_midnight() -> None:
    """By the clock of the zone: summer time is two hours ahead, winter time one."""
    assert held_until(NIGHT, "high", at("2026-06-01T20:30")) == at("2026-06-02T05:00")
    assert held_until(NIGHT, "high", at("2026-06-02T04:59")) == at("2026-06-02T05:00")
    assert held_until(NIGHT, "high", at("2026-06-02T05:00")) is None
    assert held_until(NIGHT, "high", at("2026-01-02T05:30")) == at("2026-01-02T06:00")


def test_what_is_bad_enough_is_sent() -> None:
    """Critical by itself, or as bad as the hours say."""
    night = at("2026-06-01T23:00")
    assert held_until(NIGHT, "critical", night) is None
    assert held_until(QuietHours(start="22:00", end="07:00", loud="medium"), "high", night) is None
    assert held_until(None, "info", night) is None


def test_days_are_those_on_which_hours_begin() -> None:
    """The night from Friday to Saturday is Friday's."""
    friday = QuietHours(start="22:00", end="07:00", days=(5,))
    assert held_until(friday, "low", at("2026-06-06T03:00")) == at("2026-06-06T07:00")
    assert held_until(friday, "low", at("2026-06-06T23:00")) is None


def test_a_zone_that_there_is_not_is_refused() -> None:
    """By its name, or a path for one."""
    for zone in ("Mars/Olympus", "../etc", ""):
        with pytest.raises(BadRequest):
            held_until(QuietHours(start="22:00", end="07:00", zone=zone), "low", at("2026-06-01T23:00"))


@settings(max_examples=30)
@given(
    CLOCK, CLOCK, st.sampled_from(["UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata"]), st.integers(0, 10**6)
)
def test_what_waits_is_sent_when_they_end(start: str, end: str, zone: str, minutes: int) -> None:
    """Within a day and an hour, and not a moment later: then it is not held any more, unless they begin again."""
    quiet = QuietHours(start=start, end=end, zone=zone)
    now = at("2026-01-01T00:00") + timedelta(minutes=minutes)
    until = held_until(quiet, "low", now)
    if until is None:
        return
    assert now < until <= now + timedelta(hours=25)
    again = held_until(quiet, "low", until)
    assert again is None or start == end
