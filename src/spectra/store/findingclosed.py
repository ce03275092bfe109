"""Closed findings, the last closed first: along what closes them.

A finding closes when another version of its endpoint begins (`_Ended`), or when its source takes it back (`_Withdrawn`,
of endpoints that are in that version still). Both ways are walked side by side, by time; where both are at one moment,
the versions come first. What is met is a candidate: whether it closed then, and is not there again, its life tells.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, LiteralString

from spectra.store.conditions import Condition, all_of
from spectra.store.findingask import Asked, Place, Step, left
from spectra.store.findings import Candidate

REACH: Final = 6000
"""Beginnings of versions, and rows that were taken back, after which a page ends as it is."""
_ENDED, _WITHDRAWN = 0.0, 1.0

# Along the beginnings of versions, each with the findings that the version before it had.
_BEGINNINGS: LiteralString = """
WITH walked AS MATERIALIZED (SELECT * FROM ({union}) w ORDER BY since DESC, ip, port, protocol LIMIT %s)
SELECT t.walked, host(l.ip), l.port, l.protocol, l.since, host(f.ip), f.port, f.protocol, f.at, f.num, f.risk
FROM (SELECT count(*) AS walked FROM walked) t
LEFT JOIN LATERAL (SELECT * FROM walked ORDER BY since, ip DESC, port DESC, protocol DESC LIMIT 1) l ON true
LEFT JOIN LATERAL (
  SELECT DISTINCT e.ip, e.port, e.protocol, e.at, v.num, v.risk
  FROM (SELECT w.since AS at, p.ip, p.port, p.protocol, p.state, p.service, p.certificate, p.banner, p.since,
               p.confirmed, p.confirmed AS last_seen, p.trust, p.sole, p.doubt, c.first_seen, c.place, c.untrusted
        FROM walked w JOIN endpoint_version p ON (p.ip, p.port, p.protocol) = (w.ip, w.port, w.protocol)
          AND p.until = w.since AND p.state = 'o'
        JOIN endpoint c ON (c.ip, c.port, c.protocol) = (w.ip, w.port, w.protocol)) e
  JOIN service s ON s.id = e.service CROSS JOIN LATERAL (
    SELECT * FROM affected o WHERE o.software = s.software AND o.until IS NULL
    UNION ALL SELECT * FROM affected o WHERE o.software = s.software AND o.until IS NOT NULL) a
  JOIN vuln v ON v.num = a.vuln
  WHERE {held} ORDER BY e.at DESC, e.ip, e.port, e.protocol, v.risk DESC, v.num LIMIT %s) f ON true
ORDER BY f.at DESC, f.ip, f.port, f.protocol, f.risk DESC, f.num"""
_BEGINNING: LiteralString = "SELECT w.ip, w.port, w.protocol, w.since FROM {table} w"

_ROWS: LiteralString = """
WITH a AS MATERIALIZED (
  SELECT a.until, a.vuln, a.software, a.patched, a.confidence FROM affected a
  WHERE a.until IS NOT NULL AND {rest} ORDER BY a.until DESC, a.vuln, a.software LIMIT %s)
SELECT t.walked, l.until, l.vuln, l.software, f.until, f.vuln, f.software, f.service, host(f.ip), f.port, f.protocol
FROM (SELECT count(*) AS walked FROM a) t
LEFT JOIN LATERAL (SELECT * FROM a ORDER BY until, vuln DESC, software DESC LIMIT 1) l ON true
LEFT JOIN LATERAL (
  SELECT a.until, a.vuln, a.software, e.service, e.ip, e.port, e.protocol
  FROM a JOIN vuln v ON v.num = a.vuln JOIN service s ON s.software = a.software JOIN endpoint e ON e.service = s.id
  WHERE {held} ORDER BY a.until DESC, a.vuln, a.software, e.service, e.ip, e.port, e.protocol LIMIT %s) f ON true
