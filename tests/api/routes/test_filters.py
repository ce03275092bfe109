"""The description of the query language over HTTP."""

from __future__ import annotations

import pytest

from spectra.model.fields import FIELDS
from tests.api.node import Node, is_problem

pytestmark = pytest.mark.engine


def test_every_field_is_described(node: Node) -> None:
    """All of the table, in its order, with what a form or a completion needs."""
    listed = node.get("/v0/search/filters").json()["filters"]
    assert [f["name"] for f in listed] == list(FIELDS)
    protocol = next(f for f in listed if f["name"] == "protocol")
    assert protocol == {
        "name": "protocol",
        "aliases": [],
        "type": "choice",
        "description": "The transport protocol.",
        "example": "protocol:udp",
        "sortable": False,
        "facetable": True,
        "choices": ["tcp", "udp", "sctp"],
        "operators": ["-", ","],
    }


def test_what_is_described_can_be_asked(node: Node) -> None:
    """Each example is understood as a query, each sortable field as a sort, and each name as a parameter."""
    for field in node.get("/v0/search/filters").json()["filters"]:
        assert node.get("/v0/search", q=field["example"]).status_code == 200, field["name"]
        if field["sortable"]:
            assert node.get("/v0/search", sort=field["name"]).status_code == 200, field["name"]
        value = field["example"].partition(":")[2]
        for name in (field["name"], *field["aliases"]):
            assert node.get("/v0/search", **{name: value}).status_code == 200, name


def test_a_regex_that_is_refused_is_pointed_at(node: Node) -> None:
    """The column is the one of the mistake inside of the pattern."""
    body = is_problem(node.get("/v0/search", q="product:/a(b/"), 400, "query")
    assert (body["field"], body["column"]) == ("q", 11)


def test_it_needs_the_right_to_search(node: Node) -> None:
    """Nobody without a token reads it."""
    assert node.ask("GET", "/v0/search/filters", "").status_code == 401
