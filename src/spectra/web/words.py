"""Filters of the templates: times, numbers and sizes as people read them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from markupsafe import Markup, escape

from spectra.model import spans

_SIZES: Final = ("B", "KiB", "MiB", "GiB", "TiB")
_SEVERITIES: Final = frozenset({"critical", "high", "medium", "low", "info", "none"})


def moment(value: datetime | str | None) -> datetime | None:
    """A moment as a template may have it: a datetime, RFC 3339, or nothing."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def ago(value: datetime | str | None, now: datetime | None = None) -> Markup:
    """`<time>` that says how long ago, with the moment itself as its title; an en dash for nothing."""
    at = moment(value)
    if at is None:
        return Markup('<span class="none">–</span>')
    told = spans.ago(((now or datetime.now(UTC)) - at).total_seconds())
    return Markup('<time datetime="{}" title="{}">{}</time>').format(at.isoformat(), stamp(at), told)


def when(value: datetime | str | None) -> Markup:
    """`<time>` that says the moment in UTC, to the minute."""
    at = moment(value)
    if at is None:
        return Markup('<span class="none">–</span>')
    text = at.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(at.isoformat(), stamp(at), text)


def stamp(at: datetime) -> str:
    """The moment to the second, in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def number(value: float | None) -> str:
    """With thin spaces between thousands; an en dash for nothing."""
    if value is None:
        return "–"
    if isinstance(value, float) and not value.is_integer():
        return f"{value:,.2f}".rstrip("0").rstrip(".").replace(",", "\u202f")
    return f"{int(value):,}".replace(",", "\u202f")


def size(octets: float | None) -> str:
    """Bytes in binary units."""
    if octets is None:
        return "–"
    left, unit = float(octets), 0
    while left >= 1024 and unit < len(_SIZES) - 1:
        left, unit = left / 1024, unit + 1
    return f"{left:.0f} {_SIZES[unit]}" if unit == 0 else f"{left:.1f} {_SIZES[unit]}"


def share(part: float | None, digits: int = 0) -> str:
    """A fraction as percent."""
    return "–" if part is None else f"{100 * part:.{digits}f} %"


def severity(value: str | None) -> Markup:
    """A severity as a badge, by colour and by word."""
    word = (value or "none").lower()
    kind = word if word in _SEVERITIES else "none"
    return Markup('<span class="badge sev-{}">{}</span>').format(kind, word)


def state(value: str | None) -> Markup:
    """A state as a badge: what is good, bad, or under way is told by colour and by word."""
    word = value or "–"
    return Markup('<span class="badge st-{}">{}</span>').format(_state_class(word), word.replace("_", " "))


def segment(value: object) -> str:
    """One segment of a path, whatever is in it."""
    return quote(str(value), safe="")


def lines(value: str) -> Markup:
    """Text whose line ends are kept."""
    return Markup("<br>").join(escape(line) for line in value.splitlines())


_GOOD: Final = frozenset(
    {"done", "open", "active", "alive", "ready", "ok", "met", "enabled", "sent", "delivered", "finished", "fixed"}
    | {"merged", "success", "resolved", "valid", "current", "fresh", "accepted", "verified", "running"}
)
_BAD: Final = frozenset(
    {"failed", "dead", "revoked", "error", "lost", "firing", "refused", "review", "incomplete", "expired", "broken"}
    | {"overdue", "stale", "not met"}
)
_UNDER_WAY: Final = frozenset(
    {"waiting", "leased", "submitted", "pending", "paused", "suspect", "quarantined", "invited", "draining"}
    | {"acknowledged", "investigating", "retrying", "filtered", "filling"}
)


def _state_class(word: str) -> str:
    if word in _GOOD:
        return "good"
    if word in _BAD:
        return "bad"
    return "busy" if word in _UNDER_WAY else "plain"
