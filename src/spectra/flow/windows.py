"""Time windows: when scans may run, such as `Mon-Fri 22:00-06:00 Europe/Paris`. Pure: `now` is a parameter.

    WINDOW = [DAYS] [TIMES] [ZONE]        at least one of DAYS and TIMES
    DAYS   = DAY[-DAY] {, DAY[-DAY]}      Mon Tue Wed Thu Fri Sat Sun, or `daily`; none: every day
    TIMES  = HH:MM-HH:MM                  24:00 ends a day; an end before the start is on the next day; none: all day
    ZONE   = a name of the IANA database, such as Europe/Paris; none: UTC

A window belongs to the day it begins on. Several windows are open when one of them is. Hours that a change of clocks
skips or repeats are those that a clock on the wall would show: what begins in a skipped hour begins at its end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from spectra.errors import BadRequest

MAX_TEXT: Final = 200
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EVERY: Final = frozenset(range(7))
_DAY_MINUTES: Final = 24 * 60
_TIMES: Final = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})", re.ASCII)
_ZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}", re.ASCII)
_AHEAD: Final = 8  # days in which each window begins at least once, counted from the day before
_JOINED: Final = 30  # windows that follow each other without a gap are one, up to that many


class Window(NamedTuple):
    """One window: the days it begins on (0 is Monday), and minutes of the day; `end` may lie on the next day."""

    text: str
    days: frozenset[int]
    start: int
    end: int
    zone: ZoneInfo


class _Span(NamedTuple):
    """When a window is open once: from `start` until before `end`, in UTC."""

    start: datetime
    end: datetime


def parse(text: str, *, field: str = "windows") -> Window:
    """Read a window; raises `BadRequest` that names `field` and the part that is wrong."""
    words = text.split()
    if not words or len(text) > MAX_TEXT:
        raise _bad(text, "there is nothing to read" if not words else "it is too long", field)
    days, start, end, zone = _EVERY, 0, _DAY_MINUTES, ZoneInfo("UTC")
    rest = list(words)
    if rest and _is_days(rest[0]):
        days = _read_days(rest.pop(0), text, field)
    if rest and rest[0][0].isdigit():
        start, end = _read_times(rest.pop(0), text, field)
    if rest and len(rest) < len(words):
        zone = _read_zone(rest.pop(0), text, field)
    if rest:
        raise _bad(text, f"{rest[0][:40]!r} is no day, no time such as 22:00-06:00, and no time zone", field)
    return Window(text, days, start, end, zone)


def parse_all(texts: Sequence[str], *, field: str = "windows") -> tuple[Window, ...]:
    """Read several; raises `BadRequest` for the first that is none."""
    return tuple(parse(text, field=field) for text in texts)


def open_at(windows: Sequence[Window], now: datetime) -> datetime | None:
    """When the open window ends; None where none is open at `now`. Windows that follow each other count as one.

    Raises `ValueError` without windows: what is always open never ends.
    """
    if not windows:
        raise ValueError("no windows")
    end = None
    for _ in range(_JOINED):
        at = end or now
        ends = [span.end for window in windows for span in _spans(window, at, 2) if span.start <= at < span.end]
        if not ends:
            break
        end = max(ends)
    return end


def next_open(windows: Sequence[Window], now: datetime) -> datetime:
    """When a window is open next: `now` where one is. Raises `ValueError` without windows."""
    if not windows:
        raise ValueError("no windows")
    spans = [span for window in windows for span in _spans(window, now, _AHEAD + 1) if span.end > now]
    return max(now, min(span.start for span in spans))


def _spans(window: Window, now: datetime, days: int) -> list[_Span]:
    """Every opening that begins on one of `days` days, the first of them the day before `now`'s."""
    first = now.astimezone(window.zone).date() - timedelta(days=1)
    dates = (first + timedelta(days=n) for n in range(days))
    spans = [
        _Span(_moment(day, window.start, window.zone), _moment(day, window.end, window.zone))
        for day in dates
        if day.weekday() in window.days
    ]
    return [span for span in spans if span.start < span.end]


def _moment(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    """That time on that day, in UTC; in a skipped hour, as it would be without the change: never before it."""
    over, minutes = divmod(minutes, _DAY_MINUTES)
    local = datetime.combine(day + timedelta(days=over), time(minutes // 60, minutes % 60), zone)
    return local.astimezone(UTC)


def _is_days(word: str) -> bool:
    return word.lower() == "daily" or (word[:3].lower() in _DAYS and not word[3:4].isalpha())


def _read_days(word: str, text: str, field: str) -> frozenset[int]:
    if word.lower() == "daily":
        return _EVERY
    found: set[int] = set()
    for part in word.lower().split(","):
        first, dash, last = part.partition("-")
        for name in (first, last) if dash else (first,):
            if name not in _DAYS:
                raise _bad(text, f"{name[:40]!r} is no day (Mon, Tue, Wed, Thu, Fri, Sat, Sun)", field)
        low = _DAYS.index(first)
        high = _DAYS.index(last) if dash else low
        found.update((low + n) % 7 for n in range((high - low) % 7 + 1))
    return frozenset(found)


def _read_times(word: str, text: str, field: str) -> tuple[int, int]:
    found = _TIMES.fullmatch(word)
    if found is None:
        raise _bad(text, f"{word[:40]!r} is no time such as 22:00-06:00", field)
    numbers = [int(number) for number in found.groups()]
    for hour, minute in (numbers[:2], numbers[2:]):
        if hour * 60 + minute > _DAY_MINUTES or minute > 59:
            raise _bad(text, f"there is no {hour:02}:{minute:02} on a clock", field)
    start, end = numbers[0] * 60 + numbers[1], numbers[2] * 60 + numbers[3]
    if start in (end, _DAY_MINUTES):
        raise _bad(text, f"{word} begins when it ends", field)
    return start, end if end > start else end + _DAY_MINUTES


def _read_zone(word: str, text: str, field: str) -> ZoneInfo:
    try:
        if _ZONE.fullmatch(word):
            return ZoneInfo(word)
    except (OSError, ValueError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        pass
    raise _bad(text, f"{word[:40]!r} is no time zone such as Europe/Paris", field)


def _bad(text: str, why: str, field: str) -> BadRequest:
    message = f"{text[:80]!r} is no time window: {why}."
    return BadRequest(message, reason="bad_window", field=field, hint="Such as `Mon-Fri 22:00-06:00 Europe/Paris`.")
