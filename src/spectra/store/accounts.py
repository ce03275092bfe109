"""Accounts and custom roles. Every change is an entry of the provenance chain, without any secret in it.

An account is a contributor; who only ever signed has no row in `account`. Role and trust stand in `contributor`, and
the entries of its keys repeat them: changing them puts new entries of every key on record too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

from spectra.errors import BadRequest, NotFound
from spectra.model.accounts import AccountRecord
from spectra.store import keys
from spectra.store.database import Connection, Database, one
from spectra.store.provenance import Entry, commit

_SELECT: Final = """
SELECT c.name, c.role, c.trust, c.created, a.disabled, coalesce(a.password, '') <> '',
       (SELECT count(*) FROM key k WHERE k.contributor = c.name AND k.revoked IS NULL)
FROM contributor c LEFT JOIN account a ON a.name = c.name"""
_DETAIL: Final = """
SELECT c.name, c.role, c.trust, c.created, a.disabled, a.password, a.password_at, a.changed, a.by
FROM account a JOIN contributor c ON c.name = a.name"""
_FIRST_LOCK: Final = 0x5EC7_0023
_ROLE: Final = "SELECT name, scopes, changed, by FROM role"

# How the row of an account is made where a contributor has none yet.
_UPSERT: Final = """
INSERT INTO account (name, changed, by) VALUES (%(name)s, %(now)s, %(by)s)
ON CONFLICT (name) DO UPDATE SET changed = excluded.changed, by = excluded.by"""


class Act(NamedTuple):
    """Who changes something, and when."""

    by: str
    now: datetime


class SignIn(NamedTuple):
    """What signing in has to know of an account; `scopes` are a custom role's."""

    role: str
    scopes: tuple[str, ...]
    password: str
    disabled: bool


def find(database: Database, name: str) -> AccountRecord | None:
    """The account of this name."""
    with database.connection() as connection:
        row = connection.execute(f"{_SELECT} WHERE c.name = %s", [name]).fetchone()
    return _record(row) if row else None


def get(database: Database, name: str) -> AccountRecord:
    """The account of this name; raises `NotFound`."""
    record = find(database, name)
    if record is None:
        raise _unknown(name)
    return record


def page(database: Database, *, after: str = "", limit: int = 100) -> tuple[AccountRecord, ...]:
    """Accounts by name (in code points), those after `after`."""
    with database.connection() as connection:
        rows = connection.execute(
            f'{_SELECT} WHERE c.name COLLATE "C" > %s ORDER BY c.name COLLATE "C" LIMIT %s', [after, limit]
        ).fetchall()
    return tuple(_record(row) for row in rows)


def sign_in(database: Database, name: str) -> SignIn | None:
    """What is known of `name`, which anybody may have made up."""
    with database.connection() as connection:
        row = connection.execute(
            "SELECT c.role, coalesce(r.scopes, '{}'), coalesce(a.password, ''), a.disabled IS NOT NULL"
            " FROM contributor c LEFT JOIN account a ON a.name = c.name LEFT JOIN role r ON r.name = c.role"
            " WHERE c.name = %s",
            [name],
        ).fetchone()
    return SignIn(row[0], tuple(row[1]), row[2], row[3]) if row else None


def create(database: Database, name: str, *, role: str, trust: float, password: str, act: Act) -> AccountRecord:
    """A new account; `password` is a hash or empty. Raises `BadRequest("account_exists")`."""

    return commit(database, lambda c: _created(c, name, role=role, trust=trust, password=password, act=act))


def _created(
    connection: Connection, name: str, *, role: str, trust: float, password: str, act: Act
) -> tuple[AccountRecord, list[Entry]]:
    added = connection.execute(
        "INSERT INTO contributor (name, role, trust, created) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        [name, role, trust, act.now],
    ).rowcount
    if not added:
        raise BadRequest(f"There is an account {name} already.", reason="account_exists", field="name")
    return _touched(connection, name, "account.created", act, password=password)


def create_first(
    database: Database, name: str, *, role: str, password: str, ticket: Callable[[Connection], bool], now: datetime
) -> AccountRecord | None:
    """The first account that has a password, made by itself; None where `ticket`, asked within the transaction, says
    no, or where somebody has a password already. Raises `BadRequest("account_exists")`.
    """

    def work(connection: Connection) -> tuple[AccountRecord | None, list[Entry]]:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_FIRST_LOCK])  # one at a time
        if not ticket(connection) or _anybody(connection):
            return None, []
        return _created(connection, name, role=role, trust=1.0, password=password, act=Act(name, now))

    return commit(database, work)