ORDER BY f.until DESC, f.vuln, f.software, f.service, f.ip, f.port, f.protocol"""


class Closed:
    """Both ways as one."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def steps(self, after: Place | None, limit: int) -> Iterator[Step]:
        """The findings that may have closed after `after` in order: earlier. A step without one ends the page."""
        ended, withdrawn = after, after
        if after is not None and after.confidence == _ENDED:
            withdrawn = _at(_WITHDRAWN, after.since)
        elif after is not None:
            ended = _at(_ENDED, after.since, over=True)
        return heapq.merge(self._ended(ended, limit), self._withdrawn(withdrawn, limit), key=_order)

    def _ended(self, after: Place | None, limit: int) -> Iterator[Step]:
        while True:
            rows = self._beginnings(after, limit + 1)
            for row in rows:
                if row[5] is not None:
                    ip, port, protocol, at, num, risk = row[5:]
                    after = Place("closed", risk, num, _ENDED, 0, None, ip, port, protocol, at)
                    yield Step(after, Candidate(ip, port, protocol, num))
            if rows[0][5] is not None and len(rows) == limit + 1:
                continue
            if rows[0][0] >= REACH:
                ip, port, protocol, at = rows[0][1:5]
                yield Step(Place("closed", 0.0, -1, _ENDED, 0, None, ip, port, protocol, at), None)
            return

    def _beginnings(self, after: Place | None, most: int) -> list[tuple[Any, ...]]:
        asked, parts = self._asked, list[Condition]()
        since = Condition("w.since >= %s", (asked.filters.since,)) if asked.filters.since else Condition("true")
        for table in ("endpoint", "endpoint_version"):
            source: LiteralString = _BEGINNING.format(table=table)
            for stretch in left(after, "w"):
                rest = all_of([stretch, since])
                parts.append(Condition(f"({source} WHERE {rest.sql} ORDER BY w.since DESC, w.ip, w.port, w.protocol"
                                       " LIMIT %s)", (*rest.params, REACH)))  # fmt: skip
        held = [asked.of_pairs, asked.endpoints]
        if after is not None and after.vuln >= 0:
            held.append(_further(after))
        condition = all_of(held)
        union: LiteralString = " UNION ALL ".join([part.sql for part in parts])
        statement: LiteralString = _BEGINNINGS.format(union=union, held=condition.sql)
        params = [*(p for part in parts for p in part.params), REACH, *condition.params, most]
        return asked.connection.execute(statement, params).fetchall()

    def _withdrawn(self, after: Place | None, limit: int) -> Iterator[Step]:
        while True:
            rows = self._rows(after, limit + 1)
            for row in rows:
                if row[4] is not None:
                    until, vuln, software, service, ip, port, protocol = row[4:]
                    after = Place("closed", 0.0, vuln, _WITHDRAWN, software, service, ip, port, protocol, until)
                    yield Step(after, Candidate(ip, port, protocol, vuln))
            if rows[0][4] is not None and len(rows) == limit + 1:
                continue
            if rows[0][0] >= REACH:
                until, vuln, software = rows[0][1:4]
                yield Step(Place("closed", 0.0, vuln, _WITHDRAWN, software, None, "::", 0, 0, until), None)
            return

    def _rows(self, after: Place | None, most: int) -> list[tuple[Any, ...]]:
        asked = self._asked
        rest = [Condition("a.until >= %s", (asked.filters.since,))] if asked.filters.since else [Condition("true")]
        held = [asked.of_pairs, asked.endpoints]
        if after is not None:
            rest.append(_before(after))
            if after.service is not None:
                held.append(_later(after))
        chosen, condition = all_of(rest), all_of(held)
        statement: LiteralString = _ROWS.format(rest=chosen.sql, held=condition.sql)
        return asked.connection.execute(statement, [*chosen.params, REACH, *condition.params, most]).fetchall()


def is_of(place: Place, closed: datetime, why: str) -> bool:
    """Whether a finding that closed then, for this reason, is the one that is met at `place`."""
    return closed == place.since and (why == "withdrawn") == (place.confidence == _WITHDRAWN)


def _order(step: Step) -> tuple[float, float]:
    since = step.place.since
    assert since is not None  # of this order
    return -since.timestamp(), step.place.confidence


def _at(kind: float, at: datetime | None, *, over: bool = False) -> Place:
    """Before all of that kind at a moment; `over`: after all of them."""
    if over:
        return Place("closed", 0.0, -1, kind, 0, None, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535, 255, at)
    return Place("closed", 0.0, -1, kind, -1, None, "0.0.0.0", 0, 0, at)  # noqa: S104 - an address to compare with


def _further(after: Place) -> Condition:
    """Of the version of `after`, only its later findings."""
    return Condition(
        "((e.at, e.ip, e.port, e.protocol) <> (%s, %s::inet, %s::int4, %s::int2)"
        " OR (-v.risk, v.num) > (-(%s::real), %s::int4))",
        (after.since, after.ip, after.port, after.protocol, after.value, after.vuln),
    )


def _before(after: Place) -> Condition:
    """Rows taken back earlier, and those of the same moment from `after`'s on."""
    beyond: LiteralString = ">=" if after.service is not None else ">"
    return Condition(
        f"(a.until < %s OR a.until = %s AND (a.vuln, a.software) {beyond} (%s::int4, %s::int4))",
        (after.since, after.since, after.vuln, after.software),
    )


def _later(after: Place) -> Condition:
    """Of the row of `after`, only its later endpoints."""
    return Condition(
        "((a.until, a.vuln, a.software) <> (%s, %s::int4, %s::int4)"
        " OR (e.service, e.ip, e.port, e.protocol) > (%s::uuid, %s::inet, %s::int4, %s::int2))",
        (after.since, after.vuln, after.software, after.service, after.ip, after.port, after.protocol),
    )
