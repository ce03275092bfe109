"""A real PostgreSQL for tests: one embedded server for the session, and a fresh database for each test.

A conftest makes the fixtures known with `from tests.support.postgres import database_url, embedded` (or, in the root
one, `pytest_plugins = ["tests.support.postgres"]`). `SPECTRA_TEST_DATABASE_URL` names a second server, whose role may
create databases and has the `vector` extension at hand, and every test of `database_url` then runs on both.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql
from scripts.ci_postgres import roomy_memory

from spectra.engines.postgres import PostgresServer
from tests.support.waiting import eventually

SERVER_URL = "SPECTRA_TEST_DATABASE_URL"

_EMBEDDED: list[PostgresServer] = []


def reachable_folder(base: Path | None = None) -> Path:
    """A private new folder that the server's user can pass through; root's `tmp_path` lies behind a 0700 folder."""
    return Path(tempfile.mkdtemp(prefix="spectra-test-", dir=base))


@pytest.fixture(scope="session")
def embedded(request: pytest.FixtureRequest) -> PostgresServer:
    """One embedded server for the whole process, of little memory, stopped and removed at the end.

    Each conftest that makes it known makes a fixture of its own; the server is the same. Without fsync: only a power
    cut would need it, which no test makes, and each DROP DATABASE is a checkpoint.
    """
    if not _EMBEDDED:
        folder = reachable_folder(roomy_memory())
        extra = {"max_wal_size": "256MB", "min_wal_size": "64MB", "fsync": "off", "full_page_writes": "off"}
        server = PostgresServer(folder, shared_buffers_mb=64, extra=extra)
        _EMBEDDED.append(server)
        request.config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        request.config.add_cleanup(server.stop)  # the last one is called first
        server.start()
    return _EMBEDDED[0]


@pytest.fixture(params=["embedded", "server"])
def database_url(request: pytest.FixtureRequest) -> Generator[str]:
    """URL of a new, empty database (pgvector available or made), dropped after the test, on each kind of server."""
    if request.param == "embedded":
        base = request.getfixturevalue("embedded").url
    else:
        base = os.environ.get(SERVER_URL, "")
        if not base:
            pytest.skip(f"{SERVER_URL} names no server")
    name = f"spectra_test_{secrets.token_hex(6)}"
    _run(
        base,
        sql.SQL("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template1 STRATEGY FILE_COPY").format(
            sql.Identifier(name)
        ),
    )
    try:
        yield in_database(base, name)
    finally:
        drop(base, name)


def drop(server: str, name: str) -> None:
    """Drop a database and end who is in it. Autovacuum may be, which only a superuser may end: it leaves by itself."""
    statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))

    def dropped() -> bool:
        with contextlib.suppress(psycopg.errors.InsufficientPrivilege, psycopg.errors.ObjectInUse):
            _run(server, statement)
            return True
        return False

    eventually(dropped, 60)


def in_database(url: str, name: str) -> str:
    """`url` with another database name."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _run(url: str, statement: sql.Composed) -> None:
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
        connection.execute(statement)
