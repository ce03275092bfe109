"""Budgets of a day (UTC) of language models: of each account and each provider, one truth for every coordinator.

What a request may take at most is held back before it is sent, so that many at once cannot take more together than is
left. What it did take is told by `aicalls.record`, in the place of that; where a coordinator dies in between, what was
held back is given back after a while.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Final, Literal, NamedTuple
from uuid import UUID, uuid4

from spectra.store.database import Database, one

HELD: Final = timedelta(minutes=15)
"""How long something is held back at most: longer than any request may take."""

# One statement: the account's row first, then the provider's, as `aicalls.record` and `release` lock them. Where the
# provider has no more, the hold stands for the account's part alone until that is given back.
_RESERVE: Final = """
WITH account AS (
  INSERT INTO ai_spent AS s (day, kind, name, tokens, cost)
  SELECT %(day)s, 'account', %(account)s, %(tokens)s, %(cost)s
  WHERE (%(account_tokens)s::int8 = 0 OR %(tokens)s::int8 <= %(account_tokens)s::int8)
    AND (%(account_cost)s::float8 = 0 OR %(cost)s::float8 <= %(account_cost)s::float8)
  ON CONFLICT (day, kind, name) DO UPDATE SET tokens = s.tokens + excluded.tokens, cost = s.cost + excluded.cost
  WHERE (%(account_tokens)s::int8 = 0 OR s.tokens + excluded.tokens <= %(account_tokens)s::int8)
    AND (%(account_cost)s::float8 = 0 OR s.cost + excluded.cost <= %(account_cost)s::float8) RETURNING true),
provider AS (
  INSERT INTO ai_spent AS s (day, kind, name, tokens, cost)
  SELECT %(day)s, 'provider', %(provider)s, %(tokens)s, %(cost)s
  WHERE EXISTS (SELECT FROM account)
    AND (%(provider_tokens)s::int8 = 0 OR %(tokens)s::int8 <= %(provider_tokens)s::int8)
    AND (%(provider_cost)s::float8 = 0 OR %(cost)s::float8 <= %(provider_cost)s::float8)
  ON CONFLICT (day, kind, name) DO UPDATE SET tokens = s.tokens + excluded.tokens, cost = s.cost + excluded.cost
  WHERE (%(provider_tokens)s::int8 = 0 OR s.tokens + excluded.tokens <= %(provider_tokens)s::int8)
    AND (%(provider_cost)s::float8 = 0 OR s.cost + excluded.cost <= %(provider_cost)s::float8) RETURNING true),
hold AS (
  INSERT INTO ai_hold (id, day, account, provider, tokens, cost, made)
  SELECT %(id)s, %(day)s, %(account)s, CASE WHEN EXISTS (SELECT FROM provider) THEN %(provider)s ELSE '' END,
    %(tokens)s, %(cost)s, %(now)s WHERE EXISTS (SELECT FROM account))
SELECT EXISTS (SELECT FROM account), EXISTS (SELECT FROM provider)"""
_RELEASE: Final = """
WITH held AS (DELETE FROM ai_hold WHERE id = ANY(%(ids)s::uuid[]) RETURNING day, account, provider, tokens, cost),
back AS (
  SELECT h.day, r.kind, r.name, sum(h.tokens) AS tokens, sum(h.cost) AS cost
  FROM held h CROSS JOIN LATERAL (VALUES ('account', h.account), ('provider', h.provider)) AS r (kind, name)
  GROUP BY h.day, r.kind, r.name),
those AS MATERIALIZED (
  SELECT s.day, s.kind, s.name FROM ai_spent s JOIN back USING (day, kind, name)
  ORDER BY s.day, s.kind, s.name FOR UPDATE OF s)
UPDATE ai_spent s SET tokens = greatest(s.tokens - b.tokens, 0), cost = greatest(s.cost - b.cost, 0)
FROM back b JOIN those USING (day, kind, name) WHERE (s.day, s.kind, s.name) = (b.day, b.kind, b.name)"""


class Limit(NamedTuple):
    """The most of a day; 0: no bound."""

    tokens: int = 0
    cost: float = 0.0

    @property
    def bounded(self) -> bool:
        """Whether there is a bound at all."""
        return self.tokens > 0 or self.cost > 0


class Spent(NamedTuple):
    """What a day has taken so far, with what is held back."""

    tokens: int = 0
    cost: float = 0.0


class Hold(NamedTuple):
    """What is held back for one request, on one day; nothing where it has no `id`."""

    day: date
    account: str
    provider: str
    tokens: int = 0
    cost: float = 0.0
    id: UUID | None = None


def reserve(
    database: Database,
    account: str,
    provider: str,
    *,
    tokens: int,
    cost: float,
    of_account: Limit,
    of_provider: Limit,
    now: datetime,
) -> Hold | Literal["account", "provider"]:
    """Hold back what a request may take at most; or whose budget does not have that much left today.

    Where neither has a bound nothing is held back, and the database is not asked.
    """
    if not (of_account.bounded or of_provider.bounded):
        return Hold(now.date(), account, provider)
    hold = Hold(now.date(), account, provider, tokens, cost, uuid4())
    words = {**hold._asdict(), "now": now}
    words |= {"account_tokens": of_account.tokens, "account_cost": of_account.cost}
    words |= {"provider_tokens": of_provider.tokens, "provider_cost": of_provider.cost}
    with database.aside() as connection:
        by_account, by_provider = one(connection.execute(_RESERVE, words))
    if by_account and not by_provider:
        release(database, hold)
    return hold if by_account and by_provider else "provider" if by_account else "account"


def release(database: Database, hold: Hold) -> None:
    """Give back what was held for a request that took nothing: one that failed, or was not sent."""
    if hold.id is not None:
        with database.aside() as connection:
            connection.execute(_RELEASE, {"ids": [hold.id]})


def expire(database: Database, now: datetime) -> int:
    """Give back what was held for requests of which nothing was heard any more; returns how many those were."""
    with database.aside() as connection:
        rows = connection.execute("SELECT id FROM ai_hold WHERE made < %s LIMIT 1000", [now - HELD]).fetchall()
        if rows:
            connection.execute(_RELEASE, {"ids": [row[0] for row in rows]})
    return len(rows)


def spent(
    database: Database, kind: Literal["account", "provider"], names: Collection[str], now: datetime
) -> dict[str, Spent]:
    """What accounts or providers have used up today, by name; of those that used nothing nothing is told."""
    with database.connection() as connection:
        rows = connection.execute(
            "SELECT name, tokens, cost FROM ai_spent WHERE day = %s AND kind = %s AND name = ANY(%s)",
            [now.date(), kind, list(names)],
        ).fetchall()
    return {name: Spent(tokens, cost) for name, tokens, cost in rows}
