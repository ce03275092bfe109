"""How nodes showed their state. What later proofs are compared with is on record; the proofs themselves come hourly."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

from psycopg.types.json import Jsonb

from spectra.errors import BadRequest
from spectra.model.nodes import AttestationRecord, Kind, Role, Standing
from spectra.store import noderows
from spectra.store.database import Connection, Database, one
from spectra.store.provenance import Entry

MAX_OPEN: Final = 4
"""Challenges that one node may have open: the oldest makes room."""

_NEWEST: Final = """
INSERT INTO attestation (node, kind, at, ok, held, reason, state, versions, ek, ak)
VALUES (%(node)s, %(kind)s, %(at)s, %(ok)s, %(held)s, %(reason)s, %(state)s, %(versions)s, %(ek)s, %(ak)s)
ON CONFLICT (node) DO UPDATE SET kind = excluded.kind, at = excluded.at, ok = excluded.ok, held = excluded.held,
  reason = excluded.reason, state = excluded.state, versions = excluded.versions, ek = excluded.ek, ak = excluded.ak"""
# What was proved before stays: a proof that did not hold says nothing about the machine.
_FAILED: Final = """
INSERT INTO attestation (node, kind, at, ok, held, reason, state, versions)
VALUES (%(node)s, %(kind)s, %(at)s, false, false, %(reason)s, '{}', '{}')
ON CONFLICT (node) DO UPDATE SET at = excluded.at, ok = false, reason = excluded.reason"""
_SETTLE: Final = """
INSERT INTO accepted_state AS a (node, kind, at, state, versions, ek, ak)
VALUES (%(node)s, %(kind)s, %(at)s, %(state)s, %(versions)s, %(ek)s, %(ak)s)
ON CONFLICT (node) DO UPDATE SET kind = excluded.kind, at = excluded.at, state = excluded.state,
  versions = excluded.versions, ek = excluded.ek, ak = excluded.ak
WHERE (a.kind, a.state, a.versions, a.ek, a.ak)
  IS DISTINCT FROM (excluded.kind, excluded.state, excluded.versions, excluded.ek, excluded.ak)"""
_TOLD: Final = "SELECT node, kind, at, state, versions, ek, encode(ak, 'hex') FROM accepted_state"
_ROOM: Final = """
DELETE FROM attestation_challenge WHERE expires <= %(now)s OR nonce IN (
  SELECT nonce FROM attestation_challenge WHERE node = %(node)s ORDER BY expires DESC, nonce OFFSET %(keep)s)"""
_OVERDUE: Final = """
SELECT n.name, n.role, p.presence, coalesce(a.at, n.joined), a.node IS NOT NULL
FROM node n JOIN node_presence p ON p.node = n.name
LEFT JOIN attestation a ON a.node = n.name
WHERE n.standing = 'active' AND n.role = ANY(%s) AND p.presence IN ('alive', 'suspect')
  AND coalesce(a.at, n.joined) < %s
ORDER BY n.name"""


class Proof(NamedTuple):
    """A state that was shown, and whether it was found good. `ek` (SHA-256 in hex) and `ak` (TPM2B_PUBLIC): a TPM's."""

    kind: Kind
    at: datetime
    ok: bool
    state: dict[str, str]
    versions: dict[str, str]
    reason: str = ""
    held: bool = False
    """What changed stays refused until an admin releases the node, whatever it shows then."""
    ek: str = ""
    ak: bytes = b""


class Open(NamedTuple):
    """What a node was asked, once. `secret` is the SHA-256 of a credential's content; `ek` and `ak` whose it is."""

    nonce: bytes
    expires: datetime
    pcrs: tuple[int, ...]
    secret: bytes = b""
    ek: bytes = b""
    ak: bytes = b""


class Member(NamedTuple):
    """A node that may show its state; `by` decided its standing."""

    role: Role
    standing: Standing
    by: str


class Overdue(NamedTuple):
    """An active node that has not shown its state since `since`; `ever`: it has before."""

    name: str
    role: Role
    presence: str
    since: datetime
    ever: bool


def ask(database: Database, node: str, challenge: Open, now: datetime) -> None:
    """Remember what a node is asked; what is expired, and the oldest above `MAX_OPEN`, is forgotten."""
    with database.transaction() as connection:
        connection.execute("SET LOCAL synchronous_commit = off")
        connection.execute(_ROOM, {"now": now, "node": node, "keep": MAX_OPEN - 1})
        connection.execute(
            "INSERT INTO attestation_challenge (nonce, node, expires, pcrs, secret, ek, ak)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [
                challenge.nonce,
                node,
                challenge.expires,
                list(challenge.pcrs),
                challenge.secret or None,
                challenge.ek or None,
                challenge.ak or None,
            ],
        )


def take(database: Database, node: str, nonce: bytes, now: datetime) -> Open | None:
    """What `node` was asked with `nonce`, which is used up by that; None where it was not, or is expired."""
    with database.transaction() as connection:
        row = connection.execute(
            "DELETE FROM attestation_challenge WHERE nonce = %s AND node = %s"
            " RETURNING nonce, expires, pcrs, coalesce(secret, ''), coalesce(ek, ''), coalesce(ak, '')",
            [nonce, node],
        ).fetchone()
    if row is None or row[1] <= now:
        return None
    return Open(row[0], row[1], tuple(row[2]), *row[3:])


