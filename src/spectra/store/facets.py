"""How many of the endpoints that match have which value: exact where that is cheap, a flagged estimate elsewhere.

What a question and a facet speak of decides where the numbers come from, the first of these that knows all of it:

1. the tallies (`store.tallies`) of areas, of services, of places, and of kinds of services by country, always exact;
2. the endpoints that match, read once, if the planner expects few enough;
3. a sample of the table's pages, its numbers scaled: not exact, and said so.

The rarest values cannot be told from a sample, so they are read whatever it takes, as everything is where `exact` is
asked for. All numbers of one answer are of one moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final, LiteralString, NamedTuple

import msgspec

from spectra.model.facets import Asked, Facet, FacetValue, Total
from spectra.model.query import Query
from spectra.model.records import SearchPage
from spectra.store import search, weaknesscounts
from spectra.store.database import Connection, Database
from spectra.store.filters import Condition, Filter, resolve
from spectra.store.lookups import hurried
from spectra.store.populations import Population, Rows, everything
from spectra.store.search import Paging
from spectra.store.tallies import ENTRIES, snapshot
from spectra.store.timeline import PROTOCOL_NAME
from spectra.store.weaknesscounts import Counted


class Answer(NamedTuple):
    """How many endpoints match, and the facets asked for, in the order in which they were."""

    total: Total
    facets: dict[str, Facet]


def answer(database: Database, query: Query, asked: Sequence[Asked] = (), *, exact: bool = False) -> Answer:
    """The total and the facets of `query`; `exact`: nothing is estimated, however long it takes."""
    with snapshot(database) as connection:
        return of(connection, query, asked, exact=exact)


def page(
    database: Database, query: Query, paging: Paging, asked: Sequence[Asked] = (), *, exact: bool = False
) -> SearchPage:
    """A page of the endpoints that match, with what `answer` tells of all of them at the same moment.

    Raises `BadRequest` naming `sort`, `limit` or `cursor`.
    """
    search.check(paging)
    with snapshot(database) as connection:
        wanted = resolve(connection, query)
        told = _counted(connection, query, wanted, asked, exact)
        found = search.page(connection, wanted, paging, likely=told.total.count)
    return msgspec.structs.replace(found, total=told.total, facets=told.facets)


def of(connection: Connection, query: Query, asked: Sequence[Asked] = (), *, exact: bool = False) -> Answer:
    """As `answer`, on a connection that sees one snapshot."""
    return _counted(connection, query, resolve(connection, query), asked, exact)


def _counted(connection: Connection, query: Query, wanted: Filter, asked: Sequence[Asked], exact: bool) -> Answer:
    if wanted.empty:
        return Answer(Total(0, True), {one.name: Facet((), 0, 0, True) for one in asked})
    with hurried(connection, really=wanted.costly):
        return _Answering(connection, query, wanted, exact=exact).answer(asked)


# What values follow from ---------------------------------------------------------------------------------------------


class _Value(NamedTuple):
    """The column of the rows `m` that a facet follows from, and the value, from that `g.key` and what is joined to it.

    `area` and `area_value`: the areas of `tally_area` that have it, and where. `kind`: the column it is in where rows
    have names instead of ids.
    """

    key: LiteralString
    value: LiteralString
    join: LiteralString = ""
    area: LiteralString = ""
    area_value: LiteralString = "name"
    kind: LiteralString = ""


_PLACE: LiteralString = "LEFT JOIN place p ON p.id = g.key"
_SERVICE: LiteralString = "LEFT JOIN service s ON s.id = g.key"
_CERTIFICATE: LiteralString = "LEFT JOIN certificate c ON c.id = g.key"
_NAMES: LiteralString = "LEFT JOIN LATERAL (SELECT DISTINCT name FROM hostname WHERE hostname.ip = g.key) h ON true"
_CLOUD_REGION: LiteralString = "CASE WHEN p.cloud_region <> '' THEN p.cloud || '/' || p.cloud_region END"
_AREA_REGION: LiteralString = "CASE WHEN name <> '' THEN parent || '/' || name END"

_VALUES: Final[dict[str, _Value]] = {
    "country": _Value("place", "p.country", _PLACE, "country", kind="country"),
    "region": _Value("place", "p.region", _PLACE, "region"),
    "city": _Value("place", "p.city", _PLACE, "city"),
    "asn": _Value("place", "nullif(p.asn, 0)::text", _PLACE, "asn"),
    "org": _Value("place", "p.org", _PLACE, "asn", "parent"),
    "cloud": _Value("place", "p.cloud", _PLACE, "cloud", "parent"),
    "cloud_region": _Value("place", _CLOUD_REGION, _PLACE, "cloud", _AREA_REGION),
    "port": _Value("port", "g.key::text", kind="port"),
    "protocol": _Value("protocol", "g.key::text", kind="protocol"),
    "service": _Value("service", "s.name", _SERVICE, kind="name"),
    "product": _Value("service", "s.product", _SERVICE, kind="product"),
    "version": _Value("service", "s.version", _SERVICE),
    "os": _Value("service", "s.os", _SERVICE),
    "cpe": _Value("service", "x.name", f"{_SERVICE} LEFT JOIN LATERAL unnest(s.cpe23) x (name) ON true"),
    "title": _Value("banner", "b.title", "LEFT JOIN banner b ON b.id = g.key"),
    "cert.issuer": _Value("certificate", "c.issuer", _CERTIFICATE),
    "cert.subject": _Value("certificate", "coalesce(nullif(c.subject_cn, ''), c.subject)", _CERTIFICATE),
    "hostname": _Value("ip", "h.name", _NAMES),
    # Of the findings of the service; `weaknesscounts` has the rest.
    **{name: _Value("service", value) for name, value in weaknesscounts.VALUES.items()},
    "last_seen": _Value("last_seen", 'to_char(g.key, \'YYYY-MM-DD"T"HH24:MI:SS"Z"\')'),
    "first_seen": _Value("first_seen", 'to_char(g.key, \'YYYY-MM-DD"T"HH24:MI:SS"Z"\')'),
}
_UNITS: Final[dict[str, LiteralString]] = {"hour": "hour", "day": "day", "week": "week", "month": "month"}


def _keyed(asked: Sequence[Asked], rows: Rows) -> list[LiteralString]:
    """For each column that these facets follow from, a relation `of_` it: a value, `key`, and how many have it.

    Grouped only where that leaves few of very many rows: the planner cannot tell how many groups there will be, takes
    them for few, and looks what is joined to them up one by one.
    """
    if rows.kinds:
        return []
    relations: dict[LiteralString, LiteralString] = {}
    for one in asked:
        column = _VALUES[one.name].key
        key: LiteralString = f"m.{column} AS key"
        if one.unit:
            key = f"date_trunc('{_UNITS[one.unit]}', m.{column}) AS key"
        held = rows.of(column)
        counted: LiteralString = f"SELECT {key}, m.n FROM m WHERE {held}"
        if one.unit or rows.single:
            counted = f"SELECT {key}, sum(m.n) AS n FROM m WHERE {held} GROUP BY 1"
        relations[column] = f", of_{column} AS ({counted})"
    return list(relations.values())


def _grouped(asked: Asked, rows: Rows, findings: Counted | None) -> Condition:
    """Values `v` and how many endpoints `n` have them."""
    if findings and asked.name in weaknesscounts.VALUES:
        return weaknesscounts.grouped(asked.name, findings, rows.scale)
    value = _VALUES[asked.name]
    if rows.kinds:
        return Condition(f"SELECT m.{value.kind}::text AS v, sum(m.n) AS n FROM m GROUP BY 1")
    return Condition(f"SELECT {value.value} AS v, sum(g.n) AS n FROM of_{value.key} g {value.join} GROUP BY 1")


def _ties(asked: Asked) -> LiteralString:
    """The order of values that are equally common: 80 comes before 443."""
    return 'length(v), v COLLATE "C"' if asked.name in _NUMBERS else 'v COLLATE "C"'


_NUMBERS: Final = ("port", "asn")


def _of_area(number: int, asked: Asked) -> list[Condition]:
    """For all open endpoints, from the tallies of areas and the log: the values to list, and how many have none."""
    value = _VALUES[asked.name]
    logged: LiteralString = f"SELECT place AS key, sum(endpoints) AS n FROM {ENTRIES} WHERE endpoints <> 0 GROUP BY 1"
    rows: LiteralString = f"""(
      SELECT {value.area_value} AS v, endpoints::float8 AS n FROM tally_area WHERE area = '{value.area}'
      UNION ALL SELECT {value.value}, g.n FROM ({logged}) g {value.join}) a"""
    order: LiteralString = "3" if asked.rarest else "3 DESC"
    listed: LiteralString = f"""(SELECT %s::int4, v, sum(n) FROM {rows} WHERE v <> '' GROUP BY v
      HAVING sum(n) > 0 ORDER BY {order}, {_ties(asked)} LIMIT %s)"""
    missing: LiteralString = f"SELECT %s::int4, NULL::text, sum(n) FROM {rows} WHERE v IS NULL OR v = ''"
    return [Condition(listed, (number, asked.top)), Condition(missing, (number,))]


def _ranked(number: int, asked: Asked, grouped: Condition) -> Condition:
    """The values to be listed, each with the sums over those that there are and over all. None is a value, the last."""
    order: LiteralString = "v DESC" if asked.unit else "n" if asked.rarest else "n DESC"
    return Condition(
        f"""(SELECT %s::int4 AS number, v, n, coalesce(sum(n) FILTER (WHERE v <> '') OVER (), 0), sum(n) OVER ()
             FROM ({grouped.sql}) v WHERE n > 0 ORDER BY coalesce(v, '') = '', {order}, {_ties(asked)} LIMIT %s)""",
        (number, *grouped.params, asked.top),
    )


# Answering -----------------------------------------------------------------------------------------------------------

_TOTAL: Final = -1


class _Found(NamedTuple):
    """What one statement found: the rows of each facet by its place in the list asked for, and the total."""

    rows: dict[int, list[tuple[Any, ...]]]
    total: int


class _Answering:
    """One question, on one connection."""

    def __init__(self, connection: Connection, query: Query, wanted: Filter, *, exact: bool) -> None:
        self._connection = connection
        self._population = Population(connection, query, wanted)
        self._query, self._wanted, self._exact = query, wanted, exact

    @cached_property
    def _findings(self) -> Counted:
        """Which findings count."""
        return Counted.load(self._connection, self._query, self._wanted, exact=self._exact)

    def answer(self, asked: Sequence[Asked]) -> Answer:
        """The total and every facet, each from the first source that knows it."""
        facets: dict[str, Facet] = {}
        left: list[Asked] = []
        by_tally: dict[str, tuple[Rows, list[Asked]]] = {}
        areas = [one for one in asked if self._population.everything and _VALUES[one.name].area]
        for one in (one for one in asked if one not in areas):
            if rows := self._population.tallied({_VALUES[one.name].key}, {one.name}):
                by_tally.setdefault(rows.source, (rows, []))[1].append(one)
            else:
                left.append(one)
        total: Total | None = None
        for rows, some in by_tally.values():
            found = self._find(rows, some)
            facets |= {one.name: self._facet(one, found.rows[i]) for i, one in enumerate(some)}
            total = Total(found.total, True)
        total = total or self._total()
        if areas and total:
            facets |= self._areas(areas, total.count)
        if left or total is None:
            total, read = self._read(left, total, self._exact)
            facets |= read
        return Answer(total, {one.name: facets[one.name] for one in asked})

    def _total(self) -> Total | None:
        if self._population.everything:
            return Total(everything(self._connection), True)
        rows = self._population.tallied(())
        return Total(self._find(rows, ()).total, True) if rows else None

    def _read(self, asked: Sequence[Asked], known: Total | None, exact: bool) -> tuple[Total, dict[str, Facet]]:
        """From the endpoints themselves; what is `known` of the total makes a sample's numbers better."""
        columns = [_VALUES[one.name].key for one in asked]
        for rows in self._population.reads(columns, exact=exact, known=known and known.count):
            found = self._find(rows, asked)
            if rows.suffice(found.total):
                return self._told(asked, known, rows, found)
        raise AssertionError

    def _told(
        self, asked: Sequence[Asked], known: Total | None, rows: Rows, found: _Found
    ) -> tuple[Total, dict[str, Facet]]:
        """What the endpoints that were read say, scaled up where they are a sample."""
        if rows.scale == 1:
            facets = {one.name: self._facet(one, found.rows[i]) for i, one in enumerate(asked)}
            return known or Total(found.total, True), facets
        scale = known.count / found.total if known else rows.scale
        facets = {one.name: self._facet(one, found.rows[i], scale) for i, one in enumerate(asked) if not one.rarest}
        if rarest := [one for one in asked if one.rarest]:
            facets |= self._read(rarest, known, True)[1]
        return known or Total(round(found.total * scale), False), facets

    def _find(self, rows: Rows, asked: Sequence[Asked]) -> _Found:
        """One statement for the total of `rows` and all of these facets."""
        keyed: LiteralString = "".join(_keyed(asked, rows))
        start = Condition(f"WITH m AS MATERIALIZED ({rows.sql.sql}){keyed} ", rows.sql.params)
        findings = self._findings if any(one.name in weaknesscounts.VALUES for one in asked) else None
        if findings:
            more = weaknesscounts.relations([one.name for one in asked if one.name in weaknesscounts.VALUES], findings)
            start = Condition(f"{start.sql}{more.sql} ", (*start.params, *more.params))
        whole: LiteralString = f"SELECT -1, NULL::text, sum(n), 0, 0 FROM m WHERE {rows.of()}"
        parts = [Condition(whole), *(_ranked(i, one, _grouped(one, rows, findings)) for i, one in enumerate(asked))]
        union: LiteralString = " UNION ALL ".join([part.sql for part in parts])
        found: dict[int, list[tuple[Any, ...]]] = {i: [] for i in range(_TOTAL, len(asked))}
        params = (*start.params, *(p for part in parts for p in part.params))
        for number, *row in self._connection.execute(start.sql + union, params):
            found[number].append(tuple(row))
        return _Found(found, int(found[_TOTAL][0][1] or 0))

    def _areas(self, asked: Sequence[Asked], total: int) -> dict[str, Facet]:
        parts = [part for i, one in enumerate(asked) for part in _of_area(i, one)]
        union: LiteralString = " UNION ALL ".join([part.sql for part in parts])
        rows: dict[int, list[tuple[Any, ...]]] = {i: [] for i in range(len(asked))}
        missing = [0] * len(asked)
        for number, value, n in self._connection.execute(union, [p for part in parts for p in part.params]):
            if value is None:
                missing[number] = int(n or 0)
            else:
                rows[number].append((value, n))
        found = ([(v, n, total - missing[i], total) for v, n in rows[i]] for i in rows)
        return {one.name: self._facet(one, some) for one, some in zip(asked, found, strict=True)}

    def _facet(self, asked: Asked, rows: list[tuple[Any, ...]], scale: float | None = None) -> Facet:
        if not rows:
            return Facet((), 0, 0, self._is_exact(asked, scale))
        listed = [(value, int(n)) for value, n, _, _ in rows if value]
        some, everything = int(rows[0][2]), int(rows[0][3])
        if asked.unit:
            listed.reverse()
        labels = self._labels(asked.name, [value for value, _ in listed])
        by = scale or 1.0
        return Facet(
            tuple(FacetValue(_shown(asked.name, v), round(n * by), labels.get(v, "")) for v, n in listed),
            other=round((some - sum(n for _, n in listed)) * by),
            missing=round((everything - some) * by),
            exact=self._is_exact(asked, scale),
        )

    def _is_exact(self, asked: Asked, scale: float | None) -> bool:
        return scale is None and (asked.name not in weaknesscounts.VALUES or self._findings.spots is not None)

    def _labels(self, name: str, values: Sequence[str]) -> dict[str, str]:
        if name not in _LABELS or not values:
            return {}
        return dict(self._connection.execute(_LABELS[name], [list(values)]).fetchall())


_LABELS: Final[dict[str, LiteralString]] = {
    "asn": """SELECT v, o.org FROM unnest(%s::text[]) v CROSS JOIN LATERAL (
                SELECT org FROM place p WHERE p.asn = v::int8 AND p.org <> '' ORDER BY first_seen DESC LIMIT 1) o""",
    "country": """SELECT v, o.country_name FROM unnest(%s::text[]) v CROSS JOIN LATERAL (
                SELECT country_name FROM place p WHERE p.country = v AND p.country_name <> '' LIMIT 1) o""",
}


def _shown(name: str, value: str) -> str | int:
    """A value as it is answered: numbers as such, protocols by name."""
    if name in _NUMBERS:
        return int(value)
    return PROTOCOL_NAME[int(value)] if name == "protocol" else value
