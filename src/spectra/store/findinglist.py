"""Open findings of all hosts, a page at a time.

There may be billions of them, of few thousand services: so nothing is ever listed that is not shown. A *run* is a CVE
and a service that has it, and its findings are the open endpoints of that service. A page goes along the runs in the
order that is asked for, and along the endpoints of each by address (the index of `endpoint` by service). Whatever a
question asks of endpoints is first turned into the services that can have any, where that is little work. What only
the whole life of a finding tells (its state, what triage decided) is looked at last, of those that would be shown. All
of that is bounded, so a page may be short and still have a cursor.

The order `priority` is that of the score that a finding has at an address of the Internet: one at any other is shown
with less than the one after it may have, beside those of the same software. The order `opened` is that of the
beginnings of the versions that endpoints are in now, newest first.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Final, NamedTuple

from spectra.errors import BadRequest
from spectra.model.findingrecords import FindingPage, FindingRecord
from spectra.store import cursors
from spectra.store.database import Connection, Database
from spectra.store.filters import resolve
from spectra.store.findingask import Asked, Filters, Place, Step
from spectra.store.findingclosed import Closed, is_of
from spectra.store.findingruns import Newest, Runs
from spectra.store.findings import Clock, Found, Judge, load
from spectra.store.lookups import hurried

MAX_LIMIT: Final = 1000
SORTS: Final = ("priority", "cvss", "epss", "opened")
AT_ONCE: Final = 50
"""Findings that are put together at once, at least."""
PATIENCE: Final = 4
"""How many findings are looked at for each that is asked for before a page ends as it is."""


def findings(
    database: Database,
    filters: Filters,
    judge: Judge,
    now: datetime,
    *,
    sort: str = "priority",
    cursor: str = "",
    limit: int = 100,
) -> FindingPage:
    """A page of at most `limit` (1..1000) open findings; `cursor` is the `next_cursor` of the page before.

    With the state `closed` it is of those, the last closed first, whatever the sort (`store/findingclosed.py`). Raises
    `BadRequest` naming `limit`, `sort` or `cursor`.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise BadRequest(f"A limit of {limit} is not between 1 and {MAX_LIMIT}.", field="limit")
    if sort not in SORTS:
        raise BadRequest(f'There is no sort "{sort[:40]}".', hint=f"Sorts are {', '.join(SORTS)}.", field="sort")
    is_closed = filters.states == ("closed",)
    after = _read(cursor, "closed" if is_closed else sort) if cursor else None
    with database.connection() as connection:
        wanted = resolve(connection, filters.of_endpoints)
        if wanted.empty:
            return FindingPage(())
        with hurried(connection, really=wanted.costly):
            asked = Asked(connection, filters, wanted, judge, now)
            way = Closed(asked) if is_closed else Newest(asked) if sort == "opened" else Runs(asked, sort)
            return _page(connection, way.steps(after, max(limit, AT_ONCE)), _Sieve(filters, judge, now), limit)


def _page(connection: Connection, steps: Iterator[Step], sieve: _Sieve, limit: int) -> FindingPage:
    """Of what is met, what is wanted, until the page is full or enough was looked at."""
    kept: list[FindingRecord] = []
    looked = 0
    while taken := list(islice(steps, max(limit - len(kept), AT_ONCE))):
        candidates = [step.candidate for step in taken if step.candidate]
        found = iter(load(connection, candidates, sieve.judge, Clock(sieve.now)))
        for step in taken:
            if step.candidate is None:  # the way ends here for now
                return _ended(kept, step.place)
            one = next(found)
            if one and sieve.keeps(one, step.place):
                kept.append(one.record)
            if len(kept) == limit:
                more = step is not taken[-1] or next(steps, None) is not None
                return _ended(kept, step.place if more else None)
        looked += len(taken)
        if looked >= PATIENCE * limit:
            return _ended(kept, taken[-1].place)
    return _ended(kept, None)


def _ended(kept: list[FindingRecord], place: Place | None) -> FindingPage:
    return FindingPage(tuple(kept), next_cursor=cursors.write(place, "findings") if place else "")


def _read(text: str, sort: str) -> Place:
    place = cursors.read(text, Place, "findings")
    cursors.require_address(place.ip)
    if place.sort != sort:
        raise BadRequest(
            f'The cursor belongs to a list sorted by "{place.sort[:40]}", not "{sort}".',
            hint="Keep the sort while following cursors.",
            field="cursor",
        )
    if (place.since is None) == (sort in ("opened", "closed")):
        raise cursors.damaged()
    return place


class _Sieve(NamedTuple):
    """What is asked of a finding that only its life and triage tell."""

    filters: Filters
    judge: Judge
    now: datetime

    def keeps(self, found: Found, place: Place) -> bool:
        """Whether it is one of those that are asked for; a closed one only where it closed on the way."""
        filters, record = self.filters, found.record
        if (record.state == "closed") != (place.sort == "closed"):
            return False
        if record.closed is not None and not is_of(place, record.closed, record.closed_why):
            return False
        return (
            (filters.triaged == "all" or record.settled == (filters.triaged == "only"))
            and (not filters.states or record.state in filters.states)
            and (filters.since is None or (record.closed or max(record.opened, record.known)) >= filters.since)
            and (filters.min_priority is None or record.priority.score >= filters.min_priority)
        )
