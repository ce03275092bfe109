"""What is good once and soon over: a set-up link, a sign-in that waits for its second factor, a factor being set up."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, NamedTuple

from spectra.store.database import Connection, Database

Kind = Literal["setup", "sign-in", "totp", "passkey"]

MOST_OF_ONE: Final = 20
"""Tickets of one kind and account: the oldest make room."""
_PRUNE: Final = 200


class Ticket(NamedTuple):
    """What a ticket is for: the account is empty for a set-up link's."""

    account: str
    detail: str


def put(database: Database, digest: bytes, kind: Kind, ticket: Ticket, *, until: datetime, now: datetime) -> None:
    """Keep a ticket by the SHA-256 of its secret; forgets some that are over."""
    with database.transaction() as connection:
        connection.execute(
            "DELETE FROM ticket WHERE digest IN (SELECT digest FROM ticket WHERE expires < %s LIMIT %s)", [now, _PRUNE]
        )
        connection.execute(
            "DELETE FROM ticket WHERE digest IN (SELECT digest FROM ticket WHERE kind = %s"
            " AND contributor IS NOT DISTINCT FROM %s ORDER BY expires DESC OFFSET %s)",
            [kind, ticket.account or None, MOST_OF_ONE - 1],
        )
        connection.execute(
            "INSERT INTO ticket (digest, kind, contributor, detail, expires) VALUES (%s, %s, %s, %s, %s)",
            [digest, kind, ticket.account or None, ticket.detail, until],
        )


def look(database: Database, digest: bytes, kind: Kind, now: datetime) -> Ticket | None:
    """What a ticket is for, which stays good."""
    with database.connection() as connection:
        row = connection.execute(
            "SELECT coalesce(contributor, ''), detail FROM ticket WHERE digest = %s AND kind = %s AND expires > %s",
            [digest, kind, now],
        ).fetchone()
    return Ticket(*row) if row else None


def take(connection: Connection, digest: bytes, kind: Kind, now: datetime) -> Ticket | None:
    """What a ticket is for, which is used up with that when the transaction commits."""
    row = connection.execute(
        "DELETE FROM ticket WHERE digest = %s AND kind = %s AND expires > %s"
        " RETURNING coalesce(contributor, ''), detail",
        [digest, kind, now],
    ).fetchone()
    return Ticket(*row) if row else None


def drop(database: Database, kind: Kind, account: str = "") -> None:
    """Forget every ticket of this kind and account."""
    with database.connection() as connection:
        connection.execute(
            "DELETE FROM ticket WHERE kind = %s AND contributor IS NOT DISTINCT FROM %s", [kind, account or None]
        )
