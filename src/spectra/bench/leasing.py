"""What it costs to give one target to a machine while very many wait: the database alone, in a database of its own."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from typing import Final

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from spectra.bench.load import Spread, spread
from spectra.bench.server import BenchServer
from spectra.engines.postgres import PostgresServer
from spectra.errors import SpectraError
from spectra.model.presets import Preset
from spectra.model.work import Permission
from spectra.store import jobs, leases
from spectra.store.accounts import Act
from spectra.store.attempts import Terms
from spectra.store.database import Database, migrate
from spectra.store.jobs import NewJob, NewTarget
from spectra.store.leases import Asker

JOBS: Final = 100
_NODES: Final = 16
_SAMPLES: Final = 400
_WARM: Final = 20
_NAME: Final = "spectra_bench_work"
_PRESET: Final = Preset(name="bench", description="Nothing.", tools=("connect",))
_TERMS: Final = Terms(per_node=_SAMPLES)


def lease_ms(server: BenchServer, waiting: int, *, samples: int = _SAMPLES) -> Spread:
    """Milliseconds of `samples` leases, one after the other, with `waiting` targets of a hundred jobs."""
    with _scratch(server) as database:
        nodes = [f"n{n}" for n in range(_NODES)]
        fill(database, nodes, waiting)
        found: list[float] = []
        for n in range(samples + _WARM):
            asker = Asker(nodes[n % _NODES], ("connect", "nmap"))
            now, began = datetime.now(UTC), time.perf_counter()
            given = leases.lease(database, asker, _TERMS, now)
            found.append((time.perf_counter() - began) * 1000)
            if len(given) != 1:
                raise SpectraError(f"{asker.node} was given nothing.", reason="bench")
        return spread(found[_WARM:])


def fill(database: Database, nodes: list[str], waiting: int) -> None:
    """Members, and jobs of three priorities whose targets lie two to a network."""
    now = datetime.now(UTC)
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO node (name, uri, role, standing, by, created, joined)"
            " SELECT n, n, 'worker', 'active', 'bench', %(now)s, %(now)s FROM unnest(%(nodes)s::text[]) AS n",
            {"now": now, "nodes": nodes},
        )
    each = max(1, waiting // JOBS)
    for job in range(JOBS):
        new = NewJob("bench", "made up", _PRESET, "22", f"scan-{job}", Permission("bench", "made up", now), job % 3)
        jobs.create(database, new, _targets(job * each, each), Act("bench", now), max_waiting=2 * waiting + JOBS)
    with database.connection() as connection:
        connection.execute("ANALYZE")


def _targets(first: int, count: int) -> Iterator[NewTarget]:
    for number in range(first, first + count):
        network = f"10.{number >> 9 & 255}.{number >> 1 & 255}"
        yield NewTarget((f"{network}.{number & 1 or 2}",), f"{network}.0/24", 1)


@contextlib.contextmanager
def _scratch(server: BenchServer) -> Generator[Database]:
    """A database beside the server's own, so that nobody hands out what waits there."""
    own = PostgresServer(server.data_dir).url
    with psycopg.connect(own, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_NAME)))
        try:
            with Database(make_conninfo(own, dbname=_NAME), pool_size=2) as database:
                migrate(database)
                yield database
        finally:
            admin.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(_NAME)))
