"""Certificates that nodes were given, and public keys that get none any more.

One row a certificate that has not expired, and the newest of each key for `KEPT` longer, so that revoking a node
revokes every key it ever came with.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from spectra.model.nodes import CertificateRecord
from spectra.store import noderows
from spectra.store.database import Connection, Database
from spectra.store.provenance import Entry, commit

KEPT: Final = timedelta(days=90)
"""How long a key is remembered after its last certificate expired."""
MAX_LISTED: Final = 10_000


def record(database: Database, name: str, certificate: CertificateRecord, now: datetime) -> None:
    """Record a renewed certificate before it is handed out: on disk when this returns.

    `BadRequest("revoked")` where the node or the key is, even if it was revoked just now. A new key is an entry of the
    provenance chain, the same one for longer is not.
    """

    def work(connection: Connection) -> tuple[None, list[Entry]]:
        node = noderows.held(connection, name)
        put(connection, name, certificate, now)
        if node.spki == certificate.spki:
            return None, []
        return None, [noderows.entry(connection, "node.certified", name, now)]

    commit(database, work)


def put(connection: Connection, name: str, certificate: CertificateRecord, now: datetime) -> None:
    """Record a certificate of a node that the caller holds; it is the node's newest. Raises `BadRequest("revoked")`."""
    noderows.refuse_revoked(connection, name, certificate.spki)
    connection.execute(
        "DELETE FROM node_certificate c WHERE node = %(name)s AND not_after < %(now)s"
        " AND (not_after < %(old)s OR spki = %(spki)s"
        " OR EXISTS (SELECT FROM node_certificate n WHERE n.node = c.node AND n.spki = c.spki"
        " AND n.not_after > c.not_after))",
        {"name": name, "now": now, "old": now - KEPT, "spki": certificate.spki},
    )
    connection.execute(
        "INSERT INTO node_certificate (serial, node, spki, not_before, not_after) VALUES (%s, %s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        [certificate.serial, name, certificate.spki, certificate.not_before, certificate.not_after],
    )
    connection.execute(
        "UPDATE node SET spki = %(spki)s, changed = nextval('node_change') WHERE name = %(name)s",
        {"name": name, "spki": certificate.spki},
    )


def is_revoked(database: Database, spki: str) -> bool:
    """Whether a public key (SHA-256 of its DER, hex) is one that gets no certificate."""
    with database.connection() as connection:
        return connection.execute("SELECT FROM revoked_key WHERE spki = %s", [spki]).rowcount > 0


def revoked_serials(database: Database, now: datetime) -> tuple[tuple[str, datetime], ...]:
    """The certificates that have not expired but hold for nothing, with when they were revoked: the newest of them."""
    with database.connection() as connection:
        rows = connection.execute(
            "SELECT c.serial, k.at FROM node_certificate c JOIN revoked_key k ON k.spki = c.spki WHERE c.not_after > %s"
            " ORDER BY k.at DESC, c.serial LIMIT %s",
            [now, MAX_LISTED],
        ).fetchall()
    return tuple((row[0], row[1]) for row in rows)


def revoked(database: Database) -> tuple[str, ...]:
    """Every public key that is revoked."""
    with database.connection() as connection:
        return tuple(row[0] for row in connection.execute("SELECT spki FROM revoked_key ORDER BY spki"))


def holder(database: Database, serial: str) -> str:
    """The node that a certificate was given to, by serial (decimal); empty where it is none of ours."""
    with database.connection() as connection:
        row = connection.execute("SELECT node FROM node_certificate WHERE serial = %s", [serial]).fetchone()
    return row[0] if row else ""
