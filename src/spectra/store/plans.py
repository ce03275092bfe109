"""Plans: the stale endpoints of a selection, oldest first, a page at a time.

A plan keeps who asked, for what, and the moment that ages count from. Its targets are read anew for every page: what
was rescanned since then is no target any more, so that a plan empties as its work is done.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, LiteralString, NamedTuple

import msgspec
from msgspec import Meta

from spectra.errors import BadRequest, NotFound
from spectra.model.lifetimes import Lifetimes, later
from spectra.model.plans import MAX_TARGETS, Plan, PlanSummary, Selectors, Target
from spectra.model.query import Query
from spectra.store import cursors, do_not_scan
from spectra.store.database import Connection, Database, one
from spectra.store.filters import Condition, all_of, any_of, resolve
from spectra.store.lookups import expected, hurried, total
from spectra.store.staleness import ENDPOINTS, Ages, sampled, stale, unanswered
from spectra.store.timeline import OPEN, PROTOCOL_NAME

FEW_TARGETS: Final = 40_000
"""Up to about this many targets are all read and sorted for a page; of more, the oldest endpoints are walked."""
COUNTED: Final = 60_000
"""Beyond about this many targets their number is scaled up from a sample."""
SAMPLE_ROWS: Final = 30_000
PATIENCE: Final = 2
MIN_REACH: Final = 5_000
MAX_REACH: Final = 50_000
"""Bounds of the walk along the index by age, in endpoints; 50,000 take about 40 ms."""
WORTH: Final = 20
"""A walk that found at least this part of a page is the page: it may be short."""
MAX_PLANS: Final = 1000
"""Plans kept of one account; the oldest makes room."""

_FIELDS: Final = "id, account, created, at, expires, selectors, min_age_s, stale_total, exact"


class Keeping(NamedTuple):
    """How long a plan is kept, and how many of one account."""

    days: int = 7
    plans: int = MAX_PLANS


KEEPING: Final = Keeping()


class Asked(NamedTuple):
    """What a plan is made of: the selection as it was said, and as a query; ages; whose it is."""

    account: str
    selectors: Selectors
    query: Query
    ages: Ages


class _Key(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a page ended: the target given last."""

    last_seen: Annotated[datetime, Meta(tz=True)]
    ip: str
    port: Annotated[int, Meta(ge=0, le=65535)]
    protocol: Annotated[int, Meta(ge=0, le=255)]


class _Page(NamedTuple):
    """Rows (ip, port, protocol, last_seen, service) in order, whether there are more, and how many are left."""

    rows: list[tuple[Any, ...]]
    more: bool
    left: int
    exact: bool


def create(database: Database, asked: Asked, *, limit: int = MAX_TARGETS, keeping: Keeping = KEEPING) -> Plan:
    """Keep a plan of what is stale now, and give it with its first page. Plans that have expired are dropped."""
    ages = asked.ages
    with database.connection() as connection:
        page = _page(connection, asked.query, ages, None, limit)
        summary = PlanSummary(
            plan_id=f"plan-{secrets.token_hex(10)}",
            account=asked.account,
            created=ages.at,
            at=ages.at,
            expires=later(ages.at, keeping.days * 86400),
            selectors=asked.selectors,
            min_age_s=ages.min_age_s,
            stale_total=page.left,
            exact=page.exact,
        )
        _store(connection, summary, ages.lifetimes, keeping)
    return _plan(summary, ages, page)


def find(database: Database, plan_id: str, now: datetime) -> tuple[PlanSummary, Lifetimes]:
    """A plan that has not expired, and the lifetimes it goes by; raises `NotFound`."""
    with database.connection() as connection:
        row = connection.execute(
            f"SELECT {_FIELDS}, lifetimes FROM plan WHERE id = %s AND expires > %s", [plan_id[:100], now]
        ).fetchone()
    if row is None:
        raise NotFound(f"There is no plan {plan_id[:80]}.", hint="Plans expire; `spectra plan list` shows yours.")
    return _summary(row[:-1]), _lifetimes(row[-1])


def targets(
    database: Database,
    found: tuple[PlanSummary, Lifetimes],
    query: Query,
    *,
    cursor: str = "",
    limit: int = MAX_TARGETS,
) -> Plan:
    """The plan `found` with a page of the targets it still has; `query` is the one its selectors say.

    Raises `BadRequest` naming `limit` or `cursor`.
    """
    summary, lifetimes = found
    if not 1 <= limit <= MAX_TARGETS:
        raise BadRequest(f"A limit of {limit} is not between 1 and {MAX_TARGETS}.", field="limit")
    after = _read_cursor(cursor, summary.plan_id) if cursor else None
    ages = Ages(summary.at, lifetimes, summary.min_age_s)
    with database.connection() as connection:
        return _plan(summary, ages, _page(connection, query, ages, after, limit))


