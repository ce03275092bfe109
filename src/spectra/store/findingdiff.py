"""Findings in a comparison: those that came and went with what changed at an endpoint, and those that came and went
because something was told of their CVE.

Between two moments a finding counts at each of them if it was known then. Between two scans what is known by now counts
for both. What triage settled is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final, LiteralString, NamedTuple
from uuid import UUID

import msgspec

from spectra.model.diffs import DiffEntry
from spectra.model.findingrecords import FindingBrief, FindingChange
from spectra.store.conditions import Condition, Filter, all_of
from spectra.store.database import Connection
from spectra.store.lookups import expected
from spectra.store.timeline import OPEN, PROTOCOL_NAME
from spectra.store.weaknesses import Decided

MAX_BRIEFS: Final = 100
"""Findings that are told of one difference; of more, those of the riskiest CVEs."""
MAX_LISTED: Final = 1000
MAX_ROWS: Final = 20_000
"""Pairs of software and CVE of which something was told that one answer looks at; of more, the riskiest."""
CUT: Final = 10_000
"""Findings up to which they are counted, and endpoints whose version has ended since that are looked at."""
FIRST_ROWS: Final = 16
NOW: LiteralString = "infinity"
"""What is known by now."""


class Sides(NamedTuple):
    """The services of an endpoint before and after, where it was open; `protocol` is its number."""

    ip: str
    port: int
    protocol: int
    before: UUID | None
    after: UUID | None

    @classmethod
    def of(cls, key: tuple[str, int, int], before: Any, after: Any) -> Sides:
        """From two versions (`details.Stretch`), of which either may be missing."""
        services = (side.service if side is not None and side.state == OPEN else None for side in (before, after))
        return cls(*key, *services)


class Briefs(NamedTuple):
    """The findings that one difference brought, or took away: the riskiest of `total`."""

    listed: tuple[FindingBrief, ...] = ()
    total: int = 0


_NOTHING: Final = Briefs()
# What holds at a moment, of one software; in two parts, since each has an index of its own.
_HELD: LiteralString = """
  SELECT * FROM affected o WHERE o.software = {software} AND o.until IS NULL AND o.since <= {at}::timestamptz
  UNION ALL SELECT * FROM affected o WHERE o.software = {software} AND o.until IS NOT NULL
    AND o.since <= {at}::timestamptz AND o.until > {at}::timestamptz"""
_ONE_SIDED: LiteralString = """
SELECT f.n, f.cve, f.severity, f.total FROM (
  SELECT p.n, v.cve, v.severity, count(*) OVER w AS total,
         row_number() OVER (PARTITION BY p.n ORDER BY v.risk DESC, v.num) AS rank
  FROM unnest(%s::int4[], %s::inet[], %s::int4[], %s::int2[], %s::uuid[], %s::uuid[])
    AS p (n, ip, port, protocol, has, had)
  JOIN service s ON s.id = p.has LEFT JOIN service b ON b.id = p.had
  CROSS JOIN LATERAL ({here}) a JOIN vuln v ON v.num = a.vuln
  WHERE v.status <> 'rejected' AND {unsettled}
    AND NOT EXISTS (SELECT FROM ({there}) c WHERE c.vuln = a.vuln)
  WINDOW w AS (PARTITION BY p.n)) f
