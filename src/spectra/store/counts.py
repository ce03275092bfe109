"""How many endpoints match, and on how many hosts."""

from __future__ import annotations

from typing import LiteralString

from spectra.model.facets import Count
from spectra.model.query import Query
from spectra.store.database import Connection, Database, one
from spectra.store.filters import resolve
from spectra.store.lookups import hurried
from spectra.store.populations import Population, Rows, everything
from spectra.store.tallies import snapshot


def count(database: Database, query: Query, *, exact: bool = False) -> Count:
    """Exact for endpoints where a tally knows or few match, for hosts where few match; `exact`: whatever it takes.

    No tally knows on how many hosts something is open: two services may be on one host.
    """
    with snapshot(database) as connection:
        wanted = resolve(connection, query)
        if wanted.empty:
            return Count(0, 0, exact=True, hosts_exact=True)
        with hurried(connection, really=wanted.costly):
            return _count(connection, Population(connection, query, wanted), exact)


def _count(connection: Connection, population: Population, exact: bool) -> Count:
    known = _known(connection, population)
    for rows in population.reads(("ip",), exact=exact, known=known):
        endpoints, hosts = _read(connection, rows)
        if not rows.suffice(endpoints):
            continue
        if rows.scale == 1:
            return Count(endpoints, hosts, exact=True, hosts_exact=True)
        scale = rows.scale if known is None else known / endpoints
        total = round(endpoints * scale) if known is None else known
        return Count(total, round(hosts * scale), exact=known is not None, hosts_exact=False)
    raise AssertionError


def _known(connection: Connection, population: Population) -> int | None:
    if population.everything:
        return everything(connection)
    rows = population.tallied(())
    if rows is None:
        return None
    counted: LiteralString = f"SELECT sum(m.n) FROM ({rows.sql.sql}) m"
    return int(one(connection.execute(counted, rows.sql.params))[0] or 0)


def _read(connection: Connection, rows: Rows) -> tuple[int, int]:
    """Endpoints and hosts among `rows`; the endpoints of a host mostly share a page, so a sample has whole hosts."""
    statement: LiteralString = (
        f"SELECT sum(n), count(*) FROM (SELECT ip, sum(n) AS n FROM ({rows.sql.sql}) m GROUP BY ip) h"
    )
    endpoints, hosts = one(connection.execute(statement, rows.sql.params))
    return int(endpoints or 0), int(hosts)
