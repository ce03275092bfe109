"""The query language of the command line and the API: `port:22,80 product:nginx -service:ssh "exact words" since:7d`.

Terms are separated by white space and must all hold for the same endpoint. A term is `field:value`, a bare word or an
exact phrase; commas between values mean OR; `-` or `NOT ` in front excludes. A value in quotes may hold anything, with
a backslash before a quote, a backslash or a star that is meant literally.

    query   = [term *(blank term)]
    term    = ["-" / "NOT" blank] (field ":" value *("," value) / value)
    value   = plain / DQUOTE *(character / "\\" character) DQUOTE

`FIELDS` is the one table of fields: the parser, the compiler (`store.search`), suggestions and the docs read it.
"""

from __future__ import annotations

import difflib
import functools
import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, NoReturn, cast

import msgspec

from spectra.errors import BadRequest

if TYPE_CHECKING:
    from lark import Token, Tree

MAX_LENGTH: Final = 4096  # characters
MAX_TERMS: Final = 64
MAX_VALUES: Final = 1000
WORDS: Final = ""
"""The field of bare words and phrases."""

Kind = Literal["address", "network", "port", "choice", "pattern", "hostname", "moment", "words", "text"]


class Field(NamedTuple):
    """One field: what its values are, what it asks, and an example. `choices` are all values of a `choice`."""

    name: str
    kind: Kind
    description: str
    example: str
    choices: tuple[str, ...] = ()


FIELDS: Final[dict[str, Field]] = {
    field.name: field
    for field in (
        Field("ip", "address", "The address of the host.", "ip:192.0.2.7"),
        Field("net", "network", "The host is in this network (CIDR).", "net:10.0.0.0/8"),
        Field("port", "port", "The port, or a range of ports.", "port:22,8000-8999"),
        Field("protocol", "choice", "The transport protocol.", "protocol:udp", ("tcp", "udp", "sctp")),
        Field("state", "choice", "What the port answers; only open ones without it.", "state:closed",
              ("open", "closed", "filtered")),
        Field("service", "pattern", "The service by name; https, imaps ... also find the plain name inside TLS.",
              "service:ssh"),
        Field("product", "pattern", "Words of the product's name.", "product:nginx"),
        Field("version", "pattern", "The version or the start of it: 1.2 finds 1.2.3 but not 1.20.", "version:1.2"),
        Field("hostname", "hostname", "A name of the host, or any name below it.", "hostname:example.org"),
        Field("title", "words", "Words of the title of the web page.", 'title:"log in"'),
        Field("since", "moment", "Last seen at that time or later.", "since:7d"),
        Field("before", "moment", "Last seen before that time.", "before:2026-01-31"),
        Field("scan", "text", "A scan with this id looked at the endpoint.", "scan:weekly-17"),
        Field("contributor", "text", "This contributor looked at the endpoint.", "contributor:alice"),
    )
}  # fmt: skip


class Text(msgspec.Struct, frozen=True, tag=True):
    """Characters to be found; `prefix`: the value ended in `*`, and anything may follow."""

    text: str
    prefix: bool = False


class Ports(msgspec.Struct, frozen=True, tag=True):
    """The ports from `low` to `high`, both included."""

    low: int
    high: int


class Network(msgspec.Struct, frozen=True, tag=True):
    """The addresses from `first` to `last`, both included, in `ipaddress` text form; one address for `ip:`."""

    first: str
    last: str


class Moment(msgspec.Struct, frozen=True, tag=True):
    """A point in time, UTC."""

    at: datetime


Value = Text | Ports | Network | Moment


class Term(msgspec.Struct, frozen=True):
    """One condition: any of `values` holds for `field` (`WORDS`: for banner or title), or none if `negated`."""

    field: str
    values: tuple[Value, ...]
    negated: bool = False


class Query(msgspec.Struct, frozen=True):
    """All terms have to hold; no terms: every open endpoint."""

    terms: tuple[Term, ...] = ()


