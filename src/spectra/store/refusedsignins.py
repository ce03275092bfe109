"""Sign-ins that were refused, gathered: a record an account and hour, and few entries of the chain however many."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from spectra.store.database import Connection, Database
from spectra.store.provenance import Entry, commit

GATHERED: Final = timedelta(hours=1)
FIRST: Final = 5
"""Refusals within an hour before the first entry: people mistype."""
_TIMES: Final = 10


def note(database: Database, name: str, source: str, now: datetime) -> None:
    """Count a refused sign-in to `name`; names that nobody has are counted together.

    An entry is written at the 5th within an hour, the 50th, the 500th: with the count and where the last came from.
    """
    with database.connection() as connection:
        row = connection.execute(
            "INSERT INTO refused_sign_in AS r (account, since, count, source)"
            " SELECT coalesce((SELECT name FROM contributor WHERE name = %(name)s), ''), %(now)s, 1, %(source)s"
            " ON CONFLICT (account) DO UPDATE SET source = excluded.source,"
            " since = CASE WHEN r.since < %(old)s THEN excluded.since ELSE r.since END,"
            " count = CASE WHEN r.since < %(old)s THEN 1 ELSE least(r.count, 1000000000) + 1 END"
            " RETURNING account, since, count",
            {"name": name, "now": now, "source": source or None, "old": now - GATHERED},
        ).fetchone()
    if row is not None and _is_told(row[2]):
        account, since, count = row
        detail = {"account": account, "count": count, "since": since, "source": source}
        subject = f"signin:{account}"

        def work(_: Connection) -> tuple[None, list[Entry]]:
            return None, [Entry("signin.refused", subject, detail, now)]

        commit(database, work)


def _is_told(count: int) -> bool:
    while count > FIRST and count % _TIMES == 0:
        count //= _TIMES
    return count == FIRST
