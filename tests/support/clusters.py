"""PostgreSQL's folder as a first start leaves it: made once for all tests, copied to where a coordinator will start.

Nothing in it tells one mesh from another, for no coordinator ever ran on it: keys, accounts, CA and registrations are
made by the start itself, as are the configuration and the name of the cluster. Copies are made in memory where there is
room, as a thousand new files on a disk cost as much as making a database. What is about first starts goes without.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from scripts.ci_postgres import roomy_memory

from spectra.bench.server import BenchServer, scratch, serving
from spectra.engines.layout import Layout
from spectra.engines.postgres import PostgresServer
from spectra.store.database import Database, migrate
from tests.support.postgres import reachable_folder

_FOLDER = "TESTS_CLUSTERS"  # told by the process that began the tests to those that run them


def keep_clusters(config: pytest.Config) -> None:
    """Have a place for it until the tests end: one for all processes that run some of them."""
    if hasattr(config, "workerinput"):
        return
    folder = roomy_folder()
    folder.chmod(0o755)  # PostgreSQL's own account has to pass where the tests run as root
    os.environ[_FOLDER] = str(folder)
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def roomy_folder() -> Path:
    """`reachable_folder` in memory, where there is room."""
    return reachable_folder(roomy_memory())


def seed(data_dir: Path) -> None:
    """Copy it into a data folder without any, which is made if need be; outside of tests nothing is done."""
    cluster = Layout.of(data_dir).cluster
    if _FOLDER not in os.environ or cluster.exists():
        return
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    copy(Layout.of(once("cluster", _make)).cluster, cluster)


def copy(folder: Path, to: Path) -> None:
    """A folder with all that is in it and whose it is."""
    subprocess.run(["cp", "-a", str(folder), str(to)], check=True, timeout=60)


def once(name: str, make: Callable[[Path], None]) -> Path:
    """A folder that `make` fills for all processes: the first to ask makes it, the others wait."""
    folder = Path(os.environ[_FOLDER])
    made, making = folder / name, folder / f"{name}.making"
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(making, ignore_errors=True)  # of somebody who failed
            making.mkdir(mode=0o755)
            make(making)
            making.rename(made)
    return made


def _make(data_dir: Path) -> None:
    from dbos import run_dbos_database_migrations

    quick = {"fsync": "off", "full_page_writes": "off", "min_wal_size": "32MB", "max_wal_size": "64MB"}
    server = PostgresServer(data_dir, shared_buffers_mb=32, extra=quick)
    server.start()
    try:
        with Database(server.url, pool_size=2) as database:
            migrate(database)
        run_dbos_database_migrations(server.url.replace("postgresql://", "postgresql+psycopg://", 1))
    finally:
        server.stop()


# --- the same for the servers that a bench starts ---


@contextlib.contextmanager
def seeded_scratch() -> Generator[Path]:
    """`spectra.bench.server.scratch`, seeded."""
    with scratch() as data_dir:
        seed(data_dir)
        yield data_dir


@contextlib.contextmanager
def seeded_running() -> Generator[BenchServer]:
    """`spectra.bench.server.running` with a single start, which need not be measured without the first one."""
    with seeded_scratch() as data_dir, serving(data_dir) as one:
        yield one
