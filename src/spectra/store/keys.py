"""Contributors, their keys and the tokens of their tools. Every change is an entry of the provenance chain."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

import psycopg

from spectra.errors import BadRequest, NotFound
from spectra.model.records import KeyRecord
from spectra.store.database import Connection, Database, one
from spectra.store.provenance import Entry, commit

_JOINED = "key k JOIN contributor c ON c.name = k.contributor"
_SELECT = f"""
SELECT k.keyid, k.contributor, c.role, k.public_key, k.created, k.expires, k.revoked, k.comment,
       a.disabled IS NOT NULL, coalesce(r.scopes, '{{}}')
FROM {_JOINED} LEFT JOIN account a ON a.name = c.name LEFT JOIN role r ON r.name = c.role"""
_DETAIL = f"""
SELECT k.keyid, k.contributor, c.role, c.trust, c.created, encode(k.public_key, 'hex'), k.created, k.expires, k.revoked,
       k.comment
FROM {_JOINED}"""
_CREDENTIAL = "SELECT encode(digest, 'hex'), contributor, created, expires, revoked FROM credential"


_STATEMENT_LIFE: Final = timedelta(minutes=30)
"""How long the nonce of a key statement is remembered: longer than a statement is taken for fresh."""


class Holder(NamedTuple):
    """Whom a token speaks for; `scopes` are those of a custom role."""

    contributor: str
    role: str
    scopes: tuple[str, ...] = ()


def find(database: Database, keyid: str) -> KeyRecord | None:
    """The key with this id, whatever its status."""
    with database.connection() as connection:
        row = connection.execute(f"{_SELECT} WHERE k.keyid = %s", [keyid]).fetchone()
    return _record(row) if row else None


def every(database: Database, contributor: str = "") -> tuple[KeyRecord, ...]:
    """All keys, or those of one contributor, oldest first."""
    some = "WHERE k.contributor = %(of)s" if contributor else ""
    with database.connection() as connection:
        rows = connection.execute(f"{_SELECT} {some} ORDER BY k.created, k.keyid", {"of": contributor}).fetchall()
    return tuple(_record(row) for row in rows)


def register(
    database: Database,
    *,
    contributor: str,
    role: str,
    public_key: bytes,
    keyid: str,
    now: datetime,
    comment: str = "",
    nonce: str = "",
) -> KeyRecord:
    """Add a key, and its contributor if new. A contributor's role is not changed by a further key.

    `nonce` is the statement's, used up with it; empty where there was no statement.
    """

    def work(connection: Connection) -> tuple[KeyRecord, list[Entry]]:
        entries = put(
            connection,
            contributor=contributor,
            role=role,
            public_key=public_key,
            keyid=keyid,
            now=now,
            comment=comment,
            nonce=nonce,
        )
        return _get(connection, keyid), entries

    return commit(database, work)


def put(
    connection: Connection,
    *,
    contributor: str,
    role: str,
    public_key: bytes,
    keyid: str,
    now: datetime,
    comment: str = "",
    nonce: str = "",
) -> list[Entry]:
    """What `register` does, in the caller's transaction: returns what has to be put on record."""
    connection.execute(
        "INSERT INTO contributor (name, role, created) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        [contributor, role, now],
    )
    stored = connection.execute("SELECT role FROM contributor WHERE name = %s FOR SHARE", [contributor]).fetchone()
    if stored and stored[0] != role:
        raise BadRequest(
            f"{contributor} is registered with role {stored[0]}, not {role}.", reason="role_conflict", field="role"
        )
    _insert(connection, [keyid, contributor, public_key, now, comment])
    _use_up(connection, keyid, nonce, now)
    return [Entry("key.registered", keyid, _detail(connection, keyid), now)]


def revoke_others(connection: Connection, contributor: str, keep: str, now: datetime) -> list[Entry]:
    """Revoke every key of `contributor` but `keep` (empty: every one); returns what has to be put on record."""
    connection.execute("SELECT FROM contributor WHERE name = %s FOR SHARE", [contributor])
    rows = connection.execute(
        "UPDATE key SET revoked = %s WHERE contributor = %s AND keyid <> %s AND revoked IS NULL RETURNING keyid",
        [now, contributor, keep],
    ).fetchall()
    return [Entry("key.revoked", row[0], _detail(connection, row[0]), now) for row in sorted(rows)]


