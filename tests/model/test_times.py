"""Moments, spans and stretches of time as they are written in queries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.cli.times import parse_when
from spectra.model.times import moment, span, times
from spectra.model.values import Times

NOW = datetime(2026, 5, 17, 12, 30, tzinfo=UTC)


def day(text: str) -> datetime:
    """The start of a day."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("2h", 7200), ("7d", 604800), ("1w2d", 777600), ("6mo", 15552000), ("1y", 31536000)],
)
def test_spans(text: str, seconds: int) -> None:
    """Every unit, and several together."""
    assert span(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "7", "d", "7 d", "7x", "-7d", "7d!", "٧d"])
def test_what_is_no_span(text: str) -> None:
    """None, so that it may be something else."""
    assert span(text) is None


@pytest.mark.parametrize("text", ["now", "yesterday", "2h", "7d", "2026-01-31", "2026-01-31T10:00:00+02:00"])
def test_moments_are_those_of_the_command_line(text: str) -> None:
    """`since:yesterday` and `--at yesterday` mean the same."""
    assert moment(text, NOW) == parse_when(text, NOW)


def test_moments_of_their_own() -> None:
    """The start of today, of a month and of a year; spans ahead; any zone becomes UTC."""
    assert moment("today", NOW) == day("2026-05-17")
    assert moment("2026-02", NOW) == day("2026-02-01")
    assert moment("2026", NOW) == day("2026-01-01")
    assert moment("30d", NOW, ahead=True) == NOW + timedelta(days=30)
    east = NOW.astimezone(timezone(timedelta(hours=14)))
    assert moment("today", east) == day("2026-05-17")
    assert moment("1h", east).tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026-01-31", "2026-01-31", "2026-02-01"),
        ("2026-12", "2026-12-01", "2027-01-01"),
        ("2026", "2026-01-01", "2027-01-01"),
        ("today", "2026-05-17", "2026-05-18"),
        ("yesterday", "2026-05-16", "2026-05-17"),
        ("2026-01-01..2026-01-31", "2026-01-01", "2026-02-01"),
        ("2026-01..2026-03", "2026-01-01", "2026-04-01"),
        ("2026-01-01..", "2026-01-01", None),
        ("..2026-01-31", None, "2026-02-01"),
        ("2026-01-01..2026-01-31T00:00Z", "2026-01-01", "2026-01-31"),
        (">=2026-01-01", "2026-01-01", None),
        ("<2026-01-01", None, "2026-01-01"),
    ],
)
def test_stretches(text: str, start: str | None, end: str | None) -> None:
    """What a date, month, year, comparison or `from..to` covers; a day that ends one is part of it."""
    assert times(text, NOW) == Times(day(start) if start else None, day(end) if end else None)


def test_stretches_from_now() -> None:
    """A span is the one up to now, or from now on; `>` leaves the moment itself out, `<=` does not."""
    assert times("7d", NOW) == Times(NOW - timedelta(days=7), None)
    assert times("7d", NOW, ahead=True) == Times(NOW, NOW + timedelta(days=7))
    assert times("<7d", NOW, ahead=True) == Times(None, NOW + timedelta(days=7))
    assert times(">2026-01-01", NOW).start == day("2026-01-01") + timedelta(microseconds=1)
    assert times("<=2026-01-01", NOW).end == day("2026-01-01") + timedelta(microseconds=1)
    assert times("2026-01-01T10:00Z", NOW) == Times(
        datetime(2026, 1, 1, 10, tzinfo=UTC), datetime(2026, 1, 1, 10, 0, 0, 1, tzinfo=UTC)
    )
    assert times("2026-01-01..30d", NOW, ahead=True).end == NOW + timedelta(days=30)


@pytest.mark.parametrize(
    "text", ["", "..", "x", "2026-13", "2026-02-30", "0000", "9999", "2026-02..2026-01", ">", "<x"]
)
def test_what_is_no_stretch(text: str) -> None:
    """Is refused, and so is what ends before it begins."""
    with pytest.raises(ValueError):
        times(text, NOW)


@pytest.mark.parametrize("text", ["999999999w", "9999-12-31", "<999999999y"])
def test_what_is_beyond_the_calendar(text: str) -> None:
    """Is told from what is not understood."""
    with pytest.raises(OverflowError):
        times(text, NOW, ahead=True)


@given(st.text("0123456789-:T.<>=Zdwmyhs+now ", max_size=24), st.booleans())
def test_any_text_is_a_stretch_or_refused(text: str, ahead: bool) -> None:
    """Nothing else is raised, and no stretch is empty."""
    try:
        found = times(text, NOW, ahead=ahead)
    except (ValueError, OverflowError):
        return
    assert found.start is None or found.end is None or found.start < found.end
