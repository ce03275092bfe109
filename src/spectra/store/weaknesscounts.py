"""Findings counted: how many endpoints have which kind of them, for facets, and how many each endpoint of a page has.

Facets count the findings that a question asks for, as its terms must hold for one finding: beside `severity:high` no
other severity is counted, since a search for both would find nothing. They count through services, as the tallies do,
with what was decided for everywhere. Endpoints at which something else was decided are few: for them the difference
is found one by one, and added. Of more than `MANY` it is left out, and the facet is told to be an estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, LiteralString, NamedTuple

from spectra.model.fields import FIELDS
from spectra.model.query import Query
from spectra.store import triage
from spectra.store.conditions import Condition, Filter, all_of
from spectra.store.database import Connection
from spectra.store.weaknesses import OPEN, Decided
from spectra.store.wording import FINDING
from spectra.store.wording import held as worded

VALUES: Final[dict[str, LiteralString]] = {
    "vuln": "v.cve",
    "severity": "nullif(f.severity, '')",
    "kev": "f.kev::text",
    # As a query asks for them; scores have one decimal.
    "cvss": "CASE WHEN f.cvss >= 10 THEN '10' ELSE f.cvss || '-' || f.cvss || '.9' END",
}
"""What a facet tells of a CVE `v`, or of a kind of CVEs `f`; null: nothing."""


MANY: Final = 2_000
"""Endpoints with decisions of their own up to which facets take them into account; about 100 ms."""


class Spot(NamedTuple):
    """An endpoint, and the software that runs there."""

    ip: str
    port: int
    protocol: int
    software: int | None


class Counted(NamedTuple):
    """The findings that facets count: about a CVE that is as `asked` (of `v`), unless that is settled.

    `spots` are endpoints of the question with decisions of their own; None: too many of them.
    """

    asked: Condition
    decided: Decided
    spots: Sequence[Spot] | None = ()

    @classmethod
    def load(cls, connection: Connection, query: Query, wanted: Filter, *, exact: bool) -> Counted:
        """What facets of `query` count, whose endpoints satisfy `wanted`; `exact`: however many spots there are."""
        asked = all_of([worded(FINDING[t.field], t) for t in query.terms if t.field in FINDING and not t.negated])
        decided = Decided.load(connection, _ANY)
        return cls(asked, decided, _spots(connection, wanted, decided, exact=exact) if decided.local else ())


def _spots(connection: Connection, wanted: Filter, decided: Decided, *, exact: bool) -> list[Spot] | None:
    stands, held = triage.standing(decided.now), all_of(wanted.conditions)
    found = connection.execute(
        f"""SELECT DISTINCT e.ip::text, e.port, e.protocol, s.software
            FROM (SELECT DISTINCT t.ip, t.port, t.protocol FROM triage t JOIN vuln v ON v.cve = t.cve
                  WHERE t.ip IS NOT NULL AND v.num = ANY(%s::int4[]) AND {stands.sql} OFFSET 0) t
              JOIN endpoint e ON e.ip = t.ip AND (t.port IS NULL OR (t.port, t.protocol) = (e.port, e.protocol))
              JOIN service s ON s.id = e.service
            WHERE {held.sql} AND EXISTS (
              SELECT FROM affected a WHERE a.software = s.software AND a.vuln = ANY(%s::int4[])) LIMIT %s""",
        [list(decided.local), *stands.params, *held.params, list(decided.local), None if exact else MANY + 1],
    ).fetchall()
    return [Spot(*row) for row in found] if exact or len(found) <= MANY else None


def relations(names: Sequence[str], counted: Counted) -> Condition:
    """What `grouped` reads for these facets, to be put after the relation `of_service` of services (`key`) and how many
    endpoints `n` have them.

    `w` is software and how many endpoints run it, `f` what kinds of CVEs it has: a few for each, of many CVEs. `d` are
    the findings of endpoints with decisions of their own: whether such an endpoint (`n`) `had` it by what was decided
    for everywhere, and whether it `has` it.
    """
    found = Condition(""", w AS MATERIALIZED (SELECT s.software, sum(g.n) AS n
      FROM of_service g LEFT JOIN service s ON s.id = g.key GROUP BY 1)""")
    if {*names} - {"vuln"}:
        held = all_of([counted.decided.open(), counted.asked])
        kinds: LiteralString = f""", f AS MATERIALIZED (
          SELECT DISTINCT a.software, v.severity, v.kev IS NOT NULL AS kev, floor(v.cvss)::int4 AS cvss
          FROM w JOIN affected a ON a.software = w.software JOIN vuln v ON v.num = a.vuln
          WHERE {OPEN} AND {held.sql})"""
        found = Condition(found.sql + kinds, held.params)
    if counted.spots:
        had, has, asked = counted.decided.open(), counted.decided.open("q"), counted.asked
        differing: LiteralString = f""", d AS MATERIALIZED (
          SELECT q.n, v.cve, v.severity, v.kev IS NOT NULL AS kev, floor(v.cvss)::int4 AS cvss, {had.sql} AS had,
                 {has.sql} AS has
          FROM unnest(%s::inet[], %s::int4[], %s::int2[], %s::int4[])
            WITH ORDINALITY AS q (ip, port, protocol, software, n)
          JOIN affected a ON a.software = q.software JOIN vuln v ON v.num = a.vuln WHERE {OPEN} AND {asked.sql})"""
        columns = [list(column) for column in zip(*counted.spots, strict=True)]
        found = Condition(found.sql + differing, (*found.params, *had.params, *has.params, *columns, *asked.params))
    return found


def grouped(name: str, counted: Counted, scale: float) -> Condition:
    """The values `v` of a facet and how many endpoints `n` have them: each counts once for each that it has.

    `scale` is what the numbers of `of_service` have to be multiplied with: those of single endpoints stand for
    themselves.
    """
    general = _general(name, counted)
    if not counted.spots:
        return general
    value = VALUES[name]
    one: LiteralString = "v" if name == "vuln" else "f"
    changed: LiteralString = f"""
      SELECT x.v, sum(x.has::int4 - x.had::int4) / %s::float8 AS n FROM (
        SELECT {one}.n, {value} AS v, bool_or({one}.had) AS had, bool_or({one}.has) AS has
        FROM d {one} WHERE {value} IS NOT NULL GROUP BY 1, 2) x GROUP BY 1
      UNION ALL SELECT NULL, sum(x.had::int4 - x.has::int4) / %s::float8 FROM (
        SELECT {one}.n, bool_or({one}.had) AS had, bool_or({one}.has) AS has
        FROM d {one} WHERE {value} IS NOT NULL GROUP BY 1) x"""
    return Condition(
        f"SELECT c.v, sum(c.n) AS n FROM ({general.sql} UNION ALL {changed}) c GROUP BY 1",
        (*general.params, scale, scale),
    )


def _general(name: str, counted: Counted) -> Condition:
    """By what was decided for everywhere."""
    value, asked = VALUES[name], counted.asked
    if name != "vuln":
        values: LiteralString = f"SELECT DISTINCT f.software, {value} AS v FROM f WHERE {value} IS NOT NULL"
        return Condition(
            f"SELECT x.v, sum(w.n) AS n FROM w LEFT JOIN ({values}) x ON x.software = w.software GROUP BY 1"
        )
    held = counted.decided.open()
    # By number first, which is all that millions of rows need; who has none is asked apart.
    return Condition(
        f"""SELECT {value} AS v, q.n FROM (
              SELECT a.vuln, sum(w.n) AS n FROM w JOIN affected a ON a.software = w.software
              WHERE a.until IS NULL AND {held.sql} GROUP BY 1) q
            JOIN vuln v ON v.num = q.vuln AND v.status <> 'rejected' AND {asked.sql}
            UNION ALL SELECT NULL, sum(w.n) FROM w WHERE NOT EXISTS (
              SELECT FROM affected a JOIN vuln v ON v.num = a.vuln
              WHERE a.software = w.software AND {OPEN} AND {held.sql} AND {asked.sql} OFFSET 0)""",
        (*held.params, *asked.params, *held.params, *asked.params),
    )


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
