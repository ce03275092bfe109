"""How much disk the database takes."""

from __future__ import annotations

from spectra.store.database import Database, one


def database_bytes(database: Database) -> int:
    """Bytes of all files of this database."""
    with database.connection() as connection:
        return int(one(connection.execute("SELECT pg_database_size(current_database())"))[0])
