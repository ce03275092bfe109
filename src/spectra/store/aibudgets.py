"""Budgets of a day (UTC) of language models: of each account and each provider, one truth for every coordinator.

What a request may take at most is held back before it is sent, so that many at once cannot take more together than is
left. What it did take is told by `aicalls.record`, in the place of that; where a coordinator dies in between, what was
held back counts as used.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime
from typing import Final, Literal, NamedTuple

from spectra.store.database import Connection, Database

_HOLD: Final = """
INSERT INTO ai_spent AS s (day, kind, name, tokens, cost)
SELECT %(day)s, %(kind)s, %(name)s, %(tokens)s, %(cost)s
WHERE (%(most_tokens)s::int8 = 0 OR %(tokens)s::int8 <= %(most_tokens)s::int8)
  AND (%(most_cost)s::float8 = 0 OR %(cost)s::float8 <= %(most_cost)s::float8)
ON CONFLICT (day, kind, name) DO UPDATE SET tokens = s.tokens + excluded.tokens, cost = s.cost + excluded.cost
WHERE (%(most_tokens)s::int8 = 0 OR s.tokens + excluded.tokens <= %(most_tokens)s::int8)
  AND (%(most_cost)s::float8 = 0 OR s.cost + excluded.cost <= %(most_cost)s::float8)"""
_RELEASE: Final = """
UPDATE ai_spent SET tokens = greatest(tokens - %(tokens)s::int8, 0), cost = greatest(cost - %(cost)s::float8, 0)
WHERE (day, kind, name) IN (
  SELECT day, kind, name FROM ai_spent WHERE day = %(day)s::date
    AND (kind, name) IN (('account', %(account)s::text), ('provider', %(provider)s::text)) ORDER BY kind FOR UPDATE)"""


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
    """What is held back for one request, on one day."""

    day: date
    account: str
    provider: str
    tokens: int = 0
    cost: float = 0.0


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
    hold = Hold(now.date(), account, provider, tokens, cost)
    try:
        with database.connection() as connection, connection.transaction():
            connection.execute("SET LOCAL synchronous_commit = off")
            # In the order in which `aicalls.record` and `release` take them, so that no two wait for each other.
            _hold(connection, "account", hold, of_account)
            _hold(connection, "provider", hold, of_provider)
    except _Full as full:
        return full.whose
    return hold


def release(database: Database, hold: Hold) -> None:
    """Give back what was held for a request that took nothing: one that failed, or was not sent."""
    if hold.tokens or hold.cost:
        with database.aside() as connection:
            connection.execute(_RELEASE, hold._asdict())


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


class _Full(Exception):
    """Undoes the transaction."""

    def __init__(self, whose: Literal["account", "provider"]) -> None:
        super().__init__(whose)
        self.whose: Literal["account", "provider"] = whose


def _hold(connection: Connection, kind: Literal["account", "provider"], hold: Hold, limit: Limit) -> None:
    name = hold.account if kind == "account" else hold.provider
    words = {"kind": kind, "name": name, "most_tokens": limit.tokens, "most_cost": limit.cost}
    if not connection.execute(_HOLD, words | hold._asdict()).rowcount:
        raise _Full(kind)
