"""The baseline: what it writes is what an ingest writes, so that it is a fair measure of the rest."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from spectra.bench import baseline, load
from spectra.bench.server import BenchServer
from spectra.engines.postgres import PostgresServer
from spectra.store.database import Database, migrate
from tests.support.postgres import database_url, embedded

__all__ = ["database_url", "embedded"]

pytestmark = [pytest.mark.engine, pytest.mark.slow]

COUNT = 120
FIRSTS = itertools.count(5_000_000, COUNT)  # hosts of each run's own: the measured server is shared

# Everything an ingest writes into these tables but the number of the observation, which the baseline has none of.
TABLES = {
    "host": "ip",
    "endpoint": "ip, port, protocol",
    "sighting": "ip, seen_at",
    "service": "id",
}
OWN = {"sighting": {"observation"}, "service": {"first_seen", "software", "words"}}  # naming writes the last two later


@pytest.fixture
def empty(database_url: str) -> Iterator[Database]:
    """A migrated database."""
    with Database(database_url, pool_size=2) as database:
        migrate(database)
        yield database


def rows(url: str, table: str) -> list[dict[str, Any]]:
    """All rows of a table, in order, with what only one side can have left out; times of now are left out too."""
    query = sql.SQL("SELECT to_jsonb(t) FROM {} t ORDER BY {}").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, TABLES[table].split(", ")))
    )
    with psycopg.connect(url) as connection:
        found = [row[0] for row in connection.execute(query)]
    return [{k: v for k, v in row.items() if k not in OWN.get(table, set())} for row in found]


def test_it_leaves_the_rows_that_an_ingest_leaves(server: BenchServer, empty: Database) -> None:
    """Host, endpoint, sighting and service, column by column."""
    first = next(FIRSTS)
    with load.client_of(server) as client:
        response = client.post("/v0/mesh/ingest", content=load.envelope(server.key, server.contributor, first, COUNT))
    assert response.status_code == 200
    baseline.merge(empty, [baseline.batch(first, 50), baseline.batch(first + 50, COUNT - 50)])
    ours = PostgresServer(server.data_dir).url
    addresses = {row["ip"] for row in rows(empty.url, "host")}
    services = {row["id"] for row in rows(empty.url, "service")}
    assert len(addresses) == COUNT
    for table in TABLES:
        ingested = [
            row
            for row in rows(ours, table)
            if (row["id"] in services if table == "service" else row["ip"] in addresses)
        ]
        assert ingested == rows(empty.url, table), table


def test_merging_again_only_adds_sightings(empty: Database) -> None:
    """As a second scan of the same hosts would."""
    batches = [baseline.batch(0, 30)]
    assert baseline.merge(empty, batches) > 0
    before = {table: len(rows(empty.url, table)) for table in TABLES}
    baseline.merge(empty, batches)
    after = {table: len(rows(empty.url, table)) for table in TABLES}
    assert after == before | {"sighting": 2 * before["sighting"]}
