"""CVEs that match a question, a page at a time: by words of their texts, scores, times, products and what they affect.

A page is read in one of three ways. Where few match, all matches are sorted. Where many do, the index of the order is
walked until enough were met, a bounded number of rows. Where neither is to be had, all are sorted, however many. Words
are weighed (`ts_rank`) for at most `FEW` CVEs: of words that more of them hold, the `REACH` riskiest come first, by how
well they match, and then the others by risk.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, LiteralString, NamedTuple

import msgspec
from msgspec import Meta

from spectra.errors import BadRequest
from spectra.model.fields import suggest
from spectra.model.vulnquery import SORTS, VulnQuery
from spectra.model.vulnrecords import CUT, VulnPage, VulnSummary, VulnTotal
from spectra.store import cursors
from spectra.store.conditions import Condition, all_of
from spectra.store.database import Connection, Database, one
from spectra.store.lookups import expected
from spectra.store.vulnwording import Wanted, wanted

MAX_LIMIT: Final = 1000
FEW: Final = 3_000
"""Matches that are all read and sorted for a page, in about 20 ms; more of them are not counted but estimated."""
WORTH: Final = 4
"""A page of the riskiest matches that is filled to this part may be short: what follows is in another order."""
REACH: Final = 3_000
"""Rows that a walk looks up words or products of; they take about 20 ms."""
NEAR: Final = 12_000
FAR_REACH: Final = 20_000
"""Rows that a walk reads where their own columns say whether they match; `NEAR` for the riskiest that do."""
SAMPLE: Final = 4_000
MAX_PRODUCTS: Final = 5
"""Products named with one CVE of a list."""


class Order(NamedTuple):
    """What is sorted by: an expression, whether that is descending, and whether an index has it."""

    key: LiteralString
    down: bool = True
    walkable: bool = True
    kind: LiteralString = "float8"


_ORDERS: Final[dict[str, Order]] = {
    "risk": Order("v.risk", kind="float4"),
    "cvss": Order("v.cvss", walkable=False, kind="float4"),
    "epss": Order("v.epss", kind="float4"),
    "published": Order("v.published", kind="timestamptz"),
    "modified": Order("v.modified", walkable=False, kind="timestamptz"),
    "cve": Order("v.sort", down=False, kind="int8"),
}


_Num = Annotated[int, Meta(ge=0, lt=2**31)]


class _Edge(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The last of the CVEs whose words are weighed, where those are not all that match."""

    risk: float
    num: _Num


