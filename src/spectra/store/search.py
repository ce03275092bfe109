"""Endpoints that match a query, as they are now, a page at a time.

The matches of a page are chosen on the narrow `endpoint` table alone; services, banners, certificates and names are
joined to those few rows only. A cursor is the sort key of the last match, so that pages stay right while data changes:
what has not changed is neither given twice nor left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, LiteralString, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Meta

from spectra.errors import BadRequest
from spectra.model.facts import Place
from spectra.model.query import Query, suggest
from spectra.model.records import Match, SearchPage
from spectra.store import cursors
from spectra.store.database import Connection, Database
from spectra.store.details import places
from spectra.store.filters import Condition, Filter, all_of, any_of, resolve
from spectra.store.lookups import expected, hurried, total
from spectra.store.timeline import PROTOCOL_NAME, STATE
from spectra.store.weaknesscounts import Count, Spot, counts

MAX_LIMIT: Final = 5000
MAX_NAMES: Final = 50
"""Names given with one match; a host behind many web sites has thousands."""
FEW_MATCHES: Final = 3000
PATIENCE: Final = 4
MIN_REACH: Final = 5_000
MAX_REACH: Final = 50_000
"""Bounds of the walk along an index, in endpoints; 50,000 take about 30 ms."""


class Order(NamedTuple):
    """A total order of endpoints. `time` sorts first, newest first, where there is one; then `keys`, ascending."""

    time: LiteralString
    keys: tuple[LiteralString, LiteralString, LiteralString]


SORTS: Final[dict[str, Order]] = {
    "last_seen": Order("last_seen", ("ip", "port", "protocol")),
    "first_seen": Order("first_seen", ("ip", "port", "protocol")),
    "ip": Order("", ("ip", "port", "protocol")),
    "port": Order("", ("port", "ip", "protocol")),
}


class _Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a page ended: the sort, and the key of its last match."""

    sort: str
    ip: str
    port: Annotated[int, Meta(ge=0, le=65535)]
    protocol: Annotated[int, Meta(ge=0, le=255)]
    time: Annotated[datetime, Meta(tz=True)] | None


class Paging(NamedTuple):
    """Which page: at most `limit` (1..5000) endpoints in the order `sort`, after `cursor`.

    `sort` is `last_seen` or `first_seen` (newest first), `ip` or `port` (ascending), or one of them after `-` for the
    opposite; ties are in order of (ip, port, protocol). `cursor` is the `next_cursor` of the page before.
    """

    sort: str = "last_seen"
    cursor: str = ""
    limit: int = 100


def search(
    database: Database, query: Query, *, sort: str = "last_seen", cursor: str = "", limit: int = 100
) -> SearchPage:
    """A page of endpoints that satisfy `query`; the options are those of `Paging`.

    Raises `BadRequest` naming `sort`, `limit` or `cursor`.
    """
    paging = Paging(sort, cursor, limit)
    check(paging)
    with database.connection() as connection:
        return page(connection, resolve(connection, query), paging)


def check(paging: Paging) -> None:
    """Raises `BadRequest` naming `sort`, `limit` or `cursor` where there is no such page."""
    _checked_sort(paging.sort)
    if not 1 <= paging.limit <= MAX_LIMIT:
        raise BadRequest(f"A limit of {paging.limit} is not between 1 and {MAX_LIMIT}.", field="limit")
    if paging.cursor:
        _read_cursor(paging.cursor, paging.sort)


def page(connection: Connection, wanted: Filter, paging: Paging, *, likely: int | None = None) -> SearchPage:
    """A page, `check`ed, of the endpoints that satisfy `wanted`: `likely` so many, where the caller knows."""
    sort, cursor, limit = paging
    if wanted.empty:
        return SearchPage(())
    order, after = SORTS[sort.removeprefix("-")], _read_cursor(cursor, sort) if cursor else None
    with hurried(connection, really=wanted.costly):
        many = expected(connection, all_of(wanted.conditions)) if likely is None else likely
        rows = _rows(connection, wanted, _Walk(order, sort.startswith("-"), after, limit + 1), many)
    names = _hostnames(connection, sorted({row[0] for row in rows[:limit]}))
    located = places(connection, (row[-2] for row in rows[:limit]))
    weak = counts(connection, [Spot(row[0], row[1], row[2], row[-1]) for row in rows[:limit]])
    more = len(rows) > limit
    return SearchPage(
        tuple(_match(row, names.get(row[0], ()), located, found) for row, found in zip(rows, weak, strict=False)),
        next_cursor=_write_cursor(rows[limit - 1], sort) if more else "",
    )


