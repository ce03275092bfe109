"""Times as people write and read them."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.cli.times import ago, parse_span, parse_until, parse_when, span
from spectra.errors import BadRequest

NOW = datetime(2025, 11, 10, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("now", NOW),
        ("2h ago", NOW - timedelta(hours=2)),
        ("7d", NOW - timedelta(days=7)),
        ("1w 2d ago", NOW - timedelta(days=9)),
        ("3 months ago", NOW - timedelta(days=90)),
        ("yesterday", NOW - timedelta(days=1)),
        ("2025-11-01", datetime(2025, 11, 1, tzinfo=UTC)),
        ("2025-11-01T12:00:00Z", datetime(2025, 11, 1, 12, tzinfo=UTC)),
        ("2025-11-01T12:00:00+02:00", datetime(2025, 11, 1, 10, tzinfo=UTC)),
    ],
)
def test_moments(text: str, moment: datetime) -> None:
    """Relative and absolute times mean what they say, in UTC."""
    assert parse_when(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "soon", "7", "7 parsecs", "d7", "1d x", "999999999y", "2025-13-01"])
def test_slips_are_named(text: str) -> None:
    """What is no time says how to write one."""
    with pytest.raises(BadRequest) as error:
        parse_when(text, NOW)
    assert error.value.field == "at"
    assert "2h ago" in error.value.hint


@given(st.text(max_size=30))
def test_any_text_is_a_time_or_an_error(text: str) -> None:
    """No input escapes as another exception."""
    for parse in (lambda: parse_when(text, NOW), lambda: parse_span(text), lambda: parse_until(text, NOW)):
        with contextlib.suppress(BadRequest):
            parse()


def test_until_is_ahead() -> None:
    """A length of time counts forward; the past is refused."""
    assert parse_until("30d", NOW) == NOW + timedelta(days=30)
    assert parse_until("2025-12-01", NOW) == datetime(2025, 12, 1, tzinfo=UTC)
    with pytest.raises(BadRequest, match="not ahead"):
        parse_until("2020-01-01", NOW)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3720, "1 h 2 min"),
        (86400, "1 d"),
        (90061, "1 d 1 h"),
        (400 * 86400, "1 y 35 d"),
    ],
)
def test_spans(seconds: int, words: str) -> None:
    """Two units at most, the larger first."""
    assert span(timedelta(seconds=seconds)) == words


def test_ago() -> None:
    """Past, present and future in one unit."""
    assert ago(NOW - timedelta(hours=3, minutes=20), NOW) == "3 h ago"
    assert ago(NOW, NOW) == "just now"
    assert ago(NOW + timedelta(days=40), NOW) == "in 40 d"
