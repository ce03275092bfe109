"""The store's fixtures: a migrated database of each test's own, and a scribe that writes records into it.

Every test runs on the embedded PostgreSQL, and on the server that `SPECTRA_TEST_DATABASE_URL` names where it is set:
where everything is run, those of `tests.support.processes.ON_BOTH`.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from spectra.store.database import Database, migrate
from tests.store.scribe import Scribe
from tests.support.postgres import SERVER_URL, drop, embedded, in_database

__all__ = ["embedded"]

SERVERS = ["embedded", "server"] if os.environ.get(SERVER_URL) else ["embedded"]

_TEMPLATES: dict[str, str] = {}  # by the server's URL


@pytest.fixture(scope="session", params=SERVERS)
def store_server(request: pytest.FixtureRequest) -> str:
    """URL of a PostgreSQL on which databases may be made."""
    return request.getfixturevalue("embedded").url if request.param == "embedded" else os.environ[SERVER_URL]


@pytest.fixture(scope="session")
def migrated_template(store_server: str, request: pytest.FixtureRequest) -> str:
    """Name of a database with the schema, to be copied: that takes a fraction of migrating.

    Made once on each server, although the tests of every file change from one server to the other.
    """
    if store_server not in _TEMPLATES:
        name = _TEMPLATES[store_server] = f"spectra_template_{secrets.token_hex(6)}"
        with psycopg.connect(store_server, autocommit=True) as admin:
            admin.execute(sql.SQL("CREATE DATABASE {} ENCODING 'UTF8'").format(sql.Identifier(name)))
        with Database(in_database(store_server, name), pool_size=2) as database:
            migrate(database)
        if store_server == os.environ.get(SERVER_URL):  # an embedded one is gone by then, with all that was in it
            request.config.add_cleanup(lambda: drop(store_server, name))
    return _TEMPLATES[store_server]


@pytest.fixture
def database(store_server: str, migrated_template: str) -> Iterator[Database]:
    """A migrated database of the test's own."""
    name = f"spectra_store_{secrets.token_hex(6)}"
    with psycopg.connect(store_server, autocommit=True) as admin:
        made = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")  # without fsync a tenth of the default
        admin.execute(made.format(sql.Identifier(name), sql.Identifier(migrated_template)))
    try:
        with Database(in_database(store_server, name), pool_size=6) as database:
            yield database
    finally:
        drop(store_server, name)


@pytest.fixture
def write(database: Database) -> Scribe:
    """Writes records as one observation: `write([host(...)], at=..., contributor=..., scan_id=...)`."""
    return Scribe(database)
