"""The ways along open findings: by their CVEs, or by the beginnings of versions. `store/findinglist.py` says why so."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby, islice
from typing import Any, Final, LiteralString
from uuid import UUID

from spectra.store.conditions import Condition, all_of, array
from spectra.store.findingask import LEFT, RETOLD, ROUNDED, Asked, Place, Run, Spot, Step, left, order
from spectra.store.findings import Candidate
from spectra.store.lookups import expected

FEW_RUNS: Final = 30_000
"""Pairs of software and CVE up to which it is quicker to sort them all than to walk along the CVEs."""
PARTS: Final = (0.9, 0.6, 0.3)
"""Down to which part of the score that was reached CVEs are looked at, by their risk, until that is enough."""
FIRST_RUNS: Final = 16
MAX_RUNS: Final = 4096
"""Runs that are looked into together: few at first, since one may have a million endpoints."""
ALL_RUNS: Final = 5000
"""Runs after which a page ends as it is."""
REACH: Final = 5000
"""Endpoints of one run, or along the beginnings of versions, after which a page ends as it is."""

_VALUE: Final[dict[str, Condition]] = {"cvss": Condition("v.cvss::float8"), "epss": Condition("v.epss::float8")}
_COLUMN: Final[dict[str, LiteralString]] = {"cvss": "v.cvss", "epss": "v.epss"}
_SOURCE: LiteralString = (
    "vuln v JOIN affected a ON a.vuln = v.num AND a.until IS NULL JOIN service s ON s.software = a.software"
)
_RUNS: LiteralString = """
SELECT v.num, v.cve, {value}, v.risk, a.confidence, a.patched, a.software, a.identity, a.since, s.id,
       {retold}
FROM {source} WHERE {held} ORDER BY {lead} DESC, v.num, a.confidence DESC, a.software, s.id LIMIT %s"""
# The endpoints of some runs, each from where it is to go on. Of a run that has more than REACH the last one that was
# looked at is told too, wanted or not.
_ENDPOINTS: LiteralString = """
SELECT r.n, host(f.ip), f.port, f.protocol, f.i, f.wanted
FROM unnest(%s::uuid[], %s::timestamptz[], %s::boolean[], %s::inet[], %s::int4[], %s::int2[]) WITH ORDINALITY
  AS r (service, told, retold, ip, port, protocol, n)
CROSS JOIN LATERAL (
  SELECT e.ip, e.port, e.protocol, e.i, ({held}) AS wanted
  FROM (SELECT *, row_number() OVER (ORDER BY w.ip, w.port, w.protocol) AS i FROM endpoint w
        WHERE w.service = r.service AND w.ip >= r.ip AND (w.ip, w.port, w.protocol) > (r.ip, r.port, r.protocol)
        ORDER BY w.ip, w.port, w.protocol LIMIT %s) e
  WHERE ({held}) OR e.i = %s
  ORDER BY e.i LIMIT %s) f
