"""From a query to conditions on the `endpoint` table: SQL text of our own, values only ever as parameters.

What a query says of services, banners, names and observations is first resolved to keys, on their own small tables and
indexes. Up to `FEW` keys become an array that the planner sees and can weigh against its statistics; beyond that the
filter is unselective, and the condition stays a subquery.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence
from typing import Any, Final, LiteralString, NamedTuple

from spectra.model.query import WORDS, Moment, Network, Ports, Query, Term, Text, Value
from spectra.store.database import Connection
from spectra.store.timeline import LETTER, OPEN, PROTOCOL_NUMBER

FEW: Final = 1000


class Condition(NamedTuple):
    """A boolean SQL expression and its parameters, in order. `column`: the one column that it bounds to a range."""

    sql: LiteralString
    params: tuple[object, ...] = ()
    column: str = ""


class Filter(NamedTuple):
    """What endpoints `e` have to satisfy. `empty`: nothing can."""

    conditions: tuple[Condition, ...] = ()
    empty: bool = False


NOTHING: Final = Filter((Condition("false"),), empty=True)


def all_of(conditions: Sequence[Condition]) -> Condition:
    """The conjunction of `conditions`; `true` for none."""
    return _joined(conditions, " AND ", "true")


def any_of(conditions: Sequence[Condition]) -> Condition:
    """The disjunction of `conditions`; `false` for none."""
    return _joined(conditions, " OR ", "false")


def _joined(conditions: Sequence[Condition], word: LiteralString, none: LiteralString) -> Condition:
    if len(conditions) <= 1:
        return conditions[0] if conditions else Condition(none)
    text = word.join([c.sql for c in conditions])
    return Condition(f"({text})", tuple(p for c in conditions for p in c.params))


def negation(condition: Condition) -> Condition:
    """The opposite of `condition`, which must not be null."""
    return Condition(f"NOT {condition.sql}", condition.params)


def resolve(connection: Connection, query: Query) -> Filter:
    """The filter of `query`, its keys looked up on `connection`. Only open endpoints unless the query names states."""
    parts = [_direct(query)]
    for lookup in (_services, _banners, _names, _observations):
        parts += lookup(connection, query)
        if any(part.empty for part in parts):
            return NOTHING
    return Filter(tuple(c for part in parts for c in part.conditions))


# The endpoint itself -------------------------------------------------------------------------------------------------


def _direct(query: Query) -> Filter:
    """Conditions on columns of `endpoint`."""
    terms = [term for term in query.terms if term.field in _DIRECT]
    conditions = [_signed(term, _DIRECT[term.field](term.values)) for term in terms]
    if not any(term.field == "state" for term in terms):
        conditions.append(Condition('e.state = %s::"char"', (OPEN,)))
    return Filter(tuple(conditions))


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
    listed = sorted({port for r in ranges if r.high - r.low < FEW for port in range(r.low, r.high + 1)})
    wide = [Condition("(e.port BETWEEN %s AND %s)", (r.low, r.high), "port") for r in ranges if r.high - r.low >= FEW]
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
}


# What runs on it, and what that said: one row each, so all terms hold for the same one --------------------------------


class _Content(NamedTuple):
    """A table of content-addressed rows `t`, and the condition on `endpoint` for a list of ids or a subquery."""

    table: LiteralString
    column: LiteralString


def _services(connection: Connection, query: Query) -> list[Filter]:
    return _content(connection, query, _Content("service", "e.service"), _SERVICE)


def _banners(connection: Connection, query: Query) -> list[Filter]:
    return _content(connection, query, _Content("banner", "e.banner"), _BANNER)


def _content(
    connection: Connection, query: Query, content: _Content, fields: dict[str, Callable[[Text], Condition]]
) -> list[Filter]:
    wanted: list[Condition] = []
    unwanted: list[Condition] = []
    for term in query.terms:
        if make := fields.get(term.field):
            held = any_of([make(value) for value in term.values if isinstance(value, Text)])
            (unwanted if term.negated else wanted).append(held)
    if wanted:
        return [_having(connection, content, all_of([*wanted, *(negation(u) for u in unwanted)]))]
    return [_lacking(connection, content, any_of(unwanted))] if unwanted else []


def _having(connection: Connection, content: _Content, held: Condition) -> Filter:
    ids = _ids(connection, content, held)
    if not ids:
        return NOTHING
    if len(ids) <= FEW:
        return Filter((Condition(f"{content.column} = ANY(%s::uuid[])", (ids,)),))
    subquery: LiteralString = f"SELECT t.id FROM {content.table} t WHERE {held.sql}"
    return Filter((Condition(f"{content.column} IN ({subquery})", held.params),))


def _lacking(connection: Connection, content: _Content, held: Condition) -> Filter:
    """Also true of an endpoint of which nothing is known."""
    ids = _ids(connection, content, held)
    if not ids:
        return Filter()
    if len(ids) <= FEW:
        absent: LiteralString = f"({content.column} IS NULL OR {content.column} <> ALL(%s::uuid[]))"
        return Filter((Condition(absent, (ids,)),))
    subquery: LiteralString = f"SELECT FROM {content.table} t WHERE t.id = {content.column} AND {held.sql}"
    return Filter((Condition(f"NOT EXISTS ({subquery})", held.params),))


def _ids(connection: Connection, content: _Content, held: Condition) -> list[Any]:
    statement: LiteralString = f"SELECT t.id FROM {content.table} t WHERE {held.sql} LIMIT %s"
    return [row[0] for row in connection.execute(statement, [*held.params, FEW + 1])]


def _service_name(value: Text) -> Condition:
    """nmap says `http` with tunnel `tls` where others say `https`; both are found by the latter."""
    if value.prefix:
        return Condition("(starts_with(lower(t.name), lower(%s)) AND t.name <> '')", (value.text,))
    if len(value.text) > 1 and value.text[-1] in "sS":
        inside: LiteralString = "lower(t.name) = lower(%s) OR lower(t.name) = lower(%s) AND t.tunnel = 'tls'"
        return Condition(f"({inside})", (value.text, value.text[:-1]))
    return Condition("(lower(t.name) = lower(%s))", (value.text,))


# `Apache Tomcat/Coyote JSP engine` is five words.
_BETWEEN: Final = r"[ \t\r\n/_.,:;()-]+"


def _product(value: Text) -> Condition:
    """Whole words in a row, the last of them open-ended for a prefix."""
    if value.prefix and not value.text:
        return Condition("(t.product <> '')")
    words = [word for word in re.split(_BETWEEN, value.text) if word]
    if not words:
        return Condition("(lower(t.product) = lower(%s))", (value.text,))
    end = "" if value.prefix else " "
    return Condition(
        # The first half is only there because it is cheap.
        "(strpos(lower(t.product), lower(%s)) > 0"
        " AND strpos(' ' || regexp_replace(lower(t.product), %s, ' ', 'g') || ' ', lower(%s)) > 0)",
        (max(words, key=len), _BETWEEN, " " + " ".join(words) + end),
    )


def _version(value: Text) -> Condition:
    """The version itself, or more of it after a character that cannot continue its last part."""
    if value.prefix:
        return Condition("(t.version <> '' AND starts_with(lower(t.version), lower(%s)))", (value.text,))
    return Condition(
        "(starts_with(lower(t.version), lower(%s)) AND substr(t.version, length(%s::text) + 1, 1) !~ '[[:alnum:]]')",
        (value.text, value.text),
    )


# PostgreSQL's parser would keep `nginx/1.18.0` as one word (a path), so both sides are cut at ASCII punctuation.
_SPACED: Final = str.maketrans(dict.fromkeys(string.punctuation, " "))


def _words(value: Text) -> Condition:
    return Condition("(t.words @@ phraseto_tsquery('simple', %s))", (value.text.translate(_SPACED),))


def _title(value: Text) -> Condition:
    """By the index over title and text first; then the title has to hold the words alone."""
    text = value.text.translate(_SPACED)
    return Condition(
        "(t.words @@ phraseto_tsquery('simple', %s) AND to_tsvector('simple', translate(t.title, %s, %s))"
        " @@ phraseto_tsquery('simple', %s))",
        (text, string.punctuation, " " * len(string.punctuation), text),
    )


_SERVICE: Final = {"service": _service_name, "product": _product, "version": _version}
_BANNER: Final = {WORDS: _words, "title": _title}


# The host's names, and who looked ------------------------------------------------------------------------------------


def _names(connection: Connection, query: Query) -> list[Filter]:
    return [_named(connection, term) for term in query.terms if term.field == "hostname"]


def _named(connection: Connection, term: Term) -> Filter:
    held = any_of([_below(text) for text in _texts(term.values)])
    statement: LiteralString = f"SELECT host(h.ip) FROM hostname h WHERE {held.sql} LIMIT %s"
    rows = connection.execute(statement, [*held.params, FEW + 1])
    ips = [row[0] for row in rows]
    if not ips:
        return Filter() if term.negated else NOTHING
    if len(ips) <= FEW:
        found = Condition("(e.ip = ANY(%s::inet[]))", (sorted(set(ips)),))
        return Filter((_signed(term, found),))
    found = Condition(f"EXISTS (SELECT FROM hostname h WHERE h.ip = e.ip AND {held.sql})", held.params)
    return Filter((_signed(term, found),))


def _below(name: str) -> Condition:
    """`name` itself or what ends in `.name`, by the index over reversed names."""
    escaped = re.sub(r"([\\%_])", r"\\\1", name[::-1])
    return Condition("(reverse(h.name) = %s OR reverse(h.name) LIKE %s)", (name[::-1], escaped + ".%"))


_LOOKS: Final[dict[str, LiteralString]] = {"scan": "o.scan_id", "contributor": "o.contributor"}


def _observations(connection: Connection, query: Query) -> list[Filter]:
    """Terms that must hold are about one observation: `scan:weekly contributor:alice` is a scan of hers."""
    terms = [term for term in query.terms if term.field in _LOOKS]
    wanted = [_look(term) for term in terms if not term.negated]
    filters = [_seen(connection, all_of(wanted), negated=False)] if wanted else []
    return filters + [_seen(connection, _look(term), negated=True) for term in terms if term.negated]


def _look(term: Term) -> Condition:
    column = _LOOKS[term.field]
    return Condition(f"({column} = ANY(%s::text[]))", (_texts(term.values),))


def _seen(connection: Connection, held: Condition, *, negated: bool) -> Filter:
    statement: LiteralString = f"SELECT o.seq FROM observation o WHERE {held.sql} LIMIT %s"
    rows = connection.execute(statement, [*held.params, FEW + 1])
    seqs = [row[0] for row in rows]
    if not seqs:
        return Filter() if negated else NOTHING
    if len(seqs) <= FEW and not negated:
        listed: LiteralString = "SELECT s.ip, unnest(s.ports) FROM sighting s WHERE s.observation = ANY(%s::int8[])"
        return Filter((Condition(f"(e.ip, e.protocol::int4 << 16 | e.port) IN ({listed})", (seqs,)),))
    at: LiteralString = "s.ip = e.ip AND s.ports @> ARRAY[e.protocol::int4 << 16 | e.port]"
    if len(seqs) <= FEW:
        seen = Condition(f"EXISTS (SELECT FROM sighting s WHERE {at} AND s.observation = ANY(%s::int8[]))", (seqs,))
    else:
        among: LiteralString = f"SELECT FROM sighting s JOIN observation o ON o.seq = s.observation WHERE {at}"
        seen = Condition(f"EXISTS ({among} AND {held.sql})", held.params)
    return Filter((negation(seen) if negated else seen,))
