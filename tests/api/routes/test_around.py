"""The neighbourhood of a host, asked over HTTP."""

from __future__ import annotations

import pytest

from tests.api.node import Node, is_problem
from tests.support import samples

pytestmark = pytest.mark.engine


def test_neighbours_are_told_and_can_be_narrowed(node: Node) -> None:
    """Two hosts of one network find each other; `relation` and `limit` say which ties and how many hosts."""
    ip, other = "10.212.79.4", "10.212.79.9"
    node.submitted(samples.scan_of(ip, 80))
    node.submitted(samples.scan_of(other, 80))
    told = node.get(f"/v0/hosts/{ip}/around", relation="network", limit=500).json()
    (tie,) = told["ties"]
    assert told["ip"] == ip
    assert tie["query"] == "net:10.212.79.0/24"
    assert other in {one["ip"] for one in tie["hosts"]}
    assert node.get(f"/v0/hosts/{ip}/around").status_code == 200


def test_what_is_wrong_is_told(node: Node) -> None:
    """An address that is none, a host never seen, a tie there is not."""
    is_problem(node.get("/v0/hosts/nowhere/around"), 400, "bad_request")
    is_problem(node.get("/v0/hosts/203.0.113.250/around"), 404, "not_found")
    is_problem(node.get("/v0/hosts/203.0.113.250/around", relation="fate"), 400, "bad_request")
