"""Alerts and rules as the API answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from spectra.model.alerts import AlertRecord, AlertSubject, Mute, Rule, RuleRecord, Trial, TrialAlert

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
ID = "alert-3f1c9a0417b2d5e8"


def alert(**said: Any) -> dict[str, Any]:
    """An alert about a port, whose title drives no terminal."""
    title = "192.0.2.7:3389 is open: \x1b[2J rdp"
    subject = AlertSubject(kind="port.opened", at=NOON, ip="192.0.2.7", port=3389, protocol="tcp", title=title)
    fields: dict[str, Any] = {"id": ID, "rule": "rdp", "key": "192.0.2.7", "kind": "port.opened", "severity": "high"}
    fields |= {"title": title, "state": "firing", "first": NOON, "last": NOON, "count": 1, "subjects": (subject,)}
    return msgspec.to_builtins(AlertRecord(**(fields | said)))


def page(*alerts: dict[str, Any]) -> dict[str, Any]:
    """A page of them."""
    return {"alerts": list(alerts), "totals": {"firing": {"high": len(alerts)}, "acknowledged": 0}, "next_cursor": ""}


def rule(**said: Any) -> dict[str, Any]:
    """A rule as it is stored."""
    fields: dict[str, Any] = {"name": "rdp", "on": ("port.opened",), "query": "port:3389", "outlets": ("*",)}
    record = RuleRecord(rule=Rule(**(fields | said)), created=NOON, changed=NOON, by="alice", firing=1)
    return msgspec.to_builtins(record)


def mute(**said: Any) -> dict[str, Any]:
    """Something that is left out."""
    fields: dict[str, Any] = {"id": "mute-1", "ip": "192.0.2.7", "at": NOON, "by": "alice", "reason": "a test"}
    return msgspec.to_builtins(Mute(**(fields | said)))


def trial() -> dict[str, Any]:
    """What a rule would have told."""
    one = TrialAlert(
        key="192.0.2.7",
        kind="port.opened",
        title="192.0.2.7:3389 is open",
        first=NOON,
        last=NOON,
        count=1,
        messages=1,
    )
    told = Trial(from_=NOON, to=NOON, things=3, alerts_total=1, messages=1, alerts=(one,), notes=("A note.",))
    return msgspec.to_builtins(msgspec.structs.replace(told, complete=False))
