"""How far coordinators have looked for what rules watch for, and what the chain tells beyond that.

One coordinator looks at a time: it holds the row of `alert_watch` until its look is committed with all that came of
it. What one began and did not finish is looked at again, by whoever comes next.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from spectra.store.database import Connection, Database, one

ENTRIES: Final = 500
"""Entries of the chain that one look takes at most."""
ENDPOINTS: Final = 20_000
"""Endpoints that their submissions tell of at most, but for a single one that tells of more."""
_PIECE: Final = 100
_SETTLED: Final = "observation.settled"
_TOLD: Final = ("session.begun", "signin.refused")
"""What is told by entries themselves."""


class Watch(NamedTuple):
    """Until where the chain was looked through: for what is seen (`seq`) and for weaknesses (`found`); `looked` is when
    there was a last look, `first`: this is the very first one.
    """

    seq: int
    found: int
    looked: datetime
    started: datetime
    first: bool = False


class Act(NamedTuple):
    """An entry that tells by itself."""

    kind: str
    subject: str
    at: datetime
    detail: dict[str, Any]


class Batch(NamedTuple):
    """The entries after `after` up to `upto`, the first of them written `at`: the submissions among them
    (`observation.seq`), and acts.
    """

    after: int
    upto: int
    at: datetime | None = None
    observations: tuple[int, ...] = ()
    acts: tuple[Act, ...] = ()
    more: bool = False
    endpoints: int = 0


class _Entry(msgspec.Struct):
    detail: dict[str, Any]


_entry = msgspec.json.Decoder(_Entry).decode


def behind(database: Database) -> bool:
    """Whether there is anything in the chain that was not looked at; cheap."""
    with database.connection() as connection:
        row = connection.execute(
            "SELECT coalesce((SELECT max(seq) FROM provenance), 0), (SELECT least(seq, found) FROM alert_watch)"
        ).fetchone()
    return row is None or row[1] is None or row[0] > row[1]


def begun(database: Database) -> bool:
    """Whether there was a look at all; cheap."""
    with database.connection() as connection:
        return one(connection.execute("SELECT EXISTS (SELECT FROM alert_watch)"))[0]


def hold(connection: Connection, now: datetime) -> Watch | None:
    """The watch, to oneself until the transaction ends; None where another coordinator has it. It begins with what
    comes after it was first held.
    """
    added = connection.execute(
        "INSERT INTO alert_watch (seq, found, looked, started)"
        " SELECT n, n, %(now)s, %(now)s FROM (SELECT coalesce(max(seq), 0) FROM provenance) head (n)"
        " ON CONFLICT DO NOTHING",
        {"now": now},
    ).rowcount
    row = connection.execute(
        "SELECT seq, found, looked, started FROM alert_watch FOR UPDATE SKIP LOCKED"
    ).fetchone()  # fmt: skip
    return Watch(*row, first=bool(added)) if row else None


def move(connection: Connection, *, seq: int, found: int, now: datetime) -> None:
    """It was looked until there."""
    connection.execute("UPDATE alert_watch SET seq = %s, found = %s, looked = %s", [seq, found, now])


def batch(connection: Connection, after: int, *, upto: int = 2**62, entries: int = ENTRIES) -> Batch:
    """The entries after `after`, `entries` of them at most."""
    rows = connection.execute(
        "SELECT p.seq, p.kind, p.subject, p.at::timestamptz, CASE WHEN p.kind = ANY(%s::text[]) THEN p.entry END,"
        " o.seq, coalesce((o.counts->>'endpoints')::int8, 0)"
        " FROM provenance p LEFT JOIN observation o ON p.kind = %s AND o.observation_id ="
        " CASE WHEN p.kind = %s THEN decode(p.subject, 'hex') END"
        " WHERE p.seq > %s AND p.seq <= %s ORDER BY p.seq LIMIT %s",
        [list(_TOLD), _SETTLED, _SETTLED, after, upto, entries],
    ).fetchall()
    if not rows:
        return Batch(after, after)
    kept, endpoints = _fitting([row[6] for row in rows])
    cut = rows[:kept]
    seen = tuple(dict.fromkeys(row[5] for row in cut if row[5] is not None))
    acts = tuple(Act(kind, subject, at, _entry(text).detail) for _, kind, subject, at, text, *_ in cut if text)
    more = len(rows) == entries or kept < len(rows)
    return Batch(after, cut[-1][0], cut[0][3], seen, acts, more, endpoints)


def _fitting(endpoints: Sequence[int]) -> tuple[int, int]:
    """How many of the first fit into one look, at least one, and how many endpoints that are."""
    total = 0
    for number, count in enumerate(endpoints):
        if number and total + count > ENDPOINTS:
            return number, total
        total += count
    return len(endpoints), total


class Piece(NamedTuple):
    """Submissions (`observation.seq`) that follow each other in the chain, after the entry `after`."""

    after: int
    observations: tuple[int, ...]
    endpoints: int


def pieces(connection: Connection, since: datetime, most: int) -> tuple[list[Piece], bool]:
    """The newest submissions that were received since then, at most `most`, in the order of the chain; and whether
    those are all.
    """
    rows = connection.execute(
        "SELECT p.seq, o.seq, coalesce((o.counts->>'endpoints')::int8, 0) FROM ("
        "  SELECT * FROM observation WHERE received >= %s AND status = 'merged'"
        "  ORDER BY received DESC, seq DESC LIMIT %s) o JOIN provenance p"
        " ON p.subject = encode(o.observation_id, 'hex') AND p.kind = %s ORDER BY p.seq",
        [since, most + 1, _SETTLED],
    ).fetchall()
    complete, rows = len(rows) <= most, rows[-most:]
    made: list[Piece] = []
    while rows:
        kept, endpoints = _fitting([row[2] for row in rows[:_PIECE]])
        made.append(Piece(rows[0][0] - 1, tuple(row[1] for row in rows[:kept]), endpoints))
        rows = rows[kept:]
    return made, complete


def acts(connection: Connection, since: datetime, most: int) -> list[Act]:
    """The newest entries that tell by themselves since then, oldest first."""
    rows = connection.execute(
        "SELECT kind, subject, at::timestamptz, entry FROM provenance"
        " WHERE NOT starts_with(kind, 'observation.') AND kind = ANY(%s::text[])"
        " AND at::timestamptz >= %s ORDER BY seq DESC LIMIT %s",
        [list(_TOLD), since, most],
    ).fetchall()
    return [Act(kind, subject, at, _entry(text).detail) for kind, subject, at, text in reversed(rows)]


def unready(connection: Connection, observations: Sequence[int]) -> bool:
    """Whether weaknesses of something that these submissions saw are still being looked for."""
    row = connection.execute(
        """SELECT EXISTS (
             SELECT FROM (SELECT DISTINCT unnest(s.services) FROM sighting s
                          WHERE s.observation = ANY(%s::int8[])) AS k (id)
             JOIN service v ON v.id = k.id LEFT JOIN software w ON w.id = v.software
             WHERE v.software IS NULL OR w.pending = 0)""",
        [list(observations)],
    ).fetchone()
    return bool(row and row[0])


def received(connection: Connection, observation: int) -> datetime:
    """When a submission (`observation.seq`) was received."""
    return one(connection.execute("SELECT received FROM observation WHERE seq = %s", [observation]))[0]