WHERE f.rank <= %s ORDER BY f.n, f.rank"""


def briefs(
    connection: Connection, sides: Sequence[Sides], moments: tuple[datetime, datetime] | None
) -> list[tuple[Briefs, Briefs]]:
    """The findings that are there after and were not before, and those the other way round, for each of `sides`.

    `moments` are the two that are compared; None: two scans.
    """
    before, after = moments or (NOW, NOW)
    decided = Decided.load(connection, Condition("true"))
    came = _one_sided(connection, [(n, s, s.after, s.before) for n, s in enumerate(sides)], (after, before), decided)
    went = _one_sided(connection, [(n, s, s.before, s.after) for n, s in enumerate(sides)], (before, after), decided)
    return [(came.get(n, _NOTHING), went.get(n, _NOTHING)) for n in range(len(sides))]


def with_briefs(entries: Sequence[DiffEntry], found: Sequence[tuple[Briefs, Briefs]]) -> list[DiffEntry]:
    """`entries` with the findings of each."""
    return [
        msgspec.structs.replace(
            entry,
            findings_new=came.listed,
            findings_new_total=came.total,
            findings_closed=went.listed,
            findings_closed_total=went.total,
        )
        for entry, (came, went) in zip(entries, found, strict=True)
    ]


def _one_sided(
    connection: Connection,
    asked: Sequence[tuple[int, Sides, UUID | None, UUID | None]],
    moments: tuple[object, object],
    decided: Decided,
) -> dict[int, Briefs]:
    """What the first service has at the first moment and the second has not at the second."""
    rows = [(n, s.ip, s.port, s.protocol, has, had) for n, s, has, had in asked if has is not None]
    if not rows:
        return {}
    unsettled = decided.open("p")
    here, there = _HELD.format(software="s.software", at="%s"), _HELD.format(software="b.software", at="%s")
    statement: LiteralString = _ONE_SIDED.format(here=here, there=there, unsettled=unsettled.sql)
    params = [
        *map(list, zip(*rows, strict=True)), *[moments[0]] * 3, *unsettled.params, *[moments[1]] * 3, MAX_BRIEFS,
    ]  # fmt: skip
    found: dict[int, list[FindingBrief]] = defaultdict(list)
    totals: dict[int, int] = {}
    for n, cve, severity, total in connection.execute(statement, params):
        found[n].append(FindingBrief(cve, severity))
        totals[n] = total
    return {n: Briefs(tuple(listed), totals[n]) for n, listed in found.items()}


# What was told of CVEs -----------------------------------------------------------------------------------------------


class Told(NamedTuple):
    """Findings of endpoints that did not change: the first of `total`, which is at least so many unless `exact`."""

    listed: tuple[FindingChange, ...] = ()
    total: int = 0
    exact: bool = True


class _Row(NamedTuple):
    """A software and a CVE of which something was told."""

    kind: Any
    at: datetime
    vuln: int
    cve: str
    severity: Any
    software: int
    identity: int


_ROWS: LiteralString = """
SELECT x.kind, x.at, v.num, v.cve, v.severity, x.software, x.identity FROM (
  SELECT 'finding_new' AS kind, a.since AS at, a.vuln, a.software, a.identity FROM affected a
  WHERE a.since > %(since)s AND a.since <= %(until)s AND (a.until IS NULL OR a.until > %(until)s)
    AND (%(softwares)s::int4[] IS NULL OR a.software = ANY(%(softwares)s::int4[]))
    AND NOT EXISTS (SELECT FROM affected b WHERE b.software = a.software AND b.vuln = a.vuln AND b.until IS NOT NULL
                    AND b.since <= %(since)s AND b.until > %(since)s)
  UNION ALL
  SELECT 'finding_closed', a.until, a.vuln, a.software, a.identity FROM affected a
  WHERE a.until > %(since)s AND a.until <= %(until)s AND a.since <= %(since)s
    AND (%(softwares)s::int4[] IS NULL OR a.software = ANY(%(softwares)s::int4[]))
    AND NOT EXISTS (SELECT FROM affected b WHERE b.software = a.software AND b.vuln = a.vuln AND b.until IS NULL
                    AND b.since <= %(until)s)
    AND NOT EXISTS (SELECT FROM affected b WHERE b.software = a.software AND b.vuln = a.vuln AND b.until IS NOT NULL
                    AND b.since <= %(until)s AND b.until > %(until)s)) x
JOIN vuln v ON v.num = x.vuln WHERE v.status <> 'rejected'
ORDER BY v.risk DESC, v.num, x.software LIMIT %(rows)s"""
_ENDPOINTS: LiteralString = """
SELECT a.n, host(f.ip), f.port, f.protocol
FROM unnest(%s::int4[], %s::int4[], %s::int2[]) WITH ORDINALITY AS a (software, vuln, identity, n)
CROSS JOIN LATERAL (
  SELECT e.ip, e.port, e.protocol FROM service s JOIN endpoint e ON e.service = s.id
  WHERE s.software = a.software AND e.state = 'o' AND e.since <= %s AND {held} AND {unsettled}
  UNION ALL
  SELECT e.ip, e.port, e.protocol
  FROM unnest(%s::int4[], %s::inet[], %s::int4[], %s::int2[]) AS e (software, ip, port, protocol)
  WHERE e.software = a.software AND {unsettled}
  LIMIT %s) f
