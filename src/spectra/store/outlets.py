"""Outlets: where messages of alerts go. Every change is an entry of the provenance chain, without any secret in it.

What a webhook is signed with is kept as it is: it keeps others from sending in our name, and whoever reads this
database could have us send whatever they like. It is told once, to who made the outlet.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from spectra.errors import BadRequest, NotFound
from spectra.model.outlets import (
    MAX_OUTLETS,
    OutletKind,
    OutletMade,
    OutletRecord,
    OutletRequest,
    checked_target,
    shortened,
)
from spectra.store.accounts import Act
from spectra.store.database import Connection, Database, one
from spectra.store.provenance import Entry, commit

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - how any of them begins
_NEW_BYTES: Final = 32
_MAX_ERROR: Final = 500

_RECORD: Final = """
SELECT o.name, o.kind, o.target, o.enabled, o.created, o.changed, o.by, o.note, o.secret <> '', w.waiting, w.since,
       o.tried, o.delivered, o.error
FROM outlet o CROSS JOIN LATERAL (
  SELECT count(*) AS waiting, min(n.at) AS since FROM delivery d JOIN notification n ON n.num = d.notification
  WHERE d.outlet = o.name AND d.state = 'waiting') w"""
_NAMES: Final = (
    *("name", "kind", "target", "enabled", "created", "changed", "by", "note", "has_secret", "waiting", "since"),
    *("tried", "delivered", "error"),
)
_DETAIL: Final = "SELECT name, kind, target, secret, enabled, note, created, changed, by FROM outlet"
_PUT: Final = """
INSERT INTO outlet (name, kind, target, secret, enabled, note, created, changed, by)
VALUES (%(name)s, %(kind)s, %(target)s, %(secret)s, %(enabled)s, %(note)s, %(now)s, %(now)s, %(by)s)
ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, target = excluded.target, secret = excluded.secret,
  enabled = excluded.enabled, note = excluded.note, changed = excluded.changed, by = excluded.by, error = ''
WHERE (outlet.kind, outlet.target, outlet.secret, outlet.enabled, outlet.note)
   <> (excluded.kind, excluded.target, excluded.secret, excluded.enabled, excluded.note)"""
_DROP: Final = """
UPDATE delivery SET state = 'dropped', next = NULL, error = %s WHERE outlet = %s AND state = 'waiting'"""


class Outlet(NamedTuple):
    """What is needed to send by one; its secret is in here."""

    num: int
    name: str
    kind: OutletKind
    target: str
    secret: str
    enabled: bool


def put(database: Database, name: str, wanted: OutletRequest, act: Act) -> OutletMade:
    """Keep an outlet, in place of the one of its name. What waits for one that is switched off is dropped.

    Raises `BadRequest` naming `target`, `secret` or `name`.
    """
    target = checked_target(wanted.kind, wanted.target)
    _check_secret(wanted)

    def work(connection: Connection) -> tuple[OutletMade, list[Entry]]:
        connection.execute("LOCK TABLE outlet IN SHARE ROW EXCLUSIVE MODE")  # they are counted
        before = connection.execute("SELECT kind, secret FROM outlet WHERE name = %s", [name]).fetchone()
        if before is None and one(connection.execute("SELECT count(*) FROM outlet"))[0] >= MAX_OUTLETS:
            raise BadRequest(
                f"There are {MAX_OUTLETS} outlets; remove one first.", field="name", reason="too_many_outlets"
            )
        kept = before[1] if before and before[0] == wanted.kind else ""
        secret = kept if wanted.secret is None else wanted.secret
        made = "" if secret or wanted.kind != "webhook" else new_secret()
        row = {"name": name, "kind": wanted.kind, "target": target, "secret": secret or made, "note": wanted.note}
        changed = connection.execute(_PUT, row | {"enabled": wanted.enabled, "by": act.by, "now": act.now}).rowcount
        if not wanted.enabled:
            connection.execute(_DROP, ["The outlet is switched off.", name])
        entries = [_entry(connection, "outlet.put", name, act)] if changed else []
        return OutletMade(outlet=_get(connection, name), secret=made), entries

    return commit(database, work)


def remove(database: Database, name: str, act: Act) -> OutletRecord:
    """Drop an outlet and what waits for it; returns it as it was. Raises `NotFound` (`unknown_outlet`)."""

    def work(connection: Connection) -> tuple[OutletRecord, list[Entry]]:
        record = _get(connection, name)
        connection.execute("DELETE FROM outlet WHERE name = %s", [name])
        connection.execute(_DROP, ["The outlet was removed.", name])
        return record, [Entry("outlet.removed", _subject(name), {"name": name, "by": act.by}, act.now)]

    return commit(database, work)


def get(database: Database, name: str) -> OutletRecord:
    """The outlet of this name; raises `NotFound` (`unknown_outlet`)."""
    with database.connection() as connection:
        return _get(connection, name)


def all_of(database: Database) -> tuple[OutletRecord, ...]:
    """All outlets, by name."""
    with database.connection() as connection:
        return tuple(_record(row) for row in connection.execute(f"{_RECORD} ORDER BY o.name"))


def whole(database: Database, name: str) -> Outlet:
    """What is needed to send by it; raises `NotFound` (`unknown_outlet`)."""
    with database.connection() as connection:
        row = connection.execute(
            "SELECT num, name, kind, target, secret, enabled FROM outlet WHERE name = %s", [name]
        ).fetchone()
    if row is None:
        raise _unknown(name)
    return Outlet(*row)


def tested(database: Database, name: str, act: Act) -> None:
    """Note that somebody is about to try it; raises `NotFound` (`unknown_outlet`)."""

    def work(connection: Connection) -> tuple[None, list[Entry]]:
        _get(connection, name)
        return None, [_entry(connection, "outlet.tested", name, act)]

    commit(database, work)


def tried(database: Database, num: int, now: datetime, error: str = "") -> None:
    """Note how a try went: `error` is why it failed, empty where the message arrived."""
    with database.connection() as connection:
        connection.execute(
            "UPDATE outlet SET tried = %s, delivered = CASE WHEN %s THEN %s ELSE delivered END, error = %s"
            " WHERE num = %s",
            [now, not error, now, error[:_MAX_ERROR], num],
        )


def details(database: Database) -> dict[str, dict[str, object]]:
    """What the newest provenance entry of each outlet has to say, as the rows are now."""
    with database.connection() as connection:
        return {_subject(row[0]): _told(row) for row in connection.execute(_DETAIL)}


def new_secret() -> str:
    """What a webhook is signed with: 256 random bits, as Standard Webhooks writes them."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_NEW_BYTES)).decode()