def _checked_sort(sort: str) -> None:
    name = sort.removeprefix("-")
    if name in SORTS:
        return
    near = suggest(name[:40], SORTS)
    hint = f'Did you mean "{near}"?' if near else f"Sorts are {', '.join(SORTS)}, or one of them after a minus sign."
    raise BadRequest(f'There is no sort "{sort[:40]}".', hint=hint, field="sort")


# The page ------------------------------------------------------------------------------------------------------------

_COLUMNS: LiteralString = (
    "e.ip, e.port, e.protocol, e.state, e.service, e.certificate, e.banner, e.first_seen, e.last_seen, e.place, e.sole"
)
_DETAILS: LiteralString = """
SELECT host(k.ip), k.port, k.protocol, k.state, k.first_seen, k.last_seen, coalesce(s.name, ''),
       coalesce(s.product, ''), coalesce(s.version, ''), coalesce(s.extra, ''), coalesce(s.tunnel, ''),
       coalesce(b.title, ''), coalesce(left(b.text, 200), ''), coalesce(c.subject_cn, ''),
       coalesce(s.os, ''), coalesce(s.device, ''), coalesce(s.cpe, '{}'), coalesce(s.cpe23, '{}'), k.sole, k.place,
       s.software
FROM k LEFT JOIN service s ON s.id = k.service LEFT JOIN banner b ON b.id = k.banner
  LEFT JOIN certificate c ON c.id = k.certificate"""
_CASTS: Final[dict[str, LiteralString]] = {"ip": "::inet", "port": "::int4", "protocol": "::int2"}
# Adding nothing to the first key of a sort keeps the planner from walking that key's index.
_NOTHING: Final[dict[str, LiteralString]] = {
    "last_seen": " + interval '0'",
    "first_seen": " + interval '0'",
    "ip": " + 0",
    "port": " + 0",
}


class _Walk(NamedTuple):
    """An order, whether it is turned round, where to go on and how many to take."""

    order: Order
    reverse: bool
    after: _Cursor | None
    limit: int

    @property
    def lead(self) -> LiteralString:
        """The column that sorts first."""
        return self.order.time or self.order.keys[0]

    def ordering(self, table: LiteralString, *, walkable: bool = True) -> LiteralString:
        """The ORDER BY list for the columns of `table`; not `walkable`: no index may serve it."""
        up: LiteralString = " DESC" if self.reverse else ""
        down: LiteralString = "" if self.reverse else " DESC"
        plain: LiteralString = "" if walkable else _NOTHING[self.lead]
        keys: list[LiteralString] = [f"{table}.{key}" for key in self.order.keys]
        if self.order.time:
            return ", ".join([f"{table}.{self.order.time}{plain}{down}", *(key + up for key in keys)])
        return ", ".join([f"{keys[0]}{plain}{up}", *(key + up for key in keys[1:])])

    def stretches(self) -> list[Condition]:
        """What is left after the cursor, as one or two stretches that each are one range of an index.

        The second one matters: a scan may give a million endpoints the same time, and a page in the middle of them
        must not read those before it.
        """
        if self.after is None:
            return [Condition("true")]
        at = {"ip": self.after.ip, "port": self.after.port, "protocol": self.after.protocol}
        beyond: LiteralString = "<" if self.reverse else ">"
        columns: LiteralString = ", ".join(["e." + key for key in self.order.keys])
        casts: LiteralString = ", ".join(["%s" + _CASTS[key] for key in self.order.keys])
        keys = Condition(f"({columns}) {beyond} ({casts})", tuple(at[key] for key in self.order.keys))
        if not self.order.time:
            return [keys]
        older: LiteralString = ">" if self.reverse else "<"
        time: LiteralString = "e." + self.order.time
        return [
            all_of([Condition(f"{time} = %s", (self.after.time,)), keys]),
            Condition(f"{time} {older} %s", (self.after.time,)),
        ]


def _rows(connection: Connection, wanted: Filter, walk: _Walk, likely: int) -> list[tuple[Any, ...]]:
    """The matches of a page, in order; of all of them there are `likely` so many.

    Two ways lead there: to walk the index of the order until enough matches were met, or to find all matches and sort
    them. The planner would choose by how many it expects, as if they were spread evenly; if all of them lie at the far
    end, it walks through everything before. So the walk is bounded here, and sorting is what is left if it falls short.
    """
    reach = _reach(connection, likely, walk.limit)
    if reach:
        rows = _fetch(connection, _walked(wanted, walk, reach), walk)
        if len(rows) >= walk.limit:
            return rows
    return _fetch(connection, _sorted(wanted, walk), walk)


