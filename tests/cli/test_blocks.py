"""`spectra block`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.cli.standin import StandIn, problem

ONE = "0f1e2d3c-0000-4000-8000-000000000001"
TWO = "0f1e2d3c-0000-4000-8000-000000000002"


def record(block_id: str, **fields: Any) -> dict[str, Any]:
    """A block as the server tells of it."""
    return {"block_id": block_id, "reason": "flood", "added": "2026-01-01T00:00:00Z", "added_by": "root"} | fields


def test_a_network_is_blocked(run: Run, server: StandIn) -> None:
    """With the reason, an end counted from now, and whether it is not scanned either."""
    server.say("POST", "/v0/blocks", record(ONE, network="192.0.2.0/24", targets=True))
    result = run("block", "add", "192.0.2.0/24", "--reason", "flood", "--until", "30d", "--targets")
    assert result.code == 0, result.err
    assert "192.0.2.0/24" in result.out
    body = json.loads(server.requests[0].body)
    until = datetime.fromisoformat(body.pop("until"))
    assert timedelta(days=29) < until - datetime.now(UTC) < timedelta(days=31)
    assert body == {"network": "192.0.2.0/24", "reason": "flood", "targets": True}


def test_an_as_is_blocked(run: Run, server: StandIn) -> None:
    """`AS64500` is a number, and stands in the list as it is written."""
    server.say("POST", "/v0/blocks", record(ONE, asn=64500))
    assert "AS64500" in run("block", "add", "as64500", "--reason", "botnet").out
    assert json.loads(server.requests[0].body) == {"asn": 64500, "reason": "botnet", "targets": False}


@pytest.mark.parametrize("what", ["example.org", "192.0.2.7/24", ""])
def test_what_is_neither_is_not_sent(run: Run, server: StandIn, what: str) -> None:
    """A slip ends with 2 before the server is asked; so does an end in the past."""
    assert run("block", "add", what, "--reason", "x").code == 2
    assert run("block", "add", "192.0.2.0/24", "--reason", "x", "--until", "2001-01-01").code == 2
    assert server.requests == []


def test_the_list(run: Run, server: StandIn) -> None:
    """A table, JSON lines, and a word where there is nothing."""
    server.say("GET", "/v0/blocks", {"blocks": [record(ONE, network="192.0.2.0/24", until="2051-01-01T00:00:00Z")]})
    table = run("block", "list").out
    assert "2051-01-01 00:00" in table
    assert "0f1e2d3c" in table
    assert json.loads(run("block", "list", "--json").out)["block_id"] == ONE
    server.say("GET", "/v0/blocks", {"blocks": []})
    assert "Nothing is blocked" in run("block", "list").err


@pytest.mark.parametrize("what", ["192.0.2.0/24", ONE, ONE.upper()])
def test_a_block_is_removed_by_what_it_blocks_or_its_id(run: Run, server: StandIn, what: str) -> None:
    """As it stands in the list."""
    one, two = record(ONE, network="192.0.2.0/24"), record(TWO, asn=64500)
    server.say("GET", "/v0/blocks", {"blocks": [one, two]})
    server.say("DELETE", f"/v0/blocks/{ONE}", one)
    assert run("block", "remove", what).code == 0
    assert len(server.asked(f"/v0/blocks/{ONE}")) == 1


def test_which_block_has_to_be_clear(run: Run, server: StandIn) -> None:
    """Two of one beginning are asked about, none is not found, and the server's refusal is shown."""
    blocks = [record(ONE, network="192.0.2.0/24"), record(TWO, asn=64500)]
    server.say("GET", "/v0/blocks", {"blocks": blocks})
    assert run("block", "remove", "0f1e2d3c").code == 2
    assert run("block", "remove", "0f1e").code == 4
    assert run("block", "remove", "203.0.113.0/24").code == 4
    server.say("DELETE", f"/v0/blocks/{TWO}", problem(404, "there is no such block", reason="not_found"))
    assert run("block", "remove", "AS64500").code == 4
