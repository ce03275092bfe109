"""The public halves of the keys by which the coordinators on this database sign access tokens, and their issuer."""

from __future__ import annotations

import secrets
import uuid
from datetime import datetime
from typing import Any, Final, NamedTuple

from spectra.errors import NotFound
from spectra.store.database import Connection, Database, one
from spectra.store.provenance import Entry, commit

_SELECT: Final = "SELECT kid, public_key, created, expires, revoked FROM token_key"


class TokenKey(NamedTuple):
    """A token key: `kid` is the SHA-256 (hex) of the 32 bytes `public_key`."""

    kid: str
    public_key: bytes
    created: datetime
    expires: datetime
    revoked: datetime | None


def issuer(database: Database) -> str:
    """The name of this mesh as the issuer of tokens, made up once and the same for every coordinator."""
    with database.transaction() as connection:
        connection.execute("INSERT INTO issuer (name) VALUES (%s) ON CONFLICT DO NOTHING", [f"urn:uuid:{uuid.uuid4()}"])
        return one(connection.execute("SELECT name FROM issuer"))[0]


def find(database: Database, kid: str) -> TokenKey | None:
    """The token key of this id, whether it stands or not."""
    with database.connection() as connection:
        row = connection.execute(f"{_SELECT} WHERE kid = %s", [kid]).fetchone()
    return TokenKey(*row) if row else None


def current(database: Database, now: datetime) -> tuple[TokenKey, ...]:
    """The token keys that stand, newest first."""
    with database.connection() as connection:
        rows = connection.execute(
            f"{_SELECT} WHERE revoked IS NULL AND expires > %s ORDER BY created DESC, kid", [now]
        ).fetchall()
    return tuple(TokenKey(*row) for row in rows)


def add(database: Database, kid: str, public_key: bytes, *, expires: datetime, now: datetime) -> TokenKey:
    """Let the tokens signed by this key be believed until `expires`; one that is known stays as it is."""

    def work(connection: Connection) -> tuple[TokenKey, list[Entry]]:
        added = connection.execute(
            "INSERT INTO token_key (kid, public_key, created, expires) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
            [kid, public_key, now, expires],
        ).rowcount
        row = one(connection.execute(f"{_SELECT} WHERE kid = %s", [kid]))
        return TokenKey(*row), [_entry("token-key.added", row, now)] if added else []

    return commit(database, work)


def revoke(database: Database, kid: str, now: datetime) -> TokenKey:
    """Believe nothing that this key signed, from the next request on. Raises `NotFound`."""

    def work(connection: Connection) -> tuple[TokenKey, list[Entry]]:
        changed = connection.execute(
            "UPDATE token_key SET revoked = %s WHERE kid = %s AND revoked IS NULL", [now, kid]
        ).rowcount
        row = connection.execute(f"{_SELECT} WHERE kid = %s", [kid]).fetchone()
        if row is None:
            raise NotFound(f"There is no token key {kid[:16]}.", reason="unknown_key")
        return TokenKey(*row), [_entry("token-key.revoked", row, now)] if changed else []

    return commit(database, work)


def details(database: Database) -> dict[str, dict[str, object]]:
    """What the newest provenance entry of each token key has to say, by its subject: as the rows are now."""
    with database.connection() as connection:
        return {f"token-key:{row[0]}": _detail(row) for row in connection.execute(_SELECT)}


def _entry(kind: str, row: tuple[Any, ...], now: datetime) -> Entry:
    return Entry(kind, f"token-key:{row[0]}", _detail(row), now)


def _detail(row: tuple[Any, ...]) -> dict[str, object]:
    kid, public_key, created, expires, revoked = row
    return {"kid": kid, "public_key": public_key.hex(), "created": created, "expires": expires, "revoked": revoked}


def challenge_key(database: Database) -> bytes:
    """The 32 bytes by which every coordinator knows the challenges that any of them gave to passkeys.

    Whoever reads the database learns them, and can make a challenge; not answer one.
    """
    with database.connection() as connection:
        found = connection.execute("SELECT key FROM challenge_key").fetchone()
        if found is None:
            connection.execute(
                "INSERT INTO challenge_key (key) VALUES (%s) ON CONFLICT DO NOTHING", [secrets.token_bytes(32)]
            )
            found = one(connection.execute("SELECT key FROM challenge_key"))
    return bytes(found[0])
