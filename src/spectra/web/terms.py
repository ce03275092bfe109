"""Terms added to a query and taken from it, as text: what somebody typed stays as it was typed.

A facet's bar adds a term, and takes it away again. Parsing the query and writing it anew would turn `since:7d` into a
moment, so the text is only cut where a term begins and ends, by the quotes and slashes of `model.query`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from spectra.model.query import Text
from spectra.model.values import format_value

# A term: a regular expression between slashes, a phrase in quotes, or anything else up to a blank.
_TERM = re.compile(
    r'-?(?:[A-Za-z][A-Za-z0-9_.]*:)?(?:"(?:\\.|[^"\\])*"|/(?:\\.|[^/\\])+/(?=[\s,]|\Z)|[^\s"])+', re.DOTALL
)


class Piece(NamedTuple):
    """A term of a query, and the query without it."""

    term: str
    rest: str


def pieces(query: str) -> list[Piece]:
    """The terms of `query` in their order; `NOT ` before one belongs to it."""
    found: list[Piece] = []
    start: int | None = None
    for match in _TERM.finditer(query):
        if match[0] == "NOT" and start is None:
            start = match.start()
            continue
        begin = match.start() if start is None else start
        rest = f"{query[:begin].rstrip()} {query[match.end() :].lstrip()}".strip()
        found.append(Piece(query[begin : match.end()], rest))
        start = None
    return found


def term(field: str, value: str | int) -> str:
    """A term that asks for this value, in quotes where it needs them."""
    return f"{field}:{value if isinstance(value, int) else format_value(Text(value))}"


def has(query: str, wanted: str) -> bool:
    """Whether `wanted` is a term of `query` as it stands."""
    return any(_same(piece.term, wanted) for piece in pieces(query))


def added(query: str, wanted: str) -> str:
    """The query with one term more."""
    return query.strip() if has(query, wanted) else f"{query.strip()} {wanted}".strip()


def toggled(query: str, wanted: str) -> str:
    """The query with `wanted`, or without it where it is there."""
    rest = next((piece.rest for piece in pieces(query) if _same(piece.term, wanted)), None)
    return added(query, wanted) if rest is None else rest


def _same(one: str, other: str) -> bool:
    """Names of fields are the same in any case; `country:FR` and `country:fr` are left to be two."""
    name, colon, value = one.partition(":")
    return one == other or (bool(colon) and f"{name.lower()}:{value}" == other)
