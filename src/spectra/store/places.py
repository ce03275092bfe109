"""Areas: countries, regions, cities, autonomous systems and clouds, how much is in each, and how they overlap."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, LiteralString, NamedTuple
from urllib.parse import quote

import msgspec

from spectra.errors import BadRequest, NotFound
from spectra.model import query as queries
from spectra.model.facets import read_facets
from spectra.model.geography import Area, AreaKind, AreaPage, AreaRecord
from spectra.store import cursors, facets
from spectra.store.conditions import Condition, all_of
from spectra.store.database import Connection, Database
from spectra.store.tallies import AREAS, ENTRIES, snapshot

RELATED: Final = 20
"""Areas of each kind that are listed on the page of another."""
TOP: Final = "service,product,port"
MAX_LIMIT: Final = 1000
_NO_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)  # queries about places have no times


class Key(NamedTuple):
    """One area: its kind, what it is inside (a country or a cloud; empty for the others) and its name, in any case."""

    kind: AreaKind
    parent: str
    name: str


def area(database: Database, key: Key) -> Area:
    """The page of the area `key`. Raises `NotFound` where no host is in it."""
    with snapshot(database) as connection:
        found = _overlapping(connection, _HOLDS[key.kind](key))
        if not found[key.kind]:
            inside = f" in {key.parent}" if key.parent else ""
            raise NotFound(f'No host is known in {key.kind.replace("_", " ")} "{key.name[:80]}"{inside[:80]}.')
        record = found.pop(key.kind)[0]
        counted = facets.of(connection, queries.parse(record.query, _NO_TIME), read_facets(TOP))
    related = {kind: tuple(rows) for kind, rows in found.items() if rows}
    return Area(record, related, counted.facets, counted.total)


class _Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The last area of a page, in the order of a list."""

    hosts: int
    parent: str
    name: str


