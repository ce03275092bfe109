"""Answers and their place in the OpenAPI document."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import msgspec

from spectra.api import answers
from spectra.api.answers import ProblemDetails, answer, described, ref


class Thing(msgspec.Struct, omit_defaults=True):
    """A thing.

    And more about it.
    """

    seen: datetime
    name: str = ""


def test_structs_become_json() -> None:
    """Times in RFC 3339 UTC, defaults left out where the struct says so."""
    response = answer(Thing(datetime(2026, 3, 1, tzinfo=UTC)), 201)
    assert json.loads(bytes(response.body)) == {"seen": "2026-03-01T00:00:00Z"}
    assert (response.status_code, response.media_type) == (201, "application/json")


def test_a_route_is_described_by_its_type() -> None:
    """First line of the docstring, a reference to the schema, problems for each other status, 503 and 504 always."""
    found = described(Thing, 404, status=201)
    assert found[201]["description"] == "A thing."
    assert found[201]["content"]["application/json"]["schema"] == {"$ref": ref(Thing)}
    assert sorted(int(status) for status in found) == [201, 404, 503, 504]
    for status in (404, 503, 504):
        assert found[status]["content"]["application/problem+json"]["schema"] == {"$ref": ref(ProblemDetails)}


def test_every_described_type_has_its_schema() -> None:
    """Under the name that references use: two types of one name would take it from each other."""
    described(Thing)
    assert {"Thing", "ProblemDetails", "Receipt", "Problem"} <= set(answers.components())
