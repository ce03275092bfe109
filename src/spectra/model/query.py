"""The query language of the command line and the API: `port:22,80 product:nginx -service:ssh "exact words" since:7d`.

Terms are separated by white space and must all hold for the same endpoint. A term is `field:value`, a bare word or an
exact phrase; commas between values mean OR; `-` or `NOT ` in front excludes. A value in quotes may hold anything, with
a backslash before a quote, a backslash or a star that is meant literally. What begins and ends with a slash and has
none inside (but after a backslash) is a regular expression (`model.regex`): `/etc/passwd` is a word.

    query   = [term *(blank term)]
    term    = ["-" / "NOT" blank] (field ":" value *("," value) / phrase / regex *("," regex) / word)
    value   = plain / phrase / regex
    phrase  = DQUOTE *(character / "\\" character) DQUOTE
    regex   = "/" 1*(character / "\\" character) "/" followed by a blank, a comma or the end

`model.fields` is the one table of fields: the parser, the compiler (`store.filters`), suggestions and docs read it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

import msgspec

from spectra.model.fields import FIELDS, NAMES, Field, Kind, describe, suggest, suggest_field
from spectra.model.reading import WORDS, Reader, bad
from spectra.model.values import (
    Moment,
    Network,
    Numbers,
    Ports,
    Regex,
    Scores,
    Text,
    Times,
    Value,
    format_value,
)

if TYPE_CHECKING:
    from lark import Token, Tree

__all__ = [
    "FIELDS",
    "MAX_LENGTH",
    "MAX_TERMS",
    "MAX_VALUES",
    "NAMES",
    "WORDS",
    "Field",
    "Kind",
    "Moment",
    "Network",
    "Numbers",
    "Ports",
    "Query",
    "Regex",
    "Scores",
    "Term",
    "Text",
    "Times",
    "Value",
    "describe",
    "format_query",
    "parse",
    "suggest",
    "suggest_field",
]

MAX_LENGTH: Final = 4096  # characters
MAX_TERMS: Final = 64
MAX_VALUES: Final = 1000


class Term(msgspec.Struct, frozen=True):
    """One condition: any of `values` holds for `field` (`WORDS`: for banner or title), or none if `negated`.

    `field` is a name of `FIELDS`, never an alias; `cert.expired:true` is read as times of `cert.expires`.
    """

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
        raise bad(f"The query has {len(terms)} terms; {MAX_TERMS} are allowed.", None)
    if sum(len(term.values) for term in terms) > MAX_VALUES:
        raise bad(f"The query has more than {MAX_VALUES} values.", None, hint="Ask for a network or a range instead.")
    return Query(tuple(terms))


def format_query(query: Query) -> str:
    """The text of `query`: `parse(format_query(query), now) == query` whatever `now`."""
    return " ".join(_format_term(term) for term in query.terms)


# Text to terms -------------------------------------------------------------------------------------------------------

_GRAMMAR = r"""
    query: _BLANK? (term (_BLANK term)*)? _BLANK?
    term: (MINUS | NOT)? (FIELD _value (_COMMA _value)* | STRING | REGEX (_COMMA REGEX)* | WORD)
    _value: STRING | REGEX | PLAIN
    NOT.3: /NOT\s+/
    FIELD.2: /[A-Za-z][A-Za-z0-9_.]*:/
    MINUS.1: "-"
    STRING.1: /"(\\.|[^"\\])*"/s
    REGEX.1: /\/(\\.|[^\/\\])+\/(?=[\s,]|\Z)/s
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
    values = [_value(Reader(name, now, _column(t), "q"), str(t), t.type) for t in tokens]
    return Term(_ASKED.get(name, name), tuple(values), negated)


def _value(read: Reader, raw: str, kind: str) -> Value:
    return read.regex(raw) if kind == "REGEX" else read.value(raw, quoted=kind == "STRING")


# Fields whose values are read as those of another.
_ASKED: Final = {"cert.expired": "cert.expires"}


def _column(token: Token) -> int:
    return (token.start_pos or 0) + 1


def _known_field(name: str, column: int) -> str:
    if field := NAMES.get(name.lower()):
        return field.name
    near = suggest_field(name)
    hint = f'Did you mean "{near}:"?' if near else f"Fields are {', '.join(FIELDS)}; put words with a colon in quotes."
    raise bad(f'Column {column}: there is no field "{name}:".', column, hint=hint)


def _explain(text: str, at: int) -> NoReturn:
    """Say what is wrong at `at`, the offset where the grammar could not go on."""
    before, rest, column = text[:at], text[at:], at + 1
    if rest.startswith('"') and (not before or before[-1] in ":,-" or before[-1].isspace()):
        raise bad(f"Column {column}: the quote is never closed.", column, hint='Add a " at the end of the phrase.')
    if before.endswith((":", ",")):
        after = "comma" if before.endswith(",") else f'"{before.split()[-1].lstrip("-")}"'
        raise bad(f"Column {column}: a value is missing after the {after}.", column, hint="Write it without blanks.")
    if not rest:
        raise bad(f"Column {column}: something to exclude is missing at the end.", column)
    hint = "Put a blank between terms, and quotes around the whole of a value."
    raise bad(f"Column {column}: {rest[:1]!r} cannot stand here.", column, hint=hint)


_ITEM = re.compile(
    r'\s*(?:(?P<STRING>"(?:\\.|[^"\\])*")|(?P<REGEX>/(?:\\.|[^/\\])+/)(?=\s*(?:,|\Z))|(?P<PLAIN>[^",]+?))\s*(?:,|\Z)',
    re.DOTALL,
)


def _filter_term(name: str, raw: str, now: datetime) -> Term:
    """The term of a URL parameter: blanks need no quotes here, the rest is as after `name:`."""
    field = NAMES.get(name)
    if field is None:
        near = suggest_field(name)
        hint = f'Did you mean "{near}"?' if near else f"Filters are {', '.join(FIELDS)}."
        raise bad(f'There is no filter "{name[:80]}".', None, field=name, hint=hint)
    _check_characters(raw, name)
    values: list[Value] = []
    at = 0
    read = Reader(field.name, now, None, name)
    while at < len(raw) or not values or raw.endswith(",", 0, at):
        item = _ITEM.match(raw, at)
        if item is None:
            raise bad(f"{name}: a value is missing, or a quote is not closed.", at + 1, field=name)
        kind = item.lastgroup or ""
        values.append(_value(read, item[kind], kind))
        at = item.end()
    return Term(_ASKED.get(field.name, field.name), tuple(values))


def _check_characters(text: str, field: str) -> None:
    if len(text) > MAX_LENGTH:
        raise bad(f"The query is {len(text)} characters long; {MAX_LENGTH} are allowed.", MAX_LENGTH + 1, field=field)
    # PostgreSQL's text holds neither of these.
    if found := re.search(r"[\x00\ud800-\udfff]", text):
        column = found.start() + 1
        raise bad(f"Column {column}: this character is not text.", column, field=field)


# Terms to text -------------------------------------------------------------------------------------------------------


def _format_term(term: Term) -> str:
    name, stars = (f"{term.field}:", FIELDS[term.field].kind == "cpe") if term.field else ("", False)
    values = [format_value(value, bare=not name, stars=stars) for value in term.values]
    return "-" * term.negated + name + ",".join(values)
