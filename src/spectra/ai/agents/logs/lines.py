"""What readers of logs share: lines of bounded number and length, and times that leave out the year."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, Generic, NamedTuple, TypeVar

from spectra.errors import BadRequest

MAX_BYTES: Final = 32 * 1024 * 1024
"""Most bytes that an agent is given at once."""
MAX_LINES: Final = 400_000
MAX_LINE: Final = 4096
"""Characters of a line; a longer one is skipped, and counted so."""

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
SYSLOG: Final = re.compile(r"([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d{2}):(\d{2}):(\d{2})\b", re.ASCII)

T = TypeVar("T")


class Log(NamedTuple, Generic[T]):
    """What was read: `entries` in the order of the lines, how many `lines` there were, and how many said nothing that
    is known (`skipped`). `format` is what the log was recognised as.
    """

    entries: tuple[T, ...]
    lines: int
    skipped: int
    format: str


def numbered(raw: bytes) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, with their number from 1; one that is too long comes as `\\0`, which nobody reads.

    Raises `BadRequest` (field `body`) for more bytes or lines than are read at once.
    """
    if len(raw) > MAX_BYTES:
        raise BadRequest(f"The log has more than {MAX_BYTES} bytes.", reason="too_large", field="body")
    if raw.count(b"\n") > MAX_LINES:
        raise BadRequest(
            f"The log has more than {MAX_LINES} lines.", reason="too_large", field="body", hint="Give it in parts."
        )
    for number, line in enumerate(raw.split(b"\n"), 1):
        if text := line[: MAX_LINE + 1].decode("utf-8", "replace").strip():
            yield number, text if len(line) <= MAX_LINE else "\0"


def syslog_time(text: str, now: datetime) -> datetime | None:
    """The time in the manner of RFC 3164 (`Nov  8 01:02:03`, taken as UTC) at the beginning of a line.

    It has no year: the newest that does not lie more than a day ahead of `now`.
    """
    found = SYSLOG.match(text)
    if found is None:
        return None
    month, day, hour, minute, second = found.groups()
    try:
        number = _MONTHS.index(month.lower()) + 1
        for year in (now.year + 1, now.year, now.year - 1):
            at = datetime(year, number, int(day), int(hour), int(minute), min(int(second), 59), tzinfo=UTC)
            if at <= now + timedelta(days=1):
                return at
    except ValueError:  # no such month, hour, or 29 February
        return None
    return None


def iso_time(text: str) -> datetime | None:
    """A time in the manner of RFC 3339, in UTC where it does not say."""
    try:
        at = datetime.fromisoformat(text[:40].replace(" ", "T", 1))
    except ValueError:
        return None
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        return None


def unix_time(text: str) -> datetime | None:
    """Seconds since 1970."""
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def address(text: str) -> str:
    """`text` in the canonical form of an address, IPv4 within IPv6 as IPv4; empty where it is none."""
    try:
        found = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return ""
    return str(getattr(found, "ipv4_mapped", None) or found)
