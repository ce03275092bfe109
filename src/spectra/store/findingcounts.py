"""How many findings are open: from the tallies of services and what their software is affected by, not from endpoints.

What triage settled for everywhere is taken off by service as well; what it decided for hosts and endpoints is looked at
there, since those are few. Only of what began lately, such a decision takes nothing off.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, LiteralString, NamedTuple

from spectra.model.findinglife import FRESH
from spectra.model.findingrecords import SETTLED, FindingSummary
from spectra.model.query import parse
from spectra.store import counts, triage
from spectra.store.database import Connection, Database, one
from spectra.store.findings import cpe_of, software
from spectra.store.tallies import ENTRIES, snapshot
from spectra.store.timeline import PROTOCOL_NAME

SEVERITIES: Final = ("critical", "high", "medium", "low", "none", "")
REACH: Final = 50_000
"""Endpoints with a new version that are looked at for what is new."""


class _Facts(NamedTuple):
    """What is counted of findings that are alike."""

    severity: str
    kev: bool
    ransomware: bool
    patched: bool
    fresh: bool


_FACTS: LiteralString = "v.severity, v.kev IS NOT NULL, v.ransomware, a.patched <> '', a.since > %s"
_RUNNING: LiteralString = f"""
n AS MATERIALIZED (
  SELECT s.software, sum(m.endpoints) AS n FROM (
    SELECT service, endpoints FROM tally_service
    UNION ALL SELECT service, endpoints FROM {ENTRIES} WHERE endpoints <> 0) m
  JOIN service s ON s.id = m.service WHERE s.software IS NOT NULL GROUP BY s.software HAVING sum(m.endpoints) > 0)"""
_ALL: LiteralString = f"""
WITH {_RUNNING}
SELECT {_FACTS}, sum(n.n)::int8
FROM n JOIN affected a ON a.software = n.software AND a.until IS NULL JOIN vuln v ON v.num = a.vuln
WHERE v.status <> 'rejected' GROUP BY 1, 2, 3, 4, 5"""
_DECIDED: LiteralString = f"""
WITH {_RUNNING}
SELECT {_FACTS}, v.num, v.cve, a.software, a.identity, n.n::int8
FROM (SELECT DISTINCT t.cve FROM triage t WHERE {{stands}}) d JOIN vuln v ON v.cve = d.cve
JOIN affected a ON a.vuln = v.num AND a.until IS NULL JOIN n ON n.software = a.software
WHERE v.status <> 'rejected'"""
_LOCAL: LiteralString = """
SELECT DISTINCT v.num, a.software, host(e.ip), e.port, e.protocol
FROM triage t JOIN vuln v ON v.cve = t.cve AND v.status <> 'rejected'
JOIN endpoint e ON e.ip = t.ip AND e.state = 'o' AND (t.port IS NULL OR (t.port, t.protocol) = (e.port, e.protocol))
JOIN service s ON s.id = e.service JOIN affected a ON a.software = s.software AND a.vuln = v.num AND a.until IS NULL
WHERE t.ip IS NOT NULL AND {stands}"""
# What began lately, of what was known before: without what the version before it had too.
_BEGUN: LiteralString = """
WITH e AS MATERIALIZED (SELECT * FROM endpoint e WHERE e.state = 'o' AND e.since > %s LIMIT %s),
g AS MATERIALIZED (
  SELECT s.software, p.software AS before, count(*) AS n
  FROM e JOIN service s ON s.id = e.service LEFT JOIN LATERAL (
    SELECT o.software FROM endpoint_version w JOIN service o ON o.id = w.service
    WHERE (w.ip, w.port, w.protocol) = (e.ip, e.port, e.protocol) AND w.until = e.since AND w.state = 'o') p ON true
  WHERE s.software IS NOT NULL GROUP BY 1, 2)
