"""What is asked of open findings, as conditions: on CVEs (`v`), on what is affected (`a`), on endpoints (`e`)."""

from __future__ import annotations

import ipaddress
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal, LiteralString, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Meta

from spectra.model.findinglife import FRESH, State
from spectra.model.findingrecords import SETTLED, Level
from spectra.model.findings import LIKELY, SURE
from spectra.model.query import Query
from spectra.store import triage
from spectra.store.conditions import Condition, Filter, all_of, any_of, array, negation
from spectra.store.database import Connection
from spectra.store.findings import Candidate, Judge, cpe_of, software
from spectra.store.lookups import expected
from spectra.store.populations import services_of
from spectra.store.wording import FINDING, held

# Of an address that can be reached: what else is known of a finding is known of its run.
_PRIORITY: LiteralString = (
    "(v.risk::float8 * (%s::float8 + %s::float8 * a.confidence) * CASE WHEN a.patched = '' THEN 1 ELSE %s::float8 END)"
)
ROUNDED: Final = 0.051
"""How far a score may be from what it was before it was rounded."""
LEFT: LiteralString = (
    "EXISTS (SELECT FROM endpoint_version o WHERE (o.ip, o.port, o.protocol) = (e.ip, e.port, e.protocol))"
)
"""That an endpoint was in another version before."""
RETOLD: LiteralString = (
    "EXISTS (SELECT FROM affected o WHERE o.software = a.software AND o.vuln = a.vuln AND o.until IS NOT NULL)"
)
"""That what is affected was taken back before."""
FEW: Final = 2000
"""Endpoints up to which all that satisfy a question are listed once, and not looked for with each run."""
PAST: Final = 100_000
"""Past versions up to which the services of the endpoints that had one are listed."""
NARROW: Final = 20_000
"""Endpoints up to which a question is turned into the services of those that satisfy it."""

Triaged = Literal["all", "only", "none"]


class Filters(NamedTuple):
    """What findings have to be, all of it; what is empty or None asks nothing.

    The terms of `query` about weaknesses are about the finding's own CVE, the others about its endpoint. `states`
    are those of open findings, or `closed` alone; `since`: opened, known or closed since then; `min_priority` is of the
    score shown. `triaged`: also what is
    settled (`all`), nothing else (`only`), or nothing of it.
    """

    query: Query = Query()
    min_priority: float | None = None
    states: tuple[State, ...] = ()
    since: datetime | None = None
    patched: bool | None = None
    levels: tuple[Level, ...] = ()
    triaged: Triaged = "none"

    @property
    def of_endpoints(self) -> Query:
        """The part of `query` that is about endpoints."""
        return Query(tuple(term for term in self.query.terms if term.field not in FINDING))


