"""How many hosts that match lie in which network."""

from __future__ import annotations

from typing import Any, LiteralString

from spectra.model.query import Network, Query, Term
from spectra.model.space import MAX_BLOCKS, Block, Net, Space
from spectra.store.database import Connection, Database
from spectra.store.filters import resolve
from spectra.store.lookups import hurried
from spectra.store.populations import Population, Rows
from spectra.store.tallies import snapshot


def space(database: Database, query: Query, within: Net, prefix: int, *, exact: bool = False) -> Space:
    """The networks of `prefix` bits in `within` with hosts that match; `exact`: no estimate, however long it takes.

    Up to some 50,000 endpoints are counted, of more a sample is (`store.populations`).
    """
    inside = Network(str(within[0]), str(within[-1]))
    narrowed = Query((*query.terms, Term("net", (inside,))))
    with snapshot(database) as connection:
        wanted = resolve(connection, narrowed)
        if wanted.empty:
            return Space(str(within), prefix, (), 0, 0, exact=True)
        with hurried(connection, really=wanted.costly):
            return _counted(connection, Population(connection, narrowed, wanted), within, prefix, exact)


def _counted(connection: Connection, population: Population, within: Net, prefix: int, exact: bool) -> Space:
    for rows in population.reads(("ip",), exact=exact):
        found = _read(connection, rows, prefix)
        if rows.suffice(found[0][4] if found else 0):
            return _told(found, within, prefix, rows.scale)
    raise AssertionError


def _read(connection: Connection, rows: Rows, prefix: int) -> list[tuple[Any, ...]]:
    """The first address of each network, and its hosts; networks, hosts and endpoints of all of them."""
    by_host: LiteralString = f"SELECT m.ip, sum(m.n) AS n FROM ({rows.sql.sql}) m GROUP BY m.ip"
    counted: LiteralString = f"""
        SELECT host(b.net), b.hosts, b.networks, b.all_hosts, b.endpoints FROM (
          SELECT network(set_masklen(h.ip, %s::int4)) AS net, count(*) AS hosts, count(*) OVER () AS networks,
            sum(count(*)) OVER ()::int8 AS all_hosts, sum(sum(h.n)) OVER ()::int8 AS endpoints
          FROM ({by_host}) h GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %s) b ORDER BY b.net"""
    return connection.execute(counted, (prefix, *rows.sql.params, MAX_BLOCKS)).fetchall()


def _told(found: list[tuple[Any, ...]], within: Net, prefix: int, scale: float) -> Space:
    networks, hosts = (found[0][2], found[0][3]) if found else (0, 0)
    blocks = (Block(f"{row[0]}/{prefix}", max(round(row[1] * scale), 1)) for row in found)
    return Space(
        str(within),
        prefix,
        tuple(blocks),
        hosts=round(hosts * scale),
        left_out=networks - len(found),
        exact=scale == 1,
    )
