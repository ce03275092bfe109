"""How much the store holds."""

from __future__ import annotations

from typing import Final, LiteralString

from spectra.store.database import Connection, Database, one

EXACT_BELOW: Final = 100_000

_ROWS: Final[dict[str, LiteralString]] = {
    "hosts": "FROM host",
    "endpoints": "FROM endpoint WHERE state = 'o'",
    "services": "FROM service",
    "certificates": "FROM certificate",
    "observations": "FROM observation",
}


def counts(database: Database) -> dict[str, int]:
    """Hosts, endpoints (open ones), services, certificates and observations.

    Exact below about 100,000 rows. Above, counting would read a whole table for every status request, so the number is
    the planner's estimate: `pg_class.reltuples` scaled to the table's present size, and for open endpoints the share
    that the latest ANALYZE found (the server runs one by itself when some per cent have changed).
    """
    with database.connection() as connection:
        return {name: _count(connection, rows) for name, rows in _ROWS.items()}


def _count(connection: Connection, rows: LiteralString) -> int:
    plan = one(connection.execute(f"EXPLAIN (FORMAT JSON) SELECT {rows}"))[0]
    estimate = int(plan[0]["Plan"]["Plan Rows"])
    if estimate >= EXACT_BELOW:
        return estimate
    return one(connection.execute(f"SELECT count(*) {rows}"))[0]
