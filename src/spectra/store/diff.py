"""What changed between two moments.

An endpoint that is not what it was is in a version that began in between and lasts at the later moment: there is one
such version for each. So a diff is a walk along the beginnings of versions, newest first, each held against the version
that lasted at the earlier moment. The walk is bounded: a page may be short and still have a cursor.

A query holds for an endpoint as it is at the later moment or as it was at the earlier: `product:nginx` finds what
became nginx and what no longer is. Place and names are those of now.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, LiteralString, NamedTuple

import msgspec
from msgspec import Meta

from spectra.errors import BadRequest
from spectra.model.diffs import DiffEntry, DiffPage, DiffSummary, Kind, changes
from spectra.model.query import Query
from spectra.store import cursors, findingdiff
from spectra.store.database import Connection, Database
from spectra.store.details import Details, Stretch
from spectra.store.filters import Condition, Filter, all_of, resolve
from spectra.store.findingdiff import Sides, Told, with_briefs
from spectra.store.hostdiff import HostChanges, host_changes
from spectra.store.lookups import hurried
from spectra.store.rows import canonical_ip
from spectra.store.timeline import PROTOCOL_NAME

MAX_LIMIT: Final = 1000
FIRST_REACH: Final = 400
MAX_REACH: Final = 6_000
"""Versions that one answer walks over at most; 6,000 take 20 to 60 ms."""
FEW: Final = 3000
"""Endpoints that a query names, up to which it is quicker to begin with them."""


class Window(NamedTuple):
    """After `since`, until `until` (included)."""

    since: datetime
    until: datetime


class Key(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a page ended: the beginning of the version, and its endpoint."""

    at: Annotated[datetime, Meta(tz=True)]
    ip: str
    port: Annotated[int, Meta(ge=0, le=65535)]
    protocol: Annotated[int, Meta(ge=0, le=255)]


class Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The rest of a diff: what it compares does not move on while its pages are read."""

    since: Annotated[datetime, Meta(tz=True)]
    until: Annotated[datetime, Meta(tz=True)]
    key: Key
    summary: DiffSummary


class _Pair(NamedTuple):
    """An endpoint before and after."""

    kind: Kind
    ip: str
    port: int
    protocol: int
    before: Stretch | None
    after: Stretch

    @property
    def key(self) -> Key:
        return Key(self.after.since, self.ip, self.port, self.protocol)


class _Piece(NamedTuple):
    """The pairs of a page, and the key after which the next one begins; None at the end."""

    pairs: list[_Pair]
    end: Key | None


def diff(
    database: Database,
    window: Window,
    query: Query,
    *,
    kind: Kind | Literal[""] = "",
    cursor: str = "",
    limit: int = 100,
    findings: bool = False,
) -> DiffPage:
    """A page of at most `limit` (1..1000) differences between two moments, newest first; with `findings` those too.

    `cursor` is the `next_cursor` of the page before, and its moments go before those of `window`. Raises `BadRequest`
    naming `limit`, `to` or `cursor`.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise BadRequest(f"A limit of {limit} is not between 1 and {MAX_LIMIT}.", field="limit")
    after = cursors.read(cursor, Cursor, "diff") if cursor else None
    window = Window(after.since, after.until) if after else window
    if window.since > window.until:
        raise BadRequest("The later moment is before the earlier one.", field="to", hint="Exchange from and to.")
    with database.connection() as connection:
        wanted = resolve(connection, query)
        walk = _Walk(connection, window, wanted, filtered=bool(query.terms))
        hosts, told = HostChanges(), Told()
        with hurried(connection, really=wanted.costly):
            if after:
                summary, piece = after.summary, walk.page(after.key, kind, limit)
            else:
                piece, counts, exact = walk.first(kind, limit)
                hosts = host_changes(connection, *window, wanted if query.terms else Filter())
                summary = _summary(counts, hosts, exact=exact)
                told = findingdiff.told(connection, window, wanted) if findings and not kind else told
        details = Details(connection, (s for p in piece.pairs for s in (p.before, p.after) if s))
        entries = [_entry(pair, details) for pair in piece.pairs]
        if findings:
            sides = [Sides.of((pair.ip, pair.port, pair.protocol), pair.before, pair.after) for pair in piece.pairs]
            entries = with_briefs(entries, findingdiff.briefs(connection, sides, window))
    return DiffPage(
        from_=_text(window.since),
        to=_text(window.until),
        by="time",
        summary=summary,
        hosts=hosts.listed,
        entries=tuple(entries),
        findings=told.listed,
        findings_total=told.total,
        findings_exact=told.exact,
        next_cursor=cursors.write(Cursor(*window, piece.end, summary), "diff") if piece.end else "",
    )


