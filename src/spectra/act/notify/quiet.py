"""Quiet hours: until when a message waits."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from spectra.errors import BadRequest
from spectra.model.alerts import SEVERITIES, QuietHours, Severity


def zone_of(quiet: QuietHours) -> ZoneInfo:
    """The time zone; raises `BadRequest` naming `quiet.zone` where there is none of that name."""
    try:
        return ZoneInfo(quiet.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadRequest(
            f"There is no time zone {quiet.zone!r} here.", field="quiet.zone", hint="Such as UTC or Europe/Paris."
        ) from error


def held_until(quiet: QuietHours | None, severity: Severity, now: datetime) -> datetime | None:
    """When the quiet hours end that `now` is in (UTC); None where a message of that severity goes at once.

    Hours that begin when they end last a day. Where a clock is put forward or back, they end by the clock.
    """
    if quiet is None or SEVERITIES.index(severity) <= SEVERITIES.index(quiet.loud):
        return None
    here = now.astimezone(zone_of(quiet))
    for day in (here.date() - timedelta(days=1), here.date()):
        if quiet.days and day.isoweekday() not in quiet.days:
            continue
        start, end = _stretch(quiet, day, zone_of(quiet))
        if start <= now < end:
            return end
    return None


def _stretch(quiet: QuietHours, day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Both ends (UTC) of the quiet hours that begin on `day`."""
    first, last = (time.fromisoformat(text) for text in (quiet.start, quiet.end))
    over = day + timedelta(days=1) if last <= first else day
    start, end = datetime.combine(day, first, zone), datetime.combine(over, last, zone)
    return start.astimezone(UTC), end.astimezone(UTC)
