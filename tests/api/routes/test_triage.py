"""Decisions over the API: about one finding and many, listed, and taken back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from spectra.flow import audit
from spectra.model.tiers import Policy
from tests.api.node import Node, is_problem
from tests.api.routes.weaknesses import Flawed, flawed

pytestmark = pytest.mark.engine


@pytest.fixture
def weak(node: Node) -> Flawed:
    """A host with a product of its own at two ports that has two weaknesses."""
    return flawed(node)


def put(node: Node, ident: str, role: str = "admin", **body: Any) -> httpx.Response:
    """Decide about a finding."""
    return node.ask("PUT", f"/v0/findings/{ident}/triage", role, json=body)


def open_ids(node: Node, ip: str, **params: Any) -> set[str]:
    """The findings of a host that the list shows."""
    response = node.get("/v0/findings", ip=ip, **params)
    assert response.status_code == 200, response.text
    return {one["id"] for one in response.json()["findings"]}


def test_a_finding_is_settled_and_back(node: Node, weak: Flawed) -> None:
    """It leaves the list, carries the decision where it is shown, and is back when that is taken back."""
    ident = weak.ids[0]
    response = put(node, ident, status="accepted", note=" behind the VPN ", until="2099-03-01")
    assert response.status_code == 200, response.text
    (made,) = response.json()["decisions"]
    assert (made["scope"], made["note"], made["until"]) == ("endpoint", "behind the VPN", "2099-03-01T00:00:00Z")
    assert made["by"] == node.of("admin").name
    assert open_ids(node, weak.ip) == set(weak.ids[1:])
    assert open_ids(node, weak.ip, triaged="only") == {ident}
    shown = node.get(f"/v0/findings/{ident}").json()["triage"]
    assert shown == {name: value for name, value in made.items() if name != "scope"}
    back = node.ask("DELETE", f"/v0/findings/{ident}/triage")
    assert back.status_code == 200, back.text
    assert back.json()["removed_by"] == node.of("admin").name
    assert open_ids(node, weak.ip) == set(weak.ids)
    is_problem(node.ask("DELETE", f"/v0/findings/{ident}/triage"), 404, "not_found")


def test_scopes(node: Node, weak: Flawed) -> None:
    """For the host it holds at every port, for everywhere with a name of software for that alone."""
    assert put(node, weak.ids[0], status="fixed", scope="host").status_code == 200
    assert open_ids(node, weak.ip) == {one for one in weak.ids if weak.cves[1] in one}
    miss = is_problem(node.ask("DELETE", f"/v0/findings/{weak.ids[0]}/triage"), 404, "not_found")
    assert f"{weak.cves[0]} at {weak.ip}, fixed" in miss["hint"]
    put(node, weak.ids[1], status="not_affected", scope="everywhere", cpe="cpe:2.3:a:other")
    assert len(open_ids(node, weak.ip)) == 2
    put(node, weak.ids[1], status="not_affected", scope="everywhere", cpe=weak.cpe, justification="code_not_reachable")
    assert open_ids(node, weak.ip) == set()
    gone = node.ask("DELETE", f"/v0/findings/{weak.ids[1]}/triage", params={"scope": "everywhere", "cpe": weak.cpe})
    assert gone.json()["cpe"] == weak.cpe
    assert len(open_ids(node, weak.ip)) == 2


def test_a_later_decision_replaces(node: Node, weak: Flawed) -> None:
    """That for the very same; the list shows the one that stands, and on request the others."""
    ident = weak.ids[0]
    put(node, ident, status="investigating")
    put(node, ident, status="affected")
    again = put(node, ident, status="affected").json()
    assert (len(again["decisions"]), again["unchanged"], "replaced" in again) == (1, 1, False)
    final = put(node, ident, status="false_positive").json()
    assert [one["status"] for one in final["replaced"]] == ["affected"]
    listed = [one["status"] for one in node.get("/v0/triage", net=weak.ip).json()["decisions"]]
    assert listed == ["false_positive"]
    removed = node.get("/v0/triage", net=weak.ip, state="removed").json()["decisions"]
    assert [one["status"] for one in removed] == ["affected", "investigating"]


def test_many(node: Node, weak: Flawed) -> None:
    """By ids or by a question about a CVE; all or none."""
    bad = node.ask(
        "POST", "/v0/triage", json={"status": "fixed", "findings": [weak.ids[0], f"{weak.ip}~9~tcp~{weak.cves[0]}"]}
    )
    is_problem(bad, 404, "not_found")
    assert open_ids(node, weak.ip) == set(weak.ids)
    body = {"status": "accepted", "q": f"net:{weak.ip}", "cve": weak.cves[0], "until": "30d"}
    made = node.ask("POST", "/v0/triage", json=body).json()["decisions"]
    assert {one["port"] for one in made} == {80, 81}
    assert open_ids(node, weak.ip) == {one for one in weak.ids if weak.cves[1] in one}
    rest = sorted(open_ids(node, weak.ip))
    node.ask("POST", "/v0/triage", json={"status": "fixed", "findings": rest})
    assert open_ids(node, weak.ip) == set()
    ident = node.get("/v0/triage", net=weak.ip, status="fixed", limit=1).json()["decisions"][0]["id"]
    assert node.ask("DELETE", f"/v0/triage/{ident}").json()["id"] == ident
    assert "any more" in is_problem(node.ask("DELETE", f"/v0/triage/{ident}"), 404, "not_found")["detail"]
    is_problem(node.ask("DELETE", "/v0/triage/00000000-0000-4000-8000-000000000000"), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "status"),
        ({"status": "ignored"}, "status"),
        ({"status": "accepted", "until": "2001-01-01"}, "until"),
        ({"status": "accepted", "justification": "code_not_reachable"}, "justification"),
        ({"status": "accepted", "cpe": "openssh"}, "cpe"),
        ({"status": "accepted", "scope": "country"}, "scope"),
        ({"status": "accepted", "note": "two\nlines"}, "note"),
        ({"status": "accepted", "why": "x"}, "why"),
    ],
)
def test_slips_are_named(node: Node, weak: Flawed, body: dict[str, Any], field: str) -> None:
    """400 with the field that is wrong; nothing is decided."""
    found = is_problem(put(node, weak.ids[0], **body), 400, "bad_request")
    assert field in (found.get("field"), *found["detail"].split("`"))
    assert open_ids(node, weak.ip) == set(weak.ids)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "findings"),
        ({"findings": ["x"], "cve": "CVE-2024-0001"}, "findings"),
        ({"findings": ["x"]}, "id"),
        ({"findings": ["x"] * 1001}, "findings"),
        ({"q": "port:80"}, "cve"),
        ({"cve": "CVE-2024-0001", "scope": "everywhere"}, "scope"),
    ],
)
def test_slips_of_many_are_named(node: Node, body: dict[str, Any], field: str) -> None:
    """As those of one."""
    found = is_problem(node.ask("POST", "/v0/triage", json={"status": "fixed"} | body), 400, "bad_request")
    assert found["field"] == field


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"cve": "x"}, "cve"), ({"status": "x"}, "status"), ({"scope": "x"}, "scope"), ({"net": "x"}, "net"),
        ({"cursor": "x"}, "cursor"), ({"state": "x"}, "state"), ({"limit": 0}, "limit"),
    ],
)  # fmt: skip
def test_slips_of_the_list(node: Node, params: dict[str, Any], field: str) -> None:
    """400 with the parameter that is wrong."""
    assert is_problem(node.get("/v0/triage", **params), 400, "bad_request")["field"] == field


def test_decisions_survive(node: Node, weak: Flawed) -> None:
    """What is taken back by a source and told again is as it was decided; so is what is scanned again."""
    ident = weak.ids[0]
    put(node, ident, status="accepted")
    weak.withdraw(0)
    assert node.get(f"/v0/findings/{ident}").json()["state"] == "closed"
    weak.tell(0)
    weak.scan()
    shown = node.get(f"/v0/findings/{ident}").json()
    assert (shown["state"] != "closed", shown["triage"]["status"]) == (True, "accepted")
    assert ident not in open_ids(node, weak.ip)


def test_the_chain_knows(node: Node, weak: Flawed) -> None:
    """Each decision is an act in the audit trail; one that somebody edits by SQL is found."""
    put(node, weak.ids[0], status="accepted", note="chain")
    acts = node.get("/v0/audit", kind="finding.triaged", limit=1).json()["acts"]
    assert (acts[0]["detail"]["note"], acts[0]["detail"]["by"]) == ("chain", node.of("admin").name)
    services = node.services
    assert audit.verify(services.database, services.blobs).ok
    with services.database.connection() as connection:
        connection.execute("UPDATE triage SET note = 'forged' WHERE note = 'chain'")
    try:
        report = audit.verify(services.database, services.blobs)
        assert (report.ok, report.broken_seq) == (False, acts[0]["seq"])
    finally:
        with services.database.connection() as connection:
            connection.execute("UPDATE triage SET note = 'chain' WHERE note = 'forged'")


def test_who_may(node: Node, weak: Flawed) -> None:
    """Who may write findings decides, who may read them reads; both belong to Pro."""
    is_problem(put(node, weak.ids[0], "read-only", status="accepted"), 403, "forbidden")
    assert put(node, weak.ids[0], "user", status="accepted").status_code == 200
    assert node.get("/v0/triage", "read-only").status_code == 200
    is_problem(node.get("/v0/triage", "module"), 403, "forbidden")
    is_problem(node.ask("POST", "/v0/triage", "read-only", json={}), 403, "forbidden")
    with node.variant(tiers=Policy("earned")) as other:
        is_problem(other.get("/v0/triage", "read-only"), 402, "pro_required")
        is_problem(put(other, weak.ids[0], "user", status="accepted"), 402, "pro_required")


def test_a_decision_ends(node: Node, weak: Flawed) -> None:
    """At its time the finding is open again, with nobody doing anything."""
    put(node, weak.ids[0], status="accepted", until="1h")
    assert weak.ids[0] not in open_ids(node, weak.ip)
    with node.variant(clock=lambda: datetime.now(UTC).replace(year=datetime.now(UTC).year + 1)) as later:
        assert weak.ids[0] in open_ids(later, weak.ip)
        ended = later.get("/v0/triage", net=weak.ip, state="ended").json()["decisions"]
        assert [one["status"] for one in ended] == ["accepted"]
