"""Summaries over HTTP: by rules where no model is configured, for whom, and of what."""

from __future__ import annotations

from typing import Any

import pytest

from spectra.model.tiers import Policy
from tests.api.node import Node, is_problem
from tests.support import samples

pytestmark = pytest.mark.engine


def ask(node: Node, kind: str, target: str, role: str = "user", **more: Any) -> Any:
    """The answer to one question."""
    return node.ask("POST", "/v0/ai/summary", role, json={"kind": kind, "target": target, **more})


def test_a_summary_without_a_model(node: Node) -> None:
    """The shape is that of a model's, every sentence cites, and why no model made it is told."""
    ip = samples.address()
    node.submitted(samples.scan_of(ip, 80, product="nginx"))
    made = ask(node, "ip", f"::ffff:{ip}", question="What runs there?").json()
    assert (made["by"], made["kind"], made["target"]) == ("rules", "ip", ip)
    assert made["reason"] == "ai_no_provider"
    assert made["why"]
    assert made["summary"][0]["cites"] == [f"host:{ip}"]
    cited = {record for part in ("summary", "risks", "next_steps") for claim in made[part] for record in claim["cites"]}
    assert cited == {record["id"] for record in made["records"]}
    found = ask(node, "query", f"net:{ip}/32", rules=True).json()
    assert found["summary"][0]["says"].startswith("The query finds 1 open endpoints")
    assert found["reason"] == "ai_not_asked"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "ip", "target": "example.org"}, "ip"),
        ({"kind": "host", "target": "."}, None),
        ({"kind": "query", "target": "port:x"}, "q"),
        ({"kind": "net", "target": "10.0.0.0/8"}, "kind"),
        ({"kind": "ip", "target": ""}, "target"),
        ({"kind": "ip", "target": "1" * 1001}, "target"),
        ({"kind": "ip", "target": "192.0.2.1", "question": "x" * 1001}, "question"),
        ({"kind": "ip", "target": "192.0.2.1", "model": "x"}, None),
    ],
)
def test_what_cannot_be_asked(node: Node, body: dict[str, str], field: str | None) -> None:
    """The field that is off is named."""
    response = node.ask("POST", "/v0/ai/summary", json=body)
    assert response.status_code in (400, 404)
    assert field is None or response.json()["field"] == field


def test_what_is_not_known(node: Node) -> None:
    """An address nobody saw, a name nobody knows."""
    is_problem(ask(node, "ip", "203.0.113.251"), 404, "not_found")
    is_problem(ask(node, "host", "nowhere.example"), 404, "not_found")


def test_who_may_ask(node: Node) -> None:
    """Who may ask models and is Pro; what may be read is told, no more."""
    is_problem(ask(node, "ip", "203.0.113.251", role="read-only"), 403, "forbidden")
    is_problem(ask(node, "ip", "203.0.113.251", role=""), 401, "unauthenticated")
    with node.variant(tiers=Policy(mode="earned", threshold=10)) as strict:
        is_problem(ask(strict, "ip", "203.0.113.251", role="user"), 402, "pro_required")
    with node.variant(explainer=None) as without:
        is_problem(ask(without, "ip", "203.0.113.251"), 503, "ai_no_provider")
