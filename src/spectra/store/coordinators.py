"""The coordinators that share this database, by their beats."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from spectra.store.database import Database

_KEPT: Final = timedelta(days=1)


class Coordinator(NamedTuple):
    """A coordinator, and the https URL of its mesh listener (empty: none)."""

    name: str
    api_url: str


def beat(database: Database, name: str, api_url: str, now: datetime) -> None:
    """`name` is alive at `now`; those that were not for a day are forgotten."""
    with database.transaction() as connection:
        connection.execute("SET LOCAL synchronous_commit = off")  # the next one comes in a few seconds
        made = connection.execute(
            "INSERT INTO coordinator (name, api_url, at) VALUES (%s, %s, %s) ON CONFLICT (name)"
            " DO UPDATE SET api_url = excluded.api_url, at = excluded.at RETURNING xmax = 0",
            [name, api_url, now],
        ).fetchone()
        if made and made[0]:
            connection.execute("DELETE FROM coordinator WHERE at < %s", [now - _KEPT])


def alive(database: Database, now: datetime, within_s: float) -> list[Coordinator]:
    """The coordinators that were alive within the last `within_s` seconds, by name."""
    with database.connection() as connection:
        rows = connection.execute(
            "SELECT name, api_url FROM coordinator WHERE at >= %s ORDER BY name", [now - timedelta(seconds=within_s)]
        ).fetchall()
    return [Coordinator(*row) for row in rows]


def gone(database: Database, name: str) -> None:
    """`name` has ended in good order: its workflows may be resumed at once."""
    with database.connection() as connection:
        connection.execute("DELETE FROM coordinator WHERE name = %s", [name])