ORDER BY a.n, f.ip, f.port, f.protocol"""
# Versions that lasted all the time and have ended since: found by those that came after them.
_ENDED: LiteralString = """
SELECT s.software, host(e.ip), e.port, e.protocol FROM (
  SELECT p.ip, p.port, p.protocol, p.state, p.service, p.certificate, p.banner, p.since, p.confirmed,
         p.confirmed AS last_seen, p.trust, p.sole, p.doubt, c.first_seen, c.place, c.untrusted
  FROM (SELECT ip, port, protocol FROM ({walked}) w GROUP BY 1, 2, 3) k
  JOIN endpoint_version p USING (ip, port, protocol) JOIN endpoint c USING (ip, port, protocol)
  WHERE p.since <= %s AND p.until > %s) e
JOIN service s ON s.id = e.service WHERE s.software IS NOT NULL AND {held}"""
_LATER: LiteralString = """
SELECT * FROM (SELECT ip, port, protocol FROM endpoint WHERE since > %s LIMIT %s) a
UNION ALL SELECT * FROM (SELECT ip, port, protocol FROM endpoint_version WHERE since > %s LIMIT %s) b"""


def told(connection: Connection, window: tuple[datetime, datetime], wanted: Filter) -> Told:
    """The findings that came and went between two moments at endpoints that are what they were, riskiest first.

    `wanted` is about the endpoints.
    """
    since, until = window
    if wanted.empty:
        return Told()
    held = all_of([Condition("e.state = 'o'"), *wanted.conditions])
    ended, whole = _ended(connection, window, held)
    softwares = [*ended[0], *now] if (now := _softwares(connection, wanted, held)) is not None else None
    asked = {"since": since, "until": until, "rows": MAX_ROWS + 1, "softwares": softwares}
    rows = [_Row(*row) for row in connection.execute(_ROWS, asked)]
    if not rows:
        return Told()
    listed: list[FindingChange] = []
    total = 0
    for row, ip, port, protocol in _endpoints(connection, rows[:MAX_ROWS], since, held, ended):
        total += 1
        if len(listed) < MAX_LISTED:
            listed.append(_change(row, ip, port, protocol))
        if total > CUT:
            break
    return Told(tuple(listed), min(total, CUT), exact=whole and total <= CUT and len(rows) <= MAX_ROWS)


def _softwares(connection: Connection, wanted: Filter, held: Condition) -> list[int] | None:
    """The software of endpoints that are wanted; None: of any, or of very many."""
    if not wanted.conditions or expected(connection, held) > CUT:
        return None
    rows = connection.execute(
        f"SELECT DISTINCT s.software FROM endpoint e JOIN service s ON s.id = e.service WHERE {held.sql}", held.params
    )
    return [row[0] for row in rows if row[0] is not None]


def _endpoints(
    connection: Connection, rows: Sequence[_Row], since: datetime, held: Condition, ended: Sequence[Sequence[Any]]
) -> Iterator[tuple[_Row, str, int, int]]:
    """The endpoints of `rows`, in their order: some rows at once, more each time, since one may have a million."""
    unsettled = Decided.load(connection, Condition("true")).open("e")
    statement: LiteralString = _ENDPOINTS.format(held=held.sql, unsettled=unsettled.sql)
    begin, size = 0, FIRST_ROWS
    while part := rows[begin : begin + size]:
        columns = [[row.software for row in part], [row.vuln for row in part], [row.identity for row in part]]
        params = [*columns, since, *held.params, *unsettled.params, *ended, *unsettled.params, CUT + 1]
        for n, ip, port, protocol in connection.execute(statement, params):
            yield part[n - 1], ip, port, protocol
        begin, size = begin + size, 4 * size


def _ended(connection: Connection, window: tuple[datetime, datetime], held: Condition) -> tuple[list[list[Any]], bool]:
    """Columns of software and endpoint of versions that lasted through the window and have ended since; whether those
    are all.
    """
    since, until = window
    later = [until, CUT + 1, until, CUT + 1]
    (number,) = connection.execute(f"SELECT count(*) FROM ({_LATER}) l", later).fetchone() or (0,)
    if not number:
        return [[], [], [], []], True
    statement: LiteralString = _ENDED.format(walked=_LATER, held=held.sql)
    rows = connection.execute(statement, [*later, since, until, *held.params]).fetchall()
    return [list(column) for column in zip(*rows, strict=True)] or [[], [], [], []], number <= CUT


def _change(row: _Row, ip: str, port: int, protocol: int) -> FindingChange:
    return FindingChange(
        kind=row.kind,
        ip=ip,
        port=port,
        protocol=PROTOCOL_NAME[protocol],
        cve=row.cve,
        severity=row.severity,
        at=row.at,
    )
