"""How fresh the endpoints of a selection are, and which of the networks it names were never looked at.

Small selections are counted. Large ones are estimated from a sample of whole pages of the table, the same pages every
time, and say so.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, LiteralString, NamedTuple

from spectra.model import gaps
from spectra.model.gaps import Address, Asked, Blocks, Span
from spectra.model.lifetimes import DAY, HOUR
from spectra.model.plans import Age, Coverage, Gaps, ServiceFreshness
from spectra.model.query import Query
from spectra.store.database import Connection, Database
from spectra.store.filters import Condition, all_of, resolve
from spectra.store.lookups import expected, hurried, total
from spectra.store.staleness import ENDPOINTS, SAMPLE, Ages, percent, stale, unanswered

WITHIN: Final = {
    "1h": HOUR,
    "6h": 6 * HOUR,
    "24h": DAY,
    "3d": 3 * DAY,
    "7d": 7 * DAY,
    "30d": 30 * DAY,
    "90d": 90 * DAY,
}
"""The ages that are told apart, in seconds; older than all of them is `older`."""
TOP_SERVICES: Final = 10
COUNTED: Final = 30_000
"""Beyond about this many endpoints their numbers are estimated."""
SAMPLE_ROWS: Final = 25_000
MAX_NETWORKS: Final = 2_000
MAX_UNITS: Final = 10_000
"""Networks of a question, and occupied units in them, that are looked through for gaps."""
MAX_SILENT: Final = 20_000
LISTED: Final = 100
"""Blocks that are listed of each kind."""


class Also(NamedTuple):
    """Networks (CIDR) that a question means besides those it names, such as those of an AS; whether that is all."""

    prefixes: tuple[str, ...] = ()
    whole: bool = True


ALONE: Final = Also()


def coverage(database: Database, query: Query, ages: Ages, also: Also = ALONE) -> Coverage:
    """The freshness of the open endpoints that `query` selects, and the gaps in the networks it names or means."""
    with database.connection() as connection:
        wanted = resolve(connection, query)
        with hurried(connection, really=wanted.costly):
            numbers = NOTHING if wanted.empty else _numbers(connection, wanted.conditions, ages)
        asked = _asked(query, also.prefixes)
        return _record(numbers, ages, _gaps(connection, asked, also) if asked else None)


# Freshness -----------------------------------------------------------------------------------------------------------


Row = tuple[str, int, bool, int]


class _Numbers(NamedTuple):
    """Rows (service, how many of `WITHIN` it is older than, stale, endpoints), what each endpoint that was read stands
    for (0: itself), and when the oldest and the middle one were seen.
    """

    rows: list[Row]
    scale: float
    oldest: datetime | None
    median: datetime | None


NOTHING: Final = _Numbers([], 0.0, None, None)

# The last row is about all of them; `held`: a sample holds others too, by which its share is known.
_NUMBERS: LiteralString = """
WITH a AS MATERIALIZED (
  SELECT lower(coalesce(v.name, '')) AS service, e.last_seen, {stale} AS stale, {flag} AS held
  FROM {source} WHERE {where})
SELECT service, width_bucket(last_seen, %s::timestamptz[]), stale, count(*), NULL::timestamptz, NULL::timestamptz
FROM a WHERE held GROUP BY 1, 2, 3
UNION ALL
SELECT NULL, 0, false, count(*), min(last_seen) FILTER (WHERE held),
       percentile_disc(0.5) WITHIN GROUP (ORDER BY last_seen) FILTER (WHERE held) FROM a"""
_SAMPLED: LiteralString = f"endpoint e {SAMPLE} LEFT JOIN service v ON v.id = e.service"


def _numbers(connection: Connection, conditions: Sequence[Condition], ages: Ages) -> _Numbers:
    old = all_of([*stale(ages), unanswered(ages)])
    held = all_of(conditions)
    edges = sorted(ages.before(seconds) for seconds in WITHIN.values())
    every = 0.0
    if expected(connection, all_of(conditions), ENDPOINTS) <= COUNTED:
        statement = _NUMBERS.format(stale=old.sql, flag="true", source=ENDPOINTS, where=held.sql)
        params: list[object] = [*old.params, *held.params, edges]
    else:
        every = total(connection)
        statement = _NUMBERS.format(stale=old.sql, flag=held.sql, source=_SAMPLED, where="true")
        params = [*old.params, *held.params, percent(SAMPLE_ROWS, every), edges]
    *rows, (_, _, _, read, oldest, median) = connection.execute(statement, params).fetchall()
    return _Numbers([row[:4] for row in rows], every / max(read, 1), oldest, median)


def _record(numbers: _Numbers, ages: Ages, found: Gaps | None) -> Coverage:
    def scaled(rows: Iterable[Row]) -> int:
        count = sum(row[3] for row in rows)
        return round(count * numbers.scale) if numbers.scale else count

    rows = numbers.rows
    buckets = [*WITHIN, "older"]
    return Coverage(
        at=ages.at,
        endpoints=scaled(rows),
        exact=not numbers.scale,
        fresh=scaled(row for row in rows if not row[2]),
        stale=scaled(row for row in rows if row[2]),
        oldest=numbers.oldest,
        median_age_s=max(int((ages.at - numbers.median).total_seconds()), 0) if numbers.median else None,
        # The edges ascend in time, so that bucket 0 is before all of them.
        ages=tuple(
            Age(name, scaled(row for row in rows if row[1] == len(WITHIN) - number))
            for number, name in enumerate(buckets)
        ),
        services=tuple(
            ServiceFreshness(
                name,
                scaled(row for row in rows if row[0] == name and not row[2]),
                scaled(row for row in rows if row[0] == name and row[2]),
                ages.seconds(name),
            )
            for name in _top(rows)
        ),
        gaps=found,
    )


def _top(rows: Sequence[Row]) -> list[str]:
    """The services with most endpoints, those of one size by name."""
    sizes: Counter[str] = Counter()
    for service, _, _, count in rows:
        sizes[service] += count
    return sorted(sizes, key=lambda name: (-sizes[name], name))[:TOP_SERVICES]


# Gaps ----------------------------------------------------------------------------------------------------------------


def _asked(query: Query, prefixes: Sequence[str]) -> list[Asked]:
    """The networks to look through: those of `net:` terms, and `prefixes` as far as they lie in those."""
    named = gaps.networks(query)
    more = [ipaddress.ip_network(text) for text in prefixes]
    held = gaps.common(named, more) if named and more else named or more
    return [Asked.of(net) for net in gaps.collapsed(held)]


# From host to host along the primary key, each time past the end of the unit: as many steps as units have hosts.
_SEEN = """
WITH RECURSIVE asked AS MATERIALIZED (
  SELECT * FROM unnest(%s::int4[], %s::inet[], %s::inet[], %s::int4[]) AS a (n, low, high, unit)),
