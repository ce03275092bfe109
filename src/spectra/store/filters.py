"""From a query to conditions on the `endpoint` table: SQL text of our own, values only ever as parameters.

What a query says of services, banners, certificates, places, names and observations is first resolved to keys, on
their own small tables and indexes (`store.lookups`; `store.wording` has the SQL of each field).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, LiteralString

from spectra.model.query import Moment, Network, Ports, Query, Term, Text, Times, Value
from spectra.store import lookups, weaknesses
from spectra.store.conditions import NOTHING, Condition, Filter, all_of, any_of, negation
from spectra.store.database import Connection
from spectra.store.lookups import FEW, Question, Table
from spectra.store.timeline import LETTER, OPEN, PROTOCOL_NUMBER
from spectra.store.wording import (
    BANNER,
    CERTIFICATE,
    FINDING,
    HOST,
    HOSTNAME,
    OS,
    PLACE,
    SERVICE,
    VENDOR,
    Wording,
    held,
    within,
)

__all__ = ["FEW", "NOTHING", "Condition", "Filter", "all_of", "any_of", "negation", "resolve"]


def resolve(connection: Connection, query: Query) -> Filter:
    """The filter of `query`, its keys looked up on `connection`. Only open endpoints unless the query names states.

    What holds a regular expression comes last, when it is known how little is left to try it on. Raises `BadRequest`
    where it takes too long all the same.
    """
    known = _direct(query)
    for step in _steps(connection, query):
        found = step(known)
        if found.empty:
            return NOTHING
        known += found.conditions
    return Filter(tuple(known))


Step = Callable[[Sequence[Condition]], Filter]
"""Finds out one more thing that endpoints have to satisfy, given what is known of that already."""


def _steps(connection: Connection, query: Query) -> list[Step]:
    questions = _questions(query)
    quick = [partial(lookups.answered, connection, question) for question in questions if not question.held.costly]
    slow = [partial(lookups.answered, connection, question) for question in questions if question.held.costly]
    return [
        *quick,
        *_weaknesses(connection, query),
        *_observations(connection, query),
        *_systems(connection, query),
        *slow,
    ]


# The endpoint itself -------------------------------------------------------------------------------------------------


SHORT: Final = 1000  # ports


def _direct(query: Query) -> list[Condition]:
    """Conditions on columns of `endpoint`."""
    terms = [term for term in query.terms if term.field in _DIRECT]
    conditions = [_signed(term, _DIRECT[term.field](term.values)) for term in terms]
    if not any(term.field == "state" for term in terms):
        conditions.append(Condition('e.state = %s::"char"', (OPEN,)))
    return conditions


def _signed(term: Term, condition: Condition) -> Condition:
    return negation(condition) if term.negated else condition


def _addresses(values: Sequence[Value]) -> Condition:
    return Condition("(e.ip = ANY(%s::inet[]))", ([v.first for v in values if isinstance(v, Network)],))


def _networks(values: Sequence[Value]) -> Condition:
    """As ranges of addresses, so that the B-tree of the primary key finds them."""
    nets = [v for v in values if isinstance(v, Network)]
    return any_of([Condition("(e.ip BETWEEN %s::inet AND %s::inet)", (n.first, n.last), "ip") for n in nets])


def _ports(values: Sequence[Value]) -> Condition:
    """Short ranges are written out: one list of ports can use the index, a disjunction cannot."""
    ranges = [v for v in values if isinstance(v, Ports)]
    listed = sorted({port for r in ranges if r.high - r.low < SHORT for port in range(r.low, r.high + 1)})
    wide = [Condition("(e.port BETWEEN %s AND %s)", (r.low, r.high), "port") for r in ranges if r.high - r.low >= SHORT]
    if len(listed) == 1:
        wide.append(Condition("(e.port = %s)", (listed[0],), "port"))
    elif listed:
        wide.append(Condition("(e.port = ANY(%s::int4[]))", (listed,)))
    return any_of(wide)


def _protocols(values: Sequence[Value]) -> Condition:
    return Condition("(e.protocol = ANY(%s::int2[]))", ([PROTOCOL_NUMBER[text] for text in _texts(values)],))


def _states(values: Sequence[Value]) -> Condition:
    return Condition('(e.state = ANY(%s::"char"[]))', ([LETTER[text] for text in _texts(values)],))


def _since(values: Sequence[Value]) -> Condition:
    return Condition("(e.last_seen >= %s)", (min(v.at for v in values if isinstance(v, Moment)),), "last_seen")


def _before(values: Sequence[Value]) -> Condition:
    return Condition("(e.last_seen < %s)", (max(v.at for v in values if isinstance(v, Moment)),), "last_seen")


def _first_seen(values: Sequence[Value]) -> Condition:
    return _within("first_seen", values)


def _last_seen(values: Sequence[Value]) -> Condition:
    return _within("last_seen", values)


def _within(column: LiteralString, values: Sequence[Value]) -> Condition:
    stretches = [within(f"e.{column}", v) for v in values if isinstance(v, Times)]
    return any_of([stretch._replace(column=column) for stretch in stretches])


def _texts(values: Sequence[Value]) -> list[str]:
    return [v.text for v in values if isinstance(v, Text)]


_DIRECT: Final[dict[str, Callable[[Sequence[Value]], Condition]]] = {
    "ip": _addresses,
    "net": _networks,
    "port": _ports,
    "protocol": _protocols,
    "state": _states,
    "since": _since,
    "before": _before,
    "first_seen": _first_seen,
    "last_seen": _last_seen,
}


# What runs on it, what that said, where it is, and what it is called -----------------------------------------------

_ROWS: Final[tuple[tuple[Table, Mapping[str, Wording]], ...]] = (
    (lookups.SERVICE, SERVICE),
    (lookups.BANNER, BANNER),
    (lookups.CERTIFICATE, CERTIFICATE),
    (lookups.PLACE, PLACE),
    (lookups.HOST, HOST),
)


def _questions(query: Query) -> list[Question]:
    """What the query asks of other tables: an endpoint has one row of each, so all terms hold for the same one."""
    asked: list[Question] = []
    for table, wordings in _ROWS:
        terms = [(term.negated, held(wordings[term.field], term)) for term in query.terms if term.field in wordings]
        wanted = [condition for negated, condition in terms if not negated]
        unwanted = [condition for negated, condition in terms if negated]
        if wanted:
            asked.append(Question(table, all_of([*wanted, *(negation(u) for u in unwanted)])))
        elif unwanted:
            asked.append(Question(table, any_of(unwanted), lacking=True))
    names = [term for term in query.terms if term.field in HOSTNAME]
    return asked + [Question(lookups.HOSTNAME, held(HOSTNAME[t.field], t), t.negated) for t in names]


def _systems(connection: Connection, query: Query) -> list[Step]:
    """The operating system may be the host's or the service's own; the maker is the host's."""
    steps: list[Step] = []
    for term in query.terms:
        if term.field == "vendor":
            maker = held(VENDOR, term)
            steps.append(partial(_spelled, connection, "vendor", maker, negated=term.negated))
        elif term.field == "os":
            steps.append(partial(_system, connection, held(OS, term), negated=term.negated))
    return steps


