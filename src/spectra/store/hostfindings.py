"""The findings of one host, most urgent first, and one finding with all there is to know of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, LiteralString, NamedTuple

import msgspec

from spectra.errors import NotFound
from spectra.model.findinglife import Interval
from spectra.model.findingrecords import (
    MAX_OF_HOST,
    SETTLED,
    FindingDetail,
    FindingKey,
    FindingRecord,
    IntervalRecord,
)
from spectra.model.vulns import Kev, Vuln
from spectra.store import triage
from spectra.store.database import Connection, Database
from spectra.store.findings import Candidate, Clock, Found, Judge, aware, cpe_of, load, software
from spectra.store.timeline import PROTOCOL_NAME, PROTOCOL_NUMBER

MAX_CLOSED: Final = 2000
"""Findings of a host's past that are looked at for its history; of more, those of the riskiest CVEs."""


class OfHost(NamedTuple):
    """The findings of a host: at most `MAX_OF_HOST` of `total` open ones, and how many more triage settled.

    With history the closed ones follow, the last closed first.
    """

    findings: tuple[FindingRecord, ...]
    total: int
    settled: int


# The findings that are open now, and those that were at a moment, by what was known then.
_NOW: LiteralString = """
SELECT e.port, e.protocol, v.num, v.cve, v.risk, a.confidence, a.patched, a.software, a.identity
FROM endpoint e JOIN service s ON s.id = e.service
JOIN affected a ON a.software = s.software AND a.until IS NULL JOIN vuln v ON v.num = a.vuln
WHERE e.ip = %(ip)s::inet AND e.state = 'o' AND v.status <> 'rejected'"""
_THEN: LiteralString = """
SELECT x.port, x.protocol, v.num, v.cve, v.risk, a.confidence, a.patched, a.software, a.identity
FROM (SELECT e.port, e.protocol, e.service FROM endpoint e
      WHERE e.ip = %(ip)s::inet AND e.state = 'o' AND e.since <= %(at)s
      UNION ALL SELECT p.port, p.protocol, p.service FROM endpoint_version p
      WHERE p.ip = %(ip)s::inet AND p.state = 'o' AND p.since <= %(at)s AND p.until > %(at)s) x
JOIN service s ON s.id = x.service CROSS JOIN LATERAL (
  SELECT * FROM affected o WHERE o.software = s.software AND o.until IS NULL AND o.since <= %(at)s UNION ALL
  SELECT * FROM affected o WHERE o.software = s.software AND o.until > %(at)s AND o.since <= %(at)s) a
JOIN vuln v ON v.num = a.vuln AND v.status <> 'rejected'"""
# Everything that ever was one, whether or not it is again.
_EVER: LiteralString = """
SELECT DISTINCT x.port, x.protocol, v.num, v.risk
FROM (SELECT e.port, e.protocol, e.service FROM endpoint e
      WHERE e.ip = %(ip)s::inet AND e.state = 'o' AND e.since <= %(at)s
      UNION SELECT p.port, p.protocol, p.service FROM endpoint_version p
      WHERE p.ip = %(ip)s::inet AND p.state = 'o' AND p.since <= %(at)s) x
JOIN service s ON s.id = x.service CROSS JOIN LATERAL (
  SELECT * FROM affected o WHERE o.software = s.software AND o.until IS NULL AND o.since <= %(at)s UNION ALL
  SELECT * FROM affected o WHERE o.software = s.software AND o.until IS NOT NULL AND o.since <= %(at)s) a
JOIN vuln v ON v.num = a.vuln
ORDER BY v.risk DESC, v.num, x.port, x.protocol LIMIT %(most)s"""


def of_host(
    database: Database, ip: str, judge: Judge, now: datetime, *, at: datetime | None = None, history: bool = False
) -> OfHost:
    """The open findings of the host `ip` (an address), or those that were at a moment; with `history` closed ones too.

    What is settled by triage is counted and left out. Of an unknown host there are none.
    """
    clock = Clock(aware(at), past=True) if at else Clock(now)
    with database.connection() as connection:
        rows = connection.execute(_THEN if at else _NOW, {"ip": ip, "at": clock.now}).fetchall()
        chosen, settled = _urgent(connection, ip, rows, judge, clock)
        found = load(connection, chosen[:MAX_OF_HOST], judge, clock)
        records = [one.record for one in found if one and one.record.state != "closed"]
        if history:
            records += _closed(connection, ip, judge, clock)
    return OfHost(tuple(records), len(chosen), settled)


