"""The ledger of requests to language models: who asked what for, who answered, and what it took. No content.

What is told here counts against the budgets (`store/aibudgets.py`) in the same statement.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, LiteralString, NamedTuple

from spectra.model.ai import Label, Usage
from spectra.model.aiusage import By, UsageRow
from spectra.store.aibudgets import Hold
from spectra.store.database import Database

KEPT: Final = timedelta(days=400)
"""How long requests are remembered."""
MAX_WORD: Final = 200
_PURGED_AT_ONCE: Final = 50_000

ANSWERED: Final = "answered"
CACHED: Final = "cached"
"""Outcomes that are no failure; any other is a reason, such as `ai_deadline`, or `cancelled`."""

_RECORD: Final = """
WITH call AS (
  INSERT INTO ai_call (at, account, purpose, provider, model, label, outcome, input, output, cost, ms, away)
  VALUES (%(at)s, %(account)s, %(purpose)s, %(provider)s, %(model)s, %(label)s, %(outcome)s, %(input)s, %(output)s,
    %(cost)s, %(ms)s, %(away)s)),
held AS (DELETE FROM ai_hold WHERE id = %(hold)s::uuid RETURNING tokens, cost)
INSERT INTO ai_spent AS s (day, kind, name, tokens, cost)
SELECT %(day)s::date, r.kind, r.name, m.tokens, m.cost
FROM (VALUES ('account', %(account)s::text), ('provider', %(provider)s::text)) AS r (kind, name), (
  SELECT %(input)s::int8 + %(output)s::int8 - coalesce(sum(tokens)::int8, 0) AS tokens,
    %(cost)s::float8 - coalesce(sum(cost), 0) AS cost FROM held) AS m
WHERE r.name <> '' AND (m.tokens <> 0 OR m.cost <> 0) ORDER BY r.kind
ON CONFLICT (day, kind, name) DO UPDATE SET tokens = greatest(s.tokens + excluded.tokens, 0),
  cost = greatest(s.cost + excluded.cost, 0)"""
_GROUPS: Final[dict[str, LiteralString]] = {
    "day": "to_char(at, 'YYYY-MM-DD')",
    "account": "account",
    "provider": "provider",
    "model": "model",
    "purpose": "purpose",
    "label": "(ARRAY['CLOUD_DIRECT', 'SANITIZED', 'LOCAL_ONLY'])[label + 1]",
    "outcome": "outcome",
}
_PURGE: Final = """
DELETE FROM ai_call WHERE num IN (SELECT num FROM ai_call WHERE at < %s ORDER BY at LIMIT %s)"""


class Call(NamedTuple):
    """One request, once it is over. `label` is the class under which it was asked, `ms` how long it took in all.

    `provider` and `model` are empty where none was reached. `outcome`: `answered`, `cached`, or why there is no answer.
    """

    at: datetime
    account: str
    purpose: str
    provider: str
    model: str
    label: Label
    outcome: str
    usage: Usage = Usage()
    cost: float = 0.0
    ms: int = 0
    away: bool = False
    """Whether it left this machine."""


def record(database: Database, call: Call, hold: Hold | None = None) -> None:
    """Put `call` in the ledger and what it took on its budgets, in the place of what `hold` kept back for it.

    Waits for no disk: a power cut forgets the last moment at most.
    """
    words = {
        "at": call.at,
        "account": call.account[:MAX_WORD],
        "purpose": call.purpose[:MAX_WORD],
        "provider": call.provider[:MAX_WORD],
        "model": call.model[:MAX_WORD],
        "label": int(call.label),
        "outcome": call.outcome[:MAX_WORD],
        "input": call.usage.input,
        "output": call.usage.output,
        "cost": call.cost,
        "ms": min(call.ms, 2**31 - 1),
        "away": call.away,
        "day": hold.day if hold else call.at.date(),
        "hold": hold.id if hold else None,
    }
    with database.aside() as connection:
        connection.execute(_RECORD, words)


def usage(
    database: Database, since: datetime, until: datetime, *, by: By = "day", account: str = "", limit: int = 1000
) -> list[UsageRow]:
    """What was asked from `since` (inclusive) to `until` (exclusive), of one account or all, by group: the most tokens
    first, days in their order.
    """
    group = _GROUPS[by]
    order = "1" if by == "day" else "sum(input + output) DESC, count(*) DESC, 1"
    with database.connection() as connection:
        rows = connection.execute(
            f"""SELECT {group}, count(*), count(*) FILTER (WHERE outcome = 'answered'),
                  count(*) FILTER (WHERE outcome = 'cached'),
                  count(*) FILTER (WHERE outcome NOT IN ('answered', 'cached')), count(*) FILTER (WHERE away),
                  sum(input)::int8, sum(output)::int8, sum(cost),
                  percentile_disc(0.5) WITHIN GROUP (ORDER BY ms) FILTER (WHERE outcome = 'answered'),
                  max(ms) FILTER (WHERE outcome = 'answered')
                FROM ai_call WHERE at >= %(since)s AND at < %(until)s
                  AND (%(account)s::text = '' OR account = %(account)s::text)
                GROUP BY 1 ORDER BY {order} LIMIT %(limit)s""",
            {"since": since, "until": until, "account": account, "limit": limit},
        ).fetchall()
    return [_row(row) for row in rows]


def purge(database: Database, now: datetime) -> int:
    """Forget what is older than `KEPT`; returns how many requests that were."""
    with database.aside() as connection:
        gone = connection.execute(_PURGE, [now - KEPT, _PURGED_AT_ONCE]).rowcount
        connection.execute("DELETE FROM ai_spent WHERE day < %s", [(now - KEPT).date()])
    return gone


def _row(row: tuple[object, ...]) -> UsageRow:
    names = UsageRow.__struct_fields__
    return UsageRow(**{name: value or 0 if name != "group" else value for name, value in zip(names, row, strict=True)})  # type: ignore[arg-type]
