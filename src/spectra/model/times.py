"""Times in queries: `7d`, `yesterday`, `2026-01-31`, `2026-01-31T10:00Z`, and stretches of time such as `2026-01`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from spectra.model.values import Times

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "mo": 30 * 86400, "y": 365 * 86400}  # seconds
_SPAN = re.compile(r"(?:[0-9]{1,9}(?:mo|[smhdwy]))+")
_PART = re.compile(r"([0-9]{1,9})(mo|[smhdwy])")
_STRETCH = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")
_COMPARED = re.compile(r"(>=|<=|>|<)(.*)", re.DOTALL)
_LEAST: Final = timedelta(microseconds=1)  # the resolution of the database


def span(text: str) -> timedelta | None:
    """`90s`, `15m`, `24h`, `7d`, `2w`, `6mo`, `1y`, `1w2d`; None for anything else. Raises `OverflowError`."""
    if not _SPAN.fullmatch(text):
        return None
    return timedelta(seconds=sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(text)))


def moment(text: str, now: datetime, *, ahead: bool = False) -> datetime:
    """A point in time, UTC: a date (its start), a time, `now`, `today` (its start), `yesterday` (24 h ago) or a span.

    A span counts back from `now`, or forth if `ahead`. Raises `ValueError` and `OverflowError`.
    """
    word = text.lower()
    if word in ("now", "today", "yesterday"):
        return {"now": now, "today": _day(now), "yesterday": now - timedelta(days=1)}[word].astimezone(UTC)
    if (length := span(word)) is not None:
        return (now + length if ahead else now - length).astimezone(UTC)
    if found := _STRETCH.fullmatch(text):
        return _start(found)
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)


def times(text: str, now: datetime, *, ahead: bool = False) -> Times:
    """A stretch of time: what a comparison, `from..to`, a year, month, day or span names.

    A span is the one up to `now`, or from `now` on if `ahead`. Raises `ValueError` and `OverflowError`.
    """
    if found := _COMPARED.fullmatch(text):
        return _compared(found[1], moment(found[2], now, ahead=ahead))
    if ".." in text:
        first, _, last = text.partition("..")
        start = moment(first, now, ahead=ahead) if first else None
        return _checked(Times(start, _end(last, now, ahead=ahead) if last else None))
    if (length := span(text.lower())) is not None:
        return (
            Times(now.astimezone(UTC), (now + length).astimezone(UTC))
            if ahead
            else Times((now - length).astimezone(UTC), None)
        )
    return _checked(_stretch(text, now))


def _compared(sign: str, at: datetime) -> Times:
    match sign:
        case ">":
            return Times(at + _LEAST, None)
        case ">=":
            return Times(at, None)
        case "<":
            return Times(None, at)
        case _:
            return Times(None, at + _LEAST)


def _stretch(text: str, now: datetime) -> Times:
    """The day, month, year or microsecond that `text` names."""
    word = text.lower()
    if word in ("today", "yesterday"):
        start = _day(now) - timedelta(days=word == "yesterday")
        return Times(start, start + timedelta(days=1))
    start = moment(text, now)
    found = _STRETCH.fullmatch(text)
    if found is None:
        return Times(start, start + _LEAST)
    if found[3]:
        return Times(start, start + timedelta(days=1))
    if found[2]:
        return Times(start, (start + timedelta(days=31)).replace(day=1))
    return Times(start, start.replace(year=start.year + 1))


def _end(text: str, now: datetime, *, ahead: bool) -> datetime:
    """Where a stretch `..text` ends: after the day, month or year, or at the time."""
    if _STRETCH.fullmatch(text) or text.lower() in ("today", "yesterday"):
        end = _stretch(text, now).end
        assert end is not None  # a stretch has both
        return end
    return moment(text, now, ahead=ahead)


def _start(found: re.Match[str]) -> datetime:
    return datetime(int(found[1]), int(found[2] or 1), int(found[3] or 1), tzinfo=UTC)


def _day(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _checked(stretch: Times) -> Times:
    if stretch.start is None and stretch.end is None:
        raise ValueError("a stretch without ends")
    if stretch.start is not None and stretch.end is not None and stretch.start >= stretch.end:
        raise ValueError("a stretch that ends before it begins")
    return stretch
