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
    "severity": "nullif(f.severity, '')",
    "kev": "f.kev::text",
    # As a query asks for them; scores have one decimal.
    "cvss": "CASE WHEN f.cvss >= 10 THEN '10' ELSE f.cvss || '-' || f.cvss || '.9' END",
}
"""What a facet tells of a CVE `v`, or of a kind of CVEs `f`; null: nothing."""


def relations(names: Sequence[str], decided: Decided) -> Condition:
    """What `grouped` reads for these facets, to be put after the relation `of_service` of services (`key`) and how many
    endpoints `n` have them.

    `w` is software and how many endpoints run it, `f` what kinds of CVEs it has: a few for each, of many CVEs.
    """
    software: LiteralString = """, w AS MATERIALIZED (SELECT s.software, sum(g.n) AS n
      FROM of_service g LEFT JOIN service s ON s.id = g.key GROUP BY 1)"""
    if not {*names} - {"vuln"}:
        return Condition(software)
    held = decided.open()
    kinds: LiteralString = f""", f AS MATERIALIZED (
      SELECT DISTINCT a.software, v.severity, v.kev IS NOT NULL AS kev, floor(v.cvss)::int4 AS cvss
      FROM w JOIN affected a ON a.software = w.software JOIN vuln v ON v.num = a.vuln WHERE {OPEN} AND {held.sql})"""
    return Condition(software + kinds, held.params)


def grouped(name: str, decided: Decided) -> Condition:
    """The values `v` of a facet and how many endpoints `n` have them: each counts once for each that it has."""
    held, value = decided.open(), VALUES[name]
    if name != "vuln":
        values: LiteralString = f"SELECT DISTINCT f.software, {value} AS v FROM f WHERE {value} IS NOT NULL"
        return Condition(
            f"SELECT x.v, sum(w.n) AS n FROM w LEFT JOIN ({values}) x ON x.software = w.software GROUP BY 1"
        )
    # By number first, which is all that millions of rows need; who has none is asked apart.
    return Condition(
        f"""SELECT {value} AS v, q.n FROM (
              SELECT a.vuln, sum(w.n) AS n FROM w JOIN affected a ON a.software = w.software
              WHERE a.until IS NULL AND {held.sql} GROUP BY 1) q
            JOIN vuln v ON v.num = q.vuln AND v.status <> 'rejected'
            UNION ALL SELECT NULL, sum(w.n) FROM w WHERE NOT EXISTS (
              SELECT FROM affected a JOIN vuln v ON v.num = a.vuln
              WHERE a.software = w.software AND {OPEN} AND {held.sql} OFFSET 0)""",
        (*held.params, *held.params),
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