def newest(database: Database, account: str, now: datetime, *, limit: int = 100) -> tuple[PlanSummary, ...]:
    """The plans of `account`, newest first."""
    with database.connection() as connection:
        rows = connection.execute(
            f"SELECT {_FIELDS} FROM plan WHERE account = %s AND expires > %s ORDER BY created DESC, id DESC LIMIT %s",
            [account, now, limit],
        ).fetchall()
    return tuple(_summary(row) for row in rows)


def excluded(connection: Connection, now: datetime) -> tuple[Condition, ...]:
    """The conditions that leave out what is never scanned at `now`; none where that is nothing.

    Networks become disjoint ranges, and each address is looked up among their starts: the list may be long.
    """
    never = do_not_scan.excluded(connection, now)
    conditions: list[Condition] = []
    if never.networks:
        nets = _disjoint(never.networks)
        starts, ends = [str(net[0]) for net in nets], [str(net[-1]) for net in nets]
        outside: LiteralString = "coalesce((%s::inet[])[width_bucket(e.ip, %s::inet[])] < e.ip, true)"
        conditions.append(Condition(outside, (ends, starts)))
    if never.asns:
        rows = connection.execute("SELECT id FROM place WHERE asn = ANY(%s::int8[])", [list(never.asns)]).fetchall()
        elsewhere: LiteralString = "(e.place IS NULL OR e.place <> ALL(%s::uuid[]))"
        conditions.append(Condition(elsewhere, ([row[0] for row in rows],)))
    return tuple(conditions)


def _disjoint(networks: Sequence[str]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    nets = [ipaddress.ip_network(text) for text in networks]
    return [
        *ipaddress.collapse_addresses(net for net in nets if isinstance(net, ipaddress.IPv4Network)),
        *ipaddress.collapse_addresses(net for net in nets if isinstance(net, ipaddress.IPv6Network)),
    ]


# Plans as rows -------------------------------------------------------------------------------------------------------


def _store(connection: Connection, plan: PlanSummary, lifetimes: Lifetimes, keeping: Keeping) -> None:
    with connection.transaction():
        connection.execute(
            "DELETE FROM plan WHERE expires <= %(now)s OR id IN (SELECT id FROM plan WHERE account = %(account)s"
            " ORDER BY created DESC, id DESC OFFSET %(kept)s)",
            {"now": plan.created, "account": plan.account, "kept": max(keeping.plans - 1, 0)},
        )
        connection.execute(
            f"INSERT INTO plan ({_FIELDS}, lifetimes) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                plan.plan_id,
                plan.account,
                plan.created,
                plan.at,
                plan.expires,
                msgspec.json.encode(plan.selectors).decode(),
                plan.min_age_s,
                plan.stale_total,
                plan.exact,
                msgspec.json.encode({"default_s": lifetimes.default_s, "services": lifetimes.given}).decode(),
            ],
        )


def _summary(row: tuple[Any, ...]) -> PlanSummary:
    plan_id, account, created, at, expires, selectors, min_age_s, stale_total, exact = row
    return PlanSummary(
        plan_id=plan_id,
        account=account,
        created=created,
        at=at,
        expires=expires,
        selectors=msgspec.json.decode(selectors, type=Selectors),
        min_age_s=min_age_s,
        stale_total=stale_total,
        exact=exact,
    )


class _Lifetimes(msgspec.Struct):
    default_s: int
    services: dict[str, int]


def _lifetimes(text: str) -> Lifetimes:
    kept = msgspec.json.decode(text, type=_Lifetimes)
    return Lifetimes(kept.services, kept.default_s)


def _plan(summary: PlanSummary, ages: Ages, page: _Page) -> Plan:
    last = page.rows[-1] if page.more else None
    return Plan(
        **msgspec.structs.asdict(summary),
        left=page.left,
        targets=tuple(_target(row, ages) for row in page.rows),
        next_cursor=_write_cursor(_Key(last[3], last[0], last[1], last[2]), summary.plan_id) if last else "",
    )


def _target(row: tuple[Any, ...], ages: Ages) -> Target:
    ip, port, protocol, last_seen, service = row
    stale_since = later(last_seen, ages.seconds(service))
    return Target(ip, port, PROTOCOL_NAME[protocol], service, last_seen, stale_since)


# Pages ---------------------------------------------------------------------------------------------------------------

# Descending ties: then the order is that of the index by age, read backwards.
_ORDER: LiteralString = "e.last_seen, e.ip DESC, e.port DESC, e.protocol DESC"
OPEN_NOW: Final = Condition('e.state = %s::"char"', (OPEN,))
_KEYS: LiteralString = "e.ip, e.port, e.protocol, e.last_seen"


