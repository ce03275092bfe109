"""Findings: derived from what is stored of endpoints and of software, never stored themselves.

A finding is an endpoint's version, the software of its service, and what is known of that software (table `affected`).
What makes an interval of one, and when it is new, open, closed or reopened, is defined in `model/findinglife.py`; here
its parts are read for the findings of one page, whoever chose them (`store/findinglist.py`, `of_host`, a diff).

Versions are those that were seen by the moment that is asked for, and so is what was told of their software: a finding
at a past moment is one that was known then.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final, LiteralString, NamedTuple, Protocol
from uuid import UUID

import msgspec

from spectra.model import findinglife
from spectra.model.findinglife import Interval, Stay, Told
from spectra.model.findingrecords import (
    CUT,
    FindingKey,
    FindingRecord,
    PriorityRecord,
    TriageRecord,
    level,
)
from spectra.model.findings import Affected, Software
from spectra.model.vulns import Product
from spectra.store import triage
from spectra.store.database import Connection
from spectra.store.timeline import OPEN, PROTOCOL_NAME

MAX_PAST: Final = 500
"""Past versions of an endpoint that are looked at; of one with more, the newest."""
MAX_NAMES: Final = 5
"""Names of a host that are given with a finding."""


class Judged(Protocol):
    """How urgent something is: `intel.priority.Priority`."""

    @property
    def score(self) -> float:
        """0..100."""
        ...

    @property
    def level(self) -> str:
        """A word for it."""
        ...

    @property
    def reasons(self) -> Sequence[str]:
        """What it comes from."""
        ...


class Judge(NamedTuple):
    """What `intel` says of a finding; the store may not ask it, so it is handed in.

    `priority` is asked with the CVE's risk, the confidence, whether the endpoint is exposed, `patched`, and the reasons
    of the risk; those are `why`, of CVSS, severity, EPSS, whether it is in the KEV catalogue, whether ransomware uses
    it, and SSVC's exploitation. `doubt` is the part of the risk that a confidence of 0 leaves (it is linear in
    between), `repaired` what `patched` leaves: lists are sorted by that.
    """

    priority: Callable[[float, float, bool, str, Sequence[str]], Judged]
    why: Callable[[float | None, str, float | None, bool, bool, str], Sequence[str]]
    exposed: Callable[[str], bool]
    sentence: Callable[[Affected, Software], str]
    doubt: float
    repaired: float


class Candidate(NamedTuple):
    """An endpoint and a CVE; `protocol` is its number, `vuln` the number of the CVE's row."""

    ip: str
    port: int
    protocol: int
    vuln: int

    @property
    def endpoint(self) -> tuple[str, int, int]:
        """The endpoint alone."""
        return self.ip, self.port, self.protocol


class Found(NamedTuple):
    """A finding with all its intervals, oldest first, and the row of its CVE."""

    record: FindingRecord
    lived: list[Interval]
    vuln: int


class Clock(NamedTuple):
    """The moment that findings are asked for; `past`: one that has gone by, else it is now."""

    now: datetime
    past: bool = False


# One page of them --------------------------------------------------------------------------------------------------

