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


def title_of(key: str, kinds: Sequence[Kind], newest: str, things: int) -> str:
    """What an alert of so many different things is called: as the only one of them is, or how many of what."""
    if things <= 1:
        return line(newest, _MAX_LINE)
    what = _MANY[kinds[0]] if len(set(kinds)) == 1 else "changes"
    return line(f"{things:,} {what}" + ("" if key == EVERYTHING else f" at {key}"), _MAX_LINE)


def message(alert: AlertRecord, told: Told, new: Sequence[Occurrence], now: datetime, total: int) -> Message:
    """What is sent of an alert: the things in `new`, the newest first, of `total`. It has no id yet."""
    shown = sorted(new, key=lambda one: one.at, reverse=True)[: MAX_LINES - 1]
    lines = [line(one.title, _MAX_LINE) for one in shown]
    rest = total - len(shown)
    lines += [f"and {rest:,} more"] if rest > 0 else []
    if told == "resolved":
        lines = [f"It is over: {alert.why}" if alert.why else "It is over."]
    return Message(
        id="",
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