class _Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a page ended: the sort, the key of its last match, which of both parts of a list by relevance it was in."""

    sort: str
    num: _Num
    key: float | Annotated[int, Meta(ge=-(2**62), le=2**62)] | Annotated[datetime, Meta(tz=True)] | None = None
    edge: _Edge | None = None
    beyond: bool = False


class Paging(NamedTuple):
    """Which page: at most `limit` (1..1000) CVEs in the order `sort`, after `cursor`.

    `sort` is one of `SORTS`: `relevance`, where words are looked for, or by `risk`, `cvss`, `epss`, `published` or
    `modified` (highest and newest first) or `cve` (ascending); `-` in front turns it round. What has no value comes
    last. Empty: `relevance` for words, else `risk`.
    """

    sort: str = ""
    cursor: str = ""
    limit: int = 100


class _Row(NamedTuple):
    """A match: its number and its key of the order; `beyond` those whose words are weighed, it is its risk."""

    num: int
    key: Any
    beyond: bool = False


class _Found(NamedTuple):
    """Matches in order, one more than asked for where there are more.

    `total` where all were counted. `short`: more follow beyond `edge`, though there is not one more here.
    """

    rows: list[_Row]
    total: int | None = None
    edge: _Edge | None = None
    short: bool = False


FIRST: Final = Paging()


def search(database: Database, query: VulnQuery, paging: Paging = FIRST, *, total: bool = False) -> VulnPage:
    """A page of the CVEs that `query` selects; `total`: with the number of all of them.

    Raises `BadRequest` naming `sort`, `limit`, `cursor` or `text`.
    """
    sort = _sort(query, paging.sort)
    if not 1 <= paging.limit <= MAX_LIMIT:
        raise BadRequest(f"A limit of {paging.limit} is not between 1 and {MAX_LIMIT}.", field="limit")
    after = _read_cursor(paging.cursor, sort) if paging.cursor else None
    with database.connection() as connection:
        question = wanted(connection, query)
        if question is None:
            return VulnPage((), total=VulnTotal(0, True) if total else None)
        found = _find(connection, question, sort, after, paging.limit + 1)
        shown = found.rows[: paging.limit]
        scores = {row.num: row.key for row in shown if not row.beyond} if sort == "relevance" else {}
        vulns = summaries(connection, [row.num for row in shown], scores)
        counted = _total(connection, question, found) if total else None
    return VulnPage(vulns, _next(found, paging.limit, sort), counted)


def _sort(query: VulnQuery, sort: str) -> str:
    """The order that is meant; raises `BadRequest` naming `sort`."""
    if sort in ("", "relevance"):
        return "relevance" if query.weighed else "risk"
    if sort.removeprefix("-") in _ORDERS:
        return sort
    near = suggest(sort[:40], SORTS)
    hint = f"Did you mean {near}?" if near else f"Sorts are {', '.join(SORTS)}; all but the first also after a minus."
    raise BadRequest(f"There is no sort {sort[:40]!r}.", field="sort", hint=hint)


# The page ------------------------------------------------------------------------------------------------------------


def _find(connection: Connection, question: Wanted, sort: str, after: _Cursor | None, limit: int) -> _Found:
    hoped = expected(connection, all_of(question.conditions), question.source)
    if sort == "relevance":
        return _relevant(connection, question, after, limit, hoped)
    order, reverse = _ORDERS[sort.removeprefix("-")], sort.startswith("-")
    return _ordered(connection, question, _Walk(order, order.down != reverse, after, limit), hoped)


class _Walk(NamedTuple):
    """An order, whether it is descending, where to go on and how many to take."""

    order: Order
    down: bool
    after: _Cursor | None
    limit: int

    def listed(self, key: LiteralString, num: LiteralString, *, walked: bool = False) -> LiteralString:
        """The ORDER BY list; `walked`: as an index has it, for keys that are not null."""
        nulls: LiteralString = "" if walked else " NULLS LAST"
        ties: LiteralString = "" if self.down == self.order.down else " DESC"
        return f"{key}{' DESC' if self.down else ''}{nulls}, {num}{ties}"

    def rest(self, key: LiteralString, num: LiteralString) -> Condition:
        """What comes after the cursor."""
        if self.after is None:
            return Condition("true")
        beyond: LiteralString = f"{num} {'>' if self.down == self.order.down else '<'} %s"
        if self.after.key is None:
            return Condition(f"({key} IS NULL AND {beyond})", (self.after.num,))
        kind, sign = self.order.kind, self._sign
        return Condition(
            f"({key} {sign} %s::{kind} OR {key} = %s::{kind} AND {beyond} OR {key} IS NULL)",
            (self.after.key, self.after.key, self.after.num),
        )

    def stretches(self) -> list[Condition]:
        """The same for keys that are not null, as stretches that each are one range of the index."""
        if self.after is None:
            return [Condition(f"{self.order.key} IS NOT NULL")]
        if self.after.key is None:
            return []
        key, kind = self.order.key, self.order.kind
        beyond: LiteralString = f"v.num {'>' if self.down == self.order.down else '<'} %s"
        return [
            Condition(f"({key} = %s::{kind} AND {beyond})", (self.after.key, self.after.num)),
            Condition(f"({key} {self._sign} %s::{kind})", (self.after.key,)),
        ]

    @property
    def _sign(self) -> LiteralString:
        return "<" if self.down else ">"


def _ordered(connection: Connection, question: Wanted, walk: _Walk, hoped: int) -> _Found:
    """The matches of a page in an order that columns have."""
    key = Condition(walk.order.key)
    if hoped <= FEW:
        found = _whole(connection, question, walk, key)
        if found:
            return found
    if walk.order.walkable and (stretches := walk.stretches()):
        rows = _walked(connection, question, walk, stretches)
        if len(rows) >= walk.limit:
            return _Found(rows)
    return _Found(_sorted(connection, question, walk, key))


def _whole(connection: Connection, question: Wanted, walk: _Walk, key: Condition) -> _Found | None:
    """The first of all matches, which are counted and sorted; None where there are more than `FEW`."""
    held, rest = all_of(question.conditions), walk.rest("m.key", "m.num")
    rows = connection.execute(
        f"""WITH m AS MATERIALIZED (SELECT v.num, {key.sql} AS key FROM {question.source} WHERE {held.sql} LIMIT %s),
              k AS (SELECT * FROM m WHERE {rest.sql} ORDER BY {walk.listed("m.key", "m.num")} LIMIT %s)
            SELECT n.total, k.num, k.key FROM (SELECT count(*) FROM m) n (total) LEFT JOIN k ON n.total <= %s
            ORDER BY {walk.listed("k.key", "k.num")}""",
        [*key.params, *held.params, FEW + 1, *rest.params, walk.limit, FEW],
    ).fetchall()
    total = rows[0][0]
    return _Found([_Row(*row[1:]) for row in rows if row[1] is not None], total) if total <= FEW else None


def _walked(connection: Connection, question: Wanted, walk: _Walk, stretches: Sequence[Condition]) -> list[_Row]:
    """Matches among the next rows of the index."""
    reach = REACH if question.looks_up else FAR_REACH
    listed = walk.listed(walk.order.key, "v.num", walked=True)
    selects: list[LiteralString] = [
        f"(SELECT * FROM vuln v WHERE {part.sql} ORDER BY {listed} LIMIT %s)" for part in stretches
    ]
    held = all_of(question.conditions)
    rows = connection.execute(
        f"""SELECT v.num, {walk.order.key} FROM (
              SELECT * FROM ({" UNION ALL ".join(selects)}) v ORDER BY {listed} LIMIT %s) v{question.beside}
            WHERE {held.sql} ORDER BY {listed} LIMIT %s""",
        [*(p for part in stretches for p in (*part.params, reach)), reach, *held.params, walk.limit],
    )
    return [_Row(*row) for row in rows]


def _sorted(connection: Connection, question: Wanted, walk: _Walk, key: Condition) -> list[_Row]:
    """The first of all matches, however many those are."""
    held, rest = all_of(question.conditions), walk.rest("m.key", "m.num")
    rows = connection.execute(
        f"""SELECT m.num, m.key FROM (SELECT v.num, {key.sql} AS key FROM {question.source} WHERE {held.sql}) m
            WHERE {rest.sql} ORDER BY {walk.listed("m.key", "m.num")} LIMIT %s""",
        [*key.params, *held.params, *rest.params, walk.limit],
    )
    return [_Row(*row) for row in rows]


# Relevance -----------------------------------------------------------------------------------------------------------

_RELEVANCE: Final = Order("", walkable=False)
_BY_RISK: Final = _ORDERS["risk"]


def _score(question: Wanted) -> Condition:
    """How often and how close together the words stand in a text, most of all in its title; risk counts up to as much.

    Without normalization by length (https://www.postgresql.org/docs/current/textsearch-controls.html): that would have
    the shortest texts first, while repetition counts for at most 1.64 times as much anyway.
    """
    rank: LiteralString = "ts_rank(t.words, websearch_to_tsquery('english', %s))"
    return Condition(f"{rank} * (1 + v.risk / 100)", (question.weighed,))


def _relevant(connection: Connection, question: Wanted, after: _Cursor | None, limit: int, hoped: int) -> _Found:
    if after and after.beyond:
        return _Found(_beyond(connection, question, after, limit))
    walk, score = _Walk(_RELEVANCE, True, after, limit), _score(question)
    edge = after.edge if after else None
    if edge is None and hoped <= FEW:
        found = _whole(connection, question, walk, score)
        if found:
            return found
    if after and edge is None:  # the page before was of all matches, which have become too many
        return _Found(_sorted(connection, question, walk, score))
    rows, edge = _riskiest(connection, question, walk, score, edge)
    if len(rows) >= limit or edge is None:
        return _Found(rows, edge=edge)
    if len(rows) > limit // WORTH:
        return _Found(rows, edge=edge, short=True)
    rows += _beyond(connection, question, _Cursor("risk", edge.num, edge.risk), limit - len(rows))
    return _Found(rows, edge=edge)


def _beyond(connection: Connection, question: Wanted, after: _Cursor, limit: int) -> list[_Row]:
    """Those whose words are not weighed, by risk."""
    found = _ordered(connection, question, _Walk(_BY_RISK, True, after, limit), FEW + 1)
    return [row._replace(beyond=True) for row in found.rows]


def _near(connection: Connection, own: Condition) -> _Edge | None:
    """The last of the CVEs whose words are weighed, found near the top of the index; None where few are there."""
    top: LiteralString = "SELECT * FROM vuln v ORDER BY v.risk DESC, v.num LIMIT %s"
    count, risk, num = one(
        connection.execute(
            f"""WITH c AS (SELECT v.risk, v.num FROM ({top}) v WHERE {own.sql} LIMIT %s)
                SELECT count(*), (array_agg(c.risk ORDER BY c.risk, c.num DESC))[1],
                       (array_agg(c.num ORDER BY c.risk, c.num DESC))[1] FROM c""",
            [NEAR, *own.params, REACH],
        )
    )
    return _Edge(risk, num) if count > REACH // WORTH else None


def _candidates(connection: Connection, own: Sequence[Condition], edge: _Edge | None) -> Condition:
    """Numbers and risks of about `REACH` CVEs for which `own` holds, the riskiest of them, or those up to `edge`.

    Adding nothing to the risk keeps the planner from walking its index: few of the riskiest are of low severity.
    """
    edge = edge or _near(connection, all_of(own))
    if edge:
        up_to: LiteralString = "(v.risk > %s::float4 OR v.risk = %s::float4 AND v.num <= %s) AND v.risk >= %s::float4"
        held = all_of([*own, Condition(up_to, (edge.risk, edge.risk, edge.num, edge.risk))])
        return Condition(f"SELECT v.num, v.risk FROM vuln v WHERE {held.sql}", held.params)
    held = all_of(own)
    return Condition(
        f"SELECT v.num, v.risk FROM vuln v WHERE {held.sql} ORDER BY v.risk + 0 DESC, v.num LIMIT %s",
        (*held.params, REACH),
    )


def _riskiest(
    connection: Connection, question: Wanted, walk: _Walk, score: Condition, edge: _Edge | None
) -> tuple[list[_Row], _Edge | None]:
    """The matches among the riskiest CVEs, by how well they match, and where those end; None: they were all."""
    first = _candidates(connection, question.own, edge)
    held, rest = all_of(question.rest), walk.rest("m.key", "m.num")
    rows = connection.execute(
        f"""WITH v AS MATERIALIZED ({first.sql}),
              m AS MATERIALIZED (SELECT v.num, {score.sql} AS key FROM v{question.beside} WHERE {held.sql}),
              k AS (SELECT * FROM m WHERE {rest.sql} ORDER BY {walk.listed("m.key", "m.num")} LIMIT %s)
            SELECT n.total, z.risk, z.num, k.num, k.key
            FROM (SELECT count(*) FROM v) n (total)
              LEFT JOIN (SELECT v.risk, v.num FROM v ORDER BY v.risk, v.num DESC LIMIT 1) z ON true
              LEFT JOIN k ON true
            ORDER BY {walk.listed("k.key", "k.num")}""",
        [*first.params, *score.params, *held.params, *rest.params, walk.limit],
    ).fetchall()
    total, risk, num = rows[0][:3]
    if edge is None and total > REACH // WORTH:
        edge = _Edge(risk, num)
    return [_Row(*row[3:]) for row in rows if row[3] is not None], edge


# How many ------------------------------------------------------------------------------------------------------------


def _total(connection: Connection, question: Wanted, found: _Found) -> VulnTotal:
    """How many match, where the page did not tell: scaled up from every so many rows; few of them are counted."""
    if found.total is not None:
        return VulnTotal(found.total, True)
    held = all_of(question.conditions)
    last = one(connection.execute("SELECT coalesce(max(num), 0) FROM vuln"))[0]
    step = max(last // SAMPLE, 1)
    sampled: LiteralString = (
        f"SELECT count(*) FROM generate_series(1, %s, %s) g (n) JOIN vuln v ON v.num = g.n{question.beside}"
        f" WHERE {held.sql}"
    )
    estimate = step * one(connection.execute(sampled, [last, step, *held.params]))[0]
    if step == 1 or estimate > FEW // 2:
        return VulnTotal(max(estimate, len(found.rows)), step == 1)
    counted: LiteralString = f"SELECT count(*) FROM {question.source} WHERE {held.sql}"
    return VulnTotal(one(connection.execute(counted, held.params))[0], True)


# Summaries -----------------------------------------------------------------------------------------------------------

COLUMNS: LiteralString = (
    "v.cve, v.status, v.severity, v.cvss, v.cvss_version, v.epss, v.epss_percentile, v.kev, v.ransomware,"
    " v.exploitation, v.risk, v.published, v.modified"
)


_ESCAPED: Final = re.compile(r"\\(.)")


def summaries(
    connection: Connection, nums: Sequence[int], scores: dict[int, float] | None = None
) -> tuple[VulnSummary, ...]:
    """The CVEs of these numbers, in this order; `scores` are their relevance by number."""
    rows = connection.execute(
        f"""SELECT k.num, t.title, left(t.description, %s), {COLUMNS}, p.names
            FROM unnest(%s::int4[]) WITH ORDINALITY k (num, place) JOIN vuln v ON v.num = k.num
              JOIN vuln_text t ON t.num = k.num LEFT JOIN LATERAL (
                SELECT array_agg(r.vendor || ':' || r.product) FROM (
                  SELECT p.vendor, p.product FROM vuln_rule r JOIN product p ON p.id = r.product
                  WHERE r.num = k.num ORDER BY r.product LIMIT %s) r) p (names) ON true
            ORDER BY k.place""",
        [CUT, list(nums), MAX_PRODUCTS],
    )
    return tuple(_summary(row, scores or {}) for row in rows)


def _summary(row: tuple[Any, ...], scores: dict[int, float]) -> VulnSummary:
    num, title, description, *columns, products = row
    return VulnSummary(
        title=title,
        description=description,
        products=tuple(_ESCAPED.sub(r"\1", name) for name in products or ()),
        relevance=scores.get(num),
        **columned(columns),
    )


def columned(columns: Sequence[Any]) -> dict[str, Any]:
    """What `COLUMNS` gave, by name."""
    names = [name.strip().removeprefix("v.") for name in COLUMNS.split(",")]
    return dict(zip(names, columns, strict=True))


# Cursors -------------------------------------------------------------------------------------------------------------

_LONGEST: Final = 400  # characters


def _next(found: _Found, limit: int, sort: str) -> str:
    """The cursor after a page; empty where nothing follows."""
    if found.short and found.edge:
        return cursors.write(_Cursor(sort, found.edge.num, found.edge.risk, found.edge, True), "vulns")
    if len(found.rows) <= limit:
        return ""
    last = found.rows[limit - 1]
    return cursors.write(_Cursor(sort, last.num, last.key, found.edge, last.beyond), "vulns")


def _read_cursor(text: str, sort: str) -> _Cursor:
    cursor = cursors.read(text, _Cursor, "vulns", longest=_LONGEST)
    if cursor.sort != sort:
        raise BadRequest(
            f'The cursor belongs to a list sorted by "{cursor.sort[:40]}", not "{sort}".',
            hint="Keep the question and its sort while following cursors.",
            field="cursor",
        )
    kind = _BY_RISK.kind if cursor.beyond else _kind(sort)
    if cursor.key is not None and isinstance(cursor.key, datetime) != (kind == "timestamptz"):
        raise cursors.damaged()
    return cursor


def _kind(sort: str) -> LiteralString:
    return _RELEVANCE.kind if sort == "relevance" else _ORDERS[sort.removeprefix("-")].kind
