"""The endpoints that match, as rows to be counted: from the first source that knows all that is asked.

`Population.tallied` answers from the tallies, exactly; `Population.reads` from the endpoints themselves, by a sample
where they are too many. Rows have the columns asked for and a weight `n`, the number of endpoints that they stand for:
a float8, which adds up faster than PostgreSQL's numeric and is exact to 9e15.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal, LiteralString, NamedTuple

from spectra.model.query import Query, Term, Text, Value
from spectra.store.database import Connection, one
from spectra.store.filters import Condition, Filter, all_of
from spectra.store.lookups import expected, total
from spectra.store.tallies import ENTRIES

READABLE: Final = 50_000
"""Endpoints that are read for one answer before a sample is taken instead; 20 to 100 ms, as they lie apart."""
DEAR: Final = 4 * READABLE
"""Endpoints that no answer is worth looking at, where a sample does as well."""
CUT: Final = 2 * READABLE
"""Where reading ends all the same, should the planner have expected too few."""
SAMPLE: Final = 60_000
"""Endpoints looked at for a sample, whether they match or not; about 15 ms."""
ENOUGH: Final = 400
"""Matches in a sample; of fewer little can be said, and reading them all costs little."""
SEED: Final = 1
"""The same pages are looked at each time, so that an answer does not change while the data does not."""


class Rows(NamedTuple):
    """A relation to be named `m`, and where it is from; of `kinds` it has names where others have ids.

    `scale` is what numbers have to be multiplied with: 1 where all were looked at, more for a sample. Reading ended
    where there are more than `most`. `apart`: columns that are counted apart from one another. A row has a value of
    one of them alone, as `m.by_port` says for the column `port`, and the rows of each column stand for all endpoints.
    `single`: each row is one endpoint, so that there are far more of them than values.
    """

    sql: Condition
    source: Literal["services", "places", "kinds", "endpoints"] = "endpoints"
    scale: float = 1.0
    most: float = math.inf
    apart: tuple[LiteralString, ...] = ()
    single: bool = False

    def suffice(self, found: int) -> bool:
        """Whether an answer can rest on these rows, which stand for `found` endpoints."""
        return found <= self.most and (self.scale == 1 or found >= ENOUGH)

    @property
    def kinds(self) -> bool:
        """Whether it has names instead of ids."""
        return self.source == "kinds"

    def of(self, column: LiteralString = "") -> LiteralString:
        """The condition on `m` for the rows that have `column`; without one, for rows that stand for all endpoints."""
        return f"m.by_{column or self.apart[0]}" if self.apart else "true"


# What a condition speaks of, as store/filters.py writes it.
_COLUMN: Final = re.compile(r"\be\.([a-z_]+)")
_OF_SERVICES: Final = frozenset({"service", "port", "protocol"})
_OF_PLACES: Final = frozenset({"place"})
_OF_KINDS: Final = frozenset({"service", "place", "port", "protocol"})
# Fields of which all services of one kind, or all places of one country, have the same to say.
_KIND_FIELDS: Final = frozenset({"service", "product", "country", "port", "protocol"})

_OPEN: LiteralString = "'o'::\"char\" AS state"
_SERVICES: LiteralString = f"""
SELECT e.service, e.port, e.protocol, e.endpoints::float8 AS n FROM (
  SELECT service, port, protocol, endpoints, {_OPEN} FROM tally_service
  UNION ALL SELECT service, port, protocol, endpoints, {_OPEN} FROM {ENTRIES} WHERE endpoints <> 0) e"""
_PLACES: LiteralString = f"""
SELECT e.place, e.endpoints::float8 AS n FROM (
  SELECT place, endpoints, {_OPEN} FROM tally_place
  UNION ALL SELECT place, endpoints, {_OPEN} FROM {ENTRIES} WHERE endpoints <> 0) e"""
_COUNTRIES: LiteralString = f"""
SELECT e.country, k.name, k.product, e.port, e.protocol, e.endpoints::float8 AS n
FROM (SELECT *, {_OPEN} FROM tally_country) e LEFT JOIN tally_kind k ON k.id = e.kind"""
_COUNTRIES_LOG: LiteralString = f"""
SELECT p.country, s.name, s.product, e.port, e.protocol, e.n
FROM (SELECT place, service, port, protocol, sum(endpoints) AS n, {_OPEN} FROM {ENTRIES} WHERE endpoints <> 0
      GROUP BY place, service, port, protocol) e
