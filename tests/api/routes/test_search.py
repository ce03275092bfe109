"""Search over HTTP: the query, its fields as parameters, sorts and cursors."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from spectra.model import query
from tests.api.node import Node, is_problem
from tests.support import samples

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def host(node: Node) -> str:
    """A host with a web server and a Redis, on its own."""
    ip = samples.address()
    one = samples.nmap_host(ip, 80, 8080, product="nginx")
    node.submitted(samples.nmap(one))
    node.submitted(samples.nmap(samples.nmap_host(ip, 6379, product="Redis key-value store", name="redis")))
    return ip


def ports(node: Node, **params: Any) -> list[int]:
    """The ports that a search with these parameters finds."""
    response = node.get("/v0/search", **params)
    assert response.status_code == 200, response.text
    return sorted(m["port"] for m in response.json()["matches"])


def test_a_query(node: Node, host: str) -> None:
    """The language of the command line, in one parameter."""
    assert ports(node, q=f"ip:{host} port:80,6379") == [80, 6379]
    assert ports(node, q=f"ip:{host} -service:redis") == [80, 8080]


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"port": "80"}, [80]),
        ({"port": "80,6379"}, [80, 6379]),
        ({"port": "1-1000"}, [80]),
        ({"service": "redis"}, [6379]),
        ({"product": "nginx", "port": "8080"}, [8080]),
        ({"product": "Redis key-value store"}, [6379]),
        ({"version": "1.80"}, [80]),
        ({"protocol": "tcp", "q": "-port:80,8080"}, [6379]),
        ({"since": "2026-02-28"}, [80, 6379, 8080]),
        ({"since": "2026-03-02"}, []),
        ({"q": "service:redis", "port": "80"}, []),
    ],
)
def test_fields_are_parameters_too(node: Node, host: str, params: dict[str, str], found: list[int]) -> None:
    """`?port=22` means what `port:22` does; several hold together, and with `q`."""
    assert ports(node, ip=host, **params) == found


def test_a_network(node: Node, host: str) -> None:
    """CIDR, in the parameter as in the query."""
    net = host.rsplit(".", 1)[0] + ".0/24"
    assert set(ports(node, net=net, service="redis")) == set(ports(node, q=f"net:{net} service:redis"))
    assert ports(node, net=f"{host}/32", port="80") == [80]


def test_every_field_is_a_parameter(node: Node) -> None:
    """The route and the language cannot drift apart."""
    for field in query.FIELDS.values():
        value = field.example.partition(":")[2].strip('"')
        assert node.get("/v0/search", **{field.name: value}).status_code == 200, field.name


@pytest.mark.parametrize("name", ["colour", "Port", "limitt", "q ", "x" * 500])
def test_an_unknown_parameter_is_refused(node: Node, name: str) -> None:
    """Ignoring it would answer another question than the one asked."""
    body = is_problem(node.get("/v0/search", **{name: "1"}), 400, "bad_request")
    assert body["field"] == name[:40]
    assert body["hint"]


def test_a_parameter_given_twice_is_refused(node: Node) -> None:
    """Whether that would mean AND or OR is not for us to guess."""
    assert is_problem(node.ask("GET", "/v0/search?port=1&port=2"), 400, "bad_request")["field"] == "port"


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"q": "port:notaport"}, "q"),
        ({"q": '"never closed'}, "q"),
        ({"q": "prot:22"}, "q"),
        ({"q": "x" * 5000}, "q"),
        ({"port": "99999"}, "port"),
        ({"ip": "example.org"}, "ip"),
        ({"net": "10.0.0.0/33"}, "net"),
        ({"since": "someday"}, "since"),
        ({"protocol": "icmp"}, "protocol"),
        ({"sort": "colour"}, "sort"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "5001"}, "limit"),
        ({"cursor": "made-up"}, "cursor"),
    ],
)
def test_a_mistake_is_pointed_at(node: Node, params: dict[str, str], field: str) -> None:
    """The parameter it stands in, with its column where that is a query."""
    response = node.get("/v0/search", **params)
    body = is_problem(response, 400, response.json()["reason"])
    assert body["field"] == field
    if field == "q":
        assert body["column"] >= 1


@pytest.mark.parametrize("sort", ["last_seen", "-last_seen", "first_seen", "-first_seen", "ip", "-ip", "port", "-port"])
def test_pages_in_every_order_hold_all_once(node: Node, sort: str) -> None:
    """Following cursors gives what one large page gives, in its order."""
    block = samples.address().rsplit(".", 1)[0]
    hosts = [samples.nmap_host(samples.address(), 80, 443, at=samples.T0 + timedelta(hours=n)) for n in range(5)]
    node.submitted(samples.nmap(*hosts))
    params: dict[str, Any] = {"net": f"{block}.0/23", "sort": sort}
    whole = node.get("/v0/search", **params, limit=5000).json()["matches"]
    paged: list[object] = []
    cursor = ""
    while True:
        page = node.get("/v0/search", **params, limit=7, cursor=cursor).json()
        paged += page["matches"]
        cursor = page.get("next_cursor", "")
        if not cursor:
            break
    assert paged == whole


def test_a_cursor_belongs_to_its_question(node: Node, host: str) -> None:
    """Used with another sort it is refused."""
    cursor = node.get("/v0/search", ip=host, limit=1).json()["next_cursor"]
    assert is_problem(node.get("/v0/search", ip=host, limit=1, cursor=cursor, sort="port"), 400, "bad_request")


def test_nothing_found_is_an_empty_page(node: Node) -> None:
    """Not a 404."""
    assert node.get("/v0/search", q="ip:192.0.2.99").json() == {"matches": []}