def _reach(connection: Connection, likely: int, limit: int) -> int:
    """How many endpoints to walk; 0 where so few matches are expected that sorting them costs less.

    Some times as many as would do if matches were spread evenly, but not more than sorting would read.
    """
    if likely <= FEW_MATCHES:
        return 0
    evenly = int(limit * total(connection) / likely)
    return min(max(PATIENCE * evenly, MIN_REACH), max(likely, MAX_REACH))


def _walked(wanted: Filter, walk: _Walk, reach: int) -> Condition:
    """Matches among the next `reach` endpoints in order."""
    bounds = [c for c in wanted.conditions if c.column == walk.lead]
    ordering = walk.ordering("e")
    parts = [all_of([*bounds, stretch]) for stretch in walk.stretches()]
    selects: list[LiteralString] = [
        f"(SELECT * FROM endpoint e WHERE {part.sql} ORDER BY {ordering} LIMIT %s)" for part in parts
    ]
    union: LiteralString = " UNION ALL ".join(selects)
    held = all_of(wanted.conditions)
    return Condition(
        f"SELECT {_COLUMNS} FROM (SELECT * FROM ({union}) e ORDER BY {ordering} LIMIT %s) e"
        f" WHERE {held.sql} ORDER BY {ordering} LIMIT %s",
        (*(p for part in parts for p in (*part.params, reach)), reach, *held.params, walk.limit),
    )


def _sorted(wanted: Filter, walk: _Walk) -> Condition:
    """All matches, sorted. Their keys are sorted first: an index may have those, and all the rest is read of a page."""
    held = all_of([*wanted.conditions, any_of(walk.stretches())])
    keys: LiteralString = (
        f"SELECT e.ip, e.port, e.protocol FROM endpoint e WHERE {held.sql}"
        f" ORDER BY {walk.ordering('e', walkable=False)} LIMIT %s"
    )
    return Condition(
        f"SELECT {_COLUMNS} FROM ({keys}) f JOIN endpoint e USING (ip, port, protocol)", (*held.params, walk.limit)
    )


def _fetch(connection: Connection, keys: Condition, walk: _Walk) -> list[tuple[Any, ...]]:
    statement: LiteralString = f"WITH k AS MATERIALIZED ({keys.sql}) {_DETAILS} ORDER BY {walk.ordering('k')}"
    return connection.execute(statement, keys.params).fetchall()


def _hostnames(connection: Connection, ips: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The names of the hosts of one page, in alphabetical order."""
    found = connection.execute(
        """SELECT i.ip, n.names FROM unnest(%s::text[]) AS i (ip) CROSS JOIN LATERAL (
             SELECT array_agg(d.name) FROM (
               SELECT DISTINCT h.name FROM hostname h WHERE h.ip = i.ip::inet ORDER BY h.name LIMIT %s) d) n (names)
           WHERE n.names IS NOT NULL""",
        [list(ips), MAX_NAMES],
    )
    return {ip: tuple(names) for ip, names in found}


def _match(row: tuple[Any, ...], names: tuple[str, ...], located: Mapping[UUID, Place], weak: Count) -> Match:
    ip, port, protocol, state, first_seen, last_seen, *texts, cpe, cpe23, sole, place, _ = row
    said, (system, device) = texts[:-2], texts[-2:]
    return Match(
        ip, port, PROTOCOL_NAME[protocol], STATE[_letter(state)], first_seen, last_seen, *said,
        hostnames=names, os=system, device=device, cpe=tuple(cpe), cpe23=tuple(cpe23), sole=sole,
        place=located.get(place), findings=weak.findings, worst=weak.worst,
    )  # fmt: skip


def _letter(state: bytes | str) -> str:
    """psycopg gives a `"char"` as bytes or text, by its own version."""
    return state.decode() if isinstance(state, bytes) else state


# Cursors -------------------------------------------------------------------------------------------------------------

_LONGEST: Final = 1000  # characters


def _write_cursor(row: tuple[Any, ...], sort: str) -> str:
    time = SORTS[sort.removeprefix("-")].time
    at = {"first_seen": row[4], "last_seen": row[5]}.get(time)
    return cursors.write(_Cursor(sort, row[0], row[1], row[2], at), "search")


def _read_cursor(text: str, sort: str) -> _Cursor:
    cursor = cursors.read(text, _Cursor, "search", longest=_LONGEST)
    cursors.require_address(cursor.ip)
    if cursor.sort != sort:
        raise BadRequest(
            f'The cursor belongs to a list sorted by "{cursor.sort[:40]}", not "{sort}".',
            hint="Keep the sort while following cursors.",
            field="cursor",
        )
    if (cursor.time is None) != (not SORTS[sort.removeprefix("-")].time):
        raise cursors.damaged()
    return cursor
