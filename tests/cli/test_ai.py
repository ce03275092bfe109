"""`spectra ai`: what is asked of the server, and how providers, usage and answers are told."""

from __future__ import annotations

import io
import json
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from spectra.model.ai import ProviderState
from spectra.model.aiusage import EgressPage, EgressRecord, ProviderPage, UsagePage, UsageRow
from tests.cli.conftest import Run
from tests.cli.standin import Answer, StandIn, problem

NOW = datetime(2026, 3, 1, tzinfo=UTC)
READY = ProviderState(name="local", model="tiny", residency="machine", state="ready", takes="LOCAL_ONLY")
OFF = ProviderState(
    name="mistral", model="m", residency="eu", state="off", why="not opted in", takes="SANITIZED", cost_today=0.5
)
ROW = UsageRow(
    group="mistral",
    requests=4,
    answered=2,
    cached=1,
    failed=1,
    away=2,
    input=110,
    output=52,
    cost=1.25,
    median_ms=20,
    slowest_ms=80,
)
CHAT = "/v1/chat/completions"


def body(server: StandIn) -> Any:
    """The JSON of the last request."""
    return msgspec.json.decode(server.requests[-1].body)


def says(*texts: str, finish: str = "stop", ended: bool = True) -> Answer:
    """A stream that says these pieces."""
    events: list[Any] = [{"choices": [{"delta": {"content": text}}]} for text in texts]
    origin = {"provider": "local", "class": "LOCAL_ONLY"}
    events += [{"model": "tiny", "choices": [{"delta": {}, "finish_reason": finish}], "spectra": origin}]
    events += [{"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}]
    lines = [b"data: " + msgspec.json.encode(event) + b"\n\n" for event in events]
    return Answer(200, (*lines, b"data: [DONE]\n\n") if ended else tuple(lines[:-2]))


def test_providers_are_listed_in_their_order(run: Run, server: StandIn) -> None:
    """With their state and why; a person is told where none is ready, and where what is typed may leave."""
    server.say("GET", "/v0/ai/providers", ProviderPage(providers=[READY, OFF], free_text="local"))
    result = run("ai", "providers")
    assert result.code == 0
    assert [line.split()[:2] for line in result.lines] == [
        ["PROVIDER", "STATE"],
        ["local", "ready"],
        ["mistral", "off"],
    ]
    assert "not opted in" in result.lines[2]
    assert not result.err
    assert json.loads(run("ai", "providers", "--json").lines[1])["cost_today"] == 0.5
    server.say("GET", "/v0/ai/providers", ProviderPage(providers=[OFF], free_text="detected"))
    result = run("ai", "providers")
    assert "No model is ready" in result.err
    assert "What people type may leave" in result.err


def test_usage_is_told_by_what_one_wants_to_know(run: Run, server: StandIn) -> None:
    """Of oneself, of another or of everybody."""
    page = UsagePage(since=NOW, until=NOW, by="provider", account="alice", usage=[ROW])
    server.say("GET", "/v0/ai/usage", page)
    result = run("ai", "usage", "--by", "provider", "--since", "2026-02-01")
    assert result.lines[1].split() == ["mistral", "4", "2", "1", "1", "2", "110", "52", "1.2500", "20", "80"]
    assert server.requests[-1].params == {"by": "provider", "since": "2026-02-01T00:00:00Z"}
    run("ai", "usage", "--everybody")
    assert server.requests[-1].params["account"] == "*"
    run("ai", "usage", "--account", "bob")
    assert server.requests[-1].params["account"] == "bob"
    assert run("ai", "usage", "--account", "bob", "--everybody").code == 2
    assert "One of day" in run("ai", "usage", "--by", "colour").err
    server.say("GET", "/v0/ai/usage", msgspec.structs.replace(page, usage=[]))
    assert "No model was asked." in run("ai", "usage").err


def test_what_left_is_listed(run: Run, server: StandIn) -> None:
    """With where it went and of which class it was; whole with its digest in JSON."""
    record = EgressRecord(
        seq=7,
        at=NOW,
        account="alice",
        provider="mistral",
        model="small",
        label="SANITIZED",
        bytes=1234,
        purpose="chat",
        host="api.mistral.ai",
        sha256="ab" * 32,
    )
    server.say("GET", "/v0/ai/egress", EgressPage(left=[record]))
    line = run("ai", "left", "--everybody").lines[1]
    assert line.split() == [
        *("2026-03-01T00:00:00Z", "alice", "mistral", "small", "SANITIZED", "1234", "chat", "api.mistral.ai"),
        "abababababababab",
    ]
    assert server.requests[-1].params["account"] == "*"
    told = json.loads(run("ai", "left", "--json").out)
    assert (told["sha256"], told["class"]) == ("ab" * 32, "SANITIZED")
    server.say("GET", "/v0/ai/egress", EgressPage(left=[]))
    assert "Nothing has left this machine." in run("ai", "left").err


def test_an_answer_is_printed_as_it_comes_and_cannot_act(run: Run, server: StandIn) -> None:
    """Line breaks are kept; what would act on the terminal is shown instead."""
    server.say("POST", CHAT, says("Hello\n", "\x1b[2Jworld", "\u202e"))
    result = run("ai", "ask", "who", "are", "you?", "--system", "be brief", "--max-tokens", "9", "-m", "local")
    assert result.code == 0
    assert result.out == "Hello\n\\x1b[2Jworld\\u202e\n"
    assert "local (tiny), LOCAL_ONLY: 5 tokens" in result.err
    asked = body(server)
    assert asked["messages"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "who are you?"},
    ]
    assert (asked["model"], asked["max_completion_tokens"], asked["stream"]) == ("local", 9, True)


def test_an_answer_can_be_had_whole(run: Run, server: StandIn) -> None:
    """As one JSON line, for scripts."""
    server.say("POST", CHAT, says("a", "b", finish="length"))
    assert json.loads(run("ai", "ask", "hello", "--json").out) == {
        "text": "ab",
        "provider": "local",
        "model": "tiny",
        "label": "LOCAL_ONLY",
        "finish": "length",
        "input": 3,
        "output": 2,
    }
    assert body(server)["model"] == "spectra"
    assert "cut off" in run("ai", "ask", "hello").err


def test_the_question_may_come_from_standard_input(run: Run, server: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole, with its line breaks; an empty or an endless one is no question."""
    server.say("POST", CHAT, says("yes"))
    monkeypatch.setattr(sys, "stdin", io.StringIO("is this\na question?\n"))
    assert run("ai", "ask").code == 0
    assert body(server)["messages"][0]["content"] == "is this\na question?\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(" \n"))
    assert "empty" in run("ai", "ask", "-").err
    monkeypatch.setattr(sys, "stdin", io.StringIO("é" * 700_000))
    assert "1 MiB" in run("ai", "ask").err
    assert len(server.requests) == 1


def test_what_goes_wrong_is_told(run: Run, server: StandIn) -> None:
    """No provider, at once and without trying again; an error in the middle; half an answer."""
    server.say("POST", CHAT, problem(503, "No provider may see this.", reason="ai_no_provider"))
    result = run("ai", "ask", "hello")
    assert (result.code, len(server.requests)) == (3, 1)
    assert "No provider may see this." in result.err
    wrong = b'data: {"error": {"message": "It broke off.", "code": "ai_unavailable"}}\n\n'
    server.say("POST", CHAT, Answer(200, (*says("half", ended=False).chunks, wrong)))
    result = run("ai", "ask", "hello")
    assert (result.code, result.out) == (1, "half\n")
    assert "It broke off." in result.err
    server.say("POST", CHAT, says("half", ended=False))
    assert "broke off" in run("ai", "ask", "hello").err
    server.say("POST", CHAT, Answer(200, (b"data: {]\n\n",)))
    assert "does not read" in run("ai", "ask", "hello").err
