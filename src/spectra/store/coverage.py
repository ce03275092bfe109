"""How fresh the endpoints of a selection are, and which of the networks it names were never looked at.

Small selections are counted. Large ones are estimated from a sample of whole pages of the table, the same pages every
time, and say so.
"""

from __future__ import annotations

import ipaddress
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, LiteralString, NamedTuple

from spectra.model import gaps
from spectra.model.gaps import Address, Asked, Blocks, Span
from spectra.model.lifetimes import DAY, HOUR
from spectra.model.plans import Age, Coverage, Gaps, ServiceFreshness
from spectra.model.query import Query
from spectra.store.database import Connection, Database
from spectra.store.filters import Condition, all_of, resolve
from spectra.store.lookups import expected, hurried, total
from spectra.store.staleness import SAMPLE, Ages, percent

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

# An endpoint is as old as the last answer of it (`seen`) and stale by the last look at it (`looked`), which may have
# had no answer. Both are told by how many moments of a list they are not before, so that few rows are left of many
# before a name is asked for. The last row is about all of them; `held`: a sample holds others too, by which its share
# is known.
_NUMBERS: LiteralString = """
WITH a AS MATERIALIZED (SELECT e.ip, e.service, e.last_seen, {flag} AS held FROM {source}),
g AS MATERIALIZED (
  SELECT a.service, width_bucket(a.last_seen, %s::timestamptz[]) AS seen,
         width_bucket(greatest(a.last_seen, q.seen_at), %s::timestamptz[]) AS looked, count(*) AS n
  FROM a LEFT JOIN silent_host q ON q.ip = a.ip WHERE a.held GROUP BY 1, 2, 3)
SELECT lower(coalesce(v.name, '')), g.seen, g.looked, sum(g.n)::int8, NULL::timestamptz, NULL::timestamptz
FROM g LEFT JOIN service v ON v.id = g.service GROUP BY 1, 2, 3
UNION ALL
SELECT NULL, 0, 0, count(*), min(last_seen) FILTER (WHERE held),
       percentile_disc(0.5) WITHIN GROUP (ORDER BY last_seen) FILTER (WHERE held) FROM a"""
_TICK: Final = timedelta(microseconds=1)
"""What is as old as its lifetime is stale: it is before the next moment that there is."""


def _numbers(connection: Connection, conditions: Sequence[Condition], ages: Ages) -> _Numbers:
    held = all_of(conditions)
    moments = sorted(
        [*(ages.before(seconds) for seconds in WITHIN.values()), *(_fresh_from(ages, s) for s in ages.lengths)]
    )
    every = 0.0
    if expected(connection, held) <= COUNTED:
        statement = _NUMBERS.format(flag="true", source=f"endpoint e WHERE {held.sql}")
        params: list[object] = [*held.params, moments, moments]
    else:
        every = total(connection)
        statement = _NUMBERS.format(flag=held.sql, source=f"endpoint e {SAMPLE}")
        params = [*held.params, percent(SAMPLE_ROWS, every), moments, moments]
    *rows, (_, _, _, read, oldest, median) = connection.execute(statement, params).fetchall()
    return _Numbers(_judged(rows, moments, ages), every / max(read, 1), oldest, median)


def _judged(found: Sequence[tuple[Any, ...]], moments: Sequence[datetime], ages: Ages) -> list[Row]:
    """Of rows (service, seen, looked, endpoints), what each says of age and staleness."""
    edges = [bisect_right(moments, ages.before(seconds)) for seconds in WITHIN.values()]
    fresh = {seconds: bisect_right(moments, _fresh_from(ages, seconds)) for seconds in ages.lengths}
    sums: Counter[tuple[str, int, bool]] = Counter()
    for service, seen, looked, count, *_ in found:
        sums[service, sum(seen >= edge for edge in edges), looked < fresh[ages.seconds(service)]] += count
    return [(*key, count) for key, count in sums.items()]


def _fresh_from(ages: Ages, seconds: int) -> datetime:
    return ages.before(seconds) + _TICK


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
  SELECT * FROM unnest(%s::int4[], %s::inet[], %s::inet[], %s::int4[], %s::bool[]) AS a (n, low, high, unit, more)),
seen (n, ip) AS (
  SELECT a.n, (SELECT h.ip FROM host h WHERE h.ip BETWEEN a.low AND a.high ORDER BY h.ip LIMIT 1) FROM asked a
  UNION ALL
  SELECT s.n, (
    SELECT h.ip FROM host h
    WHERE h.ip > host(broadcast(set_masklen(s.ip, a.unit)))::inet AND h.ip <= a.high ORDER BY h.ip LIMIT 1)
  FROM seen s JOIN asked a USING (n) WHERE s.ip IS NOT NULL AND a.more)
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
        [one.net.prefixlen < one.unit for one in asked],
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
