"""Outlets, and messages that wait for them."""

from __future__ import annotations

from datetime import datetime

from spectra.model.alerts import Message
from spectra.model.outlets import OutletKind, OutletRequest
from spectra.store import outlets
from spectra.store.accounts import Act
from spectra.store.database import Database
from spectra.store.rows import encode


def outlet(database: Database, name: str, now: datetime, kind: OutletKind = "webhook", target: str = "") -> str:
    """An outlet that is switched on; its secret."""
    to = target or ("https://localhost/hook" if kind == "webhook" else f"{name}@localhost")
    return outlets.put(database, name, OutletRequest(kind=kind, target=to), Act("root", now)).secret


def note(database: Database, number: int, at: datetime, *names: str, due: datetime | None = None) -> Message:
    """A message that waits for these outlets, as an alert writes it."""
    message = Message(
        id=f"note-{number}",
        alert=f"alert-{number % 2}",
        rule="ssh",
        told="firing",
        severity="high",
        title=f"Port 22 opened, {number}",
        lines=("192.0.2.7:22 is open",),
        path=f"/alerts/alert-{number % 2}",
        at=at,
    )
    with database.transaction() as connection:
        connection.execute(
            "WITH made AS (INSERT INTO notification (id, alert, at, message) VALUES (%s, %s, %s, %s) RETURNING num)"
            " INSERT INTO delivery (notification, outlet, state, next)"
            " SELECT num, name, 'waiting', %s FROM made, unnest(%s::text[]) AS name",
            [message.id, message.alert, at, encode(message).decode(), due or at, list(names)],
        )
    return message
