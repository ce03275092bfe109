"""Language models over HTTP: how it stands with them, and what they took."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from tests.api.models import asking
from tests.api.node import Account, Node, is_problem
from tests.support.llms import FaultyModel

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def asked(node: Node) -> Iterator[Node]:
    """A node whose local model was asked twice by one account and once by another."""
    with FaultyModel() as model, asking(node, local=model.url, mistral=model.url, concurrent=1) as shared:
        other = replace(shared, accounts={})  # that nobody else asks by
        for role in ("automation", "automation", "user"):
            body = {"messages": [{"role": "user", "content": "hello"}]}
            assert other.ask("POST", "/v1/chat/completions", role, json=body).status_code == 200
        yield other


def test_providers_are_told_with_their_state(asked: Node) -> None:
    """In their order: what may go there, and what they took today."""
    page = asked.get("/v0/ai/providers", "read-only").json()
    assert [(one["name"], one["state"], one["takes"]) for one in page["providers"]] == [
        ("local", "ready", "LOCAL_ONLY"),
        ("mistral", "ready", "SANITIZED"),
    ]
    assert page["providers"][0]["tokens_today"] > 0
    assert page["free_text"] == "local"


def test_everybody_sees_what_they_asked_themselves(asked: Node) -> None:
    """Of others only who may read accounts: one, or all."""
    (row,) = asked.get("/v0/ai/usage", "automation", by="provider").json()["usage"]
    assert (row["group"], row["requests"], row["answered"], row["away"]) == ("local", 2, 2, 0)
    other = asked.of("user").name
    is_problem(asked.get("/v0/ai/usage", "automation", account=other), 403, "forbidden")
    is_problem(asked.get("/v0/ai/usage", "automation", account="*"), 403, "forbidden")
    assert asked.get("/v0/ai/usage", "admin", account=other).json()["usage"][0]["requests"] == 1
    names = {row["group"] for row in asked.get("/v0/ai/usage", "admin", account="*", by="account").json()["usage"]}
    assert {other, asked.of("automation").name} <= names
    assert asked.get("/v0/ai/usage", "read-only").json()["usage"] == []


def test_usage_is_of_a_stretch_of_time(asked: Node) -> None:
    """Seven days up to now by itself; what is no time, or ends before it begins, is refused by name."""
    page = asked.get("/v0/ai/usage", "automation", since="2020-01-01", until="2020-02-01").json()
    assert (page["since"], page["until"], page["usage"]) == ("2020-01-01T00:00:00Z", "2020-02-01T00:00:00Z", [])
    refused = asked.get("/v0/ai/usage", "automation", since="2030-01-01", until="2020-02-01")
    assert is_problem(refused, 400, "bad_request")["field"] == "since"
    is_problem(asked.get("/v0/ai/usage", "automation", since="soon"), 400, "bad_request")
    is_problem(asked.get("/v0/ai/usage", "automation", by="colour"), 400, "bad_request")


def test_an_account_is_told_when_its_tokens_of_the_day_are_used_up(node: Node) -> None:
    """In the words of the budget, and the model is not asked; another account still may."""
    body = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 40}
    alice, bob = node.account(), node.account()

    def ask(other: Node, account: Account) -> httpx.Response:
        headers = {"authorization": f"Bearer {account.token}"}
        return other.ask("POST", "/v1/chat/completions", "", json=body, headers=headers)

    with FaultyModel() as model, asking(node, local=model.url, tokens_per_account_day=60) as other:
        assert ask(other, alice).status_code == 200
        answer = [ask(other, alice) for _ in range(3)][-1]
        assert (answer.status_code, answer.json()["reason"]) == (429, "ai_budget")
        asked = len(model.requests)
        assert ask(other, alice).status_code == 429
        assert len(model.requests) == asked
        assert ask(other, bob).status_code == 200
        assert other.metric('spectra_ai_requests_total{outcome="answered",provider="local"}') == asked + 1
        rows = other.get("/v0/ai/usage", "admin", account=alice.name, by="outcome").json()["usage"]
        assert [row["group"] for row in rows] == ["answered", "ai_budget"]


def test_what_left_is_told_to_who_sent_it(node: Node) -> None:
    """Page by page; of others only to who may read accounts."""
    body = {"messages": [{"role": "user", "content": "is 203.0.113.9 open?"}]}
    with FaultyModel() as model, asking(node, mistral=model.url, free_text="detected") as other:
        for _ in range(2):
            assert other.ask("POST", "/v1/chat/completions", "user", json=body).status_code == 200
        page = other.get("/v0/ai/egress", "user", limit=1).json()
        (newest,) = page["left"]
        assert (newest["account"], newest["class"], newest["bytes"]) == (
            other.of("user").name,
            "SANITIZED",
            len(model.requests[-1].body),
        )
        (older,) = other.get("/v0/ai/egress", "user", limit=1, cursor=page["next_cursor"]).json()["left"]
        assert older["seq"] < newest["seq"]
        assert other.get("/v0/ai/egress", "read-only").json() == {"left": []}
        is_problem(other.get("/v0/ai/egress", "read-only", account="*"), 403, "forbidden")
        assert newest in other.get("/v0/ai/egress", "admin", account="*").json()["left"]
        is_problem(other.get("/v0/ai/egress", cursor="x"), 400, "bad_request")


def test_a_node_without_models_says_so(node: Node) -> None:
    """With the reason that a gateway gives which may ask nobody."""
    with node.variant(ai=None) as other:
        is_problem(other.get("/v0/ai/providers"), 503, "ai_no_provider")


def test_the_nodes_own_gateway_has_no_provider_by_itself(node: Node) -> None:
    """Nothing is asked where nobody configured anything."""
    states = {one["state"] for one in node.get("/v0/ai/providers").json()["providers"]}
    assert states == {"off"}
    body = {"messages": [{"role": "user", "content": "hello"}]}
    answer = node.ask("POST", "/v1/chat/completions", json=body)
    assert (answer.status_code, answer.json()["reason"]) == (503, "ai_no_provider")