LEFT JOIN place p ON p.id = e.place LEFT JOIN service s ON s.id = e.service"""


class Population:
    """The endpoints that satisfy `wanted`, the filter of `query`, on one snapshot."""

    def __init__(self, connection: Connection, query: Query, wanted: Filter) -> None:
        self._connection = connection
        self._wanted = wanted
        self._terms = query.terms
        self._fields = {term.field for term in query.terms}
        # Each condition with the columns that it speaks of.
        self._parts = [(c, frozenset(_COLUMN.findall(c.sql)) - {"state"}) for c in wanted.conditions]

    @property
    def everything(self) -> bool:
        """Whether there is no term, so that every open endpoint matches."""
        return not self._fields

    def tallied(self, columns: Iterable[str], facets: Iterable[str] = ()) -> Rows | None:
        """Rows with the ids `columns`, or with what the kinds of services say for `facets`; None: no tally knows."""
        if "state" in self._fields:  # tallies are of open endpoints
            return None
        spoken = frozenset(columns).union(*(named for _, named in self._parts))
        if spoken <= _OF_SERVICES:
            return Rows(self._where(_SERVICES), "services")
        if spoken <= _OF_PLACES:
            return Rows(self._where(_PLACES), "places")
        if self._fields <= _KIND_FIELDS and frozenset(facets) <= _KIND_FIELDS and self._is_simple():
            return Rows(self._kinds(), "kinds")
        return None

    def _where(self, relation: LiteralString) -> Condition:
        held = all_of(self._wanted.conditions)
        return Condition(f"{relation} WHERE {held.sql}", held.params)

    def _is_simple(self) -> bool:
        """Whether countries are told by their codes, and no condition is about more than one thing."""
        codes = all(_is_code(value) for term in self._terms if term.field == "country" for value in term.values)
        return codes and all(c <= {"service"} or c <= {"place"} or c <= {"port", "protocol"} for _, c in self._parts)

    def _kinds(self) -> Condition:
        """By country and kind; the log still has the ids, so the filter holds there as it is."""
        held = [condition for condition, spoken in self._parts if not spoken & {"service", "place"}]
        held += [_country(term) for term in self._terms if term.field == "country"]
        if about := [condition for condition, spoken in self._parts if "service" in spoken]:
            held.append(_kinds_of(about))
        tallied, logged = all_of(held), self._where(_COUNTRIES_LOG)
        return Condition(f"{_COUNTRIES} WHERE {tallied.sql} UNION ALL {logged.sql}", (*tallied.params, *logged.params))

    def reads(self, columns: Iterable[str], *, exact: bool = False, known: int | None = None) -> Iterator[Rows]:
        """Ways to read the endpoints themselves with `columns`: the first that suffices is it, as the last does.

        `known` is how many match, if a tally knows; the planner is asked otherwise. `exact`: no sample.
        """
        wanted: list[LiteralString] = [_LITERAL[name] for name in sorted(set(columns))]
        if not exact:
            likely, size = self._likely() if known is None else known, total(self._connection)
            if likely <= READABLE and not self._is_dear(likely, size):
                yield self._all(wanted, CUT)
            if size > SAMPLE:
                yield self._sample(wanted, SAMPLE / size, known)
        yield self._all(wanted)

    def _is_dear(self, likely: float, size: float) -> bool:
        """Whether a sample has enough of the `likely` matches, and whatever index is used has far more to look at."""
        if likely * SAMPLE / size < 1.25 * ENOUGH or size <= SAMPLE:
            return False
        found = [expected(self._connection, condition) for condition, spoken in self._parts if spoken]
        return bool(found) and min(found) > DEAR

    def _all(self, wanted: Sequence[LiteralString], most: float = math.inf) -> Rows:
        held = all_of(self._wanted.conditions)
        if most < math.inf:
            read = Condition(f"SELECT * FROM endpoint e WHERE {held.sql} LIMIT %s", (*held.params, int(most) + 1))
            source = Condition(f"FROM ({read.sql}) e", read.params)
        else:
            source = Condition(f"FROM endpoint e WHERE {held.sql}", held.params)
        return _counted(wanted, source, bounded=most < math.inf)._replace(most=most)

    def _sample(self, wanted: Sequence[LiteralString], share: float, known: int | None) -> Rows:
        """Where the number of all is `known`, the sample's own tells what share it is: `scale` is a rough one then."""
        held, percent = all_of(self._wanted.conditions), share * 100
        scale = 1 / share
        if known is None:
            looked = one(self._connection.execute(f"SELECT count(*) {_SAMPLE} WHERE e.state = 'o'", [percent, SEED]))
            scale = max(everything(self._connection) / max(looked[0], 1), 1.0)
        sampled = Condition(f"{_SAMPLE} WHERE {held.sql}", (percent, SEED, *held.params))
        return _counted(wanted, sampled, bounded=True)._replace(scale=scale)

    def _likely(self) -> float:
        """How many endpoints match, by the planner; what it does not know is that ports and services go together."""
        planned = expected(self._connection, all_of(self._wanted.conditions))
        together = [condition for condition, spoken in self._parts if spoken and spoken <= _OF_SERVICES]
        if len(together) < 2:
            return planned
        held = all_of(together)
        tallied = self._connection.execute(f"SELECT sum(n) FROM ({_SERVICES} WHERE {held.sql}) m", held.params)
        found = one(tallied)[0] or 0
        return planned * max(found / max(expected(self._connection, held), 1), 1.0)


