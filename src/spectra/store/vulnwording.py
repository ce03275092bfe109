"""What a question about CVEs says of one row `v` of vuln, and of the texts `t` and other tables beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, LiteralString, NamedTuple

from spectra.errors import BadRequest
from spectra.model.vulnquery import Alternative, Id, ProductName, VulnQuery
from spectra.store.conditions import Condition, all_of, any_of, negation
from spectra.store.database import Connection, one

MANY: Final = 5_000
"""CVEs that are listed in a condition."""

SOURCE: LiteralString = "vuln v"
_TEXTS: LiteralString = " JOIN vuln_text t ON t.num = v.num"
_TEXT_OF_EACH: LiteralString = " CROSS JOIN LATERAL (SELECT * FROM vuln_text t WHERE t.num = v.num OFFSET 0) t"


class Wanted(NamedTuple):
    """What CVEs have to satisfy: conditions on columns of `v` (`own`), and on what is looked up beside them (`rest`).

    `texts`: the rest is about `t`, or the words `weighed` are.
    """

    own: tuple[Condition, ...]
    rest: tuple[Condition, ...]
    weighed: str = ""
    texts: bool = False

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """All of them."""
        return (*self.own, *self.rest)

    @property
    def looks_up(self) -> bool:
        """Whether a row of `v` alone does not tell."""
        return bool(self.rest)

    @property
    def joined(self) -> LiteralString:
        """What is joined to `v`."""
        return _TEXTS if self.texts else ""

    @property
    def beside(self) -> LiteralString:
        """The same where `v` are few: each is looked up by its number, whatever the planner thinks of the words.

        It would have all that the words match joined row by row where it expects a handful, and finds thousands.
        """
        return _TEXT_OF_EACH if self.texts else ""

    @property
    def source(self) -> LiteralString:
        """Where the rows come from."""
        return f"{SOURCE}{self.joined}"


def wanted(connection: Connection, query: VulnQuery) -> Wanted | None:
    """What `query` asks of CVEs, None where none can satisfy it; raises `BadRequest` naming `text`."""
    rest: list[Condition] = []
    for alternative in query.text:
        _check_words(connection, alternative)
    own = list(_own(query))
    if query.text:
        plain = len(query.text) == 1 or not any(one.ids or one.without for one in query.text)
        if plain and query.words:
            rest.append(Condition("(t.words @@ websearch_to_tsquery('english', %s))", (query.words,)))
        if len(query.text) == 1:
            own += _named(query.text[0])
        elif not plain:
            rest.append(_either(query.text))
    if query.products:
        ids = _products(connection, query.products)
        if not ids:
            return None
        rest.append(Condition("(v.num IN (SELECT r.num FROM vuln_rule r WHERE r.product = ANY(%s::int4[])))", (ids,)))
    if query.weaknesses:
        rest.append(Condition("(t.weaknesses && %s::text[])", (list(query.weaknesses),)))
    if query.affecting is not None:
        affecting = _affecting(connection)
        rest.append(affecting if query.affecting else negation(affecting))
    return Wanted(tuple(own), tuple(rest), query.weighed, bool(query.words or query.weaknesses))


# Open endpoints whose software has an open row of `affected` for the CVE `a.vuln`. The fence (OFFSET 0) has it asked of
# one CVE after the other, up to the first endpoint: else all rows of `affected` are joined.
_SEEN: LiteralString = """
EXISTS (SELECT FROM affected o JOIN service s ON s.software = o.software JOIN endpoint e ON e.service = s.id
  WHERE o.vuln = a.vuln AND o.until IS NULL AND e.state = 'o' OFFSET 0)"""

# By stepping from one CVE to the next through the index: `affected` may have hundreds of rows of each.
_AFFECTING: LiteralString = f"""
WITH RECURSIVE a (vuln) AS (
  SELECT min(o.vuln) FROM affected o WHERE o.until IS NULL UNION ALL
  SELECT (SELECT min(o.vuln) FROM affected o WHERE o.until IS NULL AND o.vuln > a.vuln) FROM a WHERE a.vuln IS NOT NULL)
