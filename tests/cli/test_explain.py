"""`spectra explain` from the command line to the terminal."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import msgspec
import pytest

from spectra.model.explanations import Explanation, Risk
from spectra.model.records import NameRecord
from spectra.model.summaries import AiSummary, CitedRecord, Claim, RiskClaim
from tests.cli.conftest import Run
from tests.cli.standin import StandIn, problem

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TOLD = Explanation(
    ip="192.0.2.1",
    at=NOW,
    summary="192.0.2.1 is up.\x1b[2J " + "word " * 40,
    risks=(
        Risk("high", "plain-text", "Telnet sends everything in clear. " * 4, "23/tcp", "Use SSH."),
        Risk("low", "stale", "Old."),
    ),
    next_steps=("Use SSH.", "Look again."),
)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_three_points(run: Run, server: StandIn, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Summary, risks with their level, numbered steps; wrapped to the terminal, and honest about what drew them up."""
    monkeypatch.setenv("COLUMNS", str(width))
    server.say("GET", "/v0/explain/ip/192.0.2.1", TOLD)
    result = run("explain", "ip", "192.0.2.1", "--rules")
    assert result.code == 0
    assert [line.strip() for line in result.lines if "•" in line] == ["• Summary", "• Risks", "• Next steps"]
    assert any(line.startswith("   high    23/tcp: Telnet") for line in result.lines)
    assert "   2. Look again." in result.lines
    assert max(map(len, result.lines)) <= min(width, 110)
    assert "\x1b" not in result.out
    assert "no language model was asked" in result.err


def test_no_risk_is_said(run: Run, server: StandIn) -> None:
    """An empty list is not left blank."""
    server.say(
        "GET", "/v0/explain/ip/192.0.2.1", Explanation(ip="192.0.2.1", at=NOW, summary="x", risks=(), next_steps=("y",))
    )
    assert "None that the facts show." in run("explain", "ip", "192.0.2.1", "--rules").out


def test_for_machines(run: Run, server: StandIn) -> None:
    """`--json` is the record, with the word for what drew it up."""
    server.say("GET", "/v0/explain/ip/2001:db8::1", TOLD)
    told = json.loads(run("explain", "ip", "2001:DB8:0::1", "--json", "--rules").out)
    assert (told["risks"][0]["level"], told["next_steps"]) == ("high", ["Use SSH.", "Look again."])


def test_a_name_is_its_addresses(run: Run, server: StandIn) -> None:
    """Every address of a name is explained, ten at most; an address in place of a name is taken as one."""
    server.say("GET", "/v0/explain/ip/192.0.2.1", TOLD)
    for n in range(2, 12):
        server.say("GET", f"/v0/explain/ip/192.0.2.{n}", TOLD)
    many = tuple(f"192.0.2.{n}" for n in range(1, 12))
    server.say("GET", "/v0/hostname/www.example.org", NameRecord("www.example.org", NOW, NOW, many))
    result = run("explain", "host", "WWW.example.org.", "--json", "--rules")
    assert len(result.lines) == 10
    assert "has 11 addresses" in result.err
    assert len(run("explain", "host", "192.0.2.1", "--json", "--rules").lines) == 1
    server.say("GET", "/v0/hostname/gone.example.org", NameRecord("gone.example.org", NOW, NOW))
    assert "No address is known" in run("explain", "host", "gone.example.org", "--rules").err


def test_what_is_no_address(run: Run, server: StandIn) -> None:
    """A name after `ip` is answered with the command that takes it; an unknown host is not found."""
    result = run("explain", "ip", "www.example.org")
    assert (result.code, "spectra explain host www.example.org" in result.err) == (2, True)
    assert run("explain", "ip", "192.0.2.77").code == 4


SUMMARY = AiSummary(
    kind="ip",
    target="192.0.2.1",
    at=NOW,
    summary=(Claim("It is a gate.\x1b[2J " + "word " * 40, ("host:192.0.2.1",)),),
    risks=(RiskClaim("Telnet.", ("endpoint:192.0.2.1/tcp/23", "host:192.0.2.1"), "high"),),
    next_steps=(Claim("Use SSH.", ("endpoint:192.0.2.1/tcp/23",)),),
    records=(CitedRecord("host:192.0.2.1", "192.0.2.1"), CitedRecord("endpoint:192.0.2.1/tcp/23", "23/tcp")),
    by="model",
    provider="local",
    model="tiny\x1b",
    label="LOCAL_ONLY",
    facts=12,
)


@pytest.mark.parametrize("width", [60, 110])
def test_a_summary_cites(run: Run, server: StandIn, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Each sentence has the numbers of its records; what a model said is text; who said it is told."""
    monkeypatch.setenv("COLUMNS", str(width))
    server.say("POST", "/v0/ai/summary", SUMMARY)
    result = run("explain", "ip", "192.0.2.1", "--question", "Who logs in?")
    assert result.code == 0
    asked = {"kind": "ip", "target": "192.0.2.1", "question": "Who logs in?", "rules": False}
    assert json.loads(server.asked("/v0/ai/summary")[0].body) == asked
    points = [line.strip() for line in result.lines if "•" in line]
    assert points == ["• Summary", "• Risks", "• Next steps", "• Records"]
    assert "   high    Telnet. [2, 1]" in result.lines
    assert "   [2] endpoint:192.0.2.1/tcp/23" in result.lines
    assert "\x1b" not in result.out + result.err
    assert "of local from 12 facts, told as LOCAL_ONLY." in result.err
    assert max(map(len, result.lines)) <= width


def test_a_summary_by_rules_says_why(run: Run, server: StandIn) -> None:
    """And a query is explained by the same words as it is searched."""
    ruled = msgspec.structs.replace(SUMMARY, kind="query", by="rules", why="No model is configured.")
    server.say("POST", "/v0/ai/summary", ruled)
    result = run("explain", "query", "port:22", "-country:FR", "--json")
    assert json.loads(result.out)["by"] == "rules"
    assert json.loads(server.asked("/v0/ai/summary")[0].body)["target"] == "port:22 -country:FR"
    assert "No model is configured." in run("explain", "query", "port:22", "--rules").err
    assert json.loads(server.asked("/v0/ai/summary")[1].body)["rules"] is True


@pytest.mark.parametrize(("status", "reason"), [(402, "pro_required"), (403, "forbidden")])
def test_who_may_have_no_summary_has_the_rules(run: Run, server: StandIn, status: int, reason: str) -> None:
    """Hosts are explained all the same, and why no model was asked is said; a query is not."""
    server.say("POST", "/v0/ai/summary", problem(status, "belongs to Pro", reason=reason))
    server.say("GET", "/v0/explain/ip/192.0.2.1", TOLD)
    server.say("GET", "/v0/hostname/www.example.org", NameRecord("www.example.org", NOW, NOW, ("192.0.2.1",)))
    for words in (("ip", "192.0.2.1"), ("host", "www.example.org"), ("host", "192.0.2.1")):
        result = run("explain", *words)
        assert (result.code, "Telnet sends everything" in result.out) == (0, True)
        assert "No summary by a model: belongs to Pro" in result.err
    assert run("explain", "query", "port:22").code == 1


def test_another_problem_is_one(run: Run, server: StandIn) -> None:
    """It is not taken for a reason to ask elsewhere."""
    server.say("POST", "/v0/ai/summary", problem(404, "nobody saw it", reason="not_found"))
    assert run("explain", "ip", "192.0.2.1").code == 4
    assert not server.asked("/v0/explain/ip/192.0.2.1")
