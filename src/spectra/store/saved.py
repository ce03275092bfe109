"""Searches that accounts keep under a name, each its own."""

from __future__ import annotations

from datetime import datetime

from spectra.errors import NotFound, SpectraError
from spectra.model.saved import MAX_SAVED, SavedSearch
from spectra.store.database import Database, one

_COLUMNS = "name, query, sort, created, changed"


def listed(database: Database, contributor: str) -> tuple[SavedSearch, ...]:
    """All that an account keeps, by name."""
    with database.connection() as connection:
        rows = connection.execute(
            f"SELECT {_COLUMNS} FROM saved_search WHERE contributor = %s ORDER BY lower(name), name", [contributor]
        )
        return tuple(SavedSearch(*row) for row in rows)


def of(database: Database, contributor: str, name: str) -> SavedSearch:
    """One of them; raises `NotFound`."""
    with database.connection() as connection:
        row = connection.execute(
            f"SELECT {_COLUMNS} FROM saved_search WHERE contributor = %s AND name = %s", [contributor, name]
        ).fetchone()
    if row is None:
        raise unknown(name)
    return SavedSearch(*row)


def keep(database: Database, contributor: str, name: str, query: str, *, sort: str, now: datetime) -> SavedSearch:
    """Keep a search, in the place of one of that name; raises `SpectraError` where there are too many."""
    with database.transaction() as connection:
        # Two at once would both find room for one.
        connection.execute("SELECT FROM contributor WHERE name = %s FOR UPDATE", [contributor])
        others = one(
            connection.execute(
                "SELECT count(*) FROM saved_search WHERE contributor = %s AND name <> %s", [contributor, name]
            )
        )[0]
        if others >= MAX_SAVED:
            raise SpectraError(
                f"You keep {MAX_SAVED} searches; there is no room for more.",
                reason="too_many_searches",
                hint="Remove one first.",
            )
        row = one(
            connection.execute(
                "INSERT INTO saved_search (contributor, name, query, sort, created, changed)"
                " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (contributor, name) DO UPDATE"
                f" SET query = excluded.query, sort = excluded.sort, changed = excluded.changed RETURNING {_COLUMNS}",
                [contributor, name, query, sort, now, now],
            )
        )
        return SavedSearch(*row)


def remove(database: Database, contributor: str, name: str) -> SavedSearch:
    """Forget one, which is returned; raises `NotFound`."""
    with database.connection() as connection:
        row = connection.execute(
            f"DELETE FROM saved_search WHERE contributor = %s AND name = %s RETURNING {_COLUMNS}", [contributor, name]
        ).fetchone()
    if row is None:
        raise unknown(name)
    return SavedSearch(*row)


def unknown(name: str) -> NotFound:
    """That the account keeps no search of that name."""
    return NotFound(f'You keep no search "{name[:60]}".', reason="unknown_search")
