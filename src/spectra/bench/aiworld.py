"""What is measured of models and retrieval: hosts with real products in versions that real CVEs concern, and vectors.

All of it comes in as a user's would: feeds through the API, scans through the gate. Then the server ends, and what is
measured runs in this process on its database.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import psycopg

from spectra.ai.retrieval.context import Sources
from spectra.bench import feeds, hosts, wares
from spectra.bench.feeds import await_workflow
from spectra.bench.load import checked, client_of
from spectra.bench.saying import Say
from spectra.bench.server import serving
from spectra.bench.vulns import alone, evaluated
from spectra.engines.postgres import PostgresServer
from spectra.flow.judging import JUDGE
from spectra.flow.similar import Similar
from spectra.flow.vectorflow import Vectors
from spectra.model.summaries import Target
from spectra.store.blobs import BlobStore
from spectra.store.database import Database

_SETTINGS: Final = {"SPECTRA_EMBEDDINGS__URL": "", "SPECTRA_EMBEDDINGS__LOOK_EVERY_S": "0"}
_STATEMENT_S: Final = 3600.0


class World(NamedTuple):
    """A database, where facts come from in it, and how many hosts and CVEs it has."""

    database: Database
    sources: Sources
    hosts: int
    cves: int

    def target(self, number: int) -> Target:
        """The host of that number, from 0 on."""
        return Target("ip", hosts.address(number))


def build(data_dir: Path, files: Mapping[str, Path], n_services: int, tell: Say) -> int:
    """Fill the database in `data_dir` through a server of its own, which ends; returns how many hosts there are."""
    with serving(data_dir, _SETTINGS) as server:
        feeds.take(server, files, tell)
        url = PostgresServer(data_dir).url
        with client_of(server) as client, Database(url, pool_size=2, statement_timeout_s=_STATEMENT_S) as database:
            begun = checked(client.post("/v0/vulns/vectorize")).json()
            await_workflow(client, begun["workflow_id"], "vectors", tell)
            made = wares.services(wares.wares(database), n_services)
            tell(f"ingest of {len(made)} services")
            count = wares.submit(server, made, data_dir / "envelopes", lambda _: None)
            evaluated(database, len(made), tell)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
    return count


@contextmanager
def opened(data_dir: Path, count: int) -> Generator[World]:
    """The world in `data_dir` with its `count` hosts, while the block lasts."""
    with alone(data_dir) as database:
        vectors = Vectors(database, BlobStore.local(data_dir / "blobs"), clock=lambda: datetime.now(UTC))
        sources = Sources(database, Similar(vectors), JUDGE)
        yield World(database, sources, count, feeds.told(database))