SELECT a.vuln FROM a WHERE a.vuln IS NOT NULL AND {_SEEN} LIMIT %s"""


def _affecting(connection: Connection) -> Condition:
    """That a CVE concerns a service of now: by the numbers of those that do, unless they are more than `MANY`."""
    nums = [row[0] for row in connection.execute(_AFFECTING, [MANY + 1])]
    if len(nums) <= MANY:
        return Condition("(v.num = ANY(%s::int4[]))", (nums,))
    return Condition(f"(EXISTS (SELECT FROM (SELECT v.num) a (vuln) WHERE {_SEEN}))")


def _own(query: VulnQuery) -> Iterator[Condition]:
    """The conditions on columns of `v`."""
    if query.statuses:
        yield Condition("(v.status = ANY(%s::text[]))", (list(query.statuses),))
    if query.severities:
        yield Condition("(v.severity = ANY(%s::text[]))", (list(query.severities),))
    compared: tuple[tuple[LiteralString, object], ...] = (
        ("(v.cvss >= %s::float4)", query.min_cvss),
        ("(v.cvss <= %s::float4)", query.max_cvss),
        ("(v.epss >= %s::float4)", query.min_epss),
        ("(v.published >= %s)", query.published_since),
        ("(v.published < %s)", query.published_before),
        ("(v.modified >= %s)", query.modified_since),
        ("(v.modified < %s)", query.modified_before),
    )
    for held, value in compared:
        if value is not None:
            yield Condition(held, (value,))
    if query.kev is not None:
        yield Condition("(v.kev IS NOT NULL)" if query.kev else "(v.kev IS NULL)")
    if query.ransomware is not None:
        yield Condition("v.ransomware" if query.ransomware else "(NOT v.ransomware)")
    if query.years:
        yield any_of([Condition("(v.sort >= %s AND v.sort < %s)", span) for span in _spans(query.years)])


def _spans(years: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Stretches of `vuln.sort`, of years in a row one."""
    begin = end = 0
    for year in sorted(set(years)):
        if year != end:
            if end:
                yield begin * 10**9, end * 10**9
            begin = year
        end = year + 1
    yield begin * 10**9, end * 10**9


# Text ----------------------------------------------------------------------------------------------------------------


def _check_words(connection: Connection, alternative: Alternative) -> None:
    """Refuse words of which none is looked for: `the` and its like are in no index."""
    if not alternative.words:
        return
    nodes: LiteralString = "SELECT numnode(websearch_to_tsquery('english', %s))"
    if not one(connection.execute(nodes, [alternative.words]))[0]:
        raise BadRequest(
            f"There is no word to look for in {alternative.words[:80]!r}.",
            field="text",
            hint="Words such as `the` and `of` are in every text, and left out.",
        )


def _between(one: Id) -> Condition:
    return Condition("(v.cve >= %s AND v.cve < %s)", one)


def _named(alternative: Alternative) -> Iterator[Condition]:
    """The conditions on the id of `v`."""
    if alternative.ids:
        yield any_of([_between(one) for one in alternative.ids])
    for one_id in alternative.without:
        yield negation(_between(one_id))


def _either(alternatives: Sequence[Alternative]) -> Condition:
    """That one of the alternatives holds, as a set of numbers: each of them is looked up by an index of its own."""
    parts: list[LiteralString] = []
    params: list[object] = []
    for alternative in alternatives:
        held = list(_named(alternative))
        if alternative.words:
            held.append(Condition("(t.words @@ websearch_to_tsquery('english', %s))", (alternative.words,)))
        said = all_of(held)
        parts.append(f"SELECT v.num FROM {SOURCE}{_TEXTS if alternative.words else ''} WHERE {said.sql}")
        params += said.params
    return Condition(f"(v.num IN ({' UNION '.join(parts)}))", tuple(params))


# Products ------------------------------------------------------------------------------------------------------------


def _products(connection: Connection, names: Sequence[ProductName]) -> list[int]:
    """The ids of the products that are meant, with all names of the same software."""
    held = any_of([_is(name) for name in names])
    rows = connection.execute(
        f"SELECT p.id FROM product p WHERE p.family IN (SELECT p.family FROM product p WHERE {held.sql}) ORDER BY p.id",
        held.params,
    )
    return [row[0] for row in rows]


def _is(name: ProductName) -> Condition:
    """By its own name, or where no vendor is told by what it is looked up as."""
    if not name.vendor:
        word = name.word or name.product
        return Condition("(p.product = %s OR p.word = %s)", (name.product, word))
    part: LiteralString = " AND p.part = %s" if name.part else ""
    params = (name.product, name.vendor, *([name.part] if name.part else []))
    return Condition(f"(p.product = %s AND p.vendor = %s{part})", params)
