"""Decisions about findings are made and taken back here. Every change is an entry of the provenance chain, whose newest
says what the row of a decision is.

At most one decision stands for one target: a later one takes the place of the one that stood, which stays as removed.
Decisions are not about rows that a scan or a sync writes, so those leave them alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, LiteralString, NamedTuple
from uuid import UUID, uuid4

from spectra.errors import NotFound
from spectra.model.triage import DecisionRecord, Target, Verdict
from spectra.store.database import Connection, Database
from spectra.store.provenance import Entry, commit
from spectra.store.timeline import PROTOCOL_NAME, PROTOCOL_NUMBER

_LOCK: Final = 0x5EC7_0041
COLUMNS: LiteralString = (
    "t.id, t.cve, host(t.ip), t.port, t.protocol, t.cpe, t.status, t.justification, t.note, t.origin, t.until, t.at,"
    " t.by, t.removed, t.removed_by"
)
# In two parts, since no index holds for both.
_STANDING: LiteralString = f"""
WITH k AS (
  SELECT * FROM unnest(%(cves)s::text[], %(ips)s::inet[], %(ports)s::int4[], %(protocols)s::int2[], %(cpes)s::text[])
    WITH ORDINALITY AS k (cve, ip, port, protocol, cpe, n))
SELECT k.n, {COLUMNS} FROM k JOIN triage t ON t.cve = k.cve AND t.ip = k.ip AND t.port IS NOT DISTINCT FROM k.port
  AND t.protocol IS NOT DISTINCT FROM k.protocol AND t.cpe = k.cpe
WHERE t.removed IS NULL AND (t.until IS NULL OR t.until > %(now)s)
UNION ALL
SELECT k.n, {COLUMNS} FROM k JOIN triage t ON t.cve = k.cve AND t.ip IS NULL AND t.cpe = k.cpe
WHERE k.ip IS NULL AND t.removed IS NULL AND (t.until IS NULL OR t.until > %(now)s)"""
_INSERT: LiteralString = """
INSERT INTO triage (id, cve, ip, port, protocol, cpe, status, justification, note, origin, until, at, by)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""

Decision = tuple[Target, Verdict]


class Outcome(NamedTuple):
    """The decision that stands for a target now, those that it took the place of, and whether it stood before."""

    record: DecisionRecord
    replaced: tuple[DecisionRecord, ...] = ()
    unchanged: bool = False


def decide(
    database: Database,
    decisions: Sequence[Decision],
    *,
    by: str,
    now: datetime,
    within: Callable[[Connection], None] | None = None,
    keep: Callable[[DecisionRecord, Verdict], bool] | None = None,
) -> list[Outcome]:
    """Make decisions, no two about one target, all or none of them; their outcomes in order.

    What says the same as what stands is no change, and so is what `keep` answers true for, asked with the one that
    stands. `within` is called in the transaction before anything is written; what it raises undoes all.
    """

    def work(connection: Connection) -> tuple[list[Outcome], list[Entry]]:
        _alone(connection)
        if within:
            within(connection)
        stand = _standing(connection, [target for target, _ in decisions], now)
        outcomes: list[Outcome | None] = []
        made: list[tuple[UUID, Decision]] = []
        for number, (target, verdict) in enumerate(decisions):
            held = stand.get(number, [])
            if held and (_same(held[0], verdict) or (keep and keep(held[0], verdict))):
                outcomes.append(Outcome(held[0], unchanged=True))
                continue
            made.append((uuid4(), (target, verdict)))
            outcomes.append(None)
        replaced = {number: stand[number] for number, done in enumerate(outcomes) if not done and number in stand}
        gone = _remove(connection, [UUID(one.id) for held in replaced.values() for one in held], by, now)
        _insert(connection, made, by, now)
        rows = _rows(connection, [ident for ident, _ in made])
        new = iter([rows[ident] for ident, _ in made])
        found = [
            done or Outcome(record_of(next(new)), tuple(gone[one.id] for one in replaced.get(number, ())))
            for number, done in enumerate(outcomes)
        ]
        return found, [*_removals(connection, gone, now), *_entries("finding.triaged", rows, now)]

    return commit(database, work) if decisions else []


def take_back(database: Database, target: Target, *, by: str, now: datetime) -> DecisionRecord:
    """Take back the decision that stands for this very target. `NotFound` where none does."""

    def work(connection: Connection) -> tuple[DecisionRecord, list[Entry]]:
        _alone(connection)
        held = _standing(connection, [target], now).get(0, [])
        if not held:
            raise NotFound(
                f"No decision stands for {target}.", hint="`spectra findings decisions` lists those that stand."
            )
        gone = _remove(connection, [UUID(one.id) for one in held], by, now)
        return gone[held[0].id], _removals(connection, gone, now)

    return commit(database, work)