def _check_secret(wanted: OutletRequest) -> None:
    secret = wanted.secret
    if not secret:
        return
    if wanted.kind == "webhook" and not _is_signing_key(secret):
        hint = "Leave it out to have one made, or write whsec_ and the base64 of 24 to 64 bytes."
        raise BadRequest("Nothing can be signed with this secret.", field="secret", hint=hint)
    if wanted.kind in ("xmpp", "email"):
        raise BadRequest(f"An outlet of kind {wanted.kind} has no secret.", field="secret")
    if not secret.isprintable():
        raise BadRequest("A password has to be printable.", field="secret")


def _is_signing_key(secret: str) -> bool:
    try:
        raw = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return False
    return secret.startswith(SECRET_PREFIX) and 24 <= len(raw) <= 64  # the bounds are the specification's


def _get(connection: Connection, name: str) -> OutletRecord:
    row = connection.execute(f"{_RECORD} WHERE o.name = %s", [name[:100]]).fetchone()
    if row is None:
        raise _unknown(name)
    return _record(row)


def _unknown(name: str) -> NotFound:
    hint = "`spectra alerts outlets list` shows all."
    return NotFound(f"There is no outlet {name[:60]}.", reason="unknown_outlet", hint=hint)


def _record(row: tuple[Any, ...]) -> OutletRecord:
    return msgspec.convert(dict(zip(_NAMES, row, strict=True)), OutletRecord)


def _subject(name: str) -> str:
    return f"outlet:{name}"


def _entry(connection: Connection, kind: str, name: str, act: Act) -> Entry:
    row = one(connection.execute(f"{_DETAIL} WHERE name = %s", [name]))
    return Entry(kind, _subject(name), _told(row), act.now)


def _told(row: tuple[Any, ...]) -> dict[str, object]:
    """Without what is secret. The digest tells that the target was altered; a room's password is no part of it, as
    one that people chose could be guessed from it.
    """
    name, kind, target, secret, enabled, note, created, changed, by = row
    signed = secret if kind == "webhook" else ""
    return {
        "name": name,
        "kind": kind,
        "target": shortened(kind, target),
        "sha256": hashlib.sha256(f"{kind}\0{target}\0{signed}".encode()).hexdigest(),
        "enabled": enabled,
        "note": note,
        "created": created,
        "changed": changed,
        "by": by,
    }
