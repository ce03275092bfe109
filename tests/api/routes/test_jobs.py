"""Scans that machines do: asking for them, looking at them, steering them."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from spectra.model.tiers import Policy
from tests.api.node import Node, is_problem
from tests.api.routes.errands import asked, failed, made, toiled

pytestmark = pytest.mark.engine

NOWHERE = "job-" + "0" * 20


def acts(node: Node, job: str) -> list[str]:
    """What is on record of a job, the newest first."""
    return [act["kind"] for act in node.get("/v0/audit", subject=job).json()["acts"]]


def test_a_job_is_made(node: Node) -> None:
    """Cut into targets, with who asked and who may on record."""
    job = made(node, "203.200.0.0/23", "www.example.org", priority=7, windows=["daily"], scan_id="weekly-17")
    assert (job["state"], job["what"], job["total"], job["addresses"]) == (
        "running",
        "203.200.0.0/23 www.example.org",
        3,
        513,
    )
    assert (job["preset"], job["priority"], job["scan_id"], job["windows"]) == ("services", 7, "weekly-17", ["daily"])
    assert job["account"] == job["permission"]["by"] == node.of("admin").name
    assert job["permission"]["reason"] == "ticket 4711"
    assert job["counts"] == {"waiting": 3}
    assert "no machine" in job["waits_for"]
    assert acts(node, job["job"]) == ["job.created"]
    assert node.get(f"/v0/jobs/{job['job']}").json() == job


def test_the_same_key_is_the_same_job(node: Node) -> None:
    """Of one account: who sends a request again because the connection broke has one job."""
    headers = {"idempotency-key": secrets.token_hex(16)}
    first = made(node, headers=headers)
    again = made(node, headers=headers)
    other = made(node, headers=headers, role="automation")
    assert again["job"] == first["job"]
    assert other["job"] != first["job"]
    assert other["account"] == node.of("automation").name
    is_problem(asked(node, headers={"idempotency-key": "short"}), 400, "bad_request")


@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        ({"targets": []}, "targets", "bad_request"),
        ({"targets": ["1.2.3"]}, "target", "bad_target"),
        ({"targets": ["10.0.0.1"]}, "targets", "special_use"),
        ({"consent": " "}, "consent", "no_consent"),
        ({"preset": "webb"}, "preset", "unknown_preset"),
        ({"ports": "22,x"}, "ports", "bad_ports"),
        ({"windows": ["whenever"]}, "windows", "bad_window"),
        ({"priority": 101}, "priority", "bad_request"),
        ({"constraints": {"node": "nobody"}}, "constraints.node", "bad_request"),
        ({"colour": "red"}, "body", "bad_request"),
    ],
)
def test_what_is_no_job(node: Node, fields: dict[str, Any], field: str, reason: str) -> None:
    """By the field that is wrong."""
    response = node.ask("POST", "/v0/jobs", json={"targets": ["203.0.114.1"], "consent": "x", **fields})
    body = is_problem(response, 400, reason)
    assert field in body["field"]


def test_a_plan_of_another_does_not_tell_of_weaknesses(node: Node) -> None:
    """Who may not ask which endpoints are weak may not have just those scanned either."""
    plan = node.ask("POST", "/v0/plan", json={"q": "cvss:>7", "min_age": "1s"}).json()
    body = {"plan": plan["plan_id"], "consent": "x"}
    with node.variant(tiers=Policy("earned")) as tiered:
        is_problem(tiered.ask("POST", "/v0/jobs", "automation", json=body), 402, "pro_required")
    role = f"runner-{secrets.token_hex(4)}"
    assert node.ask("PUT", f"/v0/roles/{role}", json={"scopes": ["jobs:write", "plan:read"]}).status_code == 200
    node.accounts[role] = node.account(role)
    is_problem(node.ask("POST", "/v0/jobs", role, json=body), 403, "forbidden")
    unknown = node.ask("POST", "/v0/jobs", json={"plan": "plan-" + "0" * 20, "consent": "x"})
    is_problem(unknown, 404, "not_found")
    empty = node.ask("POST", "/v0/plan", json={"q": "port:22", "net": "203.201.0.0/16"}).json()
    nothing = node.ask("POST", "/v0/jobs", json={"plan": empty["plan_id"], "consent": "x"})
    assert is_problem(nothing, 400, "nothing_to_scan")["field"] == "plan"


def test_jobs_are_listed(node: Node) -> None:
    """Newest first, in pages, of one account and state."""
    role = "automation"
    account = node.account(role)
    node.accounts[role], before = account, node.accounts.get(role)
    try:
        mine = [made(node, role=role)["job"] for _ in range(3)]
    finally:
        if before:
            node.accounts[role] = before
    node.ask("POST", f"/v0/jobs/{mine[0]}/pause")
    listed: list[str] = []
    cursor = ""
    while True:
        page = node.get("/v0/jobs", account=account.name, limit=2, cursor=cursor).json()
        listed += [job["job"] for job in page["jobs"]]
        if not (cursor := page.get("next_cursor", "")):
            break
    assert listed == mine[::-1]
    paused = node.get("/v0/jobs", account=account.name, state="paused").json()["jobs"]
    assert [job["job"] for job in paused] == mine[:1]
    for params in ({"cursor": "x"}, {"cursor": "a\x00"}, {"account": "a\x00"}, {"state": "late"}, {"limit": 1001}):
        is_problem(node.get("/v0/jobs", **params), 400, "bad_request")


def test_a_job_is_steered(node: Node) -> None:
    """Each act is answered with the job and stands on record; what has ended cannot be steered."""
    job = made(node)["job"]

    def steer(verb: str, **body: Any) -> dict[str, Any]:
        response = node.ask("POST", f"/v0/jobs/{job}/{verb}", "automation", json=body or None)
        assert response.status_code == 200, response.text
        return response.json()

    assert steer("pause")["state"] == "paused"
    assert steer("resume")["state"] == "running"
    assert steer("priority", priority=-3)["priority"] == -3
    ended = steer("cancel", reason="wrong network")
    assert (ended["state"], ended["reason"], ended["counts"]) == ("cancelled", "wrong network", {"cancelled": 1})
    is_problem(node.ask("POST", f"/v0/jobs/{job}/pause"), 409, "job_ended")
    again = node.ask("POST", f"/v0/jobs/{job}/retry", json={}).json()
    assert (again["retried"], again["job"]["state"], again["job"]["counts"]) == (1, "running", {"waiting": 1})
    assert acts(node, job) == [
        "job.retried",
        "job.cancelled",
        "job.priority",
        "job.resumed",
        "job.paused",
        "job.created",
    ]
    by = {act["detail"]["by"] for act in node.get("/v0/audit", subject=job).json()["acts"]}
    assert by == {node.of("admin").name, node.of("automation").name}


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel", "priority", "retry"])
def test_a_job_that_is_not_there(node: Node, verb: str) -> None:
    """By its name, for all that can be done to one."""
    body = {"priority": {"priority": 1}, "cancel": {"reason": ""}, "retry": {}}.get(verb)
    is_problem(node.ask("POST", f"/v0/jobs/{NOWHERE}/{verb}", json=body), 404, "unknown_job")
    is_problem(node.ask("POST", f"/v0/jobs/job-x/{verb}", json=body), 400, "bad_request")


def test_targets_and_their_attempts(node: Node) -> None:
    """In order, of one state, and each with what became of it; what failed for good is in review."""
    job, (first, second) = toiled(node, 2)
    failed(node, first)
    listed = node.get(f"/v0/jobs/{job.job}/targets").json()["targets"]
    assert [(one["target"], one["state"]) for one in listed] == [(first.target, "review"), (second.target, "leased")]
    assert "no route to host" in listed[0]["reason"]
    running = node.get(f"/v0/jobs/{job.job}/targets", state="leased").json()["targets"]
    assert [one["target"] for one in running] == [second.target]
    page = node.get(f"/v0/jobs/{job.job}/targets", limit=1).json()
    rest = node.get(f"/v0/jobs/{job.job}/targets", limit=1, cursor=page["next_cursor"]).json()
    assert [*page["targets"], *rest["targets"]] == listed
    one = node.get(f"/v0/targets/{first.target}").json()
    (attempt,) = one["history"]
    assert (attempt["node"], attempt["end"], attempt["message"]) == (first.node, "failed", "nmap: no route to host")
    assert first.target in [target["target"] for target in node.get("/v0/review", limit=1000).json()["targets"]]
    counted = node.get(f"/v0/jobs/{job.job}").json()["counts"]
    assert counted == {"leased": 1, "review": 1}
    is_problem(node.get("/v0/targets/9007199254740992"), 404, "unknown_target")
    is_problem(node.get("/v0/targets/0"), 400, "bad_request")
    is_problem(node.get(f"/v0/jobs/{NOWHERE}/targets"), 404, "unknown_job")
    is_problem(node.get("/v0/review", cursor="\x00"), 400, "bad_request")


def test_only_some_targets_are_tried_again(node: Node) -> None:
    """Those that are named, if they failed."""
    job, (first, second, third) = toiled(node, 3)
    failed(node, first)
    failed(node, second)
    body = {"targets": [second.target, third.target]}
    assert node.ask("POST", f"/v0/jobs/{job.job}/retry", json=body).json()["retried"] == 1
    states = [one["state"] for one in node.get(f"/v0/jobs/{job.job}/targets").json()["targets"]]
    assert states == ["review", "waiting", "leased"]
    is_problem(node.ask("POST", f"/v0/jobs/{job.job}/retry", json={"targets": [0]}), 400, "bad_request")


@pytest.mark.parametrize("role", ["read-only", "user", "contributor"])
def test_who_may_only_look(node: Node, role: str) -> None:
    """Everybody who reads the graph sees its jobs, and steers none: not even one of their own making."""
    job = made(node)["job"]
    assert node.get(f"/v0/jobs/{job}", role).status_code == 200
    is_problem(asked(node, role=role), 403, "forbidden")
    for verb in ("cancel", "pause", "resume", "priority", "retry"):
        is_problem(node.ask("POST", f"/v0/jobs/{job}/{verb}", role, json={}), 403, "forbidden")
    assert node.get(f"/v0/jobs/{job}").json()["state"] == "running"


def test_modules_see_no_jobs(node: Node) -> None:
    """They submit, and that is all."""
    for path in ("/v0/jobs", "/v0/review", "/v0/work", "/v0/artefacts", "/v0/schedules", "/v0/presets"):
        is_problem(node.get(path, "module"), 403, "forbidden")
        is_problem(node.ask("GET", path, ""), 401, "unauthenticated")


def test_a_node_that_hands_nothing_out(node: Node) -> None:
    """Says so to who wants work done, and still tells of what there is."""
    job = made(node)["job"]
    with node.variant(work=None) as idle:
        problem = is_problem(asked(idle), 409, "work_off")
        assert "work.enabled" in problem["hint"]
        is_problem(idle.ask("POST", f"/v0/jobs/{job}/cancel", json={}), 409, "work_off")
        assert idle.get(f"/v0/jobs/{job}").json()["job"] == job
        assert idle.get("/v0/jobs").status_code == 200


def test_a_machine_that_is_not_named_is_any(node: Node) -> None:
    """An empty name is none, and one that can be no node's is refused by its field."""
    assert made(node, constraints={"node": "", "region": ""}).get("constraints", {}) == {}
    is_problem(asked(node, constraints={"node": "-no"}), 400, "bad_request")
