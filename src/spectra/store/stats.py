"""How much the store holds: hosts and endpoints from the tallies, the rest counted while that is cheap."""

from __future__ import annotations

from typing import Final, LiteralString

from spectra.model.facets import FeedInUse, Overview
from spectra.store.database import Connection, Database, one
from spectra.store.tallies import ENTRIES, snapshot

EXACT_BELOW: Final = 100_000

_ROWS: Final[dict[str, LiteralString]] = {
    "services": "FROM service",
    "certificates": "FROM certificate",
    "observations": "FROM observation",
}
_MORE: Final[dict[str, LiteralString]] = {"names": "FROM hostname", "places": "FROM place"}
_SEEN: LiteralString = "SELECT (SELECT min(last_seen) FROM endpoint), (SELECT max(last_seen) FROM endpoint)"
_FEEDS: LiteralString = "SELECT name, kind, version, updated FROM feed ORDER BY name"
_UNPLACED: LiteralString = f"""
SELECT coalesce(sum(hosts), 0) FROM (
  SELECT hosts FROM tally_place WHERE place IS NULL UNION ALL SELECT hosts FROM {ENTRIES} WHERE place IS NULL) t"""
_HELD: LiteralString = f"""
SELECT coalesce(sum(hosts), 0), coalesce(sum(endpoints), 0) FROM (
  SELECT hosts, endpoints FROM tally_area WHERE area = 'all' UNION ALL SELECT hosts, endpoints FROM {ENTRIES}) t"""


def counts(database: Database) -> dict[str, int]:
    """Hosts, endpoints (open ones), services, certificates and observations.

    Hosts and endpoints are exact, the others below about 100,000 rows. Above, counting would read a whole table for
    every status request, so the number is the planner's estimate: `pg_class.reltuples` scaled to the table's size.
    """
    with snapshot(database) as connection:
        return {**held(connection), **{name: _count(connection, rows) for name, rows in _ROWS.items()}}


def summary(database: Database) -> Overview:
    """What the graph holds, of one moment."""
    with snapshot(database) as connection:
        found = held(connection)
        rows = {name: _count(connection, rows) for name, rows in (_ROWS | _MORE).items()}
        unplaced = int(one(connection.execute(_UNPLACED))[0])
        oldest, newest = one(connection.execute(_SEEN))
        feeds = tuple(FeedInUse(*row) for row in connection.execute(_FEEDS))
        placed = found["hosts"] - unplaced
        return Overview(**found, **rows, hosts_placed=placed, oldest=oldest, newest=newest, feeds=feeds)


def held(connection: Connection) -> dict[str, int]:
    """Hosts and open endpoints, from the tallies; `connection` is a snapshot's."""
    hosts, endpoints = one(connection.execute(_HELD))
    return {"hosts": int(hosts), "endpoints": int(endpoints)}


def _count(connection: Connection, rows: LiteralString) -> int:
    plan = one(connection.execute(f"EXPLAIN (FORMAT JSON) SELECT {rows}"))[0]
    estimate = int(plan[0]["Plan"]["Plan Rows"])
    if estimate >= EXACT_BELOW:
        return estimate
    return one(connection.execute(f"SELECT count(*) {rows}"))[0]
