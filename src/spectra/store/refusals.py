"""What machines tried and were refused, counted by what it was and who. Bounded, whoever tries however much."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple

from spectra.model.nodes import RefusalRecord
from spectra.store.database import Database

MAX_ROWS: Final = 1000
"""More than this, and the one that is longest ago is forgotten."""
MAX_KIND: Final = 60
MAX_WHO: Final = 100
MAX_DETAIL: Final = 300

_COUNT: Final = """
INSERT INTO node_refusal (kind, who, count, first, last, detail)
SELECT * FROM unnest(%s::text[], %s::text[], %s::int8[], %s::timestamptz[], %s::timestamptz[], %s::text[]) AS r
  (kind, who, count, first, last, detail) ORDER BY r.kind, r.who
ON CONFLICT (kind, who) DO UPDATE SET count = node_refusal.count + excluded.count,
  first = least(node_refusal.first, excluded.first), last = greatest(node_refusal.last, excluded.last),
  detail = CASE WHEN excluded.last >= node_refusal.last THEN excluded.detail ELSE node_refusal.detail END"""
_BOUND: Final = """
DELETE FROM node_refusal WHERE (kind, who) IN (
  SELECT kind, who FROM node_refusal ORDER BY last DESC, kind, who OFFSET %s FOR UPDATE SKIP LOCKED)"""


class Refused(NamedTuple):
    """Something that was refused `times` times, the last time at `at`. `who` is a node's name or an address."""

    kind: str
    who: str
    detail: str
    at: datetime
    times: int = 1


def count(database: Database, kind: str, who: str, detail: str, now: datetime, *, times: int = 1) -> None:
    """Count one refusal. Many at once cost less by `count_many`."""
    count_many(database, [Refused(kind, who, detail, now, times)])


def count_many(database: Database, refused: Iterable[Refused]) -> None:
    """Count refusals in one statement. Texts are cut, and what is no character of a text becomes a question mark."""
    rows: dict[tuple[str, str], tuple[int, datetime, datetime, str]] = {}
    for one in sorted(refused, key=lambda one: one.at):
        key = _plain(one.kind, MAX_KIND), _plain(one.who, MAX_WHO)
        times, first, _, _ = rows.get(key, (0, one.at, one.at, ""))
        rows[key] = times + one.times, first, one.at, _plain(one.detail, MAX_DETAIL)
    if not rows:
        return
    columns = [list(column) for column in zip(*((*key, *value) for key, value in rows.items()), strict=True)]
    with database.transaction() as connection:
        connection.execute("SET LOCAL synchronous_commit = off")
        connection.execute(_COUNT, columns)
        connection.execute(_BOUND, [MAX_ROWS])


def every(database: Database, *, kind: str = "", limit: int = MAX_ROWS) -> tuple[RefusalRecord, ...]:
    """The refusals, of one kind or all, the newest first."""
    with database.connection() as connection:
        rows = connection.execute(
            "SELECT kind, who, count, first, last, detail FROM node_refusal WHERE (%(kind)s = '' OR kind = %(kind)s)"
            " ORDER BY last DESC, kind, who LIMIT %(limit)s",
            {"kind": kind, "limit": limit},
        ).fetchall()
    return tuple(RefusalRecord(*row) for row in rows)


def _plain(text: str, longest: int) -> str:
    """`text` cut, without anything that is no character of a text: who is refused chooses it."""
    return "".join(c if c.isprintable() else "?" for c in text[:longest])