def member(connection: Connection, node: str) -> Member:
    """The node as it stays until the transaction ends.

    Raises `NotFound`, `BadRequest("revoked")`, or `BadRequest("not_joined")` for one that is only invited.
    """
    found = connection.execute("SELECT role, standing, by FROM node WHERE name = %s FOR NO KEY UPDATE", [node])
    row = found.fetchone()
    if row is None:
        raise noderows.unknown(node)
    if row[1] == "revoked":
        raise noderows.revoked(node)
    if row[1] == "invited":
        raise BadRequest(f"{node} has not joined yet.", reason="not_joined", hint="Register the node first.")
    return Member(*row)


def proofs(connection: Connection, node: str) -> tuple[Proof | None, Proof | None]:
    """The newest, and the one that later ones are compared with."""
    newest = connection.execute(
        "SELECT kind, at, ok, state, versions, reason, held, coalesce(ek, ''), coalesce(ak, '') FROM attestation"
        " WHERE node = %s",
        [node],
    ).fetchone()
    accepted = connection.execute(
        "SELECT kind, at, true, state, versions, '', false, coalesce(ek, ''), coalesce(ak, '') FROM accepted_state"
        " WHERE node = %s",
        [node],
    ).fetchone()
    return Proof(*newest) if newest else None, Proof(*accepted) if accepted else None


def record(connection: Connection, node: str, proof: Proof) -> None:
    """Keep a proof as the node's newest. It is no entry: they come every hour."""
    connection.execute(_NEWEST, _values(node, proof))


def failed(connection: Connection, node: str, kind: Kind, reason: str, now: datetime) -> None:
    """Keep that the newest proof did not hold."""
    connection.execute(_FAILED, {"node": node, "kind": kind, "reason": reason, "at": now})


def settle(connection: Connection, node: str, proof: Proof, now: datetime) -> list[Entry]:
    """Compare later proofs with this one; the entry that tells so, or none where it says the same as before."""
    if not connection.execute(_SETTLE, _values(node, proof) | {"at": now}).rowcount:
        return []
    row = one(connection.execute(f"{_TOLD} WHERE node = %s", [node]))
    return [Entry("attestation.accepted", _subject(node), _detail(row), now)]


def accept(connection: Connection, node: str, now: datetime) -> list[Entry]:
    """What an admin's release does: what the node showed last, and was not good, is good from now on."""
    newest = proofs(connection, node)[0]
    if newest is None or newest.ok or not newest.state:
        return []
    connection.execute("UPDATE attestation SET ok = true, held = false, reason = '' WHERE node = %s", [node])
    return settle(connection, node, newest, now)


def newest(connection: Connection, nodes: Iterable[str]) -> dict[str, AttestationRecord]:
    """The newest proof of each of these nodes that has shown any."""
    rows = connection.execute(
        "SELECT node, kind, at, ok, state, reason FROM attestation WHERE node = ANY(%s)",
        [list(nodes)],
    ).fetchall()
    return {row[0]: AttestationRecord(*row[1:]) for row in rows}


def keys_of(connection: Connection, node: str) -> tuple[str, ...]:
    """SHA-256 (hex) of the endorsement keys that the node proved to hold: those to revoke with it."""
    rows = connection.execute(
        "SELECT ek FROM attestation WHERE node = %(node)s AND ek IS NOT NULL"
        " UNION SELECT ek FROM accepted_state WHERE node = %(node)s AND ek IS NOT NULL ORDER BY ek",
        {"node": node},
    ).fetchall()
    return tuple(row[0] for row in rows)


def revoked_as(connection: Connection, ek: str, node: str) -> str:
    """The other node with which this endorsement key was revoked, empty where it was not."""
    row = connection.execute("SELECT node FROM revoked_key WHERE spki = %s AND node <> %s", [ek, node]).fetchone()
    return row[0] if row else ""


def overdue(database: Database, roles: Iterable[Role], before: datetime) -> tuple[Overdue, ...]:
    """Active nodes of these roles that are heard, and have not shown their state since `before`."""
    with database.connection() as connection:
        rows = connection.execute(_OVERDUE, [list(roles), before]).fetchall()
    return tuple(Overdue(*row) for row in rows)


def details(database: Database) -> dict[str, dict[str, object]]:
    """What the newest provenance entry of each node's accepted state has to say, by its subject: as the rows are."""
    with database.connection() as connection:
        return {_subject(row[0]): _detail(row) for row in connection.execute(_TOLD)}


def _subject(node: str) -> str:
    return f"attestation:{node}"


def _detail(row: tuple[Any, ...]) -> dict[str, object]:
    names = ("node", "kind", "accepted", "state", "versions", "ek", "ak")
    return dict(zip(names, row, strict=True))


def _values(node: str, proof: Proof) -> dict[str, object]:
    values: dict[str, object] = proof._asdict()
    return values | {
        "node": node,
        "state": Jsonb(proof.state),
        "versions": Jsonb(proof.versions),
        "ek": proof.ek or None,
        "ak": proof.ak or None,
    }
