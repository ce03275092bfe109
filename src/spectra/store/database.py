"""Connections, migrations and the one way in which database trouble becomes a Spectra error."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Generator
from importlib import resources
from typing import Any, LiteralString, cast

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, PoolTimeout

from spectra.errors import SetupError, Unavailable

Connection = psycopg.Connection[TupleRow]

_log = logging.getLogger("spectra.store")

MINIMUM_VERSION = 160000
_MIGRATION_LOCK = 0x5EC7_0001

# Trouble that a later, identical call may not have: the server is away, restarting or out of connections
# (https://www.postgresql.org/docs/current/errcodes-appendix.html).
_PASSING = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    PoolTimeout,
)


class Database:
    """A bounded pool of connections to one PostgreSQL database.

    `connection()` lends one in autocommit mode and turns passing trouble into `Unavailable`; `transaction()` lends one
    inside a transaction. Both wait at most `timeout_s` for a connection. Who holds one and needs a second borrows that
    with `aside()`, from a pool of its own: writers that each hold one and wait for another would wait forever.
    """

    def __init__(
        self, url: str, *, pool_size: int = 12, timeout_s: float = 30.0, statement_timeout_s: float = 60.0
    ) -> None:
        self.url = url
        options = (
            f"-c statement_timeout={int(statement_timeout_s * 1000)} -c timezone=UTC"
            " -c idle_in_transaction_session_timeout=300000 -c plan_cache_mode=force_custom_plan"
        )

        def pool(least: int, most: int, more: str) -> ConnectionPool[Connection]:
            return ConnectionPool(
                url,
                min_size=least,
                max_size=most,
                timeout=timeout_s,
                max_idle=300.0,
                reconnect_timeout=30.0,
                check=ConnectionPool.check_connection,
                kwargs={
                    "autocommit": True,
                    "connect_timeout": 5,
                    "application_name": "spectra",
                    "options": options + more,
                },
                open=False,
            )

        self._pool = pool(min(2, pool_size), pool_size, "")
        self._aside = pool(0, max(2, pool_size // 3), " -c synchronous_commit=off")

    def open(self) -> None:
        """Open the pool and wait for a first connection; raises `Unavailable`."""
        with unavailable():
            self._pool.open(wait=True, timeout=15.0)
            self._aside.open()

    def close(self) -> None:
        """Close every connection; a borrowed one is closed when it comes back."""
        self._aside.close(timeout=5.0)
        self._pool.close(timeout=5.0)

    @contextlib.contextmanager
    def connection(self) -> Generator[Connection]:
        """Lend a connection in autocommit mode."""
        with unavailable(), self._pool.connection() as connection:
            yield connection

    @contextlib.contextmanager
    def aside(self) -> Generator[Connection]:
        """Lend a second connection to who holds one already, for single statements that wait for no other connection.

        Autocommit, without waiting for the disk: a later commit's flush makes what is written here durable.
        """
        with unavailable(), self._aside.connection() as connection:
            yield connection

    @contextlib.contextmanager
    def transaction(self) -> Generator[Connection]:
        """Lend a connection inside a transaction that commits, with fsync, when the block ends well."""
        with self.connection() as connection, connection.transaction():
            yield connection

    def __enter__(self) -> Database:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextlib.contextmanager
def unavailable() -> Generator[None]:
    """Turn passing database trouble into `Unavailable`; everything else is a defect and stays what it is."""
    try:
        yield
    except psycopg.errors.ProgramLimitExceeded:  # an OperationalError, but it would be exceeded again
        raise
    except psycopg.errors.QueryCanceled as error:
        raise Unavailable(
            "The database took too long over this request.", reason="timeout", hint="Narrow it and try again."
        ) from error
    except psycopg.errors.DiskFull as error:
        raise Unavailable(
            "The database's disk is full; nothing of this request was stored.",
            reason="disk_full",
            hint="Free space, then send the same request again.",
        ) from error
    except (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected) as error:
        raise Unavailable(
            "Two writers met over the same hosts; nothing of this request was stored.",
            reason="conflict",
            hint="Send the same request again.",
        ) from error
    except _PASSING as error:
        raise Unavailable(
            "The database is away or restarting; nothing of this request was stored.",
            reason="database_away",
            hint="Send the same request again in a moment.",
        ) from error


def migrations() -> list[tuple[int, str, str]]:
    """The migrations of this release as (number, name, SQL), in order."""
    folder = resources.files("spectra.store") / "migrations"
    found = [(int(f.name[:4]), f.name, f.read_text("utf-8")) for f in folder.iterdir() if f.name.endswith(".sql")]
    return sorted(found)


def migrate(database: Database) -> list[str]:
    """Bring the schema up to date and return the names of the migrations applied.

    Several coordinators may start at once: an advisory lock lets one work while the others wait. A database that is
    ahead of this release is refused with `SetupError`, because writing to it could break what the newer one promised.
    """
    try:
        return _migrate(database)
    except psycopg.errors.InsufficientPrivilege as error:
        raise SetupError(
            f"The database role may not make what Spectra needs: {error.diag.message_primary}.",
            reason="database_privilege",
            hint="Let it own the database (ALTER DATABASE ... OWNER TO ...); CREATE EXTENSION vector as a superuser.",
        ) from error


def _migrate(database: Database) -> list[str]:
    with database.transaction() as connection:
        _check_server(connection)
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_MIGRATION_LOCK])
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migration"
            " (number int PRIMARY KEY, name text NOT NULL, applied timestamptz NOT NULL DEFAULT now())"
        )
        done = {int(row[0]) for row in connection.execute("SELECT number FROM schema_migration")}
        known = migrations()
        if done and max(done) > known[-1][0]:
            raise SetupError(
                f"The database is at schema {max(done)}, but this release knows only {known[-1][0]}.",
                reason="schema_ahead",
                hint="Start the newer release of Spectra that made it.",
            )
        fresh = [m for m in known if m[0] not in done]
        for number, name, text in fresh:
            # Our own files, not input: LiteralString is what psycopg asks of trusted text.
            connection.execute(sql.SQL(cast(LiteralString, text)))
            connection.execute("INSERT INTO schema_migration (number, name) VALUES (%s, %s)", [number, name])
    return [name for _, name, _ in fresh]


def _check_server(connection: Connection) -> None:
    if connection.info.server_version < MINIMUM_VERSION:
        raise SetupError(
            f"PostgreSQL {connection.info.server_version // 10000} is too old: 16 or newer is needed.",
            reason="server_too_old",
            hint="Point SPECTRA_DATABASE__URL at a newer server, or unset it to use the embedded one.",
        )
    found = connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'").fetchone()
    if found is None:
        raise SetupError(
            "The PostgreSQL server has no pgvector.",
            reason="no_pgvector",
            hint="Install its package (on Debian: postgresql-16-pgvector) on the server.",
        )
    if not one(connection.execute("SELECT lower('\u00c9') = '\u00e9'"))[0]:
        _log.warning(
            "in this database only ASCII letters are the same in upper and lower case: city:ÉVRY will not find Évry; "
            "one made with LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' (or any UTF-8 locale) does better"
        )


def server_version(database: Database) -> str:
    """The server's version, such as `18.4`."""
    with database.connection() as connection:
        return connection.info.parameter_status("server_version") or ""


def one(cursor: psycopg.Cursor[TupleRow]) -> tuple[Any, ...]:
    """The single row of a query that always has one."""
    row = cursor.fetchone()
    if row is None:
        raise AssertionError("a query that always answers gave no row")
    return row