def _spelled(
    connection: Connection, column: LiteralString, asked: Condition, others: Sequence[Condition], *, negated: bool
) -> Filter:
    spellings = lookups.spelled(connection, column, asked)
    return lookups.answered(connection, Question(lookups.HOST, spellings, negated), others)


def _system(connection: Connection, asked: Condition, others: Sequence[Condition], *, negated: bool) -> Filter:
    host = Question(lookups.HOST, lookups.spelled(connection, "os", asked), negated)
    service = Question(lookups.SERVICE, asked, negated)
    if not negated:
        return lookups.either(connection, (host, service), others)
    answers = [lookups.answered(connection, question, others) for question in (host, service)]
    return Filter(tuple(condition for answer in answers for condition in answer.conditions))


# What weaknesses it has ----------------------------------------------------------------------------------------------


def _weaknesses(connection: Connection, query: Query) -> list[Step]:
    """Terms that must hold are about one finding; each negated one says that there is none such."""
    terms = [(term.negated, held(FINDING[term.field], term)) for term in query.terms if term.field in FINDING]
    wanted = [asked for negated, asked in terms if not negated]
    steps: list[Step] = [partial(_found, connection, all_of(wanted))] if wanted else []
    return steps + [partial(_found, connection, asked, lacking=True) for negated, asked in terms if negated]


def _found(connection: Connection, asked: Condition, others: Sequence[Condition], *, lacking: bool = False) -> Filter:
    return weaknesses.answered(connection, asked, others, lacking=lacking)


# Who looked ----------------------------------------------------------------------------------------------------------

_LOOKS: Final[dict[str, LiteralString]] = {"scan": "o.scan_id", "contributor": "o.contributor"}


def _observations(connection: Connection, query: Query) -> list[Step]:
    """Terms that must hold are about one observation: `scan:weekly contributor:alice` is a scan of hers."""
    terms = [term for term in query.terms if term.field in _LOOKS]
    wanted = [_look(term) for term in terms if not term.negated]
    asked = [(all_of(wanted), False)] if wanted else []
    asked += [(_look(term), True) for term in terms if term.negated]
    return [partial(_seen, connection, looked, negated) for looked, negated in asked]


def _look(term: Term) -> Condition:
    column = _LOOKS[term.field]
    return Condition(f"({column} = ANY(%s::text[]))", (_texts(term.values),))


def _seen(connection: Connection, looked: Condition, negated: bool, _: Sequence[Condition]) -> Filter:
    statement: LiteralString = f"SELECT o.seq FROM observation o WHERE {looked.sql} LIMIT %s"
    rows = connection.execute(statement, [*looked.params, lookups.FEW + 1])
    seqs = [row[0] for row in rows]
    if not seqs:
        return Filter() if negated else NOTHING
    if len(seqs) <= lookups.FEW and not negated:
        listed: LiteralString = "SELECT s.ip, unnest(s.ports) FROM sighting s WHERE s.observation = ANY(%s::int8[])"
        return Filter((Condition(f"(e.ip, e.protocol::int4 << 16 | e.port) IN ({listed})", (seqs,)),))
    at: LiteralString = "s.ip = e.ip AND s.ports @> ARRAY[e.protocol::int4 << 16 | e.port]"
    if len(seqs) <= lookups.FEW:
        seen = Condition(f"EXISTS (SELECT FROM sighting s WHERE {at} AND s.observation = ANY(%s::int8[]))", (seqs,))
    else:
        among: LiteralString = f"SELECT FROM sighting s JOIN observation o ON o.seq = s.observation WHERE {at}"
        seen = Condition(f"EXISTS ({among} AND {looked.sql})", looked.params)
    return Filter((negation(seen) if negated else seen,))