def _urgent(
    connection: Connection, ip: str, rows: Sequence[tuple[Any, ...]], judge: Judge, clock: Clock
) -> tuple[list[Candidate], int]:
    """The candidates, most urgent first, and how many triage settled."""
    names = software(connection, {row[-2] for row in rows})
    asked = [
        triage.Finding(cve, ip, port, PROTOCOL_NAME[protocol], cpe_of(names.get(ident), identity))
        for port, protocol, _, cve, _, _, _, ident, identity in rows
    ]
    decisions = triage.held(connection, asked, clock.now, past=clock.past)
    exposed = judge.exposed(ip)
    left: list[tuple[tuple[Any, ...], Candidate]] = []
    for (port, protocol, num, cve, risk, confidence, patched, *_), decision in zip(rows, decisions, strict=True):
        if decision is None or decision.status not in SETTLED:
            score = judge.priority(risk, confidence, exposed, patched, ()).score
            left.append(((-score, -risk, cve, protocol, port), Candidate(ip, port, protocol, num)))
    return [candidate for _, candidate in sorted(left)], len(rows) - len(left)


def _closed(connection: Connection, ip: str, judge: Judge, clock: Clock) -> list[FindingRecord]:
    """Those that are not there any more, the last closed first."""
    at = clock.now if clock.past else "infinity"
    rows = connection.execute(_EVER, {"ip": ip, "at": at, "most": MAX_CLOSED}).fetchall()
    found = load(connection, [Candidate(ip, port, protocol, num) for port, protocol, num, _ in rows], judge, clock)
    records = [one.record for one in found if one and one.record.closed]
    return sorted(records, key=_recency)


def _recency(record: FindingRecord) -> tuple[float, float, str]:
    assert record.closed is not None  # only closed ones are sorted by it
    return -record.closed.timestamp(), -record.priority.score, record.id


# One of them ---------------------------------------------------------------------------------------------------------

_TEXT: LiteralString = """
SELECT v.published, v.modified, t.title, t.description, t.details, k.entry
FROM vuln v LEFT JOIN vuln_text t USING (num) LEFT JOIN kev k ON k.cve = v.cve WHERE v.num = %s"""


def finding(
    database: Database, key: FindingKey, judge: Judge, now: datetime, *, at: datetime | None = None
) -> FindingDetail:
    """All there is to know of one finding, now or at a moment. Raises `NotFound` where there never was one by then."""
    clock = Clock(aware(at), past=True) if at else Clock(now)
    with database.connection() as connection:
        row = connection.execute("SELECT num FROM vuln WHERE cve = %s", [key.cve]).fetchone()
        if row is None:
            raise NotFound(f"{key.cve} is not known.", hint="Take the feeds of weaknesses: spectra feeds --help")
        candidate = Candidate(key.ip, key.port, PROTOCOL_NUMBER[key.protocol], row[0])
        found = load(connection, [candidate], judge, clock)[0]
        if found is None:
            hint = f"Its findings: spectra host {key.ip}"
            raise NotFound(f"{key.cve} was never found at {key.ip} {key.port}/{key.protocol}.", hint=hint)
        names = _services(connection, found.lived)
        text = connection.execute(_TEXT, [candidate.vuln]).fetchone()
    return _detail(found, names, text or (None,) * 6)


def _services(connection: Connection, lived: Sequence[Interval]) -> dict[Any, tuple[str, str, str]]:
    ids = list({interval.stay.service for interval in lived})
    rows = connection.execute("SELECT id, name, product, version FROM service WHERE id = ANY(%s)", [ids])
    return {row[0]: row[1:] for row in rows}


def _detail(found: Found, names: dict[Any, tuple[str, str, str]], text: Sequence[Any]) -> FindingDetail:
    published, modified, title, description, details, exploited = text
    vuln = msgspec.convert({"cve": found.record.cve, **msgspec.json.decode(details or "{}")}, Vuln, strict=False)
    whole: dict[str, Any] = {"title": title or "", "description": description or ""}
    return FindingDetail(
        **(msgspec.structs.asdict(found.record) | whole),
        history=tuple(_interval(interval, names) for interval in found.lived),
        published=published,
        modified=modified,
        metrics=vuln.metrics,
        weaknesses=vuln.weaknesses,
        references=vuln.references,
        aliases=vuln.aliases,
        ssvc=vuln.ssvc,
        exploited=msgspec.json.decode(exploited, type=Kev) if exploited else None,
    )


def _interval(interval: Interval, names: dict[Any, tuple[str, str, str]]) -> IntervalRecord:
    service, product, version = names.get(interval.stay.service, ("", "", ""))
    return IntervalRecord(
        opened=interval.opened,
        known=interval.known,
        closed=interval.closed,
        closed_why=interval.closed_why,
        service=service,
        product=product,
        version=version,
    )