def parse(text: str, now: datetime, filters: Mapping[str, str] | None = None) -> Query:
    """The query in `text`, and `filters` (field to value list, as in the parameters of a URL) as further terms.

    `now` (aware) is what `since:7d` counts from. Raises `BadRequest` with reason `query`, field `q` and the column
    (1-based, in characters) for `text`, or with the name of the filter as field.
    """
    terms = [*_parse_text(text, now)]
    terms += [_filter_term(name, value, now) for name, value in (filters or {}).items()]
    if len(terms) > MAX_TERMS:
        raise _bad(f"The query has {len(terms)} terms; {MAX_TERMS} are allowed.", None)
    if sum(len(term.values) for term in terms) > MAX_VALUES:
        raise _bad(f"The query has more than {MAX_VALUES} values.", None, hint="Ask for a network or a range instead.")
    return Query(tuple(terms))


def format_query(query: Query) -> str:
    """The text of `query`: `parse(format_query(query), now) == query` whatever `now`."""
    return " ".join(_format_term(term) for term in query.terms)


def suggest(word: str, known: Iterable[str]) -> str:
    """The one of `known` that `word` was probably meant to be, or the empty string."""
    return next(iter(difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)), "")


# Text to terms -------------------------------------------------------------------------------------------------------

_GRAMMAR = r"""
    query: _BLANK? (term (_BLANK term)*)? _BLANK?
    term: (MINUS | NOT)? (FIELD _value (_COMMA _value)* | STRING | WORD)
    _value: STRING | PLAIN
    NOT.3: /NOT\s+/
    FIELD.2: /[A-Za-z][A-Za-z0-9_.]*:/
    MINUS.1: "-"
    STRING.1: /"(\\.|[^"\\])*"/s
    WORD: /[^\s"]+/
    PLAIN: /[^\s",]+/
    _COMMA: ","
    _BLANK: /\s+/
"""


@functools.cache
def _parser() -> Callable[[str], Tree[Token]]:
    from lark import Lark  # a tenth of a second, paid only by those who search

    return cast(Any, Lark(_GRAMMAR, start="query", parser="lalr", maybe_placeholders=False)).parse


def _parse_text(text: str, now: datetime) -> Iterator[Term]:
    _check_characters(text, "q")
    from lark import UnexpectedInput

    try:
        tree = _parser()(text)
    except UnexpectedInput as error:
        at_end = getattr(getattr(error, "token", None), "type", "") == "$END"
        _explain(text, len(text) if at_end else error.pos_in_stream or 0)
    for term in tree.find_data("term"):
        yield _term(term, now)


def _term(tree: Tree[Token], now: datetime) -> Term:
    tokens = list(tree.scan_values(lambda _: True))
    negated = tokens[0].type in ("MINUS", "NOT")
    tokens = tokens[negated:]
    name, column = WORDS, _column(tokens[0])
    if tokens[0].type == "FIELD":
        name = _known_field(tokens.pop(0)[:-1], column)
    values = [_Read(name, now, _column(t), "q").value(str(t), quoted=t.type == "STRING") for t in tokens]
    return Term(name, tuple(values), negated)


def _column(token: Token) -> int:
    return (token.start_pos or 0) + 1


def _known_field(name: str, column: int) -> str:
    lower = name.lower()
    if lower in FIELDS:
        return lower
    near = suggest(name, FIELDS)
    hint = f'Did you mean "{near}:"?' if near else f"Fields are {', '.join(FIELDS)}; put words with a colon in quotes."
    raise _bad(f'Column {column}: there is no field "{name}:".', column, hint=hint)


def _explain(text: str, at: int) -> NoReturn:
    """Say what is wrong at `at`, the offset where the grammar could not go on."""
    before, rest, column = text[:at], text[at:], at + 1
    if rest.startswith('"') and (not before or before[-1] in ":,-" or before[-1].isspace()):
        raise _bad(f"Column {column}: the quote is never closed.", column, hint='Add a " at the end of the phrase.')
    if before.endswith((":", ",")):
        after = "comma" if before.endswith(",") else f'"{before.split()[-1].lstrip("-")}"'
        raise _bad(f"Column {column}: a value is missing after the {after}.", column, hint="Write it without blanks.")
    if not rest:
        raise _bad(f"Column {column}: something to exclude is missing at the end.", column)
    hint = "Put a blank between terms, and quotes around the whole of a value."
    raise _bad(f"Column {column}: {rest[:1]!r} cannot stand here.", column, hint=hint)


