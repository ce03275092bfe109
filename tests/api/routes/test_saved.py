"""Saved searches over HTTP."""

from __future__ import annotations

import pytest

from tests.api.node import Node, is_problem

pytestmark = pytest.mark.engine


def test_a_search_is_saved_listed_and_forgotten(node: Node) -> None:
    """Whoever may look may keep what they looked for."""
    path = "/v0/searches/web in FR"
    kept = node.ask("PUT", path, "read-only", json={"query": " port:80 country:FR ", "sort": "-ip"}).json()
    assert (kept["name"], kept["query"], kept["sort"]) == ("web in FR", "port:80 country:FR", "-ip")
    assert node.get(path, "read-only").json() == kept
    assert node.get("/v0/searches", "read-only").json() == {"searches": [kept]}
    assert node.ask("DELETE", path, "read-only").json() == kept
    is_problem(node.get(path, "read-only"), 404, "unknown_search")


def test_nobody_sees_those_of_others(node: Node) -> None:
    """An admin neither."""
    node.ask("PUT", "/v0/searches/mine", "user", json={"query": "port:80"})
    assert node.get("/v0/searches", "admin").json() == {"searches": []}
    is_problem(node.ask("DELETE", "/v0/searches/mine", "admin"), 404, "unknown_search")


def test_what_is_no_search_is_refused(node: Node) -> None:
    """A query that cannot be read, an order or a name that there is not."""
    for name, body, field in (
        ("a", {"query": "nofield:1"}, "q"),
        ("a", {"query": "", "sort": "size"}, "sort"),
        ("-a", {"query": ""}, "name"),
    ):
        problem = node.ask("PUT", f"/v0/searches/{name}", json=body)
        assert (problem.status_code, problem.json()["field"]) == (400, field)
    assert node.ask("PUT", "/v0/searches/a", json={"query": "", "owner": "bob"}).status_code == 400
    is_problem(node.ask("PUT", "/v0/searches/a", "", json={"query": ""}), 401, "unauthenticated")
