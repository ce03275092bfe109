"""`spectra insights`: what is asked of the server, and how insights are shown."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from spectra.model.insights import InsightRecord, Source
from tests.cli.conftest import Run
from tests.cli.standin import StandIn, problem
from tests.support.insights import NOON, sample


def record(**said: Any) -> dict[str, Any]:
    """A stored insight, as the API answers."""
    source = Source("https://www.example.org/", "b" * 64, NOON)
    insight = sample(sources=[source], advice="Look.", title="bad \x1b[2J host", **said)
    insight = msgspec.structs.replace(insight, note="a note", note_by="local tiny")
    stored = InsightRecord(insight=insight, state="open", statement="c" * 64, first_seen=NOON, last_seen=NOON)
    return msgspec.to_builtins(stored)


ID = sample().id


def test_insights_are_listed(run: Run, server: StandIn) -> None:
    """The open ones of low severity and above by themselves; whatever is in them drives no terminal."""
    server.say("GET", "/v0/insights", {"insights": [record()]}, {"insights": [record()]}, {"insights": []})
    result = run("insights", "list")
    assert result.code == 0, result.err
    assert ID[:16] in result.out
    assert "\x1b[2J" not in result.out
    told = run("insights", "list", "--about", "host:192.0.2.7", "--state", "all", "--since", "7d", "--json")
    assert json.loads(told.out.splitlines()[0])["insight"]["title"].startswith("bad")
    assert "spectra agents run" in run("insights", "list", "--severity", "critical").err


def test_one_insight_is_shown(run: Run, server: StandIn) -> None:
    """With what it rests on, its numbers, a model's note marked as such, and where it is signed."""
    server.say("GET", f"/v0/insights/{ID[:8]}", record(), record())
    result = run("insights", "show", ID[:8])
    assert result.code == 0, result.err
    for said in (
        "hosts 60 (threshold 40)",
        "a language model",
        "60 hosts [line 12]",
        "Signed in cccccccc",
        "example.org",
    ):
        assert said in result.out
    assert json.loads(run("insights", "show", ID[:8], "--json").out)["insight"]["id"] == ID


def test_an_insight_is_resolved(run: Run, server: StandIn) -> None:
    """With a reason and a word; what the server refuses is told."""
    path = f"/v0/insights/{ID[:8]}/resolve"
    server.say("POST", path, record(), problem(404, "There is no insight", reason="unknown_insight"))
    assert run("insights", "resolve", ID[:8], "--as", "false-positive", "--note", "our scanner").code == 0
    assert json.loads(server.asked(path)[-1].body) == {"resolution": "false_positive", "comment": "our scanner"}
    assert run("insights", "resolve", ID[:8]).code != 0