def _summary(counts: dict[str, int], hosts: HostChanges, *, exact: bool) -> DiffSummary:
    return DiffSummary(
        new=counts.get("new", 0),
        gone=counts.get("gone", 0),
        changed=counts.get("changed", 0),
        hosts_new=hosts.count("new"),
        hosts_gone=hosts.count("gone"),
        hosts_back=hosts.count("back"),
        exact=exact and hosts.exact,
    )


def _entry(pair: _Pair, details: Details) -> DiffEntry:
    before = details.version(pair.before) if pair.before else None
    after = details.version(pair.after)
    return DiffEntry(
        kind=pair.kind,
        ip=pair.ip,
        port=pair.port,
        protocol=PROTOCOL_NAME[pair.protocol],
        at=pair.after.since,
        before=before,
        after=after,
        changes=changes(before, after) if pair.kind == "changed" else (),
    )


def _text(moment: datetime) -> str:
    """RFC 3339 in UTC."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


# The walk ------------------------------------------------------------------------------------------------------------

_ORDER: LiteralString = "since DESC, ip, port, protocol"
# A version as `details.Stretch` has it.
_VERSION: Final[tuple[LiteralString, ...]] = (
    "state", "service", "certificate", "banner", "since", "confirmed", "until", "trust", "sole", "doubt",
)  # fmt: skip


def _columns_of(prefix: LiteralString) -> LiteralString:
    return ", ".join([prefix + column for column in _VERSION])


_KEY: LiteralString = "e.ip, e.port, e.protocol, e.state, e.service, e.certificate, e.banner, e.since, e.confirmed"
_NEWEST: LiteralString = f"SELECT {_KEY}, 'infinity'::timestamptz AS until, e.trust, e.sole, e.doubt FROM endpoint e"
_PAST: LiteralString = f"SELECT {_KEY}, e.until, e.trust, e.sole, e.doubt FROM endpoint_version e"
_PAIR: LiteralString = f"{_columns_of('a_')}, {_columns_of('b_')}"
_JUDGED: LiteralString = f"""
pairs (ip, port, protocol, {_PAIR}) AS (
  SELECT w.ip, w.port, w.protocol, {_columns_of("w.").replace("w.until", "nullif(w.until, 'infinity')")},
         {_columns_of("b.")}
  FROM walked w LEFT JOIN LATERAL (
    SELECT * FROM endpoint_version v WHERE (v.ip, v.port, v.protocol) = (w.ip, w.port, w.protocol)
      AND v.since <= %s AND v.until > %s ORDER BY v.since DESC LIMIT 1) b ON true
  WHERE w.until > %s),