class Place(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a page ended: the run (value of its order, CVE, confidence, software, service) and the endpoint in it.

    In the order `opened` the endpoint comes first (`since`), and the run says which of its findings was the last;
    `vuln` -1: all of them.
    """

    sort: str
    value: float | None
    vuln: int
    confidence: float
    software: int
    service: UUID | None
    ip: str
    port: Annotated[int, Meta(ge=-1, le=65535)]
    protocol: Annotated[int, Meta(ge=0, le=255)]
    since: Annotated[datetime, Meta(tz=True)] | None = None


class Run(NamedTuple):
    """A CVE and a service that has it, in the columns of `store.findingruns`."""

    vuln: int
    cve: str
    value: float | None
    risk: float
    confidence: float
    patched: str
    software: int
    identity: int
    since: datetime
    service: UUID
    retold: bool


class Step(NamedTuple):
    """Something met on the way: where that is, and the finding there; None: nothing that is wanted."""

    place: Place
    candidate: Candidate | None


class Spot(NamedTuple):
    """An endpoint that is wanted; `left`: it was in another version once."""

    ip: str
    port: int
    protocol: int
    since: datetime
    left: bool

    @property
    def order(self) -> tuple[int, int, int, int]:
        """The order of endpoints, which is PostgreSQL's."""
        return order(self.ip, self.port, self.protocol)


def order(ip: str, port: int, protocol: int) -> tuple[int, int, int, int]:
    """What endpoints are sorted by: IPv4 before IPv6, then the address."""
    address = ipaddress.ip_address(ip)
    return address.version, int(address), port, protocol


class Asked:
    """The conditions of a question: on CVEs (`v`), on what is affected (`a`), on endpoints (`e`)."""

    def __init__(self, connection: Connection, filters: Filters, wanted: Filter, judge: Judge, now: datetime) -> None:
        self.connection = connection
        self.filters = filters
        self.judge = judge
        self.now = now
        self.endpoints = all_of([Condition("e.state = 'o'"), *wanted.conditions])
        self.priority = Condition(_PRIORITY, (judge.doubt, 1 - judge.doubt, judge.repaired))
        self.of_pairs = all_of([*_of_vulns(filters), *_of_affected(filters), *self._of_triage()])
        self.recent = _recent(filters, now)
        self.reopened = set(filters.states) == {"reopened"}
        likely = expected(connection, self.endpoints) if filters.of_endpoints.terms else math.inf
        self.narrow = likely <= NARROW
        self.spots = self._spots() if likely <= FEW else None
        self.services = self._services(wanted) if filters.of_endpoints.terms else None

    def of_runs(self) -> Condition:
        """The conditions on runs: on `v`, `a` and the service `s`."""
        parts = [self.of_pairs]
        if (least := self.filters.min_priority) is not None:
            parts.append(Condition(f"{self.priority.sql} >= %s", (*self.priority.params, least - ROUNDED)))
            parts.append(Condition("v.risk >= %s::real", (least - ROUNDED,)))  # no score is above the risk
        if self.services is not None:
            parts.append(Condition("s.id = ANY(%s::uuid[])", (array(self.services),)))
        if self.recent is not None and (begun := self._begun(self.recent)) is not None:
            parts.append(Condition("(a.since >= %s OR s.id = ANY(%s::uuid[]))", (self.recent, array(begun))))
        if self.reopened and (returned := self._returned()) is not None:
            parts.append(Condition(f"(s.id = ANY(%s::uuid[]) OR {RETOLD})", (array(returned),)))
        return all_of(parts)

    def _of_triage(self) -> Iterator[Condition]:
        """Settled is only what something was decided about."""
        if self.filters.triaged == "only":
            stands = triage.standing(self.now)
            yield Condition(f"v.cve IN (SELECT t.cve FROM triage t WHERE {stands.sql})", stands.params)

    def _spots(self) -> dict[UUID, list[Spot]] | None:
        """All endpoints that are wanted, in order, by their service; None: there are too many after all."""
        past: LiteralString = LEFT if self.reopened else "false"
        rows = self.connection.execute(
            f"SELECT e.service, host(e.ip), e.port, e.protocol, e.since, {past}"
            f" FROM endpoint e WHERE {self.endpoints.sql} AND e.service IS NOT NULL"
            " ORDER BY e.ip, e.port, e.protocol LIMIT %s",
            [*self.endpoints.params, 4 * FEW + 1],
        ).fetchall()
        if len(rows) > 4 * FEW:
            return None
        found: dict[UUID, list[Spot]] = defaultdict(list)
        for service, *spot in rows:
            found[service].append(Spot(*spot))
        return found

    def _returned(self) -> list[UUID] | None:
        """The services of endpoints that were in another version once; None: too many to tell."""
        versions = Condition("true")
        if expected(self.connection, versions, "endpoint_version o") > PAST:
            return None
        keys: LiteralString = "SELECT DISTINCT o.ip, o.port, o.protocol FROM endpoint_version o"
        return self._listed(Condition(f"SELECT e.service FROM ({keys}) k JOIN endpoint e USING (ip, port, protocol)"))

    def _begun(self, since: datetime) -> list[UUID] | None:
        """The services of the endpoints whose version began since then; None: too many to tell."""
        begun = Condition("e.state = 'o' AND e.since >= %s", (since,))
        if expected(self.connection, begun) > NARROW:
            return None
        return self._listed(of_endpoints(begun))

    def _services(self, wanted: Filter) -> list[UUID] | None:
        """The services that may have an endpoint that is wanted; None: too many to tell."""
        if self.spots is not None:
            return list(self.spots)
        if self.narrow:
            return self._listed(of_endpoints(self.endpoints))
        tallied = services_of(wanted)
        return None if tallied is None else self._listed(tallied)

    def _listed(self, relation: Condition) -> list[UUID]:
        rows = self.connection.execute(
            f"SELECT DISTINCT m.service FROM ({relation.sql}) m WHERE m.service IS NOT NULL", relation.params
        )
        return [row[0] for row in rows]

    def skipped(self, runs: Sequence[Run]) -> list[bool]:
        """Of which runs no finding can be wanted, by what was decided for everywhere."""
        triaged = self.filters.triaged
        if triaged == "all":
            return [False] * len(runs)
        touched = triage.touched(self.connection, sorted({run.cve for run in runs}), self.now)
        if triaged == "only":
            return [run.cve not in touched for run in runs]
        # Decided for everywhere alone: the same for each endpoint of the run.
        asked = [run for run in runs if touched.get(run.cve) is False]
        names = software(self.connection, {run.software for run in asked}) if asked else {}
        about = [
            triage.Finding(run.cve, None, 0, "tcp", cpe_of(names.get(run.software), run.identity)) for run in asked
        ]
        decisions = dict(zip(asked, triage.held(self.connection, about, self.now), strict=True))
        settled = {run for run, decision in decisions.items() if decision and decision.status in SETTLED}
        return [run in settled for run in runs]


def of_endpoints(asked: Condition) -> Condition:
    """The services of the endpoints that satisfy a condition."""
    return Condition(f"SELECT e.service FROM endpoint e WHERE {asked.sql}", asked.params)


def _recent(filters: Filters, now: datetime) -> datetime | None:
    """The moment since which a finding has to be opened or known, by `since` and the states; None: whenever."""
    fresh = now - FRESH - timedelta(seconds=1) if set(filters.states) == {"new"} else None
    return max((t for t in (filters.since, fresh) if t), default=None)


def _of_vulns(filters: Filters) -> Iterator[Condition]:
    yield Condition("v.status <> 'rejected'")
    for term in filters.query.terms:
        if term.field in FINDING:
            asked = held(FINDING[term.field], term)
            yield negation(asked) if term.negated else asked


_CONFIDENCE: Final[dict[Level, Condition]] = {
    "confirmed": Condition("a.confidence >= %s::real", (SURE,)),
    "likely": Condition("(a.confidence >= %s::real AND a.confidence < %s::real)", (LIKELY, SURE)),
    "possible": Condition("a.confidence < %s::real", (LIKELY,)),
}


def _of_affected(filters: Filters) -> Iterator[Condition]:
    if filters.patched is not None:
        yield Condition("a.patched <> ''" if filters.patched else "a.patched = ''")
    if filters.levels:
        yield any_of([_CONFIDENCE[level] for level in filters.levels])


def left(after: Place | None, rows: LiteralString) -> list[Condition]:
    """What is left of the `rows` (a table's alias) that a walk goes along by `since`, each part one range of the index;
    `after`'s own is, unless it is through.
    """
    if after is None:
        return [Condition("true")]
    beyond: LiteralString = ">=" if after.vuln >= 0 else ">"
    keys: LiteralString = f"({rows}.ip, {rows}.port, {rows}.protocol) {beyond} (%s::inet, %s::int4, %s::int2)"
    return [
        Condition(f"({rows}.since = %s AND {keys})", (after.since, after.ip, after.port, after.protocol)),
        Condition(f"{rows}.since < %s", (after.since,)),
    ]