_STAYS: LiteralString = """
WITH k AS (SELECT * FROM unnest(%(ips)s::inet[], %(ports)s::int4[], %(protocols)s::int2[]) WITH ORDINALITY
           AS k (ip, port, protocol, n))
SELECT k.n, e.state::text, e.since, NULL::timestamptz, e.service, s.software
FROM k JOIN endpoint e USING (ip, port, protocol) LEFT JOIN service s ON s.id = e.service
UNION ALL
SELECT k.n, v.state::text, v.since, v.until, v.service, s.software
FROM k CROSS JOIN LATERAL (
  SELECT * FROM endpoint_version v WHERE (v.ip, v.port, v.protocol) = (k.ip, k.port, k.protocol)
  ORDER BY v.since DESC LIMIT %(past)s) v
LEFT JOIN service s ON s.id = v.service"""
# In two parts, since each has an index of its own.
_TOLD: LiteralString = """
SELECT a.software, a.vuln, a.since, a.until, a.identity, v.cve, p.part, p.vendor, p.product, a.criterion, a.range,
       a.source, a.confidence, a.patched, a.requires
FROM unnest(%s::int4[], %s::int4[]) AS k (software, vuln) CROSS JOIN LATERAL (
  SELECT * FROM affected_by o WHERE o.software = k.software AND o.vuln = k.vuln AND o.until IS NULL UNION ALL
  SELECT * FROM affected_by o WHERE o.software = k.software AND o.vuln = k.vuln AND o.until IS NOT NULL) a
JOIN vuln v ON v.num = a.vuln LEFT JOIN product p ON p.id = a.product"""
_VULNS: LiteralString = """
SELECT v.num, v.cve, v.status, v.severity, v.cvss, v.cvss_version, v.epss, v.epss_percentile, v.kev, v.ransomware,
       v.exploitation, v.risk, coalesce(left(t.title, %(cut)s), ''), coalesce(left(t.description, %(cut)s), '')
FROM vuln v LEFT JOIN vuln_text t USING (num) WHERE v.num = ANY(%(vulns)s::int4[])"""
_SOFTWARE: LiteralString = "SELECT id, body FROM software WHERE id = ANY(%s::int4[])"
_SERVICES: LiteralString = "SELECT id, name, product, version FROM service WHERE id = ANY(%(services)s::uuid[])"
_NAMES: LiteralString = """
SELECT i.ip, n.names FROM unnest(%(hosts)s::text[]) AS i (ip) CROSS JOIN LATERAL (
  SELECT array_agg(d.name) FROM (
    SELECT DISTINCT h.name FROM hostname h WHERE h.ip = i.ip::inet ORDER BY h.name LIMIT %(names)s) d) n (names)
WHERE n.names IS NOT NULL"""

_software = msgspec.json.Decoder(Software).decode


class _Vuln(NamedTuple):
    """A row of `_VULNS`."""

    num: int
    cve: str
    status: Any
    severity: Any
    cvss: float | None
    cvss_version: str
    epss: float | None
    epss_percentile: float | None
    kev: date | None
    ransomware: bool
    exploitation: str
    risk: float
    title: str
    description: str


def load(connection: Connection, wanted: Sequence[Candidate], judge: Judge, clock: Clock) -> list[Found | None]:
    """The finding of each of `wanted`, in their order; None where there never was one."""
    if not wanted:
        return []
    stays = _stays(connection, wanted)
    told, softwares = _told(connection, wanted, stays)
    lives = [_life(stays[c.endpoint], told.get(c.vuln, {}), clock) for c in wanted]
    parts = _Parts(connection, wanted, lives, softwares)
    asked = [_decided(parts, c, lived) for c, lived in zip(wanted, lives, strict=True) if lived]
    decisions = iter(triage.held(connection, asked, clock.now, past=clock.past))
    return [
        Found(_record(c, lived, parts, judge, next(decisions), clock.now), lived, c.vuln) if lived else None
        for c, lived in zip(wanted, lives, strict=True)
    ]


def _life(stays: Sequence[Stay], told: Mapping[int, Sequence[Told]], clock: Clock) -> list[Interval]:
    if clock.past:
        return findinglife.intervals(*findinglife.then(stays, told, clock.now))
    return findinglife.intervals(stays, told)


def _stays(connection: Connection, wanted: Iterable[Candidate]) -> dict[tuple[str, int, int], list[Stay]]:
    """The versions of each endpoint."""
    endpoints = list(dict.fromkeys(c.endpoint for c in wanted))
    ips, ports, protocols = (list(column) for column in zip(*endpoints, strict=True))
    found: dict[tuple[str, int, int], list[Stay]] = {endpoint: [] for endpoint in endpoints}
    params = {"ips": ips, "ports": ports, "protocols": protocols, "past": MAX_PAST}
    for n, letter, *rest in connection.execute(_STAYS, params):
        found[endpoints[n - 1]].append(Stay(letter == OPEN, *rest))
    return found


def _told(
    connection: Connection, wanted: Iterable[Candidate], stays: Mapping[tuple[str, int, int], Sequence[Stay]]
) -> tuple[dict[int, dict[int, list[Told]]], dict[int, Software]]:
    """What was told of the software of `stays`, by CVE and software; and the software of which anything was."""
    pairs = {(stay.software, c.vuln) for c in wanted for stay in stays[c.endpoint] if stay.software is not None}
    rows = connection.execute(_TOLD, [[one for one, _ in pairs], [vuln for _, vuln in pairs]]).fetchall()
    softwares = software(connection, {row[0] for row in rows})
    found: dict[int, dict[int, list[Told]]] = defaultdict(lambda: defaultdict(list))
    for ident, vuln, since, until, identity, *why in rows:
        found[vuln][ident].append(Told(since, until, _affected(why, cpe_of(softwares.get(ident), identity))))
    return found, softwares