kinds AS (
  SELECT p.*, CASE
    WHEN a_state = 'o' AND b_state IS DISTINCT FROM 'o' THEN 'new'
    WHEN a_state <> 'o' AND b_state = 'o' THEN 'gone'
    WHEN a_state = 'o' AND ((a_service, a_certificate) IS DISTINCT FROM (b_service, b_certificate)
      OR a_banner IS DISTINCT FROM b_banner AND coalesce((SELECT title FROM banner WHERE id = a_banner), '')
         <> coalesce((SELECT title FROM banner WHERE id = b_banner), '')) THEN 'changed' END AS kind
  FROM pairs p)"""
ENDPOINT: LiteralString = "c.first_seen, c.place, c.untrusted"
"""The columns of `endpoint` that a version does not have, for conditions that ask for them."""
# Both sides of a pair as rows `e` of `endpoint`, for the conditions of a query; it is enough that one of them holds.
_SIDES: LiteralString = """
sides (ip, port, protocol, kind, first_seen, place, untrusted, last_seen, {version}, {pair}) AS (
  SELECT ip, port, protocol, k.kind, {endpoint}, a_confirmed, {a}, {pair}
  FROM kinds k JOIN endpoint c USING (ip, port, protocol) WHERE k.kind IS NOT NULL
  UNION ALL
  SELECT ip, port, protocol, k.kind, {endpoint}, b_confirmed, {b}, {pair}
  FROM kinds k JOIN endpoint c USING (ip, port, protocol) WHERE k.kind IS NOT NULL AND b_state IS NOT NULL),
found AS (SELECT DISTINCT ON (e.ip, e.port, e.protocol) * FROM sides e WHERE {held})"""
_PAGE: LiteralString = """
SELECT t.walked, {counts}, l.since, host(l.ip), l.port, l.protocol, f.kind, host(f.ip), f.port, f.protocol, {b}, {a}
FROM (SELECT count(*) AS walked FROM walked) t
LEFT JOIN LATERAL (SELECT * FROM walked ORDER BY since, ip DESC, port DESC, protocol DESC LIMIT 1) l ON true
LEFT JOIN LATERAL (SELECT * FROM found WHERE %s IN ('', kind)
  ORDER BY a_since DESC, ip, port, protocol LIMIT %s) f ON true
