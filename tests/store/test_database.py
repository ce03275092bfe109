"""Migrations lead to the schema, and every trouble of the database has one clear name."""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import Any, LiteralString, cast

import psycopg
import pytest
from psycopg import sql

from spectra.errors import SetupError, SpectraError, Unavailable
from spectra.store import database as module
from spectra.store.database import Database, migrate, migrations, one, server_version
from tests.support.own_server import own_server
from tests.support.postgres import drop, in_database

pytestmark = pytest.mark.engine

# Everything that makes up a schema, in names instead of object ids. `schema_migration` is the migrations' own book.
CATALOG: dict[str, LiteralString] = {
    "columns": """
        SELECT c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity::text,
               a.attgenerated::text, a.attstorage::text, a.attcompression::text, a.attstattarget, a.attcollation,
               pg_get_expr(d.adbin, d.adrelid)
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
        WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped""",
    "tables": """
        SELECT relname, relkind::text, relpersistence::text, reloptions, relreplident::text, relrowsecurity
        FROM pg_class WHERE relnamespace = 'public'::regnamespace""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, contype::text, pg_get_constraintdef(oid), convalidated
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace""",
    "indexes": """
        SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'""",
    "triggers": """
        SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal""",
    "functions": """
        SELECT proname, pg_get_function_arguments(p.oid) FROM pg_proc p
        WHERE pronamespace = 'public'::regnamespace
          AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = p.oid AND deptype = 'e')""",
    "extensions": "SELECT extname, extnamespace::regnamespace::text FROM pg_extension",
}


@contextlib.contextmanager
def empty_database(server: str) -> Generator[str]:
    """URL of a database without any table."""
    name = f"spectra_empty_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield in_database(server, name)
        finally:
            drop(server, name)


@pytest.fixture
def empty(store_server: str) -> Iterator[Database]:
    """A database without any table."""
    with empty_database(store_server) as url, Database(url, pool_size=4) as database:
        yield database


