"""Insights over HTTP: asked for, looked at, resolved."""

from __future__ import annotations

import json

import pytest

from spectra.model.tiers import Policy
from tests.ai.agents.test_threat_analyst import alert
from tests.api.node import Node, is_problem

pytestmark = pytest.mark.engine

SUBJECT = "host:10.0.98.42"


@pytest.fixture(scope="module")
def told(node: Node) -> str:
    """The id of an insight about a host of ours that attacks."""
    alerts = json.dumps([alert("10.0.98.42")]).encode()
    done = node.ask("POST", "/v0/ai/agents/threat-analyst", content=alerts)
    return done.json()["insights"][0]["insight"]["id"]


def test_insights_are_asked_for(node: Node, told: str) -> None:
    """By subject, agent, severity and time; what is asked wrongly is named."""
    found = node.get("/v0/insights", subject=SUBJECT, agent="threat-analyst", severity="high").json()["insights"]
    assert [one["insight"]["id"] for one in found] == [told]
    assert node.get("/v0/insights", subject=SUBJECT, severity="critical").json()["insights"] == []
    assert node.get("/v0/insights", subject=SUBJECT, since="2999-01-01").json()["insights"] == []
    is_problem(node.get("/v0/insights", agent="nobody"), 400, "bad_request")
    is_problem(node.get("/v0/insights", cursor="x"), 400, "bad_request")
    assert node.get("/v0/insights", severity="grave").status_code == 400


def test_an_insight_is_resolved(node: Node, told: str) -> None:
    """By whoever may steer; it is in no list of open ones then."""
    path = f"/v0/insights/{told[:12]}"
    assert node.get(path).json()["insight"]["id"] == told
    body = {"resolution": "accepted", "comment": "a test of ours"}
    is_problem(node.ask("POST", f"{path}/resolve", "read-only", json=body), 403, "forbidden")
    done = node.ask("POST", f"{path}/resolve", json=body).json()
    assert (done["state"], done["resolution"], done["comment"]) == ("resolved", "accepted", "a test of ours")
    assert node.get("/v0/insights", subject=SUBJECT).json()["insights"] == []
    assert len(node.get("/v0/insights", subject=SUBJECT, state="all").json()["insights"]) == 1
    is_problem(node.ask("POST", f"{path}/resolve", json={"resolution": "ignored"}), 400, "bad_request")
    is_problem(node.get("/v0/insights/ffffffffffff"), 404, "unknown_insight")


def test_free_accounts_and_strangers(node: Node, told: str) -> None:
    """Insights tell of weaknesses: they belong to Pro."""
    with node.variant(tiers=Policy(mode="earned", threshold=10)) as strict:
        is_problem(strict.get("/v0/insights", "user"), 402, "pro_required")
        is_problem(strict.get(f"/v0/insights/{told}", "user"), 402, "pro_required")
    is_problem(node.get("/v0/insights", ""), 401, "unauthenticated")
