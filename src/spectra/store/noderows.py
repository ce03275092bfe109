"""The row of a node: held while it changes, and as its provenance entry tells of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

from spectra.errors import BadRequest, NotFound
from spectra.model.joining import RESERVED
from spectra.model.nodes import Role, Standing
from spectra.store.database import Connection, Database, one
from spectra.store.provenance import Entry

_DETAIL: Final = """
SELECT n.name, n.uri, n.role, n.standing, n.reason, n.by, n.created, n.joined, n.keyid, n.spki,
       ARRAY(SELECT k.spki FROM revoked_key k WHERE k.node = n.name ORDER BY k.spki)
FROM node n"""
_REVOKE: Final = """
INSERT INTO revoked_key (spki, node, at, reason)
SELECT spki, %(name)s, %(now)s, %(reason)s FROM (
  SELECT spki FROM node_certificate WHERE node = %(name)s
  UNION SELECT spki FROM node WHERE name = %(name)s UNION SELECT unnest(%(also)s::text[])) k
WHERE spki IS NOT NULL AND spki <> %(keep)s ORDER BY spki ON CONFLICT DO NOTHING"""


class Row(NamedTuple):
    """What a change of a node has to know of it."""

    name: str
    role: Role
    standing: Standing
    keyid: str
    spki: str


def hold(connection: Connection, name: str) -> Row | None:
    """The node, as it stays until the transaction ends: all that changes a node or hands it a certificate holds it."""
    row = connection.execute(
        "SELECT name, role, standing, coalesce(keyid, ''), coalesce(spki, '') FROM node WHERE name = %s FOR UPDATE",
        [name],
    ).fetchone()
    return Row(*row) if row else None


def held(connection: Connection, name: str) -> Row:
    """As `hold`; raises `NotFound`, or `BadRequest("revoked")` for one that is."""
    row = hold(connection, name)
    if row is None:
        raise unknown(name)
    if row.standing == "revoked":
        raise revoked(name)
    return row


def unknown(name: str) -> NotFound:
    """There is no such node."""
    return NotFound(f"There is no node {name[:63]}.", reason="unknown_node", hint="`spectra nodes` shows all.")


def revoked(name: str, reason: str = "") -> BadRequest:
    """For the machine that comes as `name`; told why, where it is known by its certificate."""
    why = f": {reason.rstrip('.')}" if reason else ""
    return BadRequest(
        f"{name} was revoked{why}.", reason="revoked", hint="An admin has to invite this machine under another name."
    )


def taken(name: str) -> BadRequest:
    """For who wants a new node of this name."""
    return BadRequest(f"The name {name} is taken.", reason="name_taken", field="name", hint="Choose another name.")


def gone(name: str) -> BadRequest:
    """For who wants something of a node that is revoked: nothing brings it back."""
    return BadRequest(
        f"{name} is revoked for good.", reason="node_revoked", field="name", hint="Invite it under another name."
    )


def insert(
    connection: Connection, name: str, uri: str, *, role: str, standing: Standing, by: str, now: datetime
) -> bool:
    """Add a node; False where the name is taken."""
    return name not in RESERVED and (
        connection.execute(
            "INSERT INTO node (name, uri, role, standing, by, created) VALUES (%s, %s, %s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            [name, uri, role, standing, by, now],
        ).rowcount
        > 0
    )


def refuse_revoked(connection: Connection, name: str, spki: str) -> None:
    """Raises `BadRequest("revoked")` where this public key was a revoked node's, or this node's former one."""
    found = connection.execute("SELECT node FROM revoked_key WHERE spki = %s FOR SHARE", [spki]).fetchone()
    if found is not None:
        raise BadRequest(
            f"The key that {name} shows is revoked: it was one of {found[0]}'s.",
            reason="revoked",
            hint="Join again with a new key: remove the node's folder first.",
        )


def revoke_keys(
    connection: Connection, name: str, reason: str, now: datetime, *, keep: str = "", also: Iterable[str] = ()
) -> int:
    """Revoke every public key that `name` had a certificate for, but `keep`, and those of `also`."""
    words = {"name": name, "now": now, "reason": reason, "keep": keep, "also": list(also)}
    return connection.execute(_REVOKE, words).rowcount


def entry(connection: Connection, kind: str, name: str, now: datetime) -> Entry:
    """What is put on record of the node as it is now."""
    row = one(connection.execute(f"{_DETAIL} WHERE n.name = %s", [name]))
    return Entry(kind, _subject(name), _told(row), now)


def removed(name: str, now: datetime, why: str) -> Entry:
    """What is put on record where an invitation is withdrawn before anybody came: the name is free again."""
    return Entry("node.removed", _subject(name), {"name": name, "why": why}, now)


def details(database: Database) -> dict[str, dict[str, object]]:
    """What the newest provenance entry of each node has to say, by its subject: as the rows are now."""
    with database.connection() as connection:
        return {_subject(row[0]): _told(row) for row in connection.execute(_DETAIL)}


def _subject(name: str) -> str:
    return f"node:{name}"


def _told(row: tuple[Any, ...]) -> dict[str, object]:
    name, uri, role, standing, reason, by, created, joined, keyid, spki, keys = row
    return {
        "name": name,
        "uri": uri,
        "role": role,
        "standing": standing,
        "reason": reason,
        "by": by,
        "created": created,
        "joined": joined,
        "keyid": keyid,
        "spki": spki,
        "revoked_keys": keys,
    }