def areas(database: Database, kind: AreaKind, *, parent: str = "", cursor: str = "", limit: int = 100) -> AreaPage:
    """A page of at most `limit` (1..1000) areas of `kind`, those with the most hosts first; of `parent` where given.

    Raises `BadRequest` naming `limit` or `cursor`.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise BadRequest(f"A limit of {limit} is not between 1 and {MAX_LIMIT}.", field="limit")
    purpose = f"{kind} of {parent}"
    after = cursors.read(cursor, _Cursor, purpose) if cursor else None
    listed = _listed(kind, parent, after, limit + 1)
    with snapshot(database) as connection:
        rows = [_Row(*row) for row in connection.execute(listed.sql, listed.params)]
        labels = _country_names(connection, [row.name for row in rows]) if kind == "country" else {}
    found = [_record(kind, row._replace(label=labels.get(row.name, row.label))) for row in rows[:limit]]
    last = rows[limit - 1] if len(rows) > limit else None
    return AreaPage(tuple(found), cursors.write(_Cursor(last.hosts, last.parent, last.name), purpose) if last else "")


# What holds for the places of an area ---------------------------------------------------------------------------------


def _named(column: LiteralString, name: str) -> Condition:
    return Condition(f"lower(p.{column}) = lower(%s)", (name,))


def _inside(column: LiteralString) -> Callable[[Key], Condition]:
    return lambda key: all_of([Condition("p.country = upper(%s)", (key.parent,)), _named(column, key.name)])


def _of_cloud(column: LiteralString) -> Callable[[Key], Condition]:
    return lambda key: all_of([Condition("p.cloud = lower(%s)", (key.parent,)), _named(column, key.name)])


_HOLDS: Final[dict[AreaKind, Callable[[Key], Condition]]] = {
    "country": lambda key: Condition("p.country = upper(%s)", (key.name,)),
    "region": _inside("region"),
    "city": _inside("city"),
    "asn": lambda key: Condition("p.asn = %s", (int(key.name),)),
    "cloud": lambda key: Condition("p.cloud = lower(%s)", (key.name,)),
    "cloud_region": _of_cloud("cloud_region"),
    "cloud_service": _of_cloud("cloud_service"),
}


class _Columns(NamedTuple):
    """Where the places `t` have an area of a kind: what it is inside, its name and its label."""

    parent: LiteralString
    name: LiteralString
    label: LiteralString


_COLUMNS: Final[dict[AreaKind, _Columns]] = {
    "country": _Columns("''", "t.country", "t.country_name"),
    "region": _Columns("t.country", "t.region", "t.country_name"),
    "city": _Columns("t.country", "t.city", "t.region"),
    "asn": _Columns("''", "coalesce(nullif(t.asn, 0)::text, '')", "t.org"),
    "cloud": _Columns("''", "t.cloud", "''"),
    "cloud_region": _Columns("t.cloud", "t.cloud_region", "''"),
    "cloud_service": _Columns("t.cloud", "t.cloud_service", "''"),
}


def _overlapping(connection: Connection, held: Condition) -> dict[AreaKind, list[AreaRecord]]:
    """The largest areas of every kind among the places `p` of which `held` holds, with what is in both."""
    parts: list[LiteralString] = [
        f"""(SELECT '{kind}', {c.parent}, {c.name}, max({c.label}), sum(t.hosts)::int8, sum(t.endpoints)::int8 FROM t
             WHERE {c.name} <> '' GROUP BY 2, 3 HAVING sum(t.hosts) > 0 ORDER BY 5 DESC, 2, 3 LIMIT %s)"""
        for kind, c in _COLUMNS.items()
    ]
    statement: LiteralString = f"""WITH t AS MATERIALIZED (
        SELECT p.*, n.endpoints, n.hosts FROM place p JOIN tally_place n ON n.place = p.id WHERE {held.sql}
        UNION ALL
        SELECT p.*, coalesce(u.endpoints, 0), coalesce(u.hosts, 0) FROM {ENTRIES} JOIN place p ON p.id = u.place
        WHERE {held.sql}) {" UNION ALL ".join(parts)}"""
    found: dict[AreaKind, list[AreaRecord]] = defaultdict(list)
    for kind, *row in connection.execute(statement, (*held.params, *held.params, *[RELATED] * len(_COLUMNS))):
        found[kind].append(_record(kind, _Row(*row)))
    return found


# Lists ----------------------------------------------------------------------------------------------------------------

_LISTS: Final[dict[AreaKind, tuple[LiteralString, _Columns]]] = {
    "country": ("country", _Columns("''", "t.name", "''")),
    "region": ("region", _Columns("t.parent", "t.name", "''")),
    "city": ("city", _Columns("t.parent", "t.name", "''")),
    "asn": ("asn", _Columns("''", "t.name", "t.parent")),
    "cloud": ("cloud", _Columns("''", "t.parent", "''")),
    "cloud_region": ("cloud", _Columns("t.parent", "t.name", "''")),
}


def _listed(kind: AreaKind, parent: str, after: _Cursor | None, limit: int) -> Condition:
    tally, c = _LISTS[kind]
    inside: LiteralString = "AND t.parent = %s" if parent else ""
    further: LiteralString = "WHERE hosts < %s OR hosts = %s AND (parent, name) > (%s, %s)" if after else ""
    statement: LiteralString = f"""
        SELECT parent, name, label, hosts, endpoints FROM (
          SELECT {c.parent} AS parent, {c.name} AS name, max({c.label}) AS label,
                 sum(t.hosts)::int8 AS hosts, sum(t.endpoints)::int8 AS endpoints
          FROM (SELECT parent, name, hosts, endpoints FROM tally_area WHERE area = '{tally}'
                UNION ALL SELECT a.parent, a.name, n.hosts, n.endpoints FROM (
                  SELECT place, sum(hosts) AS hosts, sum(endpoints) AS endpoints FROM {ENTRIES} GROUP BY place) n
                LEFT JOIN place p ON p.id = n.place CROSS JOIN LATERAL {AREAS} WHERE a.area = '{tally}') t
          WHERE {c.name} <> '' {inside} GROUP BY 1, 2 HAVING sum(t.hosts) > 0) l
        {further} ORDER BY hosts DESC, parent, name LIMIT %s"""
    place = (after.hosts, after.hosts, after.parent, after.name) if after else ()
    return Condition(statement, (*((parent,) if parent else ()), *place, limit))


def _country_names(connection: Connection, codes: list[str]) -> dict[str, str]:
    rows = connection.execute(
        """SELECT v, o.country_name FROM unnest(%s::text[]) v CROSS JOIN LATERAL (
             SELECT country_name FROM place p WHERE p.country = v AND p.country_name <> '' LIMIT 1) o""",
        [codes],
    )
    return dict(rows.fetchall())


# How an area is spoken of ---------------------------------------------------------------------------------------------


class _Row(NamedTuple):
    """An area as it is read: what it is inside, its name and label, and what is in it."""

    parent: str
    name: str
    label: str | None
    hosts: int
    endpoints: int


def _record(kind: AreaKind, row: _Row) -> AreaRecord:
    inside_cloud = kind in ("cloud_region", "cloud_service")
    return AreaRecord(
        kind,
        f"{row.parent}/{row.name}" if inside_cloud else row.name,
        row.hosts,
        row.endpoints,
        query=_query(kind, row.parent, row.name),
        path=_path(kind, row.parent, row.name),
        label=row.label or "",
        country=row.parent if kind in ("region", "city") else "",
    )


def _query(kind: AreaKind, parent: str, name: str) -> str:
    if kind in ("region", "city"):
        return f"country:{parent} {kind}:{_quoted(name)}"
    if kind in ("cloud_region", "cloud_service"):
        return f"cloud:{_quoted(f'{parent}/{name}')}"
    return f"{kind}:{_quoted(name)}"


def _quoted(text: str) -> str:
    """`text` as a value of the query language."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9_.-]+)?", text):
        return text
    return '"' + re.sub(r'(["\\*])', r"\\\1", text) + '"'


def _path(kind: AreaKind, parent: str, name: str) -> str:
    if kind == "cloud_service":
        return ""
    steps = [kind.removesuffix("_region"), parent, name]
    return "/v0/" + "/".join(quote(step, safe="") for step in steps if step)
