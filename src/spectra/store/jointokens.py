"""Join tokens: who may come, as what, and who came. The tokens themselves are not kept, only their `jti`.

Every change is an entry of the provenance chain. A single-use token is used up in the transaction that records the
certificate it was good for (`nodes.enrol`), so of two machines with one token one gets in.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, LiteralString, NamedTuple

from spectra.errors import BadRequest, NotFound
from spectra.model.nodes import JoinTokenRecord, Role
from spectra.store import noderows
from spectra.store.accounts import Act
from spectra.store.database import Connection, Database, one
from spectra.store.provenance import Entry, commit

MAX_LISTED: Final = 1000
_SELECT: Final = "SELECT id, role, created, expires, created_by, name, reusable, used, revoked FROM join_token"
_OPEN: Final = "revoked IS NULL AND expires > %(now)s AND (reusable OR used = 0)"
_STALE: Final = 100


class NewToken(NamedTuple):
    """A token that was minted: `id` is its `jti`; `name` is empty for a reusable one, whose nodes choose theirs."""

    id: str
    role: Role
    expires: datetime
    name: str = ""
    reusable: bool = False


class Claim(NamedTuple):
    """What a token was good for. `repeated`: this very key came with it before."""

    role: Role
    reusable: bool
    created_by: str
    repeated: bool


def add(database: Database, new: NewToken, uri: str, act: Act) -> JoinTokenRecord:
    """Keep a token, and invite the node that it names, whose identity is `uri` (empty for a reusable one).

    Of unused tokens for one name the newest counts. The name may be of a node that has joined: the machine that comes
    takes its place. `BadRequest`: `node_revoked`, or `role_conflict` where that node has another role.
    """

    if new.reusable == bool(new.name):
        raise ValueError("a single-use token names its node, a reusable one names none")

    def work(connection: Connection) -> tuple[JoinTokenRecord, list[Entry]]:
        entries = _forget_stale(connection, act)
        if new.name:
            entries += _invite(connection, new, uri, act)
        connection.execute(
            "INSERT INTO join_token (id, role, name, reusable, created, created_by, expires)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [new.id, new.role, new.name, new.reusable, act.now, act.by, new.expires],
        )
        row = _row(connection, new.id)
        return JoinTokenRecord(*row), [*entries, _entry("join-token.added", row, act.now)]

    return commit(database, work)


def _invite(connection: Connection, new: NewToken, uri: str, act: Act) -> list[Entry]:
    if noderows.insert(connection, new.name, uri, role=new.role, standing="invited", by=act.by, now=act.now):
        return [noderows.entry(connection, "node.invited", new.name, act.now)]
    node = noderows.hold(connection, new.name)
    if node is None:
        raise noderows.taken(new.name)
    if node.standing == "revoked":
        raise noderows.gone(new.name)
    entries = revoke_open(connection, new.name, act.now)
    if node.role == new.role:
        return entries
    if node.standing != "invited":
        raise BadRequest(
            f"{new.name} is a {node.role}, not a {new.role}.",
            reason="role_conflict",
            field="role",
            hint="Choose another name, or its own role.",
        )
    connection.execute(
        "UPDATE node SET role = %s, by = %s, changed = nextval('node_change') WHERE name = %s",
        [new.role, act.by, new.name],
    )
    return [*entries, noderows.entry(connection, "node.invited", new.name, act.now)]


def find(database: Database, token_id: str) -> JoinTokenRecord | None:
    """The token of this id, whether it is still good or not."""
    with database.connection() as connection:
        row = connection.execute(f"{_SELECT} WHERE id = %s", [token_id]).fetchone()
    return JoinTokenRecord(*row) if row else None


def every(database: Database, now: datetime, *, all: bool = False) -> tuple[JoinTokenRecord, ...]:
    """The tokens that are still good, or all; the newest first, at most `MAX_LISTED`."""
    which = "" if all else f"WHERE {_OPEN}"
    with database.connection() as connection:
        rows = connection.execute(
            f"{_SELECT} {which} ORDER BY created DESC, id DESC LIMIT %(limit)s", {"now": now, "limit": MAX_LISTED}
        ).fetchall()
    return tuple(JoinTokenRecord(*row) for row in rows)


def revoke(database: Database, token_id: str, act: Act) -> JoinTokenRecord:
    """Let nobody in with this token from now on. A node that it invited, and that nobody came as, is none any more.

    Raises `NotFound`; revoking it again changes nothing.
    """

    def work(connection: Connection) -> tuple[JoinTokenRecord, list[Entry]]:
        # The node before the token, as everywhere.
        found = connection.execute("SELECT name FROM join_token WHERE id = %s", [token_id]).fetchone()
        if found is None:
            raise NotFound(
                f"There is no join token {token_id[:40]}.",
                reason="unknown_token",
                hint="`spectra node tokens` shows them.",
            )
        if found[0]:
            noderows.hold(connection, found[0])
        entries = _revoke(connection, "id = %(what)s", token_id, act.now)
        if found[0] and entries:
            entries += _withdraw(connection, found[0], act)
        return JoinTokenRecord(*_row(connection, token_id)), entries

    return commit(database, work)


def revoke_open(connection: Connection, name: str, now: datetime) -> list[Entry]:
    """Revoke the unused tokens for the node `name`; returns what has to be put on record."""
    return _revoke(connection, "name = %(what)s AND name <> '' AND used = 0", name, now)


def _revoke(connection: Connection, which: LiteralString, what: str, now: datetime) -> list[Entry]:
    rows = connection.execute(
        f"UPDATE join_token SET revoked = %(now)s WHERE {which} AND revoked IS NULL"
        " RETURNING id, role, created, expires, created_by, name, reusable, used, revoked",
        {"now": now, "what": what},
    ).fetchall()
    return [_entry("join-token.revoked", row, now) for row in sorted(rows)]


def _withdraw(connection: Connection, name: str, act: Act) -> list[Entry]:
    """The name is free again where nobody came, and nobody can come any more."""
    gone = connection.execute(
        "DELETE FROM node n WHERE name = %(name)s AND standing = 'invited' AND spki IS NULL"
        f" AND NOT EXISTS (SELECT FROM join_token WHERE name = n.name AND {_OPEN})",
        {"name": name, "now": act.now},
    ).rowcount
    return [noderows.removed(name, act.now, "the invitation was withdrawn")] if gone else []


def _forget_stale(connection: Connection, act: Act) -> list[Entry]:
    """Free a bounded number of names that somebody was invited by and did not come, a day after the token expired."""
    rows = connection.execute(
        "DELETE FROM node WHERE name IN (SELECT name FROM node n WHERE standing = 'invited' AND spki IS NULL"
        " AND NOT EXISTS (SELECT FROM join_token WHERE name = n.name AND expires > %s - interval '1 day')"
        " ORDER BY name LIMIT %s FOR UPDATE SKIP LOCKED) RETURNING name",
        [act.now, _STALE],
    ).fetchall()
    return [noderows.removed(row[0], act.now, "nobody came") for row in sorted(rows)]


def enrolled(database: Database, token_id: str, spki: str) -> str:
    """The name under which this very key enrolled with this token before; empty for never."""
    with database.connection() as connection:
        row = connection.execute(
            "SELECT node FROM join_token_use WHERE token = %s AND spki = %s", [token_id, spki]
        ).fetchone()
    return row[0] if row else ""


def peek(connection: Connection, token_id: str) -> str:
    """The name that the token is for; empty for a reusable one or none at all."""
    row = connection.execute("SELECT name FROM join_token WHERE id = %s", [token_id]).fetchone()
    return row[0] if row else ""


def claim(connection: Connection, token_id: str, spki: str, name: str, now: datetime) -> tuple[Claim, list[Entry]]:
    """Use a token up for the key `spki` of the node `name`; returns what has to be put on record, too.

    `BadRequest`: `unknown_token`, `token_revoked`, `token_expired`, `token_used`, or `name_mismatch` for a node that
    it is not for. Whoever comes again with the same key was not answered the first time, and is not counted again.
    """
    found = connection.execute(f"{_SELECT} WHERE id = %s FOR UPDATE", [token_id]).fetchone()
    if found is None:
        raise _refused("This join token was not made here.", "unknown_token")
    token = JoinTokenRecord(*found)
    if token.revoked:
        raise _refused("This join token was revoked.", "token_revoked")
    if token.expires <= now:
        raise _refused("This join token has expired.", "token_expired")
    came = connection.execute(
        "SELECT node FROM join_token_use WHERE token = %s AND spki = %s", [token_id, spki]
    ).fetchone()
    if token.used and not token.reusable and came is None:
        raise _refused("This join token was used already, by another machine.", "token_used")
    if name != (came[0] if came else token.name or name):
        raise _refused(f"This join token is not for {name}.", "name_mismatch")
    made = Claim(token.role, token.reusable, token.created_by, came is not None)
    if came:
        return made, []
    connection.execute("UPDATE join_token SET used = used + 1 WHERE id = %s", [token_id])
    return made, [_entry("join-token.used", _row(connection, token_id), now)]


def came(connection: Connection, token_id: str, spki: str, name: str) -> None:
    """Remember which node used a token, and with which key."""
    connection.execute(
        "INSERT INTO join_token_use (token, spki, node) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        [token_id, spki, name],
    )


def details(database: Database) -> dict[str, dict[str, object]]:
    """What the newest provenance entry of each token has to say, by its subject: as the rows are now."""
    with database.connection() as connection:
        return {_subject(row[0]): _told(row) for row in connection.execute(_SELECT)}


def _refused(message: str, reason: str) -> BadRequest:
    return BadRequest(message, reason=reason, hint="Ask for a new one: `spectra node token` on the coordinator.")


def _row(connection: Connection, token_id: str) -> tuple[Any, ...]:
    return one(connection.execute(f"{_SELECT} WHERE id = %s", [token_id]))


def _subject(token_id: str) -> str:
    return f"join-token:{token_id}"


def _entry(kind: str, row: tuple[Any, ...], now: datetime) -> Entry:
    return Entry(kind, _subject(row[0]), _told(row), now)


def _told(row: tuple[Any, ...]) -> dict[str, object]:
    token_id, role, created, expires, created_by, name, reusable, used, revoked = row
    return {
        "id": token_id,
        "role": role,
        "created": created,
        "expires": expires,
        "created_by": created_by,
        "name": name,
        "reusable": reusable,
        "used": used,
        "revoked": revoked,
    }