def rotate(
    database: Database,
    *,
    keyid: str,
    public_key: bytes,
    new_keyid: str,
    now: datetime,
    grace_s: int,
    nonce: str = "",
) -> tuple[KeyRecord, KeyRecord]:
    """Put a new key in the place of `keyid`, which stays valid for `grace_s` seconds. Returns (old, new).

    Only an active key has no successor yet: of two rotations at once one is refused. `nonce` as for `register`.
    """

    def work(connection: Connection) -> tuple[tuple[KeyRecord, KeyRecord], list[Entry]]:
        _hold(connection, keyid)
        _use_up(connection, keyid, nonce, now)
        expires = now + timedelta(seconds=grace_s)
        old = connection.execute(
            "UPDATE key SET expires = %s WHERE keyid = %s AND revoked IS NULL AND expires IS NULL"
            " RETURNING contributor",
            [expires, keyid],
        ).fetchone()
        if old is None:
            raise NotFound(f"There is no active key {keyid[:16]} to rotate.", reason="unknown_key")
        _insert(connection, [new_keyid, old[0], public_key, now, ""])
        records = _get(connection, keyid), _get(connection, new_keyid)
        return records, [
            Entry("key.retired", keyid, _detail(connection, keyid), now),
            Entry("key.registered", new_keyid, _detail(connection, new_keyid), now),
        ]

    return commit(database, work)


def revoke(database: Database, keyid: str, now: datetime) -> KeyRecord:
    """Revoke a key at once; revoking it again changes nothing."""

    def work(connection: Connection) -> tuple[KeyRecord, list[Entry]]:
        _hold(connection, keyid)
        changed = connection.execute(
            "UPDATE key SET revoked = %s WHERE keyid = %s AND revoked IS NULL", [now, keyid]
        ).rowcount
        record = _get(connection, keyid)
        return record, [Entry("key.revoked", keyid, _detail(connection, keyid), now)] if changed else []

    return commit(database, work)


def add_credential(database: Database, *, digest: bytes, contributor: str, now: datetime) -> None:
    """Let the token with this SHA-256 speak for `contributor`."""

    def work(connection: Connection) -> tuple[None, list[Entry]]:
        added = connection.execute(
            "INSERT INTO credential (digest, contributor, created) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            [digest, contributor, now],
        ).rowcount
        if not added:
            return None, []
        row = one(connection.execute(f"{_CREDENTIAL} WHERE digest = %s", [digest]))
        return None, [Entry("credential.added", digest.hex(), _credential_detail(row), now)]

    commit(database, work)


def is_revoked(connection: Connection, keyid: str) -> bool:
    """Whether a key is revoked by now, or its holder disabled. Asked while the chain is held (`commit`'s `check`), the
    answer is final: either has its place in the same chain.
    """
    found = connection.execute(
        "SELECT FROM key k LEFT JOIN account a ON a.name = k.contributor"
        " WHERE k.keyid = %s AND (k.revoked IS NOT NULL OR a.disabled IS NOT NULL)",
        [keyid],
    )
    return found.rowcount > 0


def restated(connection: Connection, contributor: str, now: datetime) -> list[Entry]:
    """Entries of every key of a contributor whose role or trust was changed in this transaction: keys repeat both."""
    rows = connection.execute(f"{_DETAIL} WHERE k.contributor = %s ORDER BY k.keyid", [contributor]).fetchall()
    return [Entry("key.restated", row[0], _key_detail(row), now) for row in rows]


def revoke_credentials(database: Database, contributor: str, now: datetime) -> int:
    """Revoke every token of `contributor` at once; returns how many there were."""

    def work(connection: Connection) -> tuple[int, list[Entry]]:
        rows = connection.execute(
            "UPDATE credential SET revoked = %s WHERE contributor = %s AND revoked IS NULL"
            " RETURNING encode(digest, 'hex'), contributor, created, expires, revoked",
            [now, contributor],
        ).fetchall()
        return len(rows), [Entry("credential.revoked", row[0], _credential_detail(row), now) for row in sorted(rows)]

    return commit(database, work)


def account(database: Database, digest: bytes, now: datetime) -> Holder | None:
    """Whom a token's SHA-256 speaks for, or None when it is unknown, expired or revoked, or its account disabled."""
    with database.connection() as connection:
        row = connection.execute(
            "SELECT c.name, c.role, coalesce(r.scopes, '{}') FROM credential t"
            " JOIN contributor c ON c.name = t.contributor"
            " LEFT JOIN account a ON a.name = c.name LEFT JOIN role r ON r.name = c.role"
            " WHERE t.digest = %s AND t.revoked IS NULL AND (t.expires IS NULL OR t.expires > %s)"
            " AND a.disabled IS NULL",
            [digest, now],
        ).fetchone()
    return Holder(row[0], row[1], tuple(row[2])) if row else None


