"""Agents over HTTP: who may run them, on what, and what they answer."""

from __future__ import annotations

import json

import pytest

from tests.ai.agents.test_threat_analyst import alert
from tests.api.node import Node, is_problem

pytestmark = pytest.mark.engine

ALERTS = json.dumps([alert("10.0.99.42")]).encode()


def test_agents_are_told_of(node: Node) -> None:
    """To whoever may read what is made; without a model there are no notes."""
    told = node.get("/v0/ai/agents", "read-only").json()
    assert [one["name"] for one in told["agents"]][:2] == ["threat-analyst", "dns-guard"]
    assert told["notes"] is False


def test_an_agent_runs(node: Node) -> None:
    """On what it is given; its insights are there afterwards, signed."""
    done = node.ask("POST", "/v0/ai/agents/threat-analyst", content=ALERTS)
    assert done.status_code == 200, done.text
    (one,) = done.json()["insights"]
    assert one["insight"]["kind"] == "own_host_attacks"
    assert node.get(f"/v0/insights/{one['insight']['id']}").json()["statement"] == done.json()["statement"]
    lists = node.ask("POST", "/v0/ai/agents/config-advisor", params={"checklists": "gdpr", "note": "false"})
    assert len(lists.json()["insights"]) == 14
    assert "no_notes" not in lists.json()


def test_who_may_not_run_one(node: Node) -> None:
    """A reader, and an agent or body that is none; a node without agents says so."""
    path = "/v0/ai/agents/threat-analyst"
    is_problem(node.ask("POST", path, "read-only", content=ALERTS), 403, "forbidden")
    is_problem(node.ask("POST", "/v0/ai/agents/none", content=ALERTS), 404, "unknown_agent")
    is_problem(node.ask("POST", path, content=b"hello"), 400, "unknown_format")
    is_problem(node.ask("POST", path), 400, "bad_request")
    with node.variant(agents=None) as without:
        is_problem(without.get("/v0/ai/agents"), 503, "no_agents")
