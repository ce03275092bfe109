"""`spectra explain` from the command line to the terminal."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from spectra.model.explanations import Explanation, Risk
from spectra.model.records import NameRecord
from tests.cli.conftest import Run
from tests.cli.standin import StandIn

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
    result = run("explain", "ip", "192.0.2.1")
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
    assert "None that the facts show." in run("explain", "ip", "192.0.2.1").out


def test_for_machines(run: Run, server: StandIn) -> None:
    """`--json` is the record, with the word for what drew it up."""
    server.say("GET", "/v0/explain/ip/2001:db8::1", TOLD)
    told = json.loads(run("explain", "ip", "2001:DB8:0::1", "--json").out)
    assert (told["risks"][0]["level"], told["next_steps"]) == ("high", ["Use SSH.", "Look again."])


def test_a_name_is_its_addresses(run: Run, server: StandIn) -> None:
    """Every address of a name is explained, ten at most; an address in place of a name is taken as one."""
    server.say("GET", "/v0/explain/ip/192.0.2.1", TOLD)
    for n in range(2, 12):
        server.say("GET", f"/v0/explain/ip/192.0.2.{n}", TOLD)
    many = tuple(f"192.0.2.{n}" for n in range(1, 12))
    server.say("GET", "/v0/hostname/www.example.org", NameRecord("www.example.org", NOW, NOW, many))
    result = run("explain", "host", "WWW.example.org.", "--json")
    assert len(result.lines) == 10
    assert "has 11 addresses" in result.err
    assert len(run("explain", "host", "192.0.2.1", "--json").lines) == 1
    server.say("GET", "/v0/hostname/gone.example.org", NameRecord("gone.example.org", NOW, NOW))
    assert "No address is known" in run("explain", "host", "gone.example.org").err


def test_what_is_no_address(run: Run, server: StandIn) -> None:
    """A name after `ip` is answered with the command that takes it; an unknown host is not found."""
    result = run("explain", "ip", "www.example.org")
    assert (result.code, "spectra explain host www.example.org" in result.err) == (2, True)
    assert run("explain", "ip", "192.0.2.77").code == 4