_ITEM = re.compile(r'\s*(?:"(?P<quoted>(?:\\.|[^"\\])*)"|(?P<plain>[^",]+?))\s*(?:,|$)', re.DOTALL)


def _filter_term(name: str, raw: str, now: datetime) -> Term:
    """The term of a URL parameter: blanks need no quotes here, the rest is as after `name:`."""
    if name not in FIELDS:
        raise _bad(f'There is no filter "{name[:80]}".', None, field=name, hint=f"Filters are {', '.join(FIELDS)}.")
    _check_characters(raw, name)
    values: list[Value] = []
    at = 0
    read = _Read(name, now, None, name)
    while at < len(raw) or not values or raw.endswith(",", 0, at):
        item = _ITEM.match(raw, at)
        if item is None:
            raise _bad(f"{name}: a value is missing, or a quote is not closed.", at + 1, field=name)
        quoted = item["quoted"]
        values.append(read.value(f'"{quoted}"' if quoted is not None else item["plain"], quoted=quoted is not None))
        at = item.end()
    return Term(name, tuple(values))


def _check_characters(text: str, field: str) -> None:
    if len(text) > MAX_LENGTH:
        raise _bad(f"The query is {len(text)} characters long; {MAX_LENGTH} are allowed.", MAX_LENGTH + 1, field=field)
    # PostgreSQL's text holds neither of these.
    if found := re.search(r"[\x00\ud800-\udfff]", text):
        column = found.start() + 1
        raise _bad(f"Column {column}: this character is not text.", column, field=field)


def _bad(message: str, column: int | None, *, hint: str = "", field: str = "q") -> BadRequest:
    return BadRequest(message, reason="query", hint=hint, field=field, column=column)


# Values --------------------------------------------------------------------------------------------------------------

_SPAN = re.compile(r"(\d{1,9})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PORTS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?", re.ASCII)
_UNESCAPE = re.compile(r"\\(.)", re.DOTALL)
_HOSTNAME = re.compile(r"[^\s/:,*\\\"@]{1,253}")


