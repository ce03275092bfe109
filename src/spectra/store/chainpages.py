"""The provenance chain as people read it: page by page, and one entry with its neighbours.

Who may not read what those with privileges did (`told` is false) sees that there is an entry, of which kind and when,
and its hash; what it is about and what it says are left out.
"""

from __future__ import annotations

from typing import Final, LiteralString

from spectra.errors import NotFound
from spectra.model.chain import ChainEntry, ChainProof
from spectra.store.database import Connection, Database
from spectra.store.provenance import GENESIS, Link

OPEN: Final = "observation."
"""Entries of these kinds tell of submissions, which all readers of the chain may see."""

_COLUMNS: LiteralString = "SELECT seq, hash, previous, at, kind, subject, entry FROM provenance"
_IS_ACT: LiteralString = "NOT starts_with(kind, 'observation.')"
# The words of the index provenance_noun: a noun's entries are few, and stand among millions of submissions.
_NOUN: LiteralString = f"{_IS_ACT} AND split_part(kind, '.', 1) = %(noun)s AND (%(kind)s = %(noun)s OR kind = %(kind)s)"
_SUBMISSIONS: LiteralString = "starts_with(kind, %(kind)s)"
_OLDER: LiteralString = " AND seq < %(before)s ORDER BY seq DESC LIMIT %(limit)s"
_NEWER: LiteralString = " AND seq > %(after)s ORDER BY seq LIMIT %(limit)s"


def page(
    database: Database,
    *,
    kind: str = "",
    subject: str = "",
    before: int | None = None,
    after: int | None = None,
    limit: int = 100,
    told: bool = True,
) -> tuple[ChainEntry, ...]:
    """Entries newest first: those before a number of the chain, or the next after one. `kind` is one or a noun's."""
    where: LiteralString = " WHERE true"
    if kind:
        noun = kind.partition(".")[0]
        where += " AND " + (_SUBMISSIONS if noun == "observation" else _NOUN)
    if subject:
        where += " AND subject = %(subject)s"
        if not told:
            where += " AND starts_with(kind, 'observation.')"
    values = {
        "kind": kind,
        "noun": kind.partition(".")[0],
        "subject": subject,
        "before": 2**62 if before is None else before,
        "after": after,
        "limit": limit,
    }
    with database.connection() as connection:
        query = _COLUMNS + where + (_OLDER if after is None else _NEWER)
        rows = connection.execute(query, values).fetchall()
    found = [_entry(Link(*row), told=told) for row in rows]
    return tuple(found if after is None else reversed(found))


def one(database: Database, seq: int, *, told: bool = True) -> ChainProof:
    """An entry, and whether it holds: by itself, to the one before it and to the one after. Raises `NotFound`."""
    with database.connection() as connection:
        around = {link.seq: link for link in _around(connection, seq)}
    link = around.get(seq)
    if link is None:
        raise NotFound(f"The chain has no entry {seq}.", reason="unknown_entry")
    before, after = around.get(seq - 1), around.get(seq + 1)
    expected = before.hash if before else GENESIS if seq == 1 else b""
    return ChainProof(
        entry=_entry(link, told=told),
        text=link.entry if told or link.kind.startswith(OPEN) else "",
        hashes=link.hash == link.expected_hash(),
        follows=link.previous == expected,
        followed=None if after is None else after.previous == link.hash,
    )


def _around(connection: Connection, seq: int) -> list[Link]:
    rows = connection.execute(f"{_COLUMNS} WHERE seq BETWEEN %s AND %s ORDER BY seq", [seq - 1, seq + 1])
    return [Link(*row) for row in rows]


def _entry(link: Link, *, told: bool) -> ChainEntry:
    shown = told or link.kind.startswith(OPEN)
    return ChainEntry(
        seq=link.seq,
        at=link.at,
        kind=link.kind,
        hash=link.hash.hex(),
        previous=link.previous.hex(),
        subject=link.subject if shown else "",
        withheld=not shown,
    )
