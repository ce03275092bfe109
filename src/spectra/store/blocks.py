"""Networks and autonomous systems that may not use the API. Every change is an entry of the provenance chain."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from spectra.errors import BadRequest, NotFound
from spectra.model.limits import BlockRecord
from spectra.store.database import Connection, Database, one
from spectra.store.provenance import Entry, commit

_STANDING: Final = "removed IS NULL AND (until IS NULL OR until > %(now)s)"
_SELECT = "SELECT id, reason, added, added_by, net::text, asn, targets, until FROM block"
_DETAIL = "SELECT id, net::text, asn, reason, targets, added, added_by, until, removed, removed_by FROM block"


def add(
    database: Database,
    *,
    network: str = "",
    asn: int = 0,
    reason: str,
    by: str,
    now: datetime,
    until: datetime | None = None,
    targets: bool = False,
) -> BlockRecord:
    """Block a network (canonical CIDR) or an AS. `BadRequest` where the very same is blocked already."""

    def work(connection: Connection) -> tuple[BlockRecord, list[Entry]]:
        same = f"{_SELECT} WHERE net IS NOT DISTINCT FROM %(net)s::cidr AND asn IS NOT DISTINCT FROM %(asn)s::int8"
        words: dict[str, object] = {"net": network or None, "asn": asn or None, "now": now}
        if connection.execute(f"{same} AND {_STANDING}", words).fetchone():
            raise BadRequest(
                f"{network or f'AS{asn}'} is blocked already.",
                reason="block_exists",
                field="network" if network else "asn",
                hint="Remove that block first: `spectra block list` shows it.",
            )
        connection.execute(
            "INSERT INTO block (id, net, asn, reason, targets, added, added_by, until)"
            " VALUES (%(id)s, %(net)s, %(asn)s, %(reason)s, %(targets)s, %(now)s, %(by)s, %(until)s)",
            words | {"id": (block_id := uuid4()), "reason": reason, "targets": targets, "by": by, "until": until},
        )
        record = _record(one(connection.execute(f"{_SELECT} WHERE id = %s", [block_id])))
        return record, [Entry("block.added", block_id.hex, _detail(connection, block_id), now)]

    return commit(database, work)


def remove(database: Database, block_id: UUID, *, by: str, now: datetime) -> BlockRecord:
    """Take a block away; `NotFound` where there is none of this id, or none any more."""

    def work(connection: Connection) -> tuple[BlockRecord, list[Entry]]:
        changed = connection.execute(
            "UPDATE block SET removed = %s, removed_by = %s WHERE id = %s AND removed IS NULL", [now, by, block_id]
        ).rowcount
        if not changed:
            raise NotFound(f"There is no block {block_id}.", hint="`spectra block list` shows those that stand.")
        record = _record(one(connection.execute(f"{_SELECT} WHERE id = %s", [block_id])))
        return record, [Entry("block.removed", block_id.hex, _detail(connection, block_id), now)]

    return commit(database, work)


def standing(database: Database, now: datetime) -> tuple[BlockRecord, ...]:
    """The blocks in force at `now`, oldest first."""
    with database.connection() as connection:
        rows = connection.execute(f"{_SELECT} WHERE {_STANDING} ORDER BY added, id", {"now": now}).fetchall()
    return tuple(_record(row) for row in rows)


def details(database: Database) -> dict[str, dict[str, object]]:
    """What the newest provenance entry of each block has to say, by its subject: as the rows are now."""
    with database.connection() as connection:
        return {row[0].hex: _told(row) for row in connection.execute(_DETAIL)}


def _detail(connection: Connection, block_id: UUID) -> dict[str, object]:
    return _told(one(connection.execute(f"{_DETAIL} WHERE id = %s", [block_id])))


def _told(row: tuple[Any, ...]) -> dict[str, object]:
    block_id, network, asn, reason, targets, added, added_by, until, removed, removed_by = row
    return {
        "block_id": str(block_id),
        "network": network,
        "asn": asn,
        "reason": reason,
        "targets": targets,
        "added": added,
        "added_by": added_by,
        "until": until,
        "removed": removed,
        "removed_by": removed_by,
    }


def _record(row: tuple[Any, ...]) -> BlockRecord:
    block_id, reason, added, added_by, network, asn, targets, until = row
    return BlockRecord(str(block_id), reason, added, added_by, network or "", asn or 0, targets, until)
