"""`spectra presets`: the ways of scanning by name."""

from __future__ import annotations

import json

from tests.cli.conftest import Run
from tests.cli.standin import StandIn, problem
from tests.cli.worksamples import preset


def test_presets_are_listed(run: Run, server: StandIn) -> None:
    """A line each; for programs with all that each says."""
    server.say("GET", "/v0/presets", {"presets": [preset(), preset("full", ports="all", rate=500)]})
    head, first, second = run("presets").lines
    assert head.split()[:3] == ["PRESET", "TOOLS", "PORTS"]
    assert "nmap, connect" in first
    assert "all" in second
    assert json.loads(run("presets", "--json").lines[0])["name"] == "web"
    assert run("presets", "--csv", "--fields", "name,deadline_s").lines[1] == "web,3600.0"


def test_one_is_shown(run: Run, server: StandIn) -> None:
    """What it does with each of its tools."""
    full = preset(
        "bbot-web",
        tools=["bbot", "nmap"],
        rate=50,
        raw=True,
        timeout_s=2.5,
        privacy="meta-only",
        nmap={"intensity": 9, "system": True, "scripts": ["http-title"]},
        bbot={"flags": ["web-basic"], "exclude": ["portscan"], "strict": False},
    )
    server.say("GET", "/v0/presets/bbot-web", full)
    shown = run("presets", "bbot-web").out
    for said in (
        "bbot, nmap (the first one that a machine has)",
        "50 probes a second",
        "2.5 s for an answer",
        "1 h at most for 256 addresses",
        "raw sockets",
        "no banners",
        "versions with intensity 9, timing 4, system, scripts http-title",
        "flags web-basic, not portscan, touches what it finds, too",
    ):
        assert said in shown
    assert json.loads(run("presets", "bbot-web", "--json").out)["rate"] == 50


def test_one_that_is_not_there(run: Run, server: StandIn) -> None:
    """With the one that may be meant."""
    server.say("GET", "/v0/presets/webb", problem(404, "there is no preset webb", hint="Did you mean web?"))
    result = run("presets", "webb")
    assert result.code == 4
    assert "Did you mean web?" in result.err
