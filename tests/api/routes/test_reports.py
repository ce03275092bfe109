"""Reports over HTTP: asked for, read in every form, reviewed, finished by hand; and patterns."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

import pytest

from spectra.ai.patterns import loading
from spectra.ai.reports.reporter import Outcome
from spectra.model.summaries import Target
from spectra.model.tiers import Policy
from spectra.store import reports
from spectra.store.accounts import Act
from tests.api.node import Node, is_problem
from tests.api.routes.weaknesses import Flawed, flawed
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def host(node: Node) -> Flawed:
    """A host with weaknesses."""
    return flawed(node)


def asked(node: Node, role: str = "user", **body: Any) -> dict[str, Any]:
    """A report, when it has ended."""
    response = node.ask("POST", "/v0/reports", role, json=body)
    assert response.status_code == 202, response.text
    path = f"/v0/reports/{response.json()['id']}"
    eventually(lambda: node.get(path).json()["state"] not in ("waiting", "running"))
    return node.get(path).json()


@pytest.fixture(scope="module")
def made(node: Node, host: Flawed) -> dict[str, Any]:
    """A report on that host. No model is configured here."""
    return asked(node, "admin", target=host.ip, pattern="full")


def test_a_report_is_made(node: Node, host: Flawed, made: dict[str, Any]) -> None:
    """By rules where there is no model; linked to the host and the scan; the next one is another version."""
    assert (made["state"], made["by"], made["version"], made["ips"]) == ("done", "rules", 1, [host.ip])
    assert len(made["observations"]) == 1
    assert made["why"]
    again = asked(node, "admin", target=f" {host.ip} ", pattern="full", rules=True)
    assert again["version"] == 2
    page = node.get("/v0/reports", ip=host.ip).json()
    assert [one["id"] for one in page["reports"]][:2] == [again["id"], made["id"]]
    assert node.get("/v0/reports", target=host.ip, limit=1).json()["next_cursor"]
    assert node.get("/v0/reports", pattern="web", ip=host.ip).json()["reports"] == []
    workflow = node.get(f"/v0/workflows/{made['id']}").json()
    assert (workflow["name"], workflow["status"]) == ("wf.ai_engine", "done")


@pytest.mark.parametrize(
    ("form", "media", "start"),
    [
        ("json", "application/json", b'{"format":"spectra-report/1"'),
        ("md", "text/markdown; charset=utf-8", b"# Full assessment"),
        ("html", "text/html; charset=utf-8", b"<!doctype html>"),
        ("pdf", "application/pdf", b"%PDF-"),
    ],
)
def test_every_form(node: Node, made: dict[str, Any], form: str, media: str, start: bytes) -> None:
    """With the checksum of the document, and nothing in it that a browser would run."""
    answer = node.get(f"/v0/reports/{made['id']}/content", format=form)
    assert (answer.status_code, answer.headers["content-type"]) == (200, media)
    assert answer.content.startswith(start)
    assert answer.headers["etag"] == f'"{made["sha256"]}"'
    assert "sandbox" in answer.headers["content-security-policy"]
    if form == "json":
        assert hashlib.sha256(answer.content).hexdigest() == made["sha256"]
        assert answer.json()["tables"]["findings"]


def test_who_may(node: Node, host: Flawed, made: dict[str, Any]) -> None:
    """Pro accounts that hold `ai:ask`; who may only read is let read; finishing is for who steers."""
    with node.variant(tiers=Policy("earned")) as tiered:
        is_problem(tiered.ask("POST", "/v0/reports", "user", json={"target": host.ip}), 402, "pro_required")
        is_problem(tiered.get(f"/v0/reports/{made['id']}/content", "user"), 402, "pro_required")
    is_problem(node.ask("POST", "/v0/reports", "read-only", json={"target": host.ip}), 403, "forbidden")
    is_problem(node.ask("POST", f"/v0/reports/{made['id']}/finish", "user", json={"sections": {}}), 403, "forbidden")
    is_problem(node.ask("GET", "/v0/reports", ""), 401, "unauthenticated")


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"target": "203.0.113.254"}, 404, ""),
        ({"target": "port:banana"}, 400, "q"),
        ({"target": "x", "kind": "ip"}, 400, "target"),
        ({"target": ""}, 400, "target"),
        ({"target": "1.2.3.4", "pattern": "../x"}, 400, "pattern"),
        ({"target": "1.2.3.4", "format": "pdf"}, 400, "body"),
    ],
)
def test_what_is_no_request(node: Node, body: dict[str, Any], status: int, field: str) -> None:
    """Each is told by its field, before anything is begun."""
    response = node.ask("POST", "/v0/reports", json=body)
    assert response.status_code == status, response.text
    assert response.json().get("field", "") == field


def test_a_key_is_one_report(node: Node, host: Flawed) -> None:
    """Sent how often ever; another account's is another."""
    headers, body = {"idempotency-key": secrets.token_hex(16)}, {"target": host.ip, "pattern": "full", "rules": True}
    first, again, other = (
        node.ask("POST", "/v0/reports", role, json=body, headers=headers) for role in ("user", "user", "admin")
    )
    assert {one.status_code for one in (first, again, other)} == {202}
    assert first.json()["id"] == again.json()["id"] != other.json()["id"]
    is_problem(node.ask("POST", "/v0/reports", json=body, headers={"idempotency-key": "short"}), 400, "bad_request")


