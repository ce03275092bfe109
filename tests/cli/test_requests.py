"""`spectra scope requests|approve|reject`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.cli.standin import StandIn

PATH = "/v0/do-not-scan/requests"
ONE = "0f1e2d3c-0000-4000-8000-000000000001"
TWO = "0f1e2d3c-0000-4000-8000-000000000002"


def request(request_id: str, network: str, **fields: Any) -> dict[str, Any]:
    """A request as the server tells of it."""
    return {
        "request_id": request_id,
        "network": network,
        "contact": "noc@example.org",
        "reason": "ours\x1b[2J",
        "source": "198.51.100.0/24",
        "received": "2026-01-01T00:00:00Z",
    } | fields


def test_the_list(run: Run, server: StandIn) -> None:
    """Those that wait; what strangers write cannot drive the terminal."""
    server.say("GET", PATH, {"requests": [request(ONE, "192.0.2.0/24")]})
    result = run("scope", "requests")
    assert "noc@example.org" in result.out
    assert "\x1b" not in result.out
    assert server.requests[0].params["status"] == "pending"
    server.say("GET", PATH, {"requests": []})
    assert "No request is rejected" in run("scope", "requests", "--status", "rejected").err
    assert "There is no request" in run("scope", "requests", "--status", "all").err
    assert server.requests[-1].params["status"] == ""


@pytest.mark.parametrize("verb", ["approve", "reject"])
@pytest.mark.parametrize("which", ["192.0.2.0/24", ONE])
def test_a_decision(run: Run, server: StandIn, verb: str, which: str) -> None:
    """By network or id, with a note for the record; the answer says how it stands."""
    waiting = [request(ONE, "192.0.2.0/24"), request(TWO, "203.0.113.0/24")]
    server.say("GET", PATH, {"requests": waiting})
    status = {"approve": "approved", "reject": "rejected"}[verb]
    server.say("POST", f"{PATH}/{ONE}/{verb}", request(ONE, "192.0.2.0/24", status=status, decided_by="root"))
    result = run("scope", verb, which, "--note", "ticket 7", "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out)["status"] == status
    assert json.loads(server.asked(f"{PATH}/{ONE}/{verb}")[0].body) == {"note": "ticket 7"}


def test_which_request_has_to_be_clear(run: Run, server: StandIn) -> None:
    """Two about one network are asked about, and one that does not wait is not found."""
    server.say("GET", PATH, {"requests": [request(ONE, "192.0.2.0/24"), request(TWO, "192.0.2.0/24")]})
    assert run("scope", "approve", "192.0.2.0/24").code == 2
    assert run("scope", "approve", "0f1e2d3c").code == 2
    assert run("scope", "approve", "203.0.113.0/24").code == 4
    assert len(server.requests) == 3