def _hold(connection: Connection, keyid: str) -> None:
    """Role and trust of the key's holder stay as they are until the transaction ends: its entry repeats them."""
    connection.execute(
        "SELECT FROM contributor WHERE name = (SELECT contributor FROM key WHERE keyid = %s) FOR SHARE", [keyid]
    )


def _use_up(connection: Connection, keyid: str, nonce: str, now: datetime) -> None:
    """Raises `BadRequest("nonce_replayed")` where a statement of this key and nonce was accepted before."""
    if nonce and not claim(connection, f"statement:{keyid}", nonce, now + _STATEMENT_LIFE):
        raise BadRequest("This statement was used already.", reason="nonce_replayed", hint="Sign a new one.")


def claim(connection: Connection, issuer: str, nonce: str, until: datetime) -> bool:
    """Whether nobody has used `nonce` of `issuer` before; it is used now. Durable once the transaction is."""
    return (
        connection.execute(
            "INSERT INTO used_nonce (issuer, nonce, expires) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            [issuer, nonce, until],
        ).rowcount
        > 0
    )


def _insert(connection: Connection, row: list[object]) -> None:
    try:
        connection.execute(
            "INSERT INTO key (keyid, contributor, public_key, created, comment) VALUES (%s, %s, %s, %s, %s)",
            row,
        )
    except psycopg.errors.UniqueViolation as error:
        raise BadRequest(
            f"Key {str(row[0])[:16]} is registered already.", reason="key_exists", hint="Generate a new one."
        ) from error


def _get(connection: Connection, keyid: str) -> KeyRecord:
    row = connection.execute(f"{_SELECT} WHERE k.keyid = %s", [keyid]).fetchone()
    if row is None:
        raise NotFound(f"There is no key {keyid[:16]}.", reason="unknown_key", hint="`spectra keys list` shows all.")
    return _record(row)


def details(database: Database) -> dict[str, dict[str, object]]:
    """What the newest provenance entry of each key and token has to say, by its subject: as the rows are now."""
    with database.connection() as connection:
        found = {row[0]: _key_detail(row) for row in connection.execute(_DETAIL)}
        return found | {row[0]: _credential_detail(row) for row in connection.execute(_CREDENTIAL)}


def strangers(database: Database) -> list[str]:
    """Contributors with neither a key nor an account: none can have come in by `register` or by an admin."""
    with database.connection() as connection:
        rows = connection.execute(
            "SELECT name FROM contributor c WHERE NOT EXISTS (SELECT FROM key WHERE contributor = c.name)"
            " AND NOT EXISTS (SELECT FROM account WHERE name = c.name) ORDER BY name"
        ).fetchall()
    return [row[0] for row in rows]


def _detail(connection: Connection, keyid: str) -> dict[str, object]:
    return _key_detail(one(connection.execute(f"{_DETAIL} WHERE k.keyid = %s", [keyid])))


def _key_detail(row: tuple[Any, ...]) -> dict[str, object]:
    keyid, contributor, role, trust, joined, public_key, created, expires, revoked, comment = row
    return {
        "keyid": keyid,
        "contributor": contributor,
        "role": role,
        "trust": f"{trust:.6g}",
        "joined": joined,
        "public_key": public_key,
        "created": created,
        "expires": expires,
        "revoked": revoked,
        "comment": comment,
    }


def _credential_detail(row: tuple[Any, ...]) -> dict[str, object]:
    digest, contributor, created, expires, revoked = row
    return {
        "digest": digest,
        "contributor": contributor,
        "created": created,
        "expires": expires,
        "revoked": revoked,
    }


def _record(row: tuple[Any, ...]) -> KeyRecord:
    keyid, contributor, role, public_key, created, expires, revoked, comment, disabled, scopes = row
    encoded = base64.b64encode(public_key).decode()
    status = _status(revoked=revoked, disabled=disabled, expires=expires)
    return KeyRecord(
        keyid, contributor, role, encoded, status, created, expires, revoked, comment, scopes=tuple(scopes)
    )


def _status(
    *, revoked: datetime | None, disabled: bool, expires: datetime | None
) -> Literal["active", "retiring", "revoked", "disabled"]:
    if revoked:
        return "revoked"
    if disabled:
        return "disabled"
    return "retiring" if expires else "active"