def _page(connection: Connection, query: Query, ages: Ages, after: _Key | None, limit: int) -> _Page:
    wanted = resolve(connection, query)
    if wanted.empty:
        return _Page([], more=False, left=0, exact=True)
    conditions = (
        *wanted.conditions,
        OPEN_NOW,
        *stale(ages),
        unanswered(ages),
        *excluded(connection, ages.at),
    )
    with hurried(connection, really=wanted.costly):
        return _chosen(connection, conditions, after, limit)


def _chosen(connection: Connection, conditions: Sequence[Condition], after: _Key | None, limit: int) -> _Page:
    hoped = expected(connection, all_of(conditions), ENDPOINTS)
    if hoped <= FEW_TARGETS:
        return _whole(connection, conditions, after, limit)
    left, exact = _left(connection, all_of(conditions), hoped)
    rows = _walked(connection, conditions, after, limit + 1, hoped)
    if len(rows) > limit or len(rows) > limit // WORTH:
        return _Page(rows[:limit], more=True, left=left, exact=exact)
    return _whole(connection, conditions, after, limit)


def _left(connection: Connection, held: Condition, hoped: int) -> tuple[int, bool]:
    """How many targets there are, and whether they were counted: up to `COUNTED`, beyond that a sample is."""
    if hoped <= COUNTED:
        bounded: LiteralString = f"SELECT count(*) FROM (SELECT FROM {ENDPOINTS} WHERE {held.sql} LIMIT %s) n"
        found = one(connection.execute(bounded, [*held.params, COUNTED + 1]))[0]
        if found <= COUNTED:
            return found, True
    return sampled(connection, held, SAMPLE_ROWS).scaled, False


def _whole(connection: Connection, conditions: Sequence[Condition], after: _Key | None, limit: int) -> _Page:
    """The first of all targets, counted and sorted: for few."""
    held, rest = all_of(conditions), any_of(_stretches(after))
    rows = connection.execute(
        f"""WITH a AS MATERIALIZED (SELECT {_KEYS}, v.name FROM {ENDPOINTS} WHERE {held.sql}),
              k AS (SELECT * FROM a e WHERE {rest.sql} ORDER BY {_ORDER} LIMIT %s)
            SELECT host(e.ip), e.port, e.protocol, e.last_seen, coalesce(e.name, ''), n.total
            FROM (SELECT count(*) FROM a) n (total) LEFT JOIN k e ON true ORDER BY {_ORDER}""",
        [*held.params, *rest.params, limit + 1],
    ).fetchall()
    found = [row[:5] for row in rows if row[0] is not None]
    return _Page(found[:limit], more=len(found) > limit, left=rows[0][5], exact=True)


def _walked(
    connection: Connection, conditions: Sequence[Condition], after: _Key | None, limit: int, hoped: int
) -> list[tuple[Any, ...]]:
    """Targets among the next endpoints by age, a bounded number of them: what would do if targets lay evenly."""
    reach = min(max(PATIENCE * int(limit * total(connection) / hoped), MIN_REACH), MAX_REACH)
    bounds = [c for c in conditions if c.column == "last_seen"]
    parts = [all_of([*bounds, stretch]) for stretch in _stretches(after)]
    selects: list[LiteralString] = [
        f"(SELECT * FROM endpoint e WHERE {part.sql} ORDER BY {_ORDER} LIMIT %s)" for part in parts
    ]
    held = all_of(conditions)
    return connection.execute(
        f"""SELECT host(e.ip), e.port, e.protocol, e.last_seen, coalesce(v.name, '')
            FROM (SELECT * FROM ({" UNION ALL ".join(selects)}) e ORDER BY {_ORDER} LIMIT %s) e
              LEFT JOIN service v ON v.id = e.service
            WHERE {held.sql} ORDER BY {_ORDER} LIMIT %s""",
        [*(p for part in parts for p in (*part.params, reach)), reach, *held.params, limit],
    ).fetchall()


def _stretches(after: _Key | None) -> list[Condition]:
    """What comes after the cursor, as stretches that each are one range of the index."""
    if after is None:
        return [Condition("true")]
    keys: LiteralString = "(e.ip, e.port, e.protocol) < (%s::inet, %s::int4, %s::int2)"
    tied = Condition(f"(e.last_seen = %s AND {keys})", (after.last_seen, after.ip, after.port, after.protocol))
    return [tied, Condition("(e.last_seen > %s)", (after.last_seen,))]


# Cursors -------------------------------------------------------------------------------------------------------------

_LONGEST: Final = 1000  # characters


def _write_cursor(key: _Key, plan_id: str) -> str:
    return cursors.write(key, f"plan {plan_id}")


def _read_cursor(text: str, plan_id: str) -> _Key:
    try:
        key = cursors.read(text, _Key, f"plan {plan_id}", longest=_LONGEST)
        cursors.require_address(key.ip)
    except BadRequest as error:
        raise BadRequest("The cursor is damaged, or of another plan.", hint=error.hint, field="cursor") from error
    return key
