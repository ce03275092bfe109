"""Weaknesses that are new somewhere, and those of alerts that are there no longer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final, LiteralString, NamedTuple

from spectra.model.query import Query, Term
from spectra.store.conditions import Condition, all_of, array, negation
from spectra.store.database import Connection
from spectra.store.filters import resolve
from spectra.store.lookups import hurried
from spectra.store.timeline import PROTOCOL_NAME
from spectra.store.weaknesses import OPEN, Decided
from spectra.store.wording import FINDING, held

MAX_FOUND: Final = 2000
"""Weaknesses that a rule is told of in one look at most."""


class Weakness(NamedTuple):
    """A CVE that concerns what runs at an endpoint."""

    ip: str
    port: int
    number: int
    cve: str
    severity: str
    cvss: float | None
    kev: date | None
    title: str
    product: str
    version: str
    at: datetime

    @property
    def protocol(self) -> str:
        """The protocol by its name."""
        return PROTOCOL_NAME[self.number]


class Source(NamedTuple):
    """Where weaknesses are looked for: at endpoints where something else runs than before (ip, port, protocol), in
    what was learned after `learned`, and in what came into the KEV catalogue.
    """

    endpoints: tuple[tuple[str, int, int], ...] = ()
    learned: datetime | None = None
    until: datetime | None = None
    exploited: tuple[str, ...] = ()


_COLUMNS: LiteralString = """host(e.ip), e.port, e.protocol, v.cve, v.severity, v.cvss, v.kev,
  coalesce(left(t.title, 200), ''), s.product, s.version, greatest(a.since, e.since)"""
_JOINED: LiteralString = """
  JOIN vuln v ON v.num = a.vuln LEFT JOIN vuln_text t ON t.num = v.num"""
_HERE: LiteralString = """
FROM unnest(%s::inet[], %s::int4[], %s::int2[]) AS k (ip, port, protocol)
  JOIN endpoint e USING (ip, port, protocol) JOIN service s ON s.id = e.service
  JOIN affected a ON a.software = s.software"""
_LEARNED: LiteralString = """
FROM affected a JOIN service s ON s.software = a.software JOIN endpoint e ON e.service = s.id"""
_EXPLOITED: LiteralString = """
FROM vuln k JOIN affected a ON a.vuln = k.num JOIN service s ON s.software = a.software
  JOIN endpoint e ON e.service = s.id"""


def weaknesses(connection: Connection, query: Query, source: Source, *, exploited: bool) -> list[Weakness]:
    """Weaknesses of open endpoints that came from `source`, are not settled, and that `query` holds for: its terms of
    weaknesses for that very one, the others for the endpoint. `exploited`: only those in the KEV catalogue.
    """
    own = [term for term in query.terms if term.field in FINDING]
    wanted = resolve(connection, Query(tuple(term for term in query.terms if term.field not in FINDING)))
    if wanted.empty:
        return []
    asked = all_of([*(_own(term) for term in own), *([Condition("v.kev IS NOT NULL")] if exploited else [])])
    decided = Decided.load(connection, asked)
    common = all_of([Condition(OPEN), asked, *wanted.conditions, decided.open("e")])
    found: dict[tuple[str, int, int, str], Weakness] = {}
    with hurried(connection, really=wanted.costly):
        for part in _parts(source, exploited=exploited):
            condition = all_of([part[1], common])
            statement: LiteralString = (
                f"SELECT {_COLUMNS} {part[0].sql} {_JOINED} WHERE {condition.sql} ORDER BY v.risk DESC, e.ip LIMIT %s"
            )
            for row in connection.execute(statement, [*part[0].params, *condition.params, MAX_FOUND]):
                found.setdefault(row[:4], Weakness(*row))
    return list(found.values())[:MAX_FOUND]


def _own(term: Term) -> Condition:
    condition = held(FINDING[term.field], term)
    return negation(condition) if term.negated else condition


def _parts(source: Source, *, exploited: bool) -> list[tuple[Condition, Condition]]:
    """Tables, and a condition on them, for each place where to look."""
    parts: list[tuple[Condition, Condition]] = []
    if source.endpoints:
        columns = tuple(array(column) for column in zip(*source.endpoints, strict=True))
        parts.append((Condition(_HERE, columns), Condition("true")))
    if source.learned is not None:
        until = Condition("a.since <= %s", (source.until,)) if source.until else Condition("true")
        parts.append((Condition(_LEARNED), all_of([Condition("a.since > %s", (source.learned,)), until])))
    if source.exploited and exploited:
        parts.append((Condition(_EXPLOITED), Condition("k.cve = ANY(%s::text[])", (list(source.exploited),))))
    return parts


def newly_exploited(connection: Connection, *, first: bool) -> tuple[str, ...]:
    """CVEs that came into the KEV catalogue since this was asked last; none at the `first` time."""
    rows = connection.execute(
        "INSERT INTO alert_known_kev (cve) SELECT cve FROM kev ON CONFLICT DO NOTHING RETURNING cve"
    ).fetchall()
    connection.execute("DELETE FROM alert_known_kev k WHERE NOT EXISTS (SELECT FROM kev WHERE kev.cve = k.cve)")
    return () if first else tuple(row[0] for row in rows)


def kev_changed(connection: Connection) -> bool:
    """Whether the catalogue is another than when it was looked at last, as far as counts tell; cheap."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM kev WHERE NOT EXISTS (SELECT FROM alert_known_kev k WHERE k.cve = kev.cve))"
    ).fetchone()
    return bool(row and row[0])


def any_open(connection: Connection, *, exploited: bool) -> bool:
    """Whether any software here has a weakness at all, or one that is known to be exploited; cheap.

    Where none has, what runs where need not be looked at: to do so for a million hosts takes minutes.
    """
    found: LiteralString = "SELECT FROM affected WHERE until IS NULL"
    if exploited:
        found = "SELECT FROM vuln v JOIN affected a ON a.vuln = v.num AND a.until IS NULL WHERE v.kev IS NOT NULL"
    row = connection.execute(f"SELECT EXISTS ({found})").fetchone()
    return bool(row and row[0])


_OVER: LiteralString = """
UPDATE alert_subject s SET over = %s
WHERE s.over IS NULL AND s.kind = ANY(%s::text[]) AND NOT EXISTS (
  SELECT FROM endpoint e JOIN service r ON r.id = e.service JOIN affected a ON a.software = r.software
  JOIN vuln v ON v.num = a.vuln
  WHERE (e.ip, e.port) = (s.ip, s.port) AND e.protocol = CASE s.protocol WHEN 'tcp' THEN 6 WHEN 'udp' THEN 17
      WHEN 'sctp' THEN 132 END
    AND e.state = 'o' AND v.cve = s.cve AND """


def over(connection: Connection, now: datetime) -> int:
    """Mark weaknesses of alerts that are there no longer, or were decided to be settled; how many."""
    kinds: Sequence[str] = ("finding.new", "kev.match")
    known = connection.execute(
        "SELECT DISTINCT cve FROM alert_subject WHERE over IS NULL AND kind = ANY(%s::text[])", [list(kinds)]
    ).fetchall()
    if not known:
        return 0
    decided = Decided.load(connection, Condition("v.cve = ANY(%s::text[])", ([row[0] for row in known],)))
    open_ = all_of([Condition(OPEN), decided.open("e")])
    statement: LiteralString = f"{_OVER} {open_.sql})"
    return connection.execute(statement, [now, list(kinds), *open_.params]).rowcount
