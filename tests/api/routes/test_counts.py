"""Counts and statistics over HTTP, and the facets of a search."""

from __future__ import annotations

import pytest

from spectra.model import query
from spectra.model.facets import FACETS
from tests.api.node import Node, is_problem
from tests.support import samples

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def host(node: Node) -> str:
    """A host with two web servers and a Redis, on its own."""
    ip = samples.address()
    node.submitted(samples.nmap(samples.nmap_host(ip, 80, 8080, product="nginx")))
    node.submitted(samples.nmap(samples.nmap_host(ip, 6379, product="Redis key-value store", name="redis")))
    return ip


def test_a_count(node: Node, host: str) -> None:
    """Endpoints and their hosts, by the language and by its fields as parameters."""
    expected = {"count": 3, "hosts": 1, "exact": True, "hosts_exact": True}
    assert node.get("/v0/count", q=f"ip:{host}").json() == expected
    assert node.get("/v0/count", ip=host, exact="true").json() == expected
    assert node.get("/v0/count", ip=host, service="redis").json()["count"] == 1


def test_a_count_of_nothing(node: Node) -> None:
    """Is zero, not a 404."""
    assert node.get("/v0/count", q="ip:192.0.2.99").json()["count"] == 0


@pytest.mark.parametrize(
    ("params", "field"),
    [({"q": "prot:22"}, "q"), ({"port": "x"}, "port"), ({"colour": "1"}, "colour"), ({"exact": "perhaps"}, "exact")],
)
def test_a_mistake_in_a_count_is_pointed_at(node: Node, params: dict[str, str], field: str) -> None:
    """The parameter it stands in."""
    response = node.get("/v0/count", **params)
    assert is_problem(response, 400, response.json()["reason"])["field"] == field


def test_statistics(node: Node, host: str) -> None:
    """What the graph holds, hosts and endpoints to the last one."""
    before = node.get("/v0/stats").json()
    node.submitted(samples.nmap(samples.nmap_host(samples.address(), 80, 443, product="nginx")))
    after = node.get("/v0/stats").json()
    assert (after["hosts"] - before["hosts"], after["endpoints"] - before["endpoints"]) == (1, 2)
    assert after["observations"] == before["observations"] + 1
    assert after["newest"] >= after["oldest"]
    assert set(after) >= {"services", "certificates", "names", "places", "hosts_placed", "feeds"}


def test_facets_come_with_a_search(node: Node, host: str) -> None:
    """Values, the rest, and the total of all matches, not of the page."""
    page = node.get("/v0/search", q=f"ip:{host}", facets="service,product:-1,port:1", limit=1).json()
    assert len(page["matches"]) == 1
    assert page["next_cursor"]
    assert page["total"] == {"count": 3, "exact": True}
    assert list(page["facets"]) == ["service", "product", "port"]
    assert page["facets"]["service"] == {
        "values": [{"value": "http", "count": 2}, {"value": "redis", "count": 1}],
        "other": 0,
        "missing": 0,
        "exact": True,
    }
    assert page["facets"]["product"]["values"] == [{"value": "Redis key-value store", "count": 1}]
    assert page["facets"]["port"] == {
        "values": [{"value": 80, "count": 1}], "other": 2, "missing": 0, "exact": True
    }  # fmt: skip


def test_facets_alone(node: Node, host: str) -> None:
    """No matches are read where none are asked for; the total alone is had by name."""
    page = node.get("/v0/search", ip=host, facets="protocol,last_seen:month", limit=0).json()
    assert page["matches"] == []
    assert page["facets"]["protocol"]["values"] == [{"value": "tcp", "count": 3}]
    assert [v["count"] for v in page["facets"]["last_seen"]["values"]] == [3]
    assert node.get("/v0/search", ip=host, limit=0).json() == {
        "matches": [], "total": {"count": 3, "exact": True}, "facets": {}
    }  # fmt: skip
    assert node.get("/v0/search", ip=host, limit=1, total="true").json()["total"]["count"] == 3
    assert "total" not in node.get("/v0/search", ip=host).json()


def test_every_facet_is_answered(node: Node, host: str) -> None:
    """All at once, of everything and of one host, and each that the fields promise."""
    for q in ("", f"ip:{host}", "port:80", "service:http since:2020-01-01"):
        page = node.get("/v0/search", q=q, facets=",".join(FACETS), limit=0)
        assert page.status_code == 200, page.text
        assert list(page.json()["facets"]) == list(FACETS)
    promised = [f["name"] for f in node.get("/v0/search/filters").json()["filters"] if f["facetable"]]
    assert promised == [field.name for field in query.FIELDS.values() if field.facetable]
    assert set(promised) <= set(FACETS)


@pytest.mark.parametrize(
    ("facets", "hint"),
    [("countri", "country"), ("port:0", "rarest"), ("last_seen:year", "day"), ("port,port", "")],
)
def test_a_mistake_in_facets_is_pointed_at(node: Node, facets: str, hint: str) -> None:
    """With the nearest name."""
    body = is_problem(node.get("/v0/search", facets=facets), 400, "facets")
    assert body["field"] == "facets"
    assert hint in body.get("hint", "")


@pytest.mark.parametrize("path", ["/v0/count", "/v0/stats"])
def test_a_token_is_needed(node: Node, path: str) -> None:
    """And a role that may search."""
    is_problem(node.ask("GET", path, ""), 401, "unauthenticated")
    is_problem(node.get(path, "module"), 403, "forbidden")
    assert node.get(path, "read-only").status_code == 200
