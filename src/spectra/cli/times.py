"""Times as people write and read them: `2h ago`, `7d`, `2025-11-01`; `3 h ago`, `2 d 4 h`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from spectra.errors import BadRequest
from spectra.model import spans

_WORDS = {
    1: "s sec secs second seconds",
    60: "m min mins minute minutes",
    3600: "h hr hrs hour hours",
    86400: "d day days",
    7 * 86400: "w week weeks",
    30 * 86400: "mo month months",
    365 * 86400: "y year years",
}
_UNITS = {word: seconds for seconds, words in _WORDS.items() for word in words.split()}
_SPAN = re.compile(r"\s*(\d{1,9})\s*([a-z]+)", re.IGNORECASE)
_MAX_SPAN_S = 200 * 365 * 86400


def parse_span(text: str) -> timedelta:
    """`90s`, `15m`, `2h`, `7d`, `1w 2d`, `1y` as a length of time; raises `BadRequest` for anything else."""
    total = 0
    position = 0
    while match := _SPAN.match(text, position):
        if (unit := _UNITS.get(match[2].lower())) is None:
            break
        total += int(match[1]) * unit
        position = match.end()
    if position == 0 or text[position:].strip() or total > _MAX_SPAN_S:
        raise BadRequest(f"{text!r} is not a length of time", field="time", hint="Write 90s, 15m, 2h, 7d or 1w2d.")
    return timedelta(seconds=total)


def parse_when(text: str, now: datetime) -> datetime:
    """A moment (UTC) from RFC 3339, a date (its start, UTC), `now`, `yesterday`, or a length of time before `now`."""
    word = text.strip().lower()
    if word == "now":
        return now
    if word == "yesterday":
        return now - timedelta(days=1)
    if (moment := _absolute(text.strip())) is not None:
        return moment
    try:
        return now - parse_span(word.removesuffix("ago"))
    except BadRequest:
        raise BadRequest(
            f"{text!r} is not a time",
            field="at",
            hint="Write 2h ago, 7d, yesterday, 2025-11-01 or 2025-11-01T12:00:00Z.",
        ) from None


def _absolute(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):  # overflow: the year 1 or 9999 in another zone
        return None


def parse_until(text: str, now: datetime) -> datetime:
    """A moment (UTC) ahead: a length of time from `now`, a date or a time. Raises `BadRequest`, also for the past."""
    try:
        moment = now + parse_span(text)
    except BadRequest:
        moment = parse_when(text, now)
    if moment <= now:
        raise BadRequest(f"{text!r} is not ahead", field="until", hint="Write 30d, or a date to come.")
    return moment


def span(length: timedelta, units: int = 2) -> str:
    """A length of time in its largest units: `45 s`, `3 min`, `2 d 4 h`, `1 y 20 d`; none where it is negative."""
    return spans.span(max(length.total_seconds(), 0), units)


def ago(moment: datetime, now: datetime) -> str:
    """`just now`, `3 h ago`, or `in 40 d` in one unit."""
    return spans.ago((now - moment).total_seconds())


def stamp(moment: datetime) -> str:
    """`2025-11-01 12:30` in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
