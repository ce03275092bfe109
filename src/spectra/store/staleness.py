"""What is stale, as conditions on the `endpoint` table `e`: `model.lifetimes` said in SQL.

An endpoint that nobody answered for was looked at all the same: a probe of its host without an answer (`silent_host`)
counts as a look, or a host that went away would be planned for ever.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, LiteralString, NamedTuple

from spectra.model.lifetimes import Lifetimes
from spectra.store.database import Connection, one
from spectra.store.filters import Condition
from spectra.store.lookups import total

ENDPOINTS: Final = "endpoint e LEFT JOIN service v ON v.id = e.service"
"""What the conditions of this module are about: endpoints, and their service's name in `v`."""


class Ages(NamedTuple):
    """When endpoints turn stale: `min_age_s` after they were seen, or (None) after the lifetime of their service."""

    at: datetime
    lifetimes: Lifetimes
    min_age_s: int | None = None

    @property
    def longest_s(self) -> int:
        """The most seconds after which an endpoint is stale."""
        return self.lifetimes.longest_s if self.min_age_s is None else self.min_age_s

    @property
    def shortest_s(self) -> int:
        """The least seconds after which an endpoint may be stale."""
        return self.lifetimes.shortest_s if self.min_age_s is None else self.min_age_s

    @property
    def lengths(self) -> tuple[int, ...]:
        """All the seconds after which endpoints turn stale."""
        if self.min_age_s is not None:
            return (self.min_age_s,)
        return tuple({*self.lifetimes.by_length, self.lifetimes.default_s})

    def seconds(self, service: str) -> int:
        """After how many seconds an endpoint with this service is stale."""
        return self.lifetimes.seconds(service) if self.min_age_s is None else self.min_age_s

    def before(self, seconds: int) -> datetime:
        """The moment `seconds` before `at`, or the beginning of the calendar."""
        try:
            return self.at - timedelta(seconds=seconds)
        except OverflowError:
            return datetime.min.replace(tzinfo=UTC)


def stale(ages: Ages) -> tuple[Condition, ...]:
    """The conditions under which `e` is stale, silence aside.

    Most endpoints are decided by the first two, which an index can serve: only between the shortest and the longest
    lifetime does the service have to be looked up.
    """
    newest = Condition("(e.last_seen <= %s)", (ages.before(ages.shortest_s),), "last_seen")
    if ages.shortest_s == ages.longest_s:
        return (newest,)
    length = lifetime(ages.lifetimes)
    by_service = Condition(
        f"(e.last_seen <= %s OR e.last_seen <= %s - make_interval(secs => {length.sql}))",
        (ages.before(ages.longest_s), ages.at, *length.params),
    )
    return (newest, by_service)


def lifetime(lifetimes: Lifetimes) -> Condition:
    """The seconds that the service of `v` stays fresh, as an expression."""
    cases: list[LiteralString] = []
    params: list[object] = []
    forms: tuple[LiteralString, ...] = ("lower(v.name)", "split_part(lower(v.name), '-', 1)")
    for form in forms:
        for seconds, names in lifetimes.by_length.items():
            cases.append(f"WHEN {form} = ANY(%s::text[]) THEN %s::int8")
            params += [names, seconds]
    return Condition(f"CASE {' '.join(cases)} ELSE %s::int8 END", (*params, lifetimes.default_s))


def unanswered(ages: Ages) -> Condition:
    """The condition that leaves out endpoints whose host did not answer since they were seen, and not long ago."""
    length = lifetime(ages.lifetimes) if ages.min_age_s is None else Condition("%s::int8", (ages.min_age_s,))
    lately: LiteralString = f"q.seen_at > e.last_seen AND q.seen_at > %s - make_interval(secs => {length.sql})"
    return Condition(
        f"NOT EXISTS (SELECT FROM silent_host q WHERE q.ip = e.ip AND {lately})", (ages.at, *length.params)
    )


class Share(NamedTuple):
    """What a sample found: `hits` of `seen` endpoints, of `total` that there are (the planner's number)."""

    hits: int
    seen: int
    total: float

    @property
    def scaled(self) -> int:
        """How many endpoints it would be of all."""
        return round(self.hits * self.total / self.seen) if self.seen else 0


def sampled(connection: Connection, held: Condition, rows: int) -> Share:
    """How many of about `rows` endpoints satisfy `held`: whole pages, the same ones every time."""
    every = total(connection)
    row = one(
        connection.execute(
            f"SELECT count(*) FILTER (WHERE {held.sql}), count(*) FROM endpoint e {SAMPLE}"
            " LEFT JOIN service v ON v.id = e.service",
            [*held.params, percent(rows, every)],
        )
    )
    return Share(row[0], row[1], every)


SAMPLE: Final = "TABLESAMPLE SYSTEM (%s) REPEATABLE (7)"


def percent(rows: int, every: float) -> float:
    """The parameter of `SAMPLE` for about `rows` of `every` endpoints."""
    return min(100.0, 100.0 * rows / every)
