"""Machines as far as work goes: what each said last of its room and spool, and whether it drains."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, cast, get_args

from spectra.errors import BadRequest
from spectra.model.presets import ScanTool
from spectra.model.work import WorkerRecord
from spectra.store import noderows
from spectra.store.accounts import Act
from spectra.store.database import Connection, Database, one
from spectra.store.provenance import Entry, commit

_TOOLS: Final[tuple[str, ...]] = get_args(ScanTool)
_ASKED: Final = """
INSERT INTO worker (node, slots, free, spooled, spooled_bytes, spool_full, last_asked)
SELECT h.*, %(now)s FROM unnest(%(node)s::text[], %(slots)s::int4[], %(free)s::int4[], %(spooled)s::int8[],
  %(spooled_bytes)s::int8[], %(spool_full)s::bool[]) AS h (node, slots, free, spooled, spooled_bytes, spool_full)
JOIN node n ON n.name = h.node AND n.standing <> 'revoked' ORDER BY h.node
ON CONFLICT (node) DO UPDATE SET slots = excluded.slots, free = excluded.free, spooled = excluded.spooled,
  spooled_bytes = excluded.spooled_bytes, spool_full = excluded.spool_full, last_asked = excluded.last_asked
WHERE coalesce(worker.last_asked, '-infinity') <= excluded.last_asked"""
_RECORD: Final = """
SELECT n.name, coalesce(w.slots, 0), coalesce(w.free, 0),
       (SELECT count(*) FROM lease l WHERE l.node = n.name AND l.ended IS NULL), coalesce(w.spooled, 0),
       coalesce(w.spooled_bytes, 0), coalesce(w.spool_full, false), coalesce(d.draining, false), coalesce(w.done, 0),
       coalesce(w.failed, 0), w.last_asked,
       ARRAY(SELECT t->>'name' FROM jsonb_array_elements(p.capabilities->'tools') t)
FROM node n LEFT JOIN worker w ON w.node = n.name LEFT JOIN worker_drain d ON d.node = n.name
LEFT JOIN node_presence p ON p.node = n.name
WHERE n.standing <> 'revoked' AND (w.node IS NOT NULL OR d.node IS NOT NULL)"""
_DETAIL: Final = "SELECT node, draining, changed, by FROM worker_drain"
_DRAIN: Final = """
INSERT INTO worker_drain (node, draining, changed, by) VALUES (%(node)s, %(on)s, %(now)s, %(by)s)
ON CONFLICT (node) DO UPDATE SET draining = excluded.draining, changed = excluded.changed, by = excluded.by
WHERE worker_drain.draining <> excluded.draining"""


class Asked(NamedTuple):
    """What a machine said of itself when it asked for work."""

    node: str
    slots: int
    free: int
    spooled: int = 0
    spooled_bytes: int = 0
    spool_full: bool = False


def asked(database: Database, said: Sequence[Asked], now: datetime) -> None:
    """Take in what machines said; of two from one node the last counts. Unknown and revoked names are left out.

    Not on record, and no disk is waited for.
    """
    last = {one_said.node: one_said for one_said in said}
    if not last:
        return
    columns = {name: [getattr(found, name) for found in last.values()] for name in Asked._fields}
    with database.transaction() as connection:
        connection.execute("SET LOCAL synchronous_commit = off")
        connection.execute(_ASKED, {**columns, "now": now})


def drain(database: Database, node: str, on: bool, act: Act) -> WorkerRecord:
    """Give a machine nothing new from now on, or (`on` False) again.

    Raises `NotFound("unknown_node")`, or `BadRequest`: `not_joined`, `node_revoked`.
    """

    def work(connection: Connection) -> tuple[WorkerRecord, list[Entry]]:
        row = noderows.hold(connection, node)
        if row is None:
            raise noderows.unknown(node)
        if row.standing == "revoked":
            raise noderows.gone(node)
        if row.standing == "invited":
            raise BadRequest(f"{node} has not joined.", reason="not_joined", field="name")
        if on or connection.execute("SELECT 1 FROM worker_drain WHERE node = %s", [node]).fetchone():
            changed = connection.execute(_DRAIN, {"node": node, "on": on, "now": act.now, "by": act.by}).rowcount
        else:
            changed = 0
        kind = "worker.drained" if on else "worker.undrained"
        record = _record(connection.execute(f"{_RECORD} AND n.name = %s", [node]).fetchone(), node)
        return record, [_entry(connection, kind, node, act.now)] if changed else []

    return commit(database, work)


def draining(database: Database) -> set[str]:
    """The machines that drain."""
    with database.connection() as connection:
        return {row[0] for row in connection.execute("SELECT node FROM worker_drain WHERE draining")}


def every(database: Database) -> tuple[WorkerRecord, ...]:
    """The machines that ever asked for work or were drained, without the revoked, by name."""
    with database.connection() as connection:
        return tuple(_record(row) for row in connection.execute(f"{_RECORD} ORDER BY n.name"))


def find(database: Database, node: str) -> WorkerRecord | None:
    """One of `every`."""
    with database.connection() as connection:
        row = connection.execute(f"{_RECORD} AND n.name = %s", [node]).fetchone()
    return _record(row) if row else None


def details(database: Database) -> dict[str, dict[str, object]]:
    """What the newest provenance entry of each machine that was drained has to say, as the rows are now."""
    with database.connection() as connection:
        return {_subject(row[0]): _told(row) for row in connection.execute(_DETAIL)}


def _entry(connection: Connection, kind: str, node: str, now: datetime) -> Entry:
    row = one(connection.execute(f"{_DETAIL} WHERE node = %s", [node]))
    return Entry(kind, _subject(node), _told(row), now)


def _subject(node: str) -> str:
    """What entries are about; those of the node itself are about its name."""
    return f"worker/{node}"


def _told(row: tuple[Any, ...]) -> dict[str, object]:
    return dict(zip(("node", "draining", "changed", "by"), row, strict=True))


def _record(row: tuple[Any, ...] | None, node: str = "") -> WorkerRecord:
    """The record of a row; of a machine without one, that nothing is known of it."""
    if row is None:
        return WorkerRecord(node, slots=0, free=0, running=0)
    *said, names = row
    has = {"connect", *names}
    return WorkerRecord(*said, tools=tuple(cast(ScanTool, tool) for tool in _TOOLS if tool in has))
