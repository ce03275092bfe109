"""Artefacts: files of attempts (logs, original outputs, captures). The bytes are blobs; what they belong to is here."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, LiteralString, NamedTuple, cast

import msgspec
from msgspec import Meta
from psycopg import sql

from spectra.errors import BadRequest, NotFound
from spectra.model.results import ArtefactClaim
from spectra.model.work import ArtefactRecord
from spectra.store import cursors
from spectra.store.database import Connection, Database
from spectra.store.targetrows import lease_id

_INSERT: Final = """
WITH whose AS (SELECT l.id, l.target, t.job FROM lease l JOIN target t ON t.num = l.target WHERE l.id = %(lease)s)
INSERT INTO artefact (lease, target, job, kind, name, media_type, sha256, size, created, observation)
SELECT w.id, w.target, w.job, r.kind, r.name, r.media_type, r.sha256, r.size, %(now)s, o.seq
FROM whose w CROSS JOIN unnest(%(kinds)s::text[], %(names)s::text[], %(types)s::text[], %(digests)s::bytea[],
  %(sizes)s::int8[], %(observations)s::bytea[]) WITH ORDINALITY
  AS r (kind, name, media_type, sha256, size, observation, n)
LEFT JOIN observation o ON o.observation_id = r.observation
ORDER BY r.n RETURNING num"""
_RECORD: Final = """
SELECT a.num, a.kind, a.name, a.media_type, encode(a.sha256, 'hex'), a.size, j.id, a.target, a.lease, l.node, a.created,
       j.scan_id, coalesce(encode(o.observation_id, 'hex'), '')
FROM artefact a JOIN lease l ON l.id = a.lease JOIN job j ON j.num = a.job
LEFT JOIN observation o ON o.seq = a.observation"""
# A file that is no observation's own output belongs to all observations of its lease.
_OF: Final = """(a.lease, a.num) IN (
  SELECT b.lease, f.num FROM result_observation b JOIN artefact f ON f.lease = b.lease
  WHERE {} AND coalesce(f.observation, b.observation) = b.observation)"""
_SAW: Final = _OF.format(
    "b.observation IN (SELECT s.observation FROM sighting s WHERE s.ip = %(host)s::inet"
    " AND s.seen_at BETWEEN %(seen_from)s AND %(seen_by)s)"
)
_NAMED: Final = _OF.format("b.observation = (SELECT seq FROM observation WHERE observation_id = %(observation)s)")


_DAWN_OF_TIME: Final = datetime.min.replace(tzinfo=UTC)
_END_OF_TIME: Final = datetime.max.replace(tzinfo=UTC)


class _Key(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a page ended."""

    num: Annotated[int, Meta(ge=0, le=2**63 - 1)]


class NewArtefact(NamedTuple):
    """An artefact whose bytes are stored. `observation_id` (hex): the one it is the output of; empty: of them all."""

    claim: ArtefactClaim
    observation_id: str = ""


def insert(connection: Connection, lease: str, artefacts: Sequence[NewArtefact], now: datetime) -> list[int]:
    """Keep the artefacts of a lease; returns their ids in order. Raises `NotFound("unknown_lease")`."""
    if not artefacts:
        return []
    claims = [artefact.claim for artefact in artefacts]
    made = connection.execute(
        _INSERT,
        {
            "lease": lease_id(lease),
            "now": now,
            "kinds": [claim.kind for claim in claims],
            "names": [claim.name for claim in claims],
            "types": [claim.media_type for claim in claims],
            "digests": [bytes.fromhex(claim.sha256) for claim in claims],
            "sizes": [claim.size for claim in claims],
            "observations": [bytes.fromhex(artefact.observation_id) for artefact in artefacts],
        },
    ).fetchall()
    if not made:
        raise NotFound(f"There is no lease {lease[:40]}.", reason="unknown_lease")
    return [row[0] for row in made]


def page(
    database: Database,
    *,
    job: str = "",
    target: int = 0,
    host: str = "",
    seen_from: datetime | None = None,
    seen_by: datetime | None = None,
    scan_id: str = "",
    observation_id: str = "",
    limit: int = 100,
    cursor: str = "",
) -> tuple[list[ArtefactRecord], str]:
    """Artefacts, newest first, and the cursor of the next page (empty: none); all that is given has to hold.

    A host's are those of the observations that saw it, from `seen_from` to `seen_by` where these are given: of a
    version of an endpoint from `since` to `confirmed`. Raises `BadRequest` naming `cursor` or `host`.
    """
    conditions = [
        *(["a.job = (SELECT num FROM job WHERE id = %(job)s)"] if job else []),
        *(["a.target = %(target)s"] if target else []),
        *(["a.job IN (SELECT num FROM job WHERE scan_id = %(scan_id)s)"] if scan_id else []),
        *([_SAW] if host else []),
        *([_NAMED] if observation_id else []),
    ]
    where = " AND ".join(["a.num < %(before)s", *conditions])
    with database.connection() as connection:
        rows = connection.execute(
            sql.SQL(cast(LiteralString, f"{_RECORD} WHERE {where} ORDER BY a.num DESC LIMIT %(limit)s")),
            {
                "before": cursors.read(cursor, _Key, "artefacts").num if cursor else 2**63 - 1,
                "job": job[:100],
                "target": target,
                "scan_id": scan_id,
                "host": _address(host) if host else None,
                "seen_from": seen_from or _DAWN_OF_TIME,
                "seen_by": seen_by or _END_OF_TIME,
                "observation": _digest(observation_id),
                "limit": limit + 1,
            },
        ).fetchall()
    more = cursors.write(_Key(rows[limit - 1][0]), "artefacts") if len(rows) > limit else ""
    return [_record(row) for row in rows[:limit]], more


def get(database: Database, number: int) -> ArtefactRecord:
    """The artefact of this id; raises `NotFound("unknown_artefact")`."""
    with database.connection() as connection:
        row = connection.execute(f"{_RECORD} WHERE a.num = %s", [number]).fetchone()
    if row is None:
        raise NotFound(f"There is no artefact {number}.", reason="unknown_artefact")
    return _record(row)


def _address(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError as error:
        raise BadRequest(f"{host[:60]} is no address.", field="host") from error


def _digest(observation_id: str) -> bytes:
    try:
        return bytes.fromhex(observation_id)
    except ValueError:
        return b""


def _record(row: tuple[Any, ...]) -> ArtefactRecord:
    num, kind, name, media_type, sha256, size, job, target, lease, node, created, scan_id, observation = row
    return ArtefactRecord(
        id=num,
        kind=kind,
        name=name,
        media_type=media_type,
        sha256=sha256,
        size=size,
        job=job,
        target=target,
        lease=lease.hex,
        node=node,
        created=created,
        scan_id=scan_id,
        observation_id=observation,
    )
