"""The address space over HTTP."""

from __future__ import annotations

import pytest

from tests.api.node import Node, is_problem
from tests.support import samples

pytestmark = pytest.mark.engine


def test_hosts_by_network_over_http(node: Node) -> None:
    """As every question about hosts: with the language of search, and its fields as parameters."""
    scanned = samples.nmap(samples.nmap_host("100.90.6.7", 80), samples.nmap_host("100.90.6.8", 80, 443))
    node.submitted(scanned)
    found = node.get("/v0/space", within="100.90.0.0/16", q="net:100.90.6.0/24").json()
    assert found["prefix"] == 24
    assert found["blocks"] == [{"network": "100.90.6.0/24", "hosts": 2}]
    assert (found["hosts"], found["left_out"], found["exact"]) == (2, 0, True)
    one = node.get("/v0/space", within="100.90.0.0/16", prefix=32, ip="100.90.6.8").json()
    assert one["blocks"] == [{"network": "100.90.6.8/32", "hosts": 1}]


def test_what_is_asked_wrongly_is_named(node: Node) -> None:
    """The network, its parts, the query; and whoever is nobody."""
    assert is_problem(node.get("/v0/space", within="10.0.0.0/40"), 400, "bad_request")["field"] == "within"
    assert is_problem(node.get("/v0/space", within="10.0.0.0/8", prefix=4), 400, "bad_request")["field"] == "prefix"
    assert node.get("/v0/space", q="nofield:1").status_code == 400
    is_problem(node.get("/v0/space", ""), 401, "unauthenticated")