def anybody(database: Database) -> bool:
    """Whether anybody has a password."""
    with database.connection() as connection:
        return _anybody(connection)


def _anybody(connection: Connection) -> bool:
    return connection.execute("SELECT FROM account WHERE password <> '' LIMIT 1").fetchone() is not None


def change(
    database: Database, name: str, *, act: Act, role: str | None = None, trust: float | None = None
) -> AccountRecord:
    """Give an account another role or trust, from its next request on. What is as asked already is no change."""

    def work(connection: Connection) -> tuple[AccountRecord, list[Entry]]:
        changed = connection.execute(
            "UPDATE contributor SET role = coalesce(%(role)s, role), trust = coalesce(%(trust)s, trust)"
            " WHERE name = %(name)s AND (role <> coalesce(%(role)s, role)"
            " OR trust <> coalesce(%(trust)s::real, trust))",
            {"name": name, "role": role, "trust": trust},
        ).rowcount
        if not changed:
            return _get(connection, name), []
        record, entries = _touched(connection, name, "account.changed", act)
        return record, [*entries, *keys.restated(connection, name, act.now)]

    return commit(database, work)


def disable(database: Database, name: str, act: Act) -> AccountRecord:
    """Refuse an account's tokens, sessions and signatures from now on, until it is enabled again."""
    return _switch(database, name, "account.disabled", act, disabled=True)


def enable(database: Database, name: str, act: Act) -> AccountRecord:
    """Let a disabled account in again; its sessions have ended."""
    return _switch(database, name, "account.enabled", act, disabled=False)


def _switch(database: Database, name: str, kind: str, act: Act, *, disabled: bool) -> AccountRecord:
    def work(connection: Connection) -> tuple[AccountRecord, list[Entry]]:
        record = _get(connection, name, lock=True)
        if (record.disabled is not None) is disabled:
            return record, []
        record, entries = _touched(connection, name, kind, act, disabled=act.now if disabled else None)
        if disabled:
            end_sessions(connection, name, act.now)
        return record, entries

    return commit(database, work)


def set_password(database: Database, name: str, password: str, act: Act, *, keep: str = "") -> AccountRecord:
    """Another password hash, or none where it is empty. Ends every session of the account but `keep`."""

    def work(connection: Connection) -> tuple[AccountRecord, list[Entry]]:
        _get(connection, name, lock=True)
        end_sessions(connection, name, act.now, keep=keep)
        return _touched(connection, name, "account.password", act, password=password)

    return commit(database, work)


def rehash(database: Database, name: str, *, old: str, new: str, now: datetime) -> None:
    """Put a hash of newer parameters in the place of `old`, unless that was changed meanwhile."""

    def work(connection: Connection) -> tuple[None, list[Entry]]:
        changed = connection.execute(
            "UPDATE account SET password = %s WHERE name = %s AND password = %s", [new, name, old]
        ).rowcount
        return None, [_entry(connection, name, "account.rehashed", now)] if changed else []

    commit(database, work)


def end_sessions(connection: Connection, name: str, now: datetime, *, keep: str = "") -> None:
    """End the sessions of an account inside a transaction that tells why."""
    connection.execute(
        "UPDATE session SET revoked = %s WHERE contributor = %s AND revoked IS NULL AND id::text <> %s",
        [now, name, keep],
    )
    connection.execute("DELETE FROM ticket WHERE contributor = %s AND kind = 'sign-in'", [name])


def _touched(
    connection: Connection, name: str, kind: str, act: Act, **columns: object
) -> tuple[AccountRecord, list[Entry]]:
    """Write columns of an account's row, which is made if need be; the record as it is then, and the entry."""
    connection.execute(_UPSERT, {"name": name, "now": act.now, "by": act.by})
    if "disabled" in columns:
        connection.execute("UPDATE account SET disabled = %s WHERE name = %s", [columns["disabled"], name])
    if "password" in columns:
        connection.execute(
            "UPDATE account SET password = %(hash)s,"
            " password_at = CASE WHEN %(hash)s = '' THEN NULL ELSE %(now)s::timestamptz END WHERE name = %(name)s",
            {"hash": columns["password"], "now": act.now, "name": name},
        )
    return _get(connection, name), [_entry(connection, name, kind, act.now)]


