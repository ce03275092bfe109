"""What a request selects."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from starlette.requests import Request

from spectra.api.selectors import query_of
from spectra.errors import BadRequest
from spectra.model.query import Query, parse

NOW = datetime(2026, 3, 1, tzinfo=UTC)
OWN = {"q", "limit"}


def read(query_string: str, q: str = "") -> Query:
    """The query of a request with this query string."""
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": query_string.encode(), "headers": []}
    return query_of(Request(scope), q, NOW, OWN)


def test_parameters_are_further_terms() -> None:
    """`q` and one parameter per field say the same as one query; the route's own parameters are left alone."""
    assert read("q=x&limit=5&port=22,80&city=New%20York", "service:ssh") == parse(
        'service:ssh port:22,80 city:"New York"', NOW
    )
    assert read("common_port=22") == parse("port:22", NOW)
    assert read("") == Query()


@pytest.mark.parametrize(
    ("query_string", "field", "hint"),
    [
        ("xyzzy=red", "xyzzy", "Filters: ip, net"),
        ("prot=tcp", "prot", "Did you mean p"),
        ("port=22&port=80", "port", "commas"),
        ("port=x", "port", ""),
    ],
)
def test_anything_else_is_refused(query_string: str, field: str, hint: str) -> None:
    """An unknown parameter is named, with the one that was meant where that is clear; none is given twice."""
    with pytest.raises(BadRequest) as refused:
        read(query_string)
    assert refused.value.field == field
    assert hint in refused.value.hint
