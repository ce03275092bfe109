"""Alerts over HTTP: rules made, what they find on a node, what people do about it, and the past."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.node import Node, is_problem
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine

IP = "10.0.88.7"


def scan(*ports: int) -> bytes:
    """An nmap scan of our host."""
    open_ports = "".join(
        f'<port protocol="tcp" portid="{port}"><state state="open"/><service name="http" product="nginx"/></port>'
        for port in ports
    )
    return (
        '<?xml version="1.0"?><nmaprun scanner="nmap" start="1780000000" version="7.94">'
        f'<host starttime="1780000000" endtime="1780000001"><status state="up"/><address addr="{IP}" addrtype="ipv4"/>'
        f"<ports>{open_ports}</ports></host></nmaprun>"
    ).encode()


@pytest.fixture(scope="module")
def rule(node: Node) -> Iterator[str]:
    """A rule about our host."""
    name = f"ours-{secrets.token_hex(4)}"
    body = {"name": name, "on": ["port.opened", "host.new"], "query": f"ip:{IP}", "severity": "high"}
    assert node.ask("POST", "/v0/alerts/rules", json=body).status_code == 201
    yield name
    assert node.ask("DELETE", f"/v0/alerts/rules/{name}").status_code == 200


def alerts_of(node: Node, rule: str, **params: Any) -> list[dict[str, Any]]:
    """The alerts of a rule."""
    return node.get("/v0/alerts", rule=rule, **params).json()["alerts"]


def test_a_scan_makes_an_alert_that_is_looked_after(node: Node, rule: str) -> None:
    """Soon after it was submitted; acknowledged, it stays, and what comes to it is counted."""
    node.submitted(scan(80))
    found = eventually(lambda: alerts_of(node, rule))
    assert [(one["key"], one["state"], one["severity"]) for one in found] == [(IP, "firing", "high")]
    path = f"/v0/alerts/{found[0]['id']}"
    assert sorted(one["kind"] for one in node.get(path).json()["subjects"]) == ["host.new", "port.opened"]
    is_problem(node.ask("POST", f"{path}/ack", "read-only"), 403, "forbidden")
    body = {"ids": [found[0]["id"]], "comment": "ours"}
    assert node.ask("POST", "/v0/alerts/ack", json=body).json()["alerts"][0]["comment"] == "ours"
    node.submitted(scan(80, 81))
    eventually(lambda: alerts_of(node, rule, state="acknowledged", ip=IP)[0]["count"] == 3)
    assert node.ask("POST", f"{path}/ack").json()["state"] == "acknowledged"
    is_problem(node.ask("POST", "/v0/alerts/ack", json={"ids": ["nothing"]}), 404, "unknown_alert")


def test_what_an_alert_tells_of_is_left_out(node: Node, rule: str) -> None:
    """From then on; and no longer once that is taken back."""
    ident = eventually(lambda: alerts_of(node, rule))[0]["id"]
    body = {"until": "2999-01-01T00:00:00Z", "reason": "known"}
    made = node.ask("POST", f"/v0/alerts/{ident}/mute", json=body).json()["mutes"]
    assert {one["ip"] for one in made} == {IP}
    assert node.get(f"/v0/alerts/{ident}").json()["why"] == "it is left out"
    listed = {one["id"] for one in node.get("/v0/alerts/mutes").json()["mutes"]}
    for one in made:
        assert one["id"] in listed
        assert node.ask("DELETE", f"/v0/alerts/mutes/{one['id']}").status_code == 200
    is_problem(node.ask("DELETE", f"/v0/alerts/mutes/{made[0]['id']}"), 404, "unknown_mute")


def test_mutes_say_what_they_are_about(node: Node) -> None:
    """Addresses and CVEs in one spelling; a port with its protocol and host; something at all."""
    made = node.ask("POST", "/v0/alerts/mutes", json={"ip": "2001:DB8::0:1", "cve": "cve-2024-6387"}).json()
    assert (made["ip"], made["cve"]) == ("2001:db8::1", "CVE-2024-6387")
    assert node.ask("DELETE", f"/v0/alerts/mutes/{made['id']}").status_code == 200
    for body in (
        {"reason": "x"},
        {"ip": IP, "port": 80},
        {"ip": "x"},
        {"cve": "1"},
        {"cve": "CVE-\u0662\u0660\u0662\u0664-6387"},
        {"ip": IP, "until": "2001-01-01T00:00:00Z"},
    ):
        is_problem(node.ask("POST", "/v0/alerts/mutes", json=body), 400, "bad_request")


def test_rules_are_checked_before_they_are_kept(node: Node, rule: str) -> None:
    """Names, queries, zones and outlets that there are; and who may read what they watch for."""
    path, body = f"/v0/alerts/rules/{rule}", node.get(f"/v0/alerts/rules/{rule}").json()["rule"]
    is_problem(node.ask("POST", "/v0/alerts/rules", json=body), 409, "rule_exists")
    is_problem(node.ask("PUT", path, json=body | {"name": "other"}), 400, "bad_request")
    is_problem(node.ask("PUT", path, json=body | {"query": "nosuchfield:1"}), 400, "query")
    quiet = {"start": "22:00", "end": "07:00", "zone": "Moon"}
    is_problem(node.ask("PUT", path, json=body | {"quiet": quiet}), 400, "bad_request")
    is_problem(node.ask("PUT", path, json=body | {"outlets": ["nowhere"]}), 400, "bad_request")
    is_problem(node.ask("PUT", path, json=body | {"on": ["port.melted"]}), 400, "bad_request")
    is_problem(node.ask("PUT", path, "user", json=body | {"on": ["signin.strange"]}), 403, "forbidden")
    is_problem(node.ask("PUT", path, "read-only", json=body), 403, "forbidden")
    assert node.ask("PUT", path, "user", json=body | {"note": "changed"}).json()["rule"]["note"] == "changed"
    assert rule in {one["rule"]["name"] for one in node.get("/v0/alerts/rules", "read-only").json()["rules"]}
    is_problem(node.get("/v0/alerts/rules/nothing"), 404, "unknown_rule")
    is_problem(node.ask("DELETE", "/v0/alerts/rules/nothing"), 404, "unknown_rule")


def test_a_rule_is_tried_on_the_past(node: Node) -> None:
    """Without being kept."""
    tried = {"name": "try", "on": ["host.new", "job.ended"], "query": f"ip:{IP}"}
    told = node.ask("POST", "/v0/alerts/rules/test", "read-only", json={"rule": tried, "days": 90}).json()
    assert (told["complete"], told["things"] >= 0, "from" in told) == (True, True, True)
    is_problem(node.get("/v0/alerts/rules/try"), 404, "unknown_rule")
    forbidden = {"rule": tried | {"on": ["worker.lost"]}}
    is_problem(node.ask("POST", "/v0/alerts/rules/test", "read-only", json=forbidden), 403, "forbidden")


def test_forged_submissions_are_told_to_who_may_know(node: Node) -> None:
    """By the rule that is there from the first start on; whoever may not see machines is not told."""
    name = "submission-refused"
    sealed = node.of("contributor").seal(scan(99))
    is_problem(node.submit(sealed.replace(b'"sig":"', b'"sig":"AAAA')), 401, "bad_signature")
    found = eventually(lambda: [one for one in alerts_of(node, name) if "bad signature" in one["title"]])
    assert alerts_of(node, name, severity="critical") == []
    assert node.get("/v0/alerts", "read-only", rule=name).json()["alerts"] == []
    is_problem(node.get(f"/v0/alerts/{found[0]['id']}", "read-only"), 404, "unknown_alert")
    is_problem(node.get("/v0/alerts", ""), 401, "unauthenticated")


def test_the_chain_holds(node: Node, rule: str) -> None:
    """Rules and what is left out are held against it."""
    assert '"ok":true' in node.ask("POST", "/v0/provenance/verify").text