def services_of(wanted: Filter) -> Condition | None:
    """Rows `service` with every service that can have endpoints that satisfy `wanted`, by the tallies alone.

    None where nothing is asked that they know of.
    """
    parts = [c for c in wanted.conditions if (spoken := set(_COLUMN.findall(c.sql)) - {"state"})
             and spoken <= _OF_SERVICES]  # fmt: skip
    held = all_of(parts)
    return Condition(f"{_SERVICES} WHERE {held.sql}", held.params) if parts else None


def _counted(wanted: Sequence[LiteralString], source: Condition, *, bounded: bool) -> Rows:
    """The columns `wanted` of the endpoints of `source`: in one pass over them each is counted by itself, where that
    leaves few rows. Together they have about as many combinations as there are endpoints.
    """
    columns: list[LiteralString] = ["e." + column for column in wanted]
    listed: LiteralString = ", ".join(columns)
    if not wanted or "ip" in wanted or not (bounded or _FEW_VALUES.issuperset(wanted)):
        start: LiteralString = f"{listed}, " if wanted else ""
        return Rows(Condition(f"SELECT {start}1::float8 AS n {source.sql}", source.params), single=True)
    if len(wanted) == 1:  # several processes can do it
        return Rows(Condition(f"SELECT {listed}, count(*)::float8 AS n {source.sql} GROUP BY {listed}", source.params))
    marks: LiteralString = ", ".join([f"grouping(e.{column}) = 0 AS by_{column}" for column in wanted])
    sets: LiteralString = ", ".join([f"({column})" for column in columns])
    return Rows(
        Condition(
            f"SELECT {listed}, {marks}, count(*)::float8 AS n {source.sql} GROUP BY GROUPING SETS ({sets})",
            source.params,
        ),
        apart=tuple(wanted),
    )


def everything(connection: Connection) -> int:
    """How many open endpoints there are, exactly."""
    return int(one(connection.execute(_EVERYTHING))[0])


_EVERYTHING: LiteralString = f"""
SELECT coalesce((SELECT endpoints FROM tally_area WHERE area = 'all'), 0)
  + coalesce((SELECT sum(endpoints) FROM {ENTRIES}), 0)"""
# Columns of which even a million endpoints have few values.
_FEW_VALUES: Final = frozenset({"service", "place", "port", "protocol"})
_SAMPLE: LiteralString = "FROM endpoint e TABLESAMPLE SYSTEM (%s) REPEATABLE (%s)"
_LITERAL: Final[dict[str, LiteralString]] = {
    "ip": "ip",
    "port": "port",
    "protocol": "protocol",
    "service": "service",
    "certificate": "certificate",
    "banner": "banner",
    "place": "place",
    "first_seen": "first_seen",
    "last_seen": "last_seen",
}


def _is_code(value: Value) -> bool:
    return isinstance(value, Text) and len(value.text) == 2 and not value.prefix


def _country(term: Term) -> Condition:
    codes = [value.text for value in term.values if isinstance(value, Text)]
    return Condition("e.country <> ALL(%s::text[])" if term.negated else "e.country = ANY(%s::text[])", (codes,))


def _kinds_of(about: list[Condition]) -> Condition:
    """The kinds of the services that match, and whether an endpoint does of which no service is known."""
    held = all_of(about)
    kinds: LiteralString = f"""(e.kind IN (
      SELECT k.id FROM (SELECT id AS service, name, tunnel, product FROM service) e
        JOIN tally_kind k ON (k.name, k.tunnel, k.product) = (e.name, e.tunnel, e.product) WHERE {held.sql})
      OR e.kind IS NULL AND EXISTS (SELECT FROM (SELECT NULL::uuid AS service) e WHERE {held.sql}))"""
    return Condition(kinds, (*held.params, *held.params))
