"""What alerts are called, and the messages that tell of them: plain text, a line each, whoever chose the words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from spectra.act.notify.grouping import EVERYTHING
from spectra.model.alerts import MAX_LINES, AlertRecord, Kind, Message, Occurrence, Told
from spectra.model.insights import line

_MAX_LINE: Final = 300
_MANY: Final[dict[Kind, str]] = {
    "host.new": "new hosts",
    "port.opened": "ports opened",
    "service.new": "new services",
    "service.changed": "changed services",
    "certificate.changed": "changed certificates",
    "certificate.expiring": "certificates run out",
    "finding.new": "new weaknesses",
    "kev.match": "weaknesses that are known to be exploited",
    "host.gone": "hosts gone",
    "worker.lost": "machines lost",
    "envelope.refused": "submissions refused",
    "signin.strange": "strange sign-ins",
    "feed.stale": "feeds too old",
    "job.ended": "jobs ended",
}


def title_of(key: str, found: Sequence[Occurrence], count: int) -> str:
    """What an alert is called by what it found, the newest last: that itself, or how many of what."""
    if count <= 1 or (len({one.key for one in found}) == 1 and count == found[-1].times):
        return line(found[-1].title, _MAX_LINE)
    kinds = list(dict.fromkeys(one.kind for one in found))
    what = _MANY[kinds[0]] if len(kinds) == 1 else "changes"
    where = "" if key == EVERYTHING or any(one.key == key for one in found) else f" at {key}"
    return line(f"{count:,} {what}{where}", _MAX_LINE)


def message(
    alert: AlertRecord, told: Told, new: Sequence[Occurrence], *, ident: str, now: datetime, total: int | None = None
) -> Message:
    """What is sent of an alert: the things in `new`, the newest first, of `total`."""
    shown = sorted(new, key=lambda one: one.at, reverse=True)[: MAX_LINES - 1]
    lines = [line(one.title, _MAX_LINE) for one in shown]
    rest = (len(new) if total is None else total) - len(shown)
    lines += [f"and {rest:,} more"] if rest > 0 else []
    if told == "resolved":
        lines = [f"It is over: {alert.why}" if alert.why else "It is over."]
    return Message(
        id=ident,
        alert=alert.id,
        rule=alert.rule,
        told=told,
        severity=alert.severity,
        title=line(alert.title, _MAX_LINE),
        lines=tuple(lines),
        path=f"/alerts/{alert.id}",
        at=now,
        count=alert.count,
    )
