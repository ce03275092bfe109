"""What accounts contributed: endpoints made fresh by their accepted observations, one row an observation.

A row is written in the transaction that settles its observation, which happens once, and its entry in the provenance
chain tells the same number. The sums by day are kept beside it: they are what standings and the leaderboard read.
"""

from __future__ import annotations

from datetime import date
from typing import Final

import msgspec

from spectra.model.tiers import Day, Leaderboard, Policy, Ranked
from spectra.store import cursors
from spectra.store.database import Connection, Database

_COUNT: Final = """
WITH counted AS (
  INSERT INTO ledger (observation, fresh) VALUES (%(seq)s, %(fresh)s) ON CONFLICT DO NOTHING
  RETURNING observation, fresh)
INSERT INTO ledger_day AS d (contributor, day, observations, fresh)
SELECT o.contributor, (o.received AT TIME ZONE 'UTC')::date, 1, c.fresh
FROM counted c JOIN observation o ON o.seq = c.observation
ON CONFLICT (contributor, day) DO UPDATE SET observations = d.observations + 1, fresh = d.fresh + excluded.fresh"""

# Whose owner does not want to be on it is not, nor whoever was shut out: ranks are among those who are.
_LEADERS: Final = """
WITH summed AS (
  SELECT d.contributor AS name, sum(d.observations)::int8 AS observations,
         sum(CASE WHEN %(cap)s = 0 THEN d.fresh ELSE least(d.fresh, %(cap)s) END)::int8 AS fresh
  FROM ledger_day d
  WHERE d.day >= coalesce(%(since)s::date, '-infinity')
    AND NOT EXISTS (SELECT FROM tier t WHERE t.name = d.contributor AND NOT t.listed)
    AND NOT EXISTS (SELECT FROM account a WHERE a.name = d.contributor AND a.disabled IS NOT NULL)
  GROUP BY d.contributor),
ranked AS (SELECT rank() OVER (ORDER BY fresh DESC) AS rank, name, fresh, observations FROM summed)
SELECT rank, name, fresh, observations FROM ranked
WHERE %(fresh)s::int8 IS NULL OR fresh < %(fresh)s OR fresh = %(fresh)s AND name COLLATE "C" > %(name)s
ORDER BY fresh DESC, name COLLATE "C" LIMIT %(limit)s"""

_ALTERED: Final = """
WITH told AS (
  SELECT o.contributor, (o.received AT TIME ZONE 'UTC')::date AS day, count(*) AS observations, sum(l.fresh) AS fresh
  FROM ledger l LEFT JOIN observation o ON o.seq = l.observation GROUP BY 1, 2)
SELECT coalesce(contributor, 'nobody'), day FROM told FULL JOIN ledger_day d USING (contributor, day)
WHERE (told.observations, told.fresh) IS DISTINCT FROM (d.observations::int8, d.fresh::numeric)
ORDER BY day, contributor LIMIT 1"""


class _After(msgspec.Struct, array_like=True):
    """Where a page of the leaderboard ended."""

    since: date | None
    fresh: int
    name: str


def count(connection: Connection, seq: int, fresh: int) -> None:
    """Put `fresh` endpoints on the account of whose observation `seq` is, inside the transaction that settles it.

    Nothing is counted twice, nor is an observation that made nothing fresh. Locks the account's row of that day.
    """
    if fresh:
        connection.execute(_COUNT, {"seq": seq, "fresh": fresh})


def days(database: Database, contributor: str, since: date | None = None) -> tuple[Day, ...]:
    """What an account contributed, by day from `since` (ever) on."""
    with database.connection() as connection:
        rows = connection.execute(
            "SELECT day, observations, fresh FROM ledger_day"
            " WHERE contributor = %s AND day >= coalesce(%s::date, '-infinity') ORDER BY day",
            [contributor, since],
        ).fetchall()
    return tuple(Day(*row) for row in rows)


def leaderboard(
    database: Database, policy: Policy, *, since: date | None, cursor: str = "", limit: int = 100
) -> Leaderboard:
    """A page of the accounts that contributed since `since` (ever), the most first; raises `BadRequest` for a cursor
    of another list.
    """
    after = cursors.read(cursor, _After, "leaderboard") if cursor else None
    first = after.since if after else since
    with database.connection() as connection:
        rows = connection.execute(
            _LEADERS,
            {
                "cap": policy.daily_cap,
                "since": first,
                "fresh": after and after.fresh,
                "name": after.name if after else "",
                "limit": limit + 1,
            },
        ).fetchall()
    ranked = tuple(Ranked(*row) for row in rows[:limit])
    more = len(rows) > limit
    following = cursors.write(_After(first, ranked[-1].fresh, ranked[-1].account), "leaderboard") if more else ""
    return Leaderboard(ranked, first, following)


def altered(database: Database) -> str:
    """The first day's sum that is not what its observations say; empty when there is none."""
    with database.connection() as connection:
        row = connection.execute(_ALTERED).fetchone()
    return f"what {row[0]} contributed on {row[1] or 'no day'}" if row else ""
