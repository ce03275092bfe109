"""`spectra findings triage`, `reopen` and `decisions`."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.cli.standin import StandIn, problem

CVE = "CVE-2024-6387"
ID = f"192.0.2.7~22~tcp~{CVE}"
UUID = "0f1e2d3c-0000-4000-8000-000000000001"
DECISION: dict[str, Any] = {
    "id": UUID, "cve": CVE, "status": "false_positive", "at": "2026-01-01T00:00:00Z", "by": "alice", "ip": "192.0.2.7",
    "port": 22, "protocol": "tcp", "scope": "endpoint", "note": "not built in",
}  # fmt: skip


def sent(server: StandIn, number: int = 0) -> dict[str, Any]:
    """The body of a request."""
    return json.loads(server.requests[number].body)


def test_one_finding(run: Run, server: StandIn) -> None:
    """With why, until when, and how wide; what it replaced is told."""
    server.say("POST", "/v0/triage", {"decisions": [DECISION], "replaced": [DECISION]})
    result = run(
        "findings", "triage", "dismiss", ID, "--note", "not built in", "--until", "90d", "--cpe", "cpe:2.3:a:x:y"
    )
    assert result.code == 0, result.err
    assert "192.0.2.7 22/tcp" in result.out
    assert "false positive" in result.out
    assert "1 decision, 1 took the place of another" in result.err
    body = sent(server)
    until = datetime.fromisoformat(body.pop("until"))
    assert timedelta(days=89) < until - datetime.now(UTC) < timedelta(days=91)
    assert body == {
        "status": "false_positive", "scope": "endpoint", "note": "not built in", "cpe": "cpe:2.3:a:x:y",
        "findings": [ID],
    }  # fmt: skip


def test_wider(run: Run, server: StandIn) -> None:
    """For a host or everywhere, or what a question selects."""
    server.say("POST", "/v0/triage", {"decisions": [DECISION], "unchanged": 1})
    run("findings", "triage", "not-affected", CVE, "--everywhere", "--justification", "code_not_reachable")
    run("findings", "triage", "fixed", ID, "--host", "--json")
    result = run("findings", "triage", "accepted", "--cve", CVE, "--where", "net:10.0.0.0/8")
    assert "1 stood already" in result.err
    assert [sent(server, n) for n in range(3)] == [
        {"status": "not_affected", "scope": "everywhere", "justification": "code_not_reachable", "findings": [CVE]},
        {"status": "fixed", "scope": "host", "findings": [ID]},
        {"status": "accepted", "scope": "endpoint", "q": "net:10.0.0.0/8", "cve": CVE},
    ]


def test_ids_from_standard_input(run: Run, server: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines of ids or of JSON, each once, a thousand a call."""
    server.say("POST", "/v0/triage", {"decisions": []})
    lines = [f"10.0.{n // 250}.{n % 250}~22~tcp~{CVE}" for n in range(1500)]
    text = "\n".join([json.dumps({"id": lines[0], "cve": CVE}), "", *lines])
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert run("findings", "triage", "fixed", "-").code == 0
    assert [len(sent(server, n)["findings"]) for n in range(2)] == [1000, 500]
    monkeypatch.setattr("sys.stdin", io.StringIO('{"cve": 1}\n'))
    assert "line 1 of standard input" in run("findings", "triage", "fixed", "-").err
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    assert "no id was given" in run("findings", "triage", "fixed", "-").err


@pytest.mark.parametrize(
    "words",
    [
        ("ignore", ID),
        ("fixed",),
        ("fixed", ID, "--cve", CVE),
        ("fixed", ID, "--until", "2001-01-01"),
        ("fixed", ID, "--host", "--everywhere"),
    ],
)
def test_slips_are_not_sent(run: Run, server: StandIn, words: tuple[str, ...]) -> None:
    """They end with 2 before the server is asked."""
    assert run("findings", "triage", *words).code == 2
    assert server.requests == []


def test_reopening(run: Run, server: StandIn) -> None:
    """By the finding and a scope, or by the decision, whose first digits are enough."""
    server.say("DELETE", f"/v0/findings/{ID}/triage", DECISION)
    server.say("GET", "/v0/triage", {"decisions": [DECISION]})
    server.say("DELETE", f"/v0/triage/{UUID}", DECISION | {"removed": "2026-01-02T00:00:00Z", "removed_by": "bob"})
    assert run("findings", "reopen", ID, "--host", "--cpe", "cpe:2.3:a:x:y").code == 0
    assert server.requests[0].params == {"scope": "host", "cpe": "cpe:2.3:a:x:y"}
    assert json.loads(run("findings", "reopen", UUID[:8], UUID, "--json").lines[0])["removed_by"] == "bob"
    assert len(server.asked(f"/v0/triage/{UUID}")) == 2
    assert run("findings", "reopen", "0f1e").code == 4
    server.say("GET", "/v0/triage", {"decisions": [DECISION, DECISION | {"id": UUID[:-1] + "2"}]})
    assert run("findings", "reopen", UUID[:8]).code == 2
    server.say("DELETE", f"/v0/findings/{ID}/triage", problem(404, "There is none.", reason="not_found"))
    assert run("findings", "reopen", ID).code == 4


def test_decisions(run: Run, server: StandIn) -> None:
    """A table, JSON lines and CSV; every filter is sent."""
    server.say("GET", "/v0/triage", {"decisions": [DECISION, DECISION | {"ip": "", "until": "2099-01-01T00:00:00Z"}]})
    table = run("findings", "decisions")
    assert table.lines[0].split()[:4] == ["DECISION", "CVE", "STATUS", "FOR"]
    assert "2099-01-01 00:00" in table.out
    assert json.loads(run("findings", "decisions", "--json").lines[0])["id"] == UUID
    assert run("findings", "decisions", "--csv").lines[0].startswith("id,cve,decided,scope,ip,port,protocol,cpe")
    run(
        "findings", "decisions", "--cve", CVE, "--status", "fixed", "--scope", "host", "--net", "10.0.0.0/8",
        "--by", "bob", "--origin", "urn:x", "--state", "all", "--limit", "5",
    )  # fmt: skip
    assert server.requests[-1].params == {
        "cve": CVE, "status": "fixed", "scope": "host", "net": "10.0.0.0/8", "by": "bob", "origin": "urn:x",
        "state": "all", "limit": "5",
    }  # fmt: skip
    server.say("GET", "/v0/triage", {"decisions": []})
    assert "No decision" in run("findings", "decisions").err


def test_help_teaches(run: Run) -> None:
    """Whole calls, in the width of the page."""
    for name in ("triage", "reopen", "decisions"):
        assert f"$ spectra findings {name}" in run("findings", name, "--help").out
