"""Hosts in words, over HTTP."""

from __future__ import annotations

import pytest

from tests.api.node import Node, is_problem
from tests.support import samples

pytestmark = pytest.mark.engine


def test_a_host_is_explained(node: Node) -> None:
    """Three points from what was submitted; an address may be written in any way."""
    ip = samples.address()
    node.submitted(samples.scan_of(ip, 80, product="nginx"))
    told = node.get(f"/v0/explain/ip/::ffff:{ip}").json()
    assert told["ip"] == ip
    assert told["summary"].startswith(ip)
    assert [risk["rule"] for risk in told["risks"]] == ["stale"]
    assert told["next_steps"]


def test_what_cannot_be_explained(node: Node) -> None:
    """Neither a name nor a host nobody saw; and not without the scope to read hosts."""
    assert is_problem(node.get("/v0/explain/ip/example.org"), 400, "bad_request")["field"] == "ip"
    is_problem(node.get("/v0/explain/ip/203.0.113.250"), 404, "not_found")
    assert node.ask("GET", "/v0/explain/ip/203.0.113.250", "module").status_code == 403
