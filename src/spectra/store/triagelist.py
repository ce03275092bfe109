"""The decisions there are and were, newest first."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Final, Literal, LiteralString, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Meta

from spectra.errors import BadRequest, NotFound
from spectra.model.findingrecords import TriageStatus
from spectra.model.limits import Network
from spectra.model.triage import DecisionPage, DecisionRecord, Scope
from spectra.store import cursors
from spectra.store.conditions import Condition, all_of
from spectra.store.database import Connection, Database
from spectra.store.triagewrite import COLUMNS, record_of

Fate = Literal["standing", "ended", "removed", "all"]
FATES: Final[tuple[Fate, ...]] = ("standing", "ended", "removed", "all")
MAX_LIMIT: Final = 1000


class Filters(NamedTuple):
    """What decisions have to be, all of it; what is empty or None asks nothing. `ip` lies in `network`, wherever it is
    told; `fate`: those that stand, whose time is over, or that were replaced or taken back.
    """

    fate: Fate = "standing"
    cve: str = ""
    statuses: tuple[TriageStatus, ...] = ()
    scope: Scope | None = None
    network: Network | None = None
    by: str = ""
    origin: str = ""


class Place(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The last decision of a page."""

    at: Annotated[datetime, Meta(tz=True)]
    id: UUID


_SCOPES: Final[dict[Scope, LiteralString]] = {
    "endpoint": "t.port IS NOT NULL",
    "host": "(t.ip IS NOT NULL AND t.port IS NULL)",
    "everywhere": "t.ip IS NULL",
}


def decisions(
    database: Database, filters: Filters, now: datetime, *, cursor: str = "", limit: int = 100
) -> DecisionPage:
    """A page of at most `limit` (1..1000) decisions; `cursor` is the `next_cursor` of the page before.

    Raises `BadRequest` naming `limit` or `cursor`.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise BadRequest(f"A limit of {limit} is not between 1 and {MAX_LIMIT}.", field="limit")
    conditions = [*_conditions(filters, now)]
    if cursor:
        after = cursors.read(cursor, Place, "decisions")
        conditions.append(Condition("(t.at, t.id) < (%s, %s)", (after.at, after.id)))
    held = all_of(conditions)
    with database.connection() as connection:
        rows = connection.execute(
            f"SELECT {COLUMNS} FROM triage t WHERE {held.sql} ORDER BY t.at DESC, t.id DESC LIMIT %s",
            [*held.params, limit + 1],
        ).fetchall()
    found = tuple(record_of(row) for row in rows[:limit])
    more = len(rows) > limit
    return DecisionPage(
        found, cursors.write(Place(rows[limit - 1][11], rows[limit - 1][0]), "decisions") if more else ""
    )


def decision(database: Database, ident: UUID) -> DecisionRecord:
    """One decision. Raises `NotFound`."""
    with database.connection() as connection:
        row = connection.execute(f"SELECT {COLUMNS} FROM triage t WHERE t.id = %s", [ident]).fetchone()
    if row is None:
        raise NotFound(f"There is no decision {ident}.", hint="`spectra findings decisions` lists those that stand.")
    return record_of(row)


def of_origin(connection: Connection, origin: str) -> list[UUID]:
    """The decisions of a document that were not removed, whether or not their time is over."""
    rows = connection.execute("SELECT id FROM triage t WHERE t.origin = %s AND t.removed IS NULL", [origin])
    return [row[0] for row in rows]


def _conditions(filters: Filters, now: datetime) -> Iterator[Condition]:
    if filters.fate == "removed":
        yield Condition("t.removed IS NOT NULL")
    elif filters.fate != "all":
        over: LiteralString = "t.until <= %s" if filters.fate == "ended" else "(t.until IS NULL OR t.until > %s)"
        yield Condition(f"(t.removed IS NULL AND {over})", (now,))
    if filters.cve:
        yield Condition("t.cve = %s", (filters.cve,))
    if filters.statuses:
        yield Condition("t.status = ANY(%s::text[])", (list(filters.statuses),))
    if filters.scope:
        yield Condition(_SCOPES[filters.scope])
    if filters.network is not None:
        yield Condition("t.ip <<= %s::inet", (str(filters.network),))
    if filters.by:
        yield Condition("t.by = %s", (filters.by,))
    if filters.origin:
        yield Condition("(t.origin = %s AND t.origin <> '')", (filters.origin,))