seen (n, ip) AS (
  SELECT a.n, (SELECT h.ip FROM host h WHERE h.ip BETWEEN a.low AND a.high ORDER BY h.ip LIMIT 1) FROM asked a
  UNION ALL
  SELECT s.n, (
    SELECT h.ip FROM host h
    WHERE h.ip > host(broadcast(set_masklen(s.ip, a.unit)))::inet AND h.ip <= a.high ORDER BY h.ip LIMIT 1)
  FROM seen s JOIN asked a USING (n) WHERE s.ip IS NOT NULL)
SELECT n, host(ip) FROM seen WHERE ip IS NOT NULL LIMIT %s"""


def _gaps(connection: Connection, asked: Sequence[Asked], also: Also) -> Gaps:
    looked = asked[:MAX_NETWORKS]
    seen, all_seen = _seen(connection, looked)
    silent, all_silent = _silent(connection, looked)
    never = quiet = Blocks()
    for number, one in enumerate(looked):
        found = gaps.find(one, seen.get(number, ()), silent.get(number, ()), LISTED, whole=all_seen)
        never, quiet = never.plus(found.never, LISTED), quiet.plus(found.silent, LISTED)
    return Gaps(
        networks=len(asked),
        exact=all_seen and all_silent and also.whole and len(looked) == len(asked),
        never_seen=never.listed,
        never_seen_blocks=never.total,
        silent=quiet.listed,
        silent_blocks=quiet.total,
    )


def _seen(connection: Connection, asked: Sequence[Asked]) -> tuple[dict[int, list[Address]], bool]:
    """A host of each unit that has some, by the number of the network; and whether that is all of them."""
    columns = (
        list(range(len(asked))),
        [str(one.net[0]) for one in asked],
        [str(one.net[-1]) for one in asked],
        [one.unit for one in asked],
    )
    rows = connection.execute(_SEEN, [*columns, MAX_UNITS + 1]).fetchall()
    found: dict[int, list[Address]] = {}
    for number, ip in rows:
        found.setdefault(number, []).append(ipaddress.ip_address(ip))
    return found, len(rows) <= MAX_UNITS


# Of what is smaller than a unit, the unit: a sweep may leave a thousand networks in each.
_SILENT = """
SELECT DISTINCT a.n, host(u.net), masklen(u.net)
FROM unnest(%s::int4[], %s::cidr[], %s::int4[]) AS a (n, net, unit)
  JOIN silence q ON q.net && a.net
  CROSS JOIN LATERAL (
    SELECT CASE WHEN masklen(q.net) > a.unit THEN set_masklen(q.net, a.unit) ELSE q.net END AS net) u
LIMIT %s"""


def _silent(connection: Connection, asked: Sequence[Asked]) -> tuple[dict[int, list[Span]], bool]:
    """What was probed without an answer in each of `asked`, by its number; and whether that is all of it."""
    rows = connection.execute(
        _SILENT,
        [
            list(range(len(asked))),
            [str(one.net) for one in asked],
            [one.unit for one in asked],
            MAX_SILENT + 1,
        ],
    ).fetchall()
    found: dict[int, list[Span]] = {}
    for number, ip, length in rows:
        first = int(ipaddress.ip_address(ip))
        bits = asked[int(number)].net.max_prefixlen - int(length)
        found.setdefault(number, []).append((first, first | (1 << bits) - 1))
    return found, len(rows) <= MAX_SILENT