ORDER BY f.a_since DESC, f.ip, f.port, f.protocol"""
_COUNTS: LiteralString = (
    "(SELECT jsonb_object_agg(kind, n) FROM (SELECT kind, count(*) AS n FROM found GROUP BY kind) k)"
)

_OF_KEY: Final = frozenset({"ip", "port", "protocol"})
"""Columns that are the same in every version of an endpoint."""


class _Walk:
    """Along the beginnings of versions in a window, newest first."""

    def __init__(self, connection: Connection, window: Window, wanted: Filter, *, filtered: bool) -> None:
        self.window = window
        self._connection = connection
        self._nothing = wanted.empty
        self._held = all_of(wanted.conditions) if filtered else None
        self._keys = all_of([c for c in wanted.conditions if _columns(c) <= _OF_KEY])
        self._named = _named(connection, wanted) if filtered else None

    def first(self, kind: str, limit: int) -> tuple[_Piece, dict[str, int], bool]:
        """The first page, how many of each kind there are, and whether those are all."""
        if self._nothing:
            return _Piece([], None), {}, True
        rows = self._ask(None, MAX_REACH, Condition(_page(_COUNTS), (kind, limit + 1)))
        return self._piece(rows, MAX_REACH, limit), rows[0][1] or {}, rows[0][0] < MAX_REACH

    def page(self, after: Key, kind: str, limit: int) -> _Piece:
        """The page after `after`. A short walk is tried first: where much changed it is enough."""
        piece = _Piece([], None)
        for reach in () if self._nothing else (max(FIRST_REACH, 2 * limit), MAX_REACH):
            rows = self._ask(after, reach, Condition(_page("NULL"), (kind, limit + 1)))
            piece = self._piece(rows, reach, limit)
            if len(piece.pairs) == limit or piece.end is None:
                break
        return piece

    @staticmethod
    def _piece(rows: Sequence[tuple[Any, ...]], reach: int, limit: int) -> _Piece:
        pairs = [_pair(row[6:]) for row in rows if row[6]]
        walked, _, *last = rows[0][:6]
        if len(pairs) > limit:
            return _Piece(pairs[:limit], pairs[limit - 1].key)
        return _Piece(pairs, Key(*last) if walked >= reach else None)

    def _ask(self, after: Key | None, reach: int, tail: Condition) -> list[tuple[Any, ...]]:
        since, until = self.window
        parts = [
            *self._walked(after, reach),
            Condition(_JUDGED, (since, since, until)),
            *self._found(),
        ]
        ctes: LiteralString = ",\n".join([part.sql for part in parts])
        params = tuple(p for part in (*parts, tail) for p in part.params)
        return self._connection.execute(f"WITH {ctes} {tail.sql}", params).fetchall()

    def _found(self) -> list[Condition]:
        if self._held is None:
            return [Condition("found AS (SELECT * FROM kinds WHERE kind IS NOT NULL)")]
        sides = _SIDES.format(
            version=_columns_of(""),
            pair=_PAIR,
            endpoint=ENDPOINT,
            a=_columns_of("a_"),
            b=_columns_of("b_"),
            held=self._held.sql,
        )
        return [Condition(sides, self._held.params)]

    def _walked(self, after: Key | None, reach: int) -> list[Condition]:
        """The next `reach` versions in order, those that ended again in the window included: they bound the walk."""
        named, joined = [], ""
        if self._named:
            named = [Condition(f"named AS MATERIALIZED (SELECT e.ip, e.port, e.protocol FROM endpoint e"
                               f" WHERE {self._named.sql})", self._named.params)]  # fmt: skip
            joined = " JOIN named USING (ip, port, protocol)"
        selects = [
            Condition(f"({table}{joined} WHERE {held.sql} ORDER BY {_ORDER} LIMIT %s)", (*held.params, reach))
            for table in (_NEWEST, _PAST)
            for held in self._stretches(after)
        ]
        union: LiteralString = " UNION ALL ".join([select.sql for select in selects])
        params = tuple(p for select in selects for p in select.params)
        walked = f"walked AS MATERIALIZED (SELECT * FROM ({union}) w ORDER BY {_ORDER} LIMIT %s)"
        return [*named, Condition(walked, (*params, reach))]

    def _stretches(self, after: Key | None) -> list[Condition]:
        """What is left after the cursor, each one range of the index on `since`."""
        since, until = self.window
        if after is None:
            return [all_of([Condition("e.since > %s AND e.since <= %s", (since, until)), self._keys])]
        rest = "e.since = %s AND (e.ip, e.port, e.protocol) > (%s::inet, %s::int4, %s::int2)"
        return [
            all_of([Condition(rest, (after.at, after.ip, after.port, after.protocol)), self._keys]),
            all_of([Condition("e.since > %s AND e.since < %s", (since, after.at)), self._keys]),
        ]


def _columns(condition: Condition) -> set[str]:
    """The columns of `endpoint` that a condition speaks of."""
    return set(re.findall(r"\be\.(\w+)", condition.sql))


def _named(connection: Connection, wanted: Filter) -> Condition | None:
    """What names the endpoints of a query whatever they were, if they are few enough to begin with."""
    held = [c for c in wanted.conditions if _columns(c) <= _OF_KEY | {"place"}]
    if not held or wanted.empty:
        return None
    named = all_of(held)
    plan = connection.execute(f"EXPLAIN (FORMAT JSON) SELECT FROM endpoint e WHERE {named.sql}", named.params)
    row = plan.fetchone()
    return named if row and int(row[0][0]["Plan"]["Plan Rows"]) <= FEW else None


def _page(counts: LiteralString) -> LiteralString:
    return _PAGE.format(counts=counts, a=_columns_of("f.a_"), b=_columns_of("f.b_"))


def _pair(row: Sequence[Any]) -> _Pair:
    kind, ip, port, protocol, *sides = row
    before, after = sides[: len(_VERSION)], sides[len(_VERSION) :]
    return _Pair(kind, canonical_ip(ip), port, protocol, _stretch(before) if before[0] else None, _stretch(after))


def _stretch(row: Sequence[Any]) -> Stretch:
    """psycopg gives a `"char"` as bytes or text, by its own version."""
    state, *others = row
    return Stretch(state.decode() if isinstance(state, bytes) else state, *others)
