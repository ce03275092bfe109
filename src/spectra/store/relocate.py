"""Walking hosts and services whose facts rest on older feeds, and bringing them up to date a batch at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from spectra.model.observation import Service
from spectra.store.database import Connection, Database, one
from spectra.store.graph import LOCK
from spectra.store.rows import canonical_ip, encode

_BEGIN: Final = "0.0.0.0/0"  # before every address

# Locked in the order in which an ingest locks them. A host that was looked up in newer feeds meanwhile is left alone.
_MOVE_HOSTS: Final = """
WITH told AS MATERIALIZED (
  SELECT * FROM json_to_recordset(%(rows)s::json) AS r (ip inet, place uuid)),
held AS MATERIALIZED (
  SELECT h.ip, told.place, h.place IS DISTINCT FROM told.place AS elsewhere
  FROM told JOIN host h ON h.ip = told.ip WHERE h.feeds IS NULL OR h.feeds < %(feed_set)s
  ORDER BY h.ip FOR NO KEY UPDATE OF h),
moved AS (
  UPDATE host h SET place = held.place, feeds = %(feed_set)s FROM held WHERE h.ip = held.ip)
SELECT host(ip) FROM held WHERE elsewhere"""

# In a statement of its own, so that it sees the endpoints that others committed before the hosts could be locked.
_MOVE_ENDPOINTS: Final = """
UPDATE endpoint e SET place = h.place FROM host h
WHERE h.ip = e.ip AND h.ip = ANY(%s::inet[]) AND e.place IS DISTINCT FROM h.place"""


class Stale(NamedTuple):
    """A host that rests on older feeds, or on none."""

    ip: str
    place: UUID | None


def behind(database: Database, feed_set: int) -> int:
    """How many hosts rest on an older set than `feed_set`, or on none. Reads every host."""
    with database.connection() as connection:
        return one(connection.execute("SELECT count(*) FROM host WHERE feeds IS NULL OR feeds < %s", [feed_set]))[0]


def next_hosts(database: Database, after: str, feed_set: int, limit: int) -> list[Stale]:
    """The next hosts in order that rest on an older set than `feed_set`; `after` is the one before them, or empty."""
    with database.connection() as connection:
        rows = connection.execute(
            """SELECT host(ip), place FROM host WHERE ip > %s::inet AND (feeds IS NULL OR feeds < %s)
               ORDER BY ip LIMIT %s""",
            [after or _BEGIN, feed_set, limit],
        ).fetchall()
    return [Stale(canonical_ip(ip), place) for ip, place in rows]


def move(connection: Connection, places: Mapping[str, str | None], feed_set: int) -> int:
    """Set the places (ids, None: unknown) of these hosts and of all their endpoints; returns how many lay elsewhere.

    Takes part in the order of `GraphWriter`: one that works alone meets nobody in here.
    """
    connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", [LOCK])
    rows = [{"ip": ip, "place": place} for ip, place in places.items()]
    moved = connection.execute(_MOVE_HOSTS, {"rows": encode(rows).decode(), "feed_set": feed_set}).fetchall()
    if moved:
        connection.execute(_MOVE_ENDPOINTS, [[ip for (ip,) in moved]])
    return len(moved)


def next_services(database: Database, after: str, limit: int) -> list[tuple[str, Service, tuple[str, ...]]]:
    """The services after the id `after` ("": from the first) in order of id: id, service and CPE 2.3 names."""
    with database.connection() as connection:
        rows = connection.execute(
            """SELECT id, name, product, version, extra, os, device, tunnel, cpe, cpe23 FROM service
               WHERE id > %s::uuid ORDER BY id LIMIT %s""",
            [after or str(UUID(int=0)), limit],
        ).fetchall()
    return [_service(row) for row in rows]


def _service(row: tuple[Any, ...]) -> tuple[str, Service, tuple[str, ...]]:
    key, name, product, version, extra, os, device, tunnel, cpe, cpe23 = row
    return str(key), Service(name, product, version, extra, os, device, tunnel, tuple(cpe)), tuple(cpe23)


def rename(database: Database, names: Sequence[tuple[str, tuple[str, ...]]]) -> None:
    """Set the CPE 2.3 names of these services (ids), in their order."""
    rows = [{"id": key, "cpe23": cpe23} for key, cpe23 in names]
    with database.transaction() as connection:
        connection.execute(
            """UPDATE service s SET cpe23 = r.cpe23
               FROM json_to_recordset(%s::json) AS r (id uuid, cpe23 text[]) WHERE s.id = r.id""",
            [encode(rows).decode()],
        )
