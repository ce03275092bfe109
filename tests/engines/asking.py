"""What tests ask a server."""

from __future__ import annotations

import psycopg

# Runs until it is told to end, without ever waiting where the death of the postmaster would be noticed.
BUSY = b"SELECT count(*) FROM generate_series(1, 1000000000000)"


def put_rows(url: str, count: int = 100) -> None:
    """Commit `count` rows to a table `kept`."""
    with psycopg.connect(url, connect_timeout=10) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, %s::int) AS n", (count,))


def value(url: str, query: str) -> object:
    """The one value a query answers."""
    with psycopg.connect(url, connect_timeout=10) as connection:
        row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None


def kept(url: str) -> object:
    """How many rows `put_rows` left."""
    return value(url, "SELECT count(*) FROM kept")