ORDER BY r.n, f.i"""
# What is back was closed once: by another version, or by the source.
_LEFT: Final = Condition(f"(r.retold OR {LEFT})")
_LEAST: Final[tuple[str, int, int]] = ("0.0.0.0/0", -1, 0)  # before every endpoint


class Runs:
    """Along the CVEs by risk, CVSS or EPSS."""

    def __init__(self, asked: Asked, sort: str) -> None:
        self._asked = asked
        self._sort = sort
        self._held = asked.of_runs()

    def steps(self, after: Place | None, limit: int) -> Iterator[Step]:
        """The findings that are met after `after`. One without a finding is the last: the way ends there for now."""
        if self._asked.services is not None and not self._asked.services:
            return
        size, looked, begins = FIRST_RUNS, 0, after
        while True:
            runs = self._runs(after, size)
            skipped = self._asked.skipped(runs)
            left = [run for run, skip in zip(runs, skipped, strict=True) if not skip]
            for step in self._endpoints(left, begins, limit):
                yield step
                if step.candidate is None:
                    return
            looked += len(runs)
            if len(runs) < size:
                return
            after = begins = self._end(runs[-1])
            if looked >= ALL_RUNS:
                yield Step(after, None)
                return
            size = min(4 * size, MAX_RUNS)

    def _end(self, run: Run) -> Place:
        """After every endpoint of a run: PostgreSQL's order of addresses has all of IPv6 last."""
        return self._place(run, ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535, 255))

    def _place(self, run: Run, endpoint: tuple[str, int, int]) -> Place:
        return Place(self._sort, run.value, run.vuln, run.confidence, run.software, run.service, *endpoint)

    def _runs(self, after: Place | None, size: int) -> list[Run]:
        """The next runs, the one in which `after` lies among them."""
        return self._by_priority(after, size) if self._sort == "priority" else self._by_score(after, size)

    def _by_priority(self, after: Place | None, size: int) -> list[Run]:
        """No CVE's findings are more urgent than its risk: what is above all risks not looked at stays where it is."""
        value, held = self._asked.priority, self._held
        top = 100.0
        if after is not None and after.value is not None:
            held, top = all_of([held, _from(value, after)]), after.value
        few = self._is_few(held)
        for part in (0.0,) if few else (*PARTS, 0.0):
            least = part * top
            bounded = all_of([held, Condition("v.risk >= %s::real", (least,))])
            found = self._ask(value, "3", bounded, size)
            if part == 0 or (len(found) == size and (found[-1].value or 0.0) > least + ROUNDED):
                return found
        raise AssertionError

    def _by_score(self, after: Place | None, size: int) -> list[Run]:
        """First the CVEs that have a score, then those that have none, each one range of an index."""
        value, column = _VALUE[self._sort], _COLUMN[self._sort]
        stretches: list[Condition] = []
        scored, unscored = Condition(f"{column} IS NOT NULL"), Condition(f"{column} IS NULL")
        if after is None:
            stretches = [scored, unscored]
        elif after.value is None:
            stretches = [all_of([unscored, _beyond(after)])]
        else:
            bound = Condition(f"{column} <= %s::real", (after.value,))  # the index knows the column alone
            stretches = [all_of([bound, _from(value, after)]), unscored]
        found: list[Run] = []
        for stretch in stretches:
            condition = all_of([self._held, stretch])
            # Adding nothing keeps the planner from walking the index.
            lead: LiteralString = f"{column} + 0" if self._is_few(condition) else column
            found += self._ask(value, lead, condition, size - len(found))
            if len(found) == size:
                break
        return found

    def _is_few(self, condition: Condition) -> bool:
        return expected(self._asked.connection, condition, _SOURCE) <= FEW_RUNS

    def _ask(self, value: Condition, lead: LiteralString, held: Condition, size: int) -> list[Run]:
        statement: LiteralString = _RUNS.format(
            value=value.sql, retold=RETOLD, source=_SOURCE, held=held.sql, lead=lead
        )
        rows = self._asked.connection.execute(statement, [*value.params, *held.params, size])
        return [Run(*row) for row in rows]

    def _endpoints(self, runs: Sequence[Run], begins: Place | None, limit: int) -> Iterator[Step]:
        """The findings of `runs`; in the first of them, if `begins` is of it, only those after that."""
        while runs:
            for n, rows in groupby(self._rows(runs, begins, limit), key=_number):
                run, count, last = runs[n - 1], 0, 0
                for count, (_, ip, port, protocol, last, wanted) in enumerate(rows, 1):  # noqa: B007
                    begins = self._place(run, (ip, port, protocol))
                    yield Step(begins, Candidate(ip, port, protocol, run.vuln) if wanted else None)
                    if not wanted:
                        return
                if count > limit or last == REACH:  # there is more of this run
                    runs = runs[n - 1 :]
                    break
            else:
                return

    def _rows(self, runs: Sequence[Run], begins: Place | None, limit: int) -> list[tuple[Any, ...]]:
        """The next endpoints of each of `runs`, in order: number of the run, endpoint, how many were looked at."""
        starts = [_LEAST] * len(runs)
        if begins and _same(runs[0], begins):
            starts[0] = (begins.ip, begins.port, begins.protocol)
        if self._asked.spots is not None:
            return list(self._spotted(self._asked.spots, runs, starts[0], limit))
        held, recent = self._asked.endpoints, self._asked.recent
        if recent is not None:
            held = all_of([held, Condition("(r.told >= %s OR e.since >= %s)", (recent, recent))])
        if self._asked.reopened:
            held = all_of([held, _LEFT])
        statement: LiteralString = _ENDPOINTS.format(held=held.sql)
        told, retold = [run.since for run in runs], [run.retold for run in runs]
        columns = [array(one) for one in ([run.service for run in runs], told, retold, *zip(*starts, strict=True))]
        params = [*columns, *held.params, REACH, *held.params, REACH, limit + 1]
        return self._asked.connection.execute(statement, params).fetchall()

    def _spotted(
        self, spots: Mapping[UUID, Sequence[Spot]], runs: Sequence[Run], start: tuple[str, int, int], limit: int
    ) -> Iterator[tuple[Any, ...]]:
        """The same, of endpoints that are listed already."""
        recent, reopened = self._asked.recent, self._asked.reopened
        first = order(*start) if start != _LEAST else (0,)
        for n, run in enumerate(runs, 1):
            listed = spots.get(run.service, ())
            if n == 1:
                listed = listed[bisect_right(listed, first, key=lambda spot: spot.order) :]
            wanted = (
                spot
                for spot in listed
                if (recent is None or run.since >= recent or spot.since >= recent)
                and (not reopened or run.retold or spot.left)
            )
            for spot in islice(wanted, limit + 1):
                yield n, *spot[:3], 0, True