SELECT (SELECT count(*) FROM e), coalesce(sum(g.n), 0)::int8
FROM g JOIN affected a ON a.software = g.software AND a.until IS NULL AND a.since <= %s
JOIN vuln v ON v.num = a.vuln
WHERE v.status <> 'rejected'
  AND NOT EXISTS (SELECT FROM affected b WHERE b.software = g.before AND b.vuln = a.vuln AND b.until IS NULL)
  AND (a.software, a.vuln) NOT IN (SELECT * FROM unnest(%s::int4[], %s::int4[]))"""


# Of the hosts that some submissions told of.
_OF: LiteralString = """
SELECT count(*) FROM (
  SELECT DISTINCT s.ip FROM sighting s JOIN observation o ON o.seq = s.observation
  WHERE o.observation_id = ANY(%s)) h
JOIN endpoint e ON e.ip = h.ip AND e.state = 'o' JOIN service s ON s.id = e.service
JOIN affected a ON a.software = s.software AND a.until IS NULL
JOIN vuln v ON v.num = a.vuln AND v.status <> 'rejected'"""


def of_observations(database: Database, ids: Sequence[str]) -> int:
    """How many findings are open now on the hosts that these submissions (ids in hex) told of, also settled ones."""
    with database.connection() as connection:
        return int(one(connection.execute(_OF, [[bytes.fromhex(name) for name in ids]]))[0])


def summary(database: Database, now: datetime) -> FindingSummary:
    """How many findings are open, of what kind, and on how many hosts."""
    since = now - FRESH
    with snapshot(database) as connection:
        found = Counter[_Facts]()
        for *facts, number in connection.execute(_ALL, [since]):
            found[_Facts(*facts)] += number
        settled, pairs = _settled(connection, now, since)
        found.subtract(settled)
        looked, begun = connection.execute(_BEGUN, [since, REACH + 1, since, *pairs]).fetchone() or (0, 0)
    hosts = counts.count(database, parse("has:finding", now))
    return FindingSummary(
        open=found.total(),
        severity={name: sum(n for facts, n in found.items() if facts.severity == name) for name in SEVERITIES},
        kev=sum(n for facts, n in found.items() if facts.kev),
        ransomware=sum(n for facts, n in found.items() if facts.ransomware),
        new=sum(n for facts, n in found.items() if facts.fresh) + begun,
        possibly_patched=sum(n for facts, n in found.items() if facts.patched),
        settled=settled.total(),
        hosts=hosts.hosts,
        exact=looked <= REACH,
        hosts_exact=hosts.hosts_exact,
    )


def _settled(connection: Connection, now: datetime, since: datetime) -> tuple[Counter[_Facts], list[list[int]]]:
    """How many are settled; and the pairs of software and CVE that are for everywhere, as two columns."""
    stands = triage.standing(now)
    rows = connection.execute(_DECIDED.format(stands=stands.sql), [since, *stands.params]).fetchall()
    local = connection.execute(_LOCAL.format(stands=stands.sql), stands.params).fetchall()
    names = software(connection, {row[7] for row in rows})
    known = {(row[5], row[7]): row for row in rows}
    everywhere = [triage.Finding(row[6], None, 0, "tcp", cpe_of(names.get(row[7]), row[8])) for row in rows]
    done = {
        (row[5], row[7]) for row, decision in zip(rows, triage.held(connection, everywhere, now), strict=True)
        if decision and decision.status in SETTLED
    }  # fmt: skip
    found = Counter[_Facts]()
    for pair in done:
        found[_Facts(*known[pair][:5])] += known[pair][-1]
    here = [(row, known[row[0], row[1]]) for row in local if (row[0], row[1]) in known]
    decisions = triage.held(connection, [_finding(row, run, names) for row, run in here], now)
    for (row, run), decision in zip(here, decisions, strict=True):
        is_done = decision is not None and decision.status in SETTLED
        found[_Facts(*run[:5])] += is_done - ((row[0], row[1]) in done)
    return found, [[ident for _, ident in done], [num for num, _ in done]]


def _finding(row: tuple[Any, ...], run: tuple[Any, ...], names: dict[int, Any]) -> triage.Finding:
    _, ident, ip, port, protocol = row
    return triage.Finding(run[6], ip, port, PROTOCOL_NAME[protocol], cpe_of(names.get(ident), run[8]))