def software(connection: Connection, ids: Iterable[int]) -> dict[int, Software]:
    """What is known of the software with these ids."""
    return {ident: _software(body) for ident, body in connection.execute(_SOFTWARE, [list(ids)])}


def cpe_of(what: Software | None, identity: int) -> str:
    """The name of a software that matched; empty where it has no such name any more."""
    return what.identities[identity].cpe if what and 0 <= identity < len(what.identities) else ""


def _affected(row: Sequence[Any], cpe: str) -> Affected:
    cve, part, vendor, product, criterion, bounds, source, confidence, patched, requires = row
    named = Product(part or "", vendor or "", product or "")
    return Affected(cve, named, cpe, criterion, bounds, source, confidence, patched, tuple(requires))


class _Parts:
    """What findings are put together from, by id."""

    def __init__(
        self,
        connection: Connection,
        wanted: Sequence[Candidate],
        lives: Sequence[Sequence[Interval]],
        softwares: Mapping[int, Software],
    ) -> None:
        self.software = softwares
        params = {
            "cut": CUT + 1,
            "names": MAX_NAMES,
            "vulns": list({c.vuln for c in wanted}),
            "services": list({lived[-1].stay.service for lived in lives if lived}),
            "hosts": list({c.ip for c, lived in zip(wanted, lives, strict=True) if lived}),
        }
        with connection.pipeline():
            cursors = [connection.execute(s, params) for s in (_VULNS, _SERVICES, _NAMES)]
            vulns, services, names = (cursor.fetchall() for cursor in cursors)
        self.vulns = {row[0]: _Vuln(*row) for row in vulns}
        self.services: dict[UUID, tuple[str, str, str]] = {row[0]: row[1:] for row in services}
        self.names: dict[str, tuple[str, ...]] = {ip: tuple(listed) for ip, listed in names}


def _decided(parts: _Parts, c: Candidate, lived: Sequence[Interval]) -> triage.Finding:
    return triage.Finding(parts.vulns[c.vuln].cve, c.ip, c.port, PROTOCOL_NAME[c.protocol], lived[-1].told.why.cpe)


def _record(  # noqa: PLR0917 - one row, put together
    c: Candidate, lived: Sequence[Interval], parts: _Parts, judge: Judge, decision: TriageRecord | None, now: datetime
) -> FindingRecord:
    last, vuln, protocol = lived[-1], parts.vulns[c.vuln], PROTOCOL_NAME[c.protocol]
    known = vuln.kev is not None
    because = judge.why(vuln.cvss, vuln.severity, vuln.epss, known, vuln.ransomware, vuln.exploitation)
    why = last.told.why
    runs = parts.software.get(last.stay.software) if last.stay.software is not None else None
    service, product, version = parts.services.get(last.stay.service, ("", "", "")) if last.stay.service else ("",) * 3
    return FindingRecord(
        id=str(FindingKey(c.ip, c.port, protocol, vuln.cve)),
        ip=c.ip,
        port=c.port,
        protocol=protocol,
        cve=vuln.cve,
        title=cut(vuln.title),
        description=cut(vuln.description),
        status=vuln.status,
        severity=vuln.severity,
        cvss=vuln.cvss,
        cvss_version=vuln.cvss_version,
        epss=vuln.epss,
        epss_percentile=vuln.epss_percentile,
        kev=vuln.kev,
        ransomware=vuln.ransomware,
        state=findinglife.state(lived, now),
        opened=last.opened,
        known=last.known,
        closed=last.closed,
        closed_why=last.closed_why,
        confidence=why.confidence,
        level=level(why.confidence),
        patched=why.patched,
        cpe=why.cpe,
        criterion=why.criterion,
        range=why.range,
        source=why.source,
        requires=why.requires,
        reason=judge.sentence(why, runs or Software()),
        priority=_judged(judge.priority(vuln.risk, why.confidence, judge.exposed(c.ip), why.patched, because)),
        triage=decision,
        service=service,
        product=product,
        version=version,
        hostnames=parts.names.get(c.ip, ()),
    )


def _judged(found: Judged) -> PriorityRecord:
    return PriorityRecord(found.score, found.level, tuple(found.reasons))


def cut(text: str, most: int = CUT) -> str:
    """`text` in at most `most` characters."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def aware(moment: datetime) -> datetime:
    """A moment without a zone is UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
