"""Schedules: made, changed, paused, run and removed."""

from __future__ import annotations

import secrets
from typing import Any

import httpx
import pytest

from spectra.model.tiers import Policy
from tests.api.node import Node, is_problem

pytestmark = pytest.mark.engine

BODY: dict[str, Any] = {"query": "port:22 net:203.202.0.0/16", "every_s": 86400, "consent": "contract 17"}


def fresh() -> str:
    """A name that no other test has."""
    return f"lab-{secrets.token_hex(4)}"


def put(node: Node, name: str, role: str = "admin", **fields: Any) -> httpx.Response:
    """Make a schedule."""
    return node.ask("PUT", f"/v0/schedules/{name}", role, json={**BODY, **fields})


def test_the_life_of_a_schedule(node: Node) -> None:
    """Made, changed, listed, paused, resumed, run at once and removed; every act on record."""
    name = fresh()
    made = put(node, name, min_age_s=3600, windows=["daily"]).json()
    assert (made["name"], made["query"], made["every_s"], made["min_age_s"]) == (name, BODY["query"], 86400.0, 3600)
    assert (made["account"], made["consent"]) == (node.of("admin").name, "contract 17")
    assert made["next_run"]
    changed = put(node, name, "automation", every_s=3600).json()
    assert (changed["every_s"], changed["account"]) == (3600.0, node.of("automation").name)
    assert changed["created"] == made["created"]
    assert name in [one["name"] for one in node.get("/v0/schedules", "user").json()["schedules"]]
    assert node.ask("POST", f"/v0/schedules/{name}/pause").json()["paused"] is True
    assert not node.ask("POST", f"/v0/schedules/{name}/resume").json().get("paused")
    run = node.ask("POST", f"/v0/schedules/{name}/run").json()
    assert run["next_run"] <= node.services.clock().isoformat()
    assert node.get(f"/v0/schedules/{name}").json()["name"] == name
    assert node.ask("DELETE", f"/v0/schedules/{name}").json()["name"] == name
    is_problem(node.get(f"/v0/schedules/{name}"), 404, "unknown_schedule")
    kinds = [act["kind"] for act in node.get("/v0/audit", subject=f"schedule/{name}").json()["acts"]]
    assert kinds == ["schedule.removed", "schedule.run", *["schedule.put"] * 4]


@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        ({"query": "colour:red"}, "q", "query"),
        ({"every_s": 59}, "every_s", "bad_request"),
        ({"consent": ""}, "consent", "bad_request"),
        ({"preset": "webb"}, "preset", "unknown_preset"),
        ({"windows": ["whenever"]}, "windows", "bad_window"),
        ({"account": "root"}, "body", "bad_request"),
    ],
)
def test_what_is_no_schedule(node: Node, fields: dict[str, Any], field: str, reason: str) -> None:
    """By the field that is wrong; whose it is is not for the caller to say."""
    assert is_problem(put(node, fresh(), **fields), 400, reason)["field"] == field


def test_a_schedule_that_is_not_there(node: Node) -> None:
    """By its name, for all that can be done to one."""
    for method, verb in (("GET", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume"), ("POST", "/run")):
        is_problem(node.ask(method, f"/v0/schedules/none{verb}"), 404, "unknown_schedule")
        is_problem(node.ask(method, f"/v0/schedules/N{verb}"), 400, "bad_request")


def test_who_may(node: Node) -> None:
    """Look: who reads the graph. Make one: who may have machines scan, and may ask what it asks."""
    name = fresh()
    is_problem(put(node, name, "contributor"), 403, "forbidden")
    put(node, name)
    for verb in ("pause", "resume", "run"):
        is_problem(node.ask("POST", f"/v0/schedules/{name}/{verb}", "contributor"), 403, "forbidden")
    is_problem(node.ask("DELETE", f"/v0/schedules/{name}", "contributor"), 403, "forbidden")
    with node.variant(tiers=Policy("earned")) as tiered:
        is_problem(put(tiered, name, "automation", query="cvss:>7"), 402, "pro_required")
    with node.variant(work=None) as idle:
        is_problem(put(idle, name), 409, "work_off")
        assert idle.get(f"/v0/schedules/{name}").status_code == 200
    node.ask("DELETE", f"/v0/schedules/{name}")