# Roles ---------------------------------------------------------------------------------------------------------------


def roles(database: Database) -> dict[str, tuple[str, ...]]:
    """The custom roles and their scopes, by name."""
    with database.connection() as connection:
        rows = connection.execute(f"{_ROLE} ORDER BY name").fetchall()
    return {row[0]: tuple(row[1]) for row in rows}


def put_role(database: Database, name: str, scopes: Iterable[str], act: Act) -> None:
    """Define a role, or give it other scopes: for everybody who has it, from the next request on."""
    held = sorted(set(scopes))

    def work(connection: Connection) -> tuple[None, list[Entry]]:
        connection.execute(
            "INSERT INTO role (name, scopes, changed, by) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (name) DO UPDATE SET scopes = excluded.scopes, changed = excluded.changed, by = excluded.by",
            [name, held, act.now, act.by],
        )
        row = one(connection.execute(f"{_ROLE} WHERE name = %s", [name]))
        return None, [Entry("role.defined", f"role:{name}", _role_detail(row), act.now)]

    commit(database, work)


def remove_role(database: Database, name: str, act: Act) -> None:
    """Remove a role that nobody has. Raises `NotFound`, `BadRequest("role_in_use")`."""

    def work(connection: Connection) -> tuple[None, list[Entry]]:
        if connection.execute("SELECT FROM contributor WHERE role = %s LIMIT 1", [name]).fetchone() is not None:
            raise BadRequest(f"Accounts have the role {name}.", reason="role_in_use", hint="Give them another first.")
        if not connection.execute("DELETE FROM role WHERE name = %s", [name]).rowcount:
            raise NotFound(f"There is no role {name} of your own.", reason="unknown_role")
        return None, [Entry("role.removed", f"role:{name}", {"role": name, "by": act.by}, act.now)]

    commit(database, work)


# For the audit -------------------------------------------------------------------------------------------------------


def details(database: Database) -> dict[str, dict[str, object]]:
    """What the newest provenance entry of each account and role has to say, by its subject: as the rows are now."""
    with database.connection() as connection:
        accounts = {f"account:{row[0]}": _detail(row) for row in connection.execute(_DETAIL)}
        return accounts | {f"role:{row[0]}": _role_detail(row) for row in connection.execute(_ROLE)}


def _entry(connection: Connection, name: str, kind: str, now: datetime) -> Entry:
    row = one(connection.execute(f"{_DETAIL} WHERE a.name = %s", [name]))
    return Entry(kind, f"account:{name}", _detail(row), now)


def _detail(row: tuple[Any, ...]) -> dict[str, object]:
    """`password` is the SHA-256 of the salted hash: it says whether that was exchanged, and nothing else."""
    name, role, trust, created, disabled, password, password_at, changed, by = row
    return {
        "account": name,
        "role": role,
        "trust": f"{trust:.6g}",
        "joined": created,
        "disabled": disabled,
        "password": hashlib.sha256(password.encode()).hexdigest() if password else "",
        "password_at": password_at,
        "changed": changed,
        "by": by,
    }


def _role_detail(row: tuple[Any, ...]) -> dict[str, object]:
    name, scopes, changed, by = row
    return {"role": name, "scopes": scopes, "changed": changed, "by": by}


def _get(connection: Connection, name: str, *, lock: bool = False) -> AccountRecord:
    if lock:
        connection.execute("SELECT FROM contributor WHERE name = %s FOR UPDATE", [name])
    row = connection.execute(f"{_SELECT} WHERE c.name = %s", [name]).fetchone()
    if row is None:
        raise _unknown(name)
    return _record(row)


def _unknown(name: str) -> NotFound:
    return NotFound(f"There is no account {name}.", reason="unknown_account", hint="`spectra accounts list` shows all.")


def _record(row: tuple[Any, ...]) -> AccountRecord:
    name, role, trust, created, disabled, password, n_keys = row
    return AccountRecord(
        name=name,
        role=role,
        trust=float(f"{trust:.6g}"),
        created=created,
        status="disabled" if disabled else "active",
        disabled=disabled,
        password=password,
        keys=n_keys,
    )