class _Read(NamedTuple):
    """Reads the values of one field; `column` and `where` tell a complaint where the value stands."""

    name: str
    now: datetime
    column: int | None
    where: str

    def value(self, raw: str, *, quoted: bool) -> Value:
        """The value that `raw` (quotes included) stands for."""
        body = raw[1:-1] if quoted else raw
        if self.name and FIELDS[self.name].kind == "pattern":
            return self._pattern(body, quoted=quoted)
        text = _UNESCAPE.sub(r"\1", body) if quoted else body
        if not text.strip():
            self.refuse("the value is empty")
        return self._reader()(text)

    def _reader(self) -> Callable[[str], Value]:
        readers: dict[Kind, Callable[[str], Value]] = {
            "address": self._address,
            "network": self._network,
            "port": self._ports,
            "choice": self._choice,
            "hostname": self._hostname,
            "moment": self._moment,
            "words": self._words,
            "text": Text,
        }
        return readers[FIELDS[self.name].kind if self.name else "words"]

    def refuse(self, why: str, hint: str = "") -> NoReturn:
        """Raise `BadRequest` for this value."""
        example = FIELDS[self.name].example if self.name else '"exact words"'
        place = f"Column {self.column}: " if self.column is not None else ""
        name = f"{self.name}: " if self.name else ""
        raise _bad(f"{place}{name}{why}.", self.column, hint=hint or f"Example: {example}", field=self.where)

    def _pattern(self, body: str, *, quoted: bool) -> Text:
        """Text that may end in a star; a star anywhere else needs quotes and a backslash."""
        bare = _UNESCAPE.sub("", body) if quoted else body  # without what was escaped
        prefix = bare.endswith("*") and body.endswith("*")
        if "*" in (bare[:-1] if prefix else bare):
            self.refuse("a star may only stand at the end", r'Write "\*" in quotes for a literal star.')
        body = body[:-1] if prefix else body
        text = _UNESCAPE.sub(r"\1", body) if quoted else body
        if not text.strip() and not (prefix and not text):
            self.refuse("the value is empty")
        return Text(text, prefix)

    def _address(self, text: str) -> Network:
        if "/" in text:
            self.refuse(f'"{text[:80]}" is a network', f"Write net:{text[:80]}")
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            self.refuse(f'"{text[:80]}" is not an IP address')
        if "%" in text:
            self.refuse("an address with a zone is known to one machine only")
        return Network(str(address), str(address))

    def _network(self, text: str) -> Network:
        try:
            net = ipaddress.ip_network(text, strict=False)
        except ValueError:
            self.refuse(f'"{text[:80]}" is not a network')
        if "%" in text:
            self.refuse("a network with a zone is known to one machine only")
        return Network(str(net[0]), str(net[-1]))

    def _ports(self, text: str) -> Ports:
        found = _PORTS.fullmatch(text)
        if found is None:
            self.refuse(f'"{text[:80]}" is neither a port nor a range of ports')
        low, high = int(found[1]), int(found[2] or found[1])
        if high > 65535:
            self.refuse(f"{high} is above the highest port, 65535")
        if low > high:
            self.refuse(f"the range {low}-{high} is empty", f"Write {high}-{low}.")
        return Ports(low, high)

    def _choice(self, text: str) -> Text:
        choices = FIELDS[self.name].choices
        if text.lower() not in choices:
            near = suggest(text, choices)
            self.refuse(f'"{text[:80]}" is none of {", ".join(choices)}', f'Did you mean "{near}"?' if near else "")
        return Text(text.lower())

    def _hostname(self, text: str) -> Text:
        name = text.lower().removeprefix("*.").removesuffix(".")
        if not _HOSTNAME.fullmatch(name):
            self.refuse(f'"{text[:80]}" is not a hostname')
        return Text(name)

    def _moment(self, text: str) -> Moment:
        try:
            if span := _SPAN.fullmatch(text):
                return Moment((self.now - timedelta(**{_UNITS[span[2]]: int(span[1])})).astimezone(UTC))
            at = datetime.fromisoformat(text)
            return Moment((at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC))
        except OverflowError:
            self.refuse(f'"{text[:80]}" is before all calendars')
        except ValueError:
            self.refuse(f'"{text[:80]}" is neither a time nor a span of time', "Spans are 30m, 24h, 7d, 2w.")

    def _words(self, text: str) -> Text:
        if not any(character.isalnum() for character in text):
            self.refuse("there is no letter or digit to search for")
        return Text(text)


# Terms to text -------------------------------------------------------------------------------------------------------

_SAFE_VALUE = re.compile(r"[A-Za-z0-9_.:/+-]+")
_SAFE_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+-]*")


def _format_term(term: Term) -> str:
    name = f"{term.field}:" if term.field else ""
    return "-" * term.negated + name + ",".join(_format_value(value, bare=not name) for value in term.values)


def _format_value(value: Value, *, bare: bool) -> str:
    match value:
        case Ports(low, high):
            return f"{low}-{high}" if low < high else str(low)
        case Network(first, last):
            return first if first == last else _cidr(first, last)
        case Moment(at):
            return at.isoformat()
        case Text(text, prefix):
            star = "*" if prefix else ""
            if (_SAFE_WORD if bare else _SAFE_VALUE).fullmatch(text) and text != "NOT":
                return text + star
            return '"' + re.sub(r'(["\\*])', r"\\\1", text) + star + '"' if text else star


def _cidr(first: str, last: str) -> str:
    """`first`/prefix for the network from `first` to `last`."""
    low, high = ipaddress.ip_address(first), ipaddress.ip_address(last)
    return f"{first}/{low.max_prefixlen - (int(low) ^ int(high)).bit_length()}"


def describe(fields: Sequence[Field] = tuple(FIELDS.values())) -> str:
    """The table of fields in Markdown, for the docs."""
    rows = [f"| `{f.name}` | {f.description} | `{f.example}` |" for f in fields]
    return "\n".join(["| field | what it asks | example |", "| --- | --- | --- |", *rows])
