"""Findings counted: how many endpoints have which kind of them, for facets, and how many each endpoint of a page has.

Facets count through services, as the tallies do, so what was decided for single hosts and endpoints is not taken off
there; what was decided for everywhere is. A page of endpoints knows its hosts, and takes off both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, LiteralString, NamedTuple

from spectra.model.fields import FIELDS
from spectra.store.conditions import Condition
from spectra.store.database import Connection
from spectra.store.weaknesses import OPEN, Decided

VALUES: Final[dict[str, LiteralString]] = {
    "vuln": "v.cve",
    "severity": "nullif(v.severity, '')",
    "kev": "CASE WHEN v.kev IS NULL THEN 'false' ELSE 'true' END",
    # As a query asks for them; scores have one decimal.
    "cvss": "CASE WHEN v.cvss >= 10 THEN '10' ELSE floor(v.cvss)::int4 || '-' || floor(v.cvss)::int4 || '.9' END",
}
"""What a facet tells of a CVE `v`; null: nothing."""


def grouped(name: str, ids: LiteralString, decided: Decided) -> Condition:
    """Values `v` of that facet and how many endpoints `n` have them, given services `key` and how many `n` those have.

    An endpoint counts once for each value that any of its findings has.
    """
    held, value = decided.open(), VALUES[name]
    # A CVE is told of once a software; of the other values there are few, so they are made distinct first.
    distinct: LiteralString = "" if name == "vuln" else "DISTINCT"
    return Condition(
        f"""WITH g AS MATERIALIZED ({ids})
            SELECT x.v, sum(g.n) AS n FROM g LEFT JOIN service s ON s.id = g.key LEFT JOIN (
              SELECT {distinct} a.software, {value} AS v FROM affected a JOIN vuln v ON v.num = a.vuln
              WHERE {OPEN} AND {value} IS NOT NULL AND {held.sql}
                AND a.software IN (SELECT s.software FROM g JOIN service s ON s.id = g.key)) x
              ON x.software = s.software GROUP BY 1""",
        held.params,
    )


class Spot(NamedTuple):
    """An endpoint, and the software that runs there."""

    ip: str
    port: int
    protocol: int
    software: int | None


class Count(NamedTuple):
    """How many findings, and the worst severity among them; empty where no CVE has one."""

    findings: int = 0
    worst: str = ""


def counts(connection: Connection, spots: Sequence[Spot]) -> list[Count]:
    """The findings of each of these endpoints."""
    known = [spot for spot in spots if spot.software is not None]
    if not known:
        return [Count()] * len(spots)
    decided = Decided.load(connection, _ANY, sorted({spot.ip for spot in known}))
    hosts = set[str]()
    if decided.local:
        hosts = {ip for (ip,) in connection.execute(_DECIDED, [[spot.ip for spot in known], decided.now])}
    # What was decided for no host of its own is the same wherever that software runs.
    keys = [spot if spot.ip in hosts else (None, None, None, spot.software) for spot in spots]
    found = _counted(connection, sorted({key for key in keys if key[3] is not None}, key=str), decided)
    return [found.get(key, Count()) for key in keys]


_Key = tuple[str | None, int | None, int | None, int | None]
_ANY: Final = Condition("true")
_DECIDED: LiteralString = """SELECT DISTINCT host(t.ip) FROM triage t
WHERE t.ip = ANY(%s::inet[]) AND t.removed IS NULL AND (t.until IS NULL OR t.until > %s)"""
_RANKED: Final = list(reversed(FIELDS["severity"].choices))
"""Severities, the worst last."""


def _counted(connection: Connection, keys: Sequence[_Key], decided: Decided) -> dict[_Key, Count]:
    held = decided.open("q")
    rows = connection.execute(
        f"""SELECT q.n, count(*), max(array_position(%s::text[], v.severity))
            FROM unnest(%s::inet[], %s::int4[], %s::int2[], %s::int4[])
              WITH ORDINALITY AS q (ip, port, protocol, software, n)
            JOIN affected a ON a.software = q.software JOIN vuln v ON v.num = a.vuln
            WHERE {OPEN} AND {held.sql} GROUP BY q.n""",
        [_RANKED, *(list(column) for column in zip(*keys, strict=True)), *held.params],
    )
    return {keys[n - 1]: Count(count, _RANKED[worst - 1] if worst else "") for n, count, worst in rows}