def catalog(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """What the schema of a database consists of."""
    with database.connection() as connection:
        found = {kind: connection.execute(query).fetchall() for kind, query in CATALOG.items()}
    return {
        kind: sorted((row for row in rows if not str(row[0]).startswith("schema_migration")), key=repr)
        for kind, rows in found.items()
    }


def test_the_migrations_lead_to_the_schema(database: Database, empty: Database) -> None:
    """A database brought up step by step has the very catalog of one made from schema.sql in one go."""
    text = (resources.files("spectra.store") / "schema.sql").read_text("utf-8")
    with empty.transaction() as connection:
        connection.execute(sql.SQL(cast(LiteralString, text)))
    made, migrated = catalog(empty), catalog(database)
    assert len(made["columns"]) > 100
    for kind in CATALOG:
        assert migrated[kind] == made[kind], kind


def test_migrating_again_changes_nothing(empty: Database) -> None:
    """The first call applies every migration in order, the second none."""
    assert migrate(empty) == [name for _, name, _ in migrations()]
    before = catalog(empty)
    assert migrate(empty) == []
    assert catalog(empty) == before


def test_two_coordinators_may_start_at_once(store_server: str) -> None:
    """Of two that migrate the same empty database at once one does it, the other waits and finds it done."""
    start = threading.Barrier(2)

    def run(url: str) -> list[str]:
        with Database(url, pool_size=2) as database:
            start.wait(30)
            return migrate(database)

    with empty_database(store_server) as url, ThreadPoolExecutor(2) as pool:
        applied = [future.result(60) for future in [pool.submit(run, url), pool.submit(run, url)]]
    assert sorted(applied) == [[], [name for _, name, _ in migrations()]]


def test_a_database_that_is_ahead_is_refused(database: Database) -> None:
    """A schema of a later release is left alone, and the message says which release to start."""
    with database.connection() as connection:
        connection.execute("INSERT INTO schema_migration (number, name) VALUES (9999, '9999_future.sql')")
    with pytest.raises(SetupError, match="schema 9999") as caught:
        migrate(database)
    assert caught.value.reason == "schema_ahead"


def test_a_role_that_may_not_make_tables_is_told(empty: Database) -> None:
    """What it needs, and no traceback."""
    with empty.connection() as connection:
        connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC, CURRENT_USER, pg_database_owner")
    with pytest.raises(SetupError, match="may not make") as caught:
        migrate(empty)
    assert caught.value.reason == "database_privilege"


def test_a_server_without_pgvector_is_refused() -> None:
    """Before anything is made, and with the package to install. The setting hides the extensions of PostgreSQL 18."""
    with own_server(extension_control_path="/nonexistent") as own, Database(own.url, pool_size=2) as database:
        with pytest.raises(SetupError, match="no pgvector") as caught:
            migrate(database)
        assert caught.value.reason == "no_pgvector"
        with database.connection() as connection:
            made = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        assert made == (0,)


@pytest.mark.parametrize(("locale", "warnings"), [("C", 1), ("C.UTF-8", 0)])
def test_a_database_that_knows_ascii_letters_alone_is_told(
    store_server: str, caplog: pytest.LogCaptureFixture, locale: str, warnings: int
) -> None:
    """It works, and names with accents have one spelling."""
    name = f"spectra_letters_{secrets.token_hex(6)}"
    create = sql.SQL("CREATE DATABASE {} ENCODING 'UTF8' LOCALE_PROVIDER libc LOCALE {} TEMPLATE template0")
    with psycopg.connect(store_server, autocommit=True) as admin:
        admin.execute(create.format(sql.Identifier(name), sql.Literal(locale)))
    try:
        # The role of a second server may not make the extension in a database that has none.
        with Database(in_database(store_server, name)) as database, contextlib.suppress(SetupError):
            migrate(database)
    finally:
        drop(store_server, name)
    assert len([r for r in caplog.records if "ASCII" in r.getMessage()]) == warnings


def test_a_server_that_is_too_old_is_refused(empty: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shown with the least version raised above the server's own, since no old one is at hand."""
    monkeypatch.setattr(module, "MINIMUM_VERSION", 990000)
    with pytest.raises(SetupError, match="is too old") as caught:
        migrate(empty)
    assert caught.value.reason == "server_too_old"


def raising(sqlstate: str) -> Callable[[Database], None]:
    """Has the server itself raise an error."""

    def work(database: Database) -> None:
        with database.connection() as connection:
            text = sql.SQL("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = {}; END $$").format(sqlstate)
            connection.execute(text)

    return work


def too_slow(database: Database) -> None:
    """Runs longer than this session's bound."""
    with database.transaction() as connection:
        connection.execute("SET LOCAL statement_timeout = 1")
        connection.execute("SELECT pg_sleep(30)")


def cut_off(database: Database) -> None:
    """Loses its connection in the middle of a transaction."""
    with database.transaction() as connection:
        with psycopg.connect(database.url, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(%s, 10000)", [connection.info.backend_pid])
        connection.execute("SELECT 1")


TROUBLE: dict[str, tuple[Callable[[Database], None], str]] = {
    "a statement over its time": (too_slow, "timeout"),
    "a lost connection": (cut_off, "database_away"),
    "a disk that is full": (raising("53100"), "disk_full"),
    "a deadlock": (raising("40P01"), "conflict"),
    "a serialization failure": (raising("40001"), "conflict"),
    "a server that shuts down": (raising("57P01"), "database_away"),
    "too many connections": (raising("53300"), "database_away"),
}


@pytest.mark.parametrize("name", TROUBLE)
def test_passing_trouble_is_unavailable(database: Database, name: str) -> None:
    """Trouble that a later call may not have is one retryable error with its reason, and a following call works."""
    work, reason = TROUBLE[name]
    with pytest.raises(Unavailable) as caught:
        work(database)
    assert caught.value.reason == reason
    assert caught.value.retryable
    assert caught.value.hint
    with database.connection() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("sqlstate", ["42P01", "23505", "22P02", "54000"])
def test_a_defect_stays_what_it_is(database: Database, sqlstate: str) -> None:
    """A missing table, a broken constraint, a wrong value, an exceeded limit: repeating the call would not help."""
    with pytest.raises(psycopg.Error) as caught:
        raising(sqlstate)(database)
    assert caught.value.sqlstate == sqlstate


def test_a_pool_that_is_used_up_is_unavailable(database: Database) -> None:
    """Who waits longer than the bound for a connection is told so, instead of waiting forever."""
    with Database(database.url, pool_size=1, timeout_s=0.2) as small, small.connection():
        with pytest.raises(Unavailable) as caught, small.connection():
            pytest.fail("there was no connection left")
        assert caught.value.reason == "database_away"
        with small.aside() as second:  # a pool of its own
            assert second.execute("SELECT 1").fetchone() == (1,)


def test_a_database_that_is_away_is_told_at_once(store_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening waits for a first connection, and not forever."""
    database = Database(in_database(store_server, "spectra_not_there"), pool_size=1)
    waited: list[float] = []
    pool_open = database._pool.open

    def hasty(*, wait: bool, timeout: float) -> None:
        waited.append(timeout)
        pool_open(wait=wait, timeout=0.5)

    monkeypatch.setattr(database._pool, "open", hasty)
    with pytest.raises(Unavailable):
        database.open()
    assert waited == [15.0]
    database.close()


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    """An error of ours passes through as it is and takes the writes with it."""

    def work() -> None:
        with database.transaction() as connection:
            connection.execute("INSERT INTO contributor (name, role, created) VALUES ('x', 'user', now())")
            raise SpectraError("ours")

    with pytest.raises(SpectraError, match="ours"):
        work()
    with database.connection() as connection:
        assert connection.execute("SELECT count(*) FROM contributor").fetchone() == (0,)


def test_the_version_is_told(database: Database) -> None:
    """`18.4` or the like."""
    assert int(server_version(database).split(".", maxsplit=1)[0]) >= 16


def test_one_insists(database: Database) -> None:
    """A query that always answers and does not is a defect."""
    with database.connection() as connection:
        assert one(connection.execute("SELECT 7")) == (7,)
        with pytest.raises(AssertionError):
            one(connection.execute("SELECT 7 WHERE false"))