def _number(row: tuple[Any, ...]) -> int:
    return row[0]


def _same(run: Run, place: Place) -> bool:
    return (run.vuln, run.software, run.service) == (place.vuln, place.software, place.service)


def _from(value: Condition, place: Place) -> Condition:
    """From the run of `place` on, itself included."""
    beyond = _beyond(place)
    return Condition(
        f"({value.sql} < %s::float8 OR {value.sql} = %s::float8 AND {beyond.sql})",
        (*value.params, place.value, *value.params, place.value, *beyond.params),
    )


def _beyond(place: Place) -> Condition:
    """The same, of CVEs of the same value."""
    return Condition(
        "(v.num > %s OR v.num = %s AND (a.confidence < %s::real OR a.confidence = %s::real"
        " AND (a.software, s.id) >= (%s::int4, %s::uuid)))",
        (place.vuln, place.vuln, place.confidence, place.confidence, place.software, place.service),
    )


# Along the beginnings of versions ------------------------------------------------------------------------------------

_ORDER: LiteralString = "e.since DESC, e.ip, e.port, e.protocol"
_NEWEST: LiteralString = """
WITH walked AS MATERIALIZED (SELECT * FROM ({union}) e ORDER BY {order} LIMIT %s)
SELECT t.walked, host(l.ip), l.port, l.protocol, l.since, host(f.ip), f.port, f.protocol, f.since, f.num, f.risk
FROM (SELECT count(*) AS walked FROM walked) t
LEFT JOIN LATERAL (SELECT * FROM walked ORDER BY since, ip DESC, port DESC, protocol DESC LIMIT 1) l ON true
LEFT JOIN LATERAL (
  SELECT e.ip, e.port, e.protocol, e.since, v.num, v.risk
  FROM walked e JOIN service s ON s.id = e.service JOIN affected a ON a.software = s.software AND a.until IS NULL
    JOIN vuln v ON v.num = a.vuln
  WHERE {held} ORDER BY {order}, v.risk DESC, v.num LIMIT %s) f ON true
ORDER BY f.since DESC, f.ip, f.port, f.protocol, f.risk DESC, f.num"""


class Newest:
    """Along the beginnings of the versions that endpoints are in, newest first; an endpoint's findings by risk."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def steps(self, after: Place | None, limit: int) -> Iterator[Step]:
        """As `Runs.steps`."""
        while True:
            rows = self._rows(after, limit + 1)
            for row in rows:
                if row[5] is not None:
                    ip, port, protocol, since, num, risk = row[5:]
                    after = _begun(risk, num, (ip, port, protocol), since)
                    yield Step(after, Candidate(ip, port, protocol, num))
            if rows[0][5] is not None and len(rows) == limit + 1:
                continue
            if rows[0][0] >= REACH:
                ip, port, protocol, since = rows[0][1:5]
                yield Step(_begun(0.0, -1, (ip, port, protocol), since), None)
            return

    def _rows(self, after: Place | None, most: int) -> list[tuple[Any, ...]]:
        asked = self._asked
        parts = [_part(stretch, asked.endpoints if asked.narrow else _OPEN) for stretch in left(after, "e")]
        union: LiteralString = " UNION ALL ".join([part.sql for part in parts])
        held = [asked.of_pairs, asked.endpoints]
        if asked.recent is not None:
            held.append(Condition("(a.since >= %s OR e.since >= %s)", (asked.recent, asked.recent)))
        if after is not None and after.vuln >= 0:
            held.append(_further(after))
        condition = all_of(held)
        statement: LiteralString = _NEWEST.format(union=union, held=condition.sql, order=_ORDER)
        params = [*(p for part in parts for p in part.params), REACH, *condition.params, most]
        return asked.connection.execute(statement, params).fetchall()


_OPEN: Final = Condition("e.state = 'o'")


def _begun(risk: float, vuln: int, endpoint: tuple[str, int, int], since: datetime) -> Place:
    return Place("opened", risk, vuln, 0.0, 0, None, *endpoint, since)


def _part(stretch: Condition, held: Condition) -> Condition:
    return Condition(
        f"(SELECT * FROM endpoint e WHERE {held.sql} AND {stretch.sql} ORDER BY {_ORDER} LIMIT %s)",
        (*held.params, *stretch.params, REACH),
    )


def _further(after: Place) -> Condition:
    """Of the endpoint of `after`, only its later findings."""
    return Condition(
        "((e.ip, e.port, e.protocol) <> (%s::inet, %s::int4, %s::int2) OR (-v.risk, v.num) > (-(%s::real), %s::int4))",
        (after.ip, after.port, after.protocol, after.value, after.vuln),
    )