def remove(
    database: Database,
    ids: Sequence[UUID],
    *,
    by: str,
    now: datetime,
    within: Callable[[Connection], None] | None = None,
) -> list[DecisionRecord]:
    """Take back those of these decisions that were not removed before; `within` as in `decide`."""

    def work(connection: Connection) -> tuple[list[DecisionRecord], list[Entry]]:
        _alone(connection)
        if within:
            within(connection)
        gone = _remove(connection, ids, by, now)
        return list(gone.values()), _removals(connection, gone, now)

    return commit(database, work)


def details(database: Database) -> dict[str, dict[str, object]]:
    """What the newest provenance entry of each decision has to say, by its subject: as the rows are now."""
    with database.connection() as connection:
        return {row[0].hex: _told(row) for row in connection.execute(f"SELECT {COLUMNS} FROM triage t")}


def record_of(row: Sequence[Any]) -> DecisionRecord:
    """A row of `COLUMNS`."""
    ident, cve, ip, port, protocol, cpe, status, justification, note, origin, until, at, by, removed, removed_by = row
    target = Target(cve, ip or "", port, "" if protocol is None else PROTOCOL_NAME[protocol], cpe)
    return DecisionRecord(
        id=str(ident),
        cve=cve,
        status=status,
        at=at,
        by=by,
        ip=target.ip,
        port=port,
        protocol=target.protocol,
        cpe=cpe,
        justification=justification,
        note=note,
        origin=origin,
        until=until,
        scope=target.scope,
        removed=removed,
        removed_by=removed_by,
    )


def _alone(connection: Connection) -> None:
    """One writer of decisions at a time: two at once would both find that none stands."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def _standing(connection: Connection, targets: Sequence[Target], now: datetime) -> dict[int, list[DecisionRecord]]:
    """The decisions that stand for each target, by its place; the newest first."""
    words = {
        "cves": [t.cve for t in targets],
        "ips": [t.ip or None for t in targets],
        "ports": [t.port for t in targets],
        "protocols": [PROTOCOL_NUMBER[t.protocol] if t.protocol else None for t in targets],
        "cpes": [t.cpe for t in targets],
        "now": now,
    }
    found: dict[int, list[DecisionRecord]] = {}
    for n, *row in connection.execute(_STANDING, words):
        found.setdefault(n - 1, []).append(record_of(row))
    for held in found.values():
        held.sort(key=_newest)
    return found


def _newest(record: DecisionRecord) -> tuple[float, str]:
    return -record.at.timestamp(), record.id


def _same(record: DecisionRecord, verdict: Verdict) -> bool:
    return (record.status, record.note, record.justification, record.until) == verdict[:4]


def _insert(connection: Connection, made: Sequence[tuple[UUID, Decision]], by: str, now: datetime) -> None:
    rows = [
        (
            ident, t.cve, t.ip or None, t.port, PROTOCOL_NUMBER[t.protocol] if t.protocol else None, t.cpe,
            v.status, v.justification, v.note, v.origin, v.until and v.until.astimezone(UTC), now, by,
        )
        for ident, (t, v) in made
    ]  # fmt: skip
    with connection.cursor() as cursor:
        cursor.executemany(_INSERT, rows)


def _remove(connection: Connection, ids: Sequence[UUID], by: str, now: datetime) -> dict[str, DecisionRecord]:
    """Those that were removed by this, by id."""
    if not ids:
        return {}
    rows = connection.execute(
        f"""UPDATE triage t SET removed = %s, removed_by = %s WHERE t.id = ANY(%s) AND t.removed IS NULL
            RETURNING {COLUMNS}""",
        [now, by, list(ids)],
    )
    return {record.id: record for record in map(record_of, rows)}


def _removals(connection: Connection, gone: dict[str, DecisionRecord], now: datetime) -> list[Entry]:
    return _entries("finding.untriaged", _rows(connection, [UUID(ident) for ident in gone]), now)


def _rows(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, tuple[Any, ...]]:
    """As stored, in the order of `ids`."""
    found = connection.execute(f"SELECT {COLUMNS} FROM triage t WHERE t.id = ANY(%s)", [list(ids)]).fetchall()
    rows = {row[0]: row for row in found}
    return {ident: rows[ident] for ident in ids}


def _entries(kind: str, rows: dict[UUID, tuple[Any, ...]], now: datetime) -> list[Entry]:
    return [Entry(kind, ident.hex, _told(row), now) for ident, row in rows.items()]


def _told(row: tuple[Any, ...]) -> dict[str, object]:
    ident, cve, ip, port, protocol, cpe, status, justification, note, origin, until, at, by, removed, removed_by = row
    return {
        "triage_id": str(ident),
        "cve": cve,
        "ip": ip,
        "port": port,
        "protocol": protocol,
        "cpe": cpe,
        "status": status,
        "justification": justification,
        "note": note,
        "origin": origin,
        "until": until,
        "at": at,
        "by": by,
        "removed": removed,
        "removed_by": removed_by,
    }
