"""When somebody last looked at what is new, so that they are told what came since."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from spectra.store.database import Database, one

VISIT: Final = timedelta(minutes=30)
"""Looks that are not further apart than this are one visit: what was new at its beginning stays so to its end."""
FIRST: Final = timedelta(days=1)
"""Who never looked is told what came within this."""

# Written once a minute at most, however often a page is fetched again.
_LOOK: Final = """
INSERT INTO look AS l (account, before, last) VALUES (%(account)s, %(first)s, %(now)s)
ON CONFLICT (account) DO UPDATE SET
  before = CASE WHEN excluded.last - l.last > %(visit)s THEN l.last ELSE l.before END,
  last = greatest(l.last, excluded.last)
WHERE excluded.last - l.last > interval '1 minute'"""
_DONE: Final = """
INSERT INTO look (account, before, last) VALUES (%(account)s, %(now)s, %(now)s)
ON CONFLICT (account) DO UPDATE SET before = excluded.before, last = excluded.last"""


def look(database: Database, account: str, now: datetime) -> datetime:
    """The account looks now; the moment since when things are new to it."""
    params = {"account": account, "now": now, "first": now - FIRST, "visit": VISIT}
    with database.transaction() as connection:
        connection.execute("SET LOCAL synchronous_commit = off")  # at worst something is new once more
        connection.execute(_LOOK, params)
        return one(connection.execute("SELECT before FROM look WHERE account = %s", [account]))[0]


def since(database: Database, account: str, now: datetime) -> datetime:
    """The same without looking."""
    with database.connection() as connection:
        row = connection.execute("SELECT before FROM look WHERE account = %s", [account]).fetchone()
    return row[0] if row else now - FIRST


def seen(database: Database, account: str, now: datetime) -> datetime:
    """The account has seen all that is new up to now."""
    with database.transaction() as connection:
        connection.execute(_DONE, {"account": account, "now": now})
    return now
