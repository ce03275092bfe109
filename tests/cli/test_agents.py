"""`spectra agents`: what is sent to the server, and how a run is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from spectra.model.agents import AGENTS_HERE, AgentList
from tests.cli.conftest import Run
from tests.cli.standin import StandIn
from tests.cli.test_insights import ID, record

RUN: dict[str, Any] = {"agent": "dns-guard", "statement": "c" * 64, "insights": [record()], "new": 1, "lines": 9}
PATH = "/v0/ai/agents/dns-guard"


def test_agents_are_listed(run: Run, server: StandIn) -> None:
    """With what each reads, and whether there are notes."""
    server.say("GET", "/v0/ai/agents", msgspec.to_builtins(AgentList(agents=AGENTS_HERE)))
    result = run("agents", "list")
    assert result.code == 0, result.err
    assert "dns-guard" in result.out
    assert "no notes" in result.err


def test_an_agent_runs_on_a_file(run: Run, server: StandIn, tmp_path: Path) -> None:
    """Its bytes are sent as they are; what was found, read and new is told."""
    log = tmp_path / "dnsmasq.log"
    log.write_bytes(b"a log\n")
    server.say("POST", PATH, RUN | {"format": "dnsmasq"}, RUN)
    result = run("agents", "run", "dns-guard", str(log))
    assert result.code == 0, result.err
    assert server.asked(PATH)[-1].body == b"a log\n"
    assert ID[:16] in result.out
    assert "9 lines of dnsmasq read; 1 new" in result.err
    assert json.loads(run("agents", "run", "dns-guard", str(log), "--no-notes", "--json").out)["new"] == 1


def test_a_file_that_cannot_be_read(run: Run, server: StandIn, tmp_path: Path) -> None:
    """Nothing is sent."""
    (tmp_path / "empty").touch()
    assert run("agents", "run", "dns-guard", str(tmp_path / "none")).code == 2
    assert run("agents", "run", "dns-guard", str(tmp_path / "empty")).code == 2
    assert not server.requests
