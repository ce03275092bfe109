"""The forms in which scanners write time, as aware UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

import msgspec

_OLDEST = 315_532_800  # 1980-01-01: no scanner is older; smaller numbers are not seconds since 1970
_NEWEST = 4_102_444_800  # 2100-01-01


def instant(value: str | float | None) -> datetime | None:
    """A time given as RFC 3339 text or as seconds since 1970 (number or text); None where it is neither.

    A time without zone is taken as UTC. Nanoseconds are rounded to microseconds.
    """
    if isinstance(value, str):
        return _from_text(value)
    return None if value is None else _from_number(value)


def _from_number(seconds: float) -> datetime | None:
    # `not (a <= x < b)` also turns NaN away.
    if not _OLDEST <= seconds < _NEWEST:
        return None
    return datetime.fromtimestamp(seconds, UTC)


@lru_cache(maxsize=4096)
def _from_text(text: str) -> datetime | None:
    if len(text) > 64:
        return None
    try:
        return _from_number(float(text))
    except ValueError:
        return _from_rfc3339(text)


def _from_rfc3339(text: str) -> datetime | None:
    try:
        parsed = msgspec.convert(text.strip().replace(" ", "T", 1), datetime)
        aware = parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (msgspec.ValidationError, OverflowError, ValueError):
        return None
    return aware if 1980 <= aware.year < 2100 else None