def test_an_unknown_pattern_is_told_with_those_there_are(node: Node, host: Flawed) -> None:
    """By its field."""
    response = node.ask("POST", "/v0/reports", json={"target": host.ip, "pattern": "odd"})
    assert (response.status_code, response.json()["field"]) == (400, "pattern")
    assert "executive" in response.json()["hint"]


def test_what_no_model_could_write_is_finished_by_hand(node: Node, host: Flawed) -> None:
    """It waits in the queue with all that is needed; what a person makes of it is a version of its own, once."""
    assert node.services.reports is not None
    job = node.services.reports
    act = Act("admin", node.services.clock())
    report = reports.ask(node.services.database, Target("ip", host.ip), "web", "", act).id
    reporter = job.reporter
    found = reporter.gather(report)
    reporter.write(report, found, [Outcome(kind="wrong", reasons=("`summary` is missing.",))])
    assert report in {one["id"] for one in node.get("/v0/reports/review").json()["reports"]}
    review = node.get(f"/v0/reports/{report}/review").json()
    assert {"summary", "surface"} <= set(review["schema"]["properties"])
    ref = review["facts"][0]["ref"]
    path = f"/v0/reports/{report}/finish"
    wrong = node.ask("POST", path, json={"sections": {"summary": [{"text": "a", "cites": ["host:10.9.9.9"]}]}})
    assert wrong.json()["field"] == "sections.summary[0].cites"
    done = node.ask("POST", path, json={"sections": {"summary": [{"text": "Seen.", "cites": [ref]}]}})
    assert (done.status_code, done.json()["by"], done.json()["follows"]) == (200, "person", report)
    is_problem(node.ask("POST", path, json={"sections": {}}), 409, "report_settled")
    assert node.get(f"/v0/reports/{report}").json()["followed_by"] == done.json()["id"]


def test_patterns_are_listed_and_checked(node: Node) -> None:
    """The built-in ones; one of a user's by its files."""
    known = {one["name"]: one for one in node.get("/v0/reports/patterns", "read-only").json()["patterns"]}
    assert known["executive"]["built_in"]
    folder = loading.BUILT_IN / "web"
    files = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.*")}
    body = {"name": "shop", "files": files}
    checked = node.ask("POST", "/v0/reports/patterns/check", "user", json=body).json()
    assert checked == {"ok": True, "examples": 3}
    body["files"] = files | {"schema.json": "{"}
    checked = node.ask("POST", "/v0/reports/patterns/check", "user", json=body).json()
    assert checked["problems"][0].startswith("shop/schema.json:1: ")


def test_what_is_not_there(node: Node) -> None:
    """An unknown report, and one that has no document."""
    is_problem(node.get(f"/v0/reports/report-{'f' * 20}"), 404, "unknown_report")
    act = Act("admin", node.services.clock())
    report = reports.ask(node.services.database, Target("ip", "192.0.2.1"), "full", "", act).id
    reports.keep(node.services.database, report, reports.Made("failed", "", "", "gone", "", "", 0, b"", 0, (), ()), act)
    is_problem(node.get(f"/v0/reports/{report}/content"), 404, "report_unwritten")
