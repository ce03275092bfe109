"""The hash chain of everything that was accepted, and the only way to commit something that belongs in it.

hash = SHA-256(previous hash || canonical entry || timestamp), the entry in the same transaction as what it tells of.
The canonical entry is the JSON object {"detail", "kind", "subject"}; the columns of those names are copies to look by.

A chain is one line, and a line could make every submission wait for the disk of the one before it. It does not: the
transaction commits *asynchronously* while it holds the chain's lock, which takes no disk, gives the lock up, and only
then waits until the WAL is on disk, together with everyone else who is waiting (group commit). The WAL is sequential,
so an entry is durable only if all before it are; nothing is acknowledged before its own flush. This is early lock
release (DeWitt et al. 1984; Johnson et al., "Aether", VLDB 2010); see docs/decisions/0004.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from spectra.model.envelope import canonical
from spectra.store.database import Connection, Database

GENESIS: Final = bytes(32)
_LOCK: Final = 0x5EC7_0002

_APPEND = """
WITH head AS (
  SELECT seq, hash FROM provenance ORDER BY seq DESC LIMIT 1),
line AS (
  SELECT coalesce((SELECT seq FROM head), 0) AS seq, coalesce((SELECT hash FROM head), %(genesis)s::bytea) AS hash)
INSERT INTO provenance (seq, hash, previous, at, kind, subject, entry)
SELECT seq + 1, sha256(hash || convert_to(%(entry)s, 'UTF8') || convert_to(%(at)s, 'UTF8')), hash,
       %(at)s, %(kind)s, %(subject)s, %(entry)s
FROM line"""

T = TypeVar("T")


class Entry(NamedTuple):
    """Something to be put on record: `detail` is made canonical, `subject` is what it is about (an id)."""

    kind: str
    subject: str
    detail: object
    at: datetime


class Link(NamedTuple):
    """An entry as stored."""

    seq: int
    hash: bytes
    previous: bytes
    at: str
    kind: str
    subject: str
    entry: str

    def expected_hash(self) -> bytes:
        """What `hash` has to be."""
        return hashlib.sha256(self.previous + self.entry.encode() + self.at.encode()).digest()

    def detail(self) -> dict[str, Any]:
        """What the entry says; `ValueError` where it is no entry or of another kind or subject than its columns say."""
        told = msgspec.json.decode(self.entry, type=_Told)
        if (told.kind, told.subject) != (self.kind, self.subject):
            raise ValueError("the entry is of another kind or subject than its columns say")
        return told.detail


class _Told(msgspec.Struct, forbid_unknown_fields=True):
    detail: dict[str, Any]
    kind: str
    subject: str


def timestamp(at: datetime) -> str:
    """The RFC 3339 text of `at` that goes into the hash."""
    return msgspec.to_builtins(at)


def commit(
    database: Database,
    work: Callable[[Connection], tuple[T, list[Entry]]],
    *,
    check: Callable[[Connection], None] | None = None,
) -> T:
    """Run `work` in a transaction, append its entries to the chain, commit, and return once that is on disk.

    `check` is called when the chain is held, just before the entries: what it finds is true at their place in the
    chain, however long `work` took. Whatever it raises undoes all.
    """
    with database.connection() as connection:
        try:
            with connection.transaction():
                connection.execute("SET LOCAL synchronous_commit = off")
                result, entries = work(connection)
                if entries:
                    connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
                if entries and check:
                    check(connection)
                for entry in entries:
                    _append(connection, entry)
        finally:
            if not connection.closed:
                connection.execute("SELECT pg_advisory_unlock_all()")
        _flush(connection)
    return result


def flush(database: Database) -> None:
    """Wait until all that is visible now is on disk: before telling somebody else that it was accepted."""
    with database.connection() as connection:
        _flush(connection)


def _flush(connection: Connection) -> None:
    # A commit of its own that has something to flush: it waits for the WAL up to here, and so for all before it.
    connection.execute("SELECT pg_logical_emit_message(true, 'spectra', '')")


def _append(connection: Connection, entry: Entry) -> None:
    connection.execute(
        _APPEND,
        {
            "genesis": GENESIS,
            "entry": canonical({"detail": entry.detail, "kind": entry.kind, "subject": entry.subject}).decode(),
            "at": timestamp(entry.at),
            "kind": entry.kind,
            "subject": entry.subject,
        },
    )


def head(database: Database) -> tuple[int, str]:
    """The number of entries and the hash (hex) of the newest."""
    with database.connection() as connection:
        row = connection.execute("SELECT seq, hash FROM provenance ORDER BY seq DESC LIMIT 1").fetchone()
    return (row[0], row[1].hex()) if row else (0, GENESIS.hex())


def links(database: Database, *, after: int = 0, page: int = 1000) -> Iterator[Link]:
    """All entries in order, a page at a time, so that a long walk holds no connection."""
    while True:
        with database.connection() as connection:
            rows = connection.execute(
                "SELECT seq, hash, previous, at, kind, subject, entry FROM provenance"
                " WHERE seq > %s ORDER BY seq LIMIT %s",
                [after, page],
            ).fetchall()
        if not rows:
            return
        yield from (Link(*row) for row in rows)
        after = rows[-1][0]
