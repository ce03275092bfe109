"""Where numbers come from: which tally answers which question, and what is read otherwise."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, LiteralString

import pytest

from spectra.model.query import parse
from spectra.store.database import Database
from spectra.store.filters import resolve
from spectra.store.populations import Population, everything
from spectra.store.tallies import snapshot
from tests.store.scribe import T0, Scribe, host, seen
from tests.store.test_tallies import PLACES, placed

pytestmark = pytest.mark.engine

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def town(database: Database, write: Scribe) -> Database:
    """Two hosts."""
    write(placed(host("192.0.2.1", T0, seen(80, "http", "nginx"), seen(22, "ssh")), PLACES[0]))
    write(placed(host("192.0.2.2", T0, seen(80, "http", "nginx")), PLACES[2]))
    return database


@pytest.mark.parametrize(
    ("q", "column", "facet", "source"),
    [
        ("", "service", "version", "services"),
        ("port:80 product:nginx", "service", "cpe", "services"),
        ("", "place", "city", "places"),
        ("country:FR city:Brest", "place", "asn", "places"),
        ("country:France", "place", "region", "places"),
        ("country:FR", "service", "product", "kinds"),
        ("product:nginx port:80", "place", "country", "kinds"),
        ("-country:FR service:http", "port", "port", "kinds"),
        ("country:France", "service", "product", None),
        ("country:FR", "service", "version", None),
        ("port:80", "place", "city", None),
        ("city:Brest", "service", "product", None),
        ("state:open port:80", "port", "port", None),
        ("since:2026-01-01", "port", "port", None),
        ("net:192.0.2.0/24", "port", "port", None),
        ("", "last_seen", "last_seen", None),
        ("", "banner", "title", None),
    ],
)
def test_the_first_tally_that_knows_it_all(town: Database, q: str, column: str, facet: str, source: str | None) -> None:
    """The terms and the facet decide; states, times and addresses are in none."""
    query = parse(q, NOW)
    with snapshot(town) as connection:
        rows = Population(connection, query, resolve(connection, query)).tallied({column}, {facet})
    assert (rows.source if rows else None) == source


def test_everything_is_every_open_endpoint(town: Database, write: Scribe) -> None:
    """With the log, and without what is closed."""
    write([host("192.0.2.3", T0, seen(80), seen(81, state="closed"))])
    with snapshot(town) as connection:
        assert everything(connection) == 4
        query = parse("", NOW)
        assert Population(connection, query, resolve(connection, query)).everything
        query = parse("port:80", NOW)
        assert not Population(connection, query, resolve(connection, query)).everything


def test_several_columns_are_counted_apart(town: Database) -> None:
    """In one pass: the rows of each column stand for all endpoints, and each has a value of that column alone."""
    query = parse("product:nginx", NOW)
    with snapshot(town) as connection:
        rows = next(Population(connection, query, resolve(connection, query)).reads(("port", "place"), exact=True))
        found: dict[str, list[Any]] = {}
        for column in rows.apart:
            counted: LiteralString = f"SELECT m.port, m.place IS NULL, sum(m.n)::int FROM ({rows.sql.sql}) m"
            statement: LiteralString = f"{counted} WHERE {rows.of(column)} GROUP BY 1, 2"
            found[column] = connection.execute(statement, rows.sql.params).fetchall()
    assert found == {"place": [(None, False, 2)], "port": [(80, True, 2)]}
    assert rows.of() == rows.of("place")
