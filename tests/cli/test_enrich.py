"""`spectra enrich` against the contract."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import msgspec

from spectra.model.enrichment import Enrichment, Failed, RefusedCall
from spectra.model.insights import InsightRecord, Source, insight
from tests.cli.conftest import Run
from tests.cli.standin import StandIn, problem

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
SOURCE = Source("https://example.org/\x1b[2Ja", "ab" * 32, NOW, 10, "text/html")
TOLD = msgspec.structs.replace(
    insight(
        "enrichment", "enrichment", severity="high", title="CVE-2024-6387: known to be exploited", what="A race.",
        subjects=["cve:CVE-2024-6387"], at=NOW, score=81, sources=[SOURCE], advice="Apply the update.",
    ),
    note="Evil \x1b[31mnote\u202e with <b>markup</b> [red]and more[/red].",
    note_by="local",
)  # fmt: skip
RECORD = InsightRecord(insight=TOLD, state="open", statement="cd" * 32, first_seen=NOW, last_seen=NOW)
FOUND = Enrichment(
    kind="cve",
    value="CVE-2024-6387",
    insights=(RECORD,),
    sources=(SOURCE,),
    failed=(Failed("https://example.org/gone", "fetch_failed", "example.org answered 404."),),
    refused=(RefusedCall("fetch", "unknown_url"), RefusedCall("fetch", "unknown_url")),
    by="model",
)


def test_a_cve(run: Run, server: StandIn) -> None:
    """What was concluded, what to do, who noted what, and where from; what failed and was refused on standard error.
    Nothing that others wrote acts on the terminal.
    """
    server.say("POST", "/v0/ai/enrich", FOUND)
    ended = run("enrich", "cve", "cve-2024-6387")
    assert ended.code == 0, ended.err
    assert json.loads(server.requests[-1].body) == {"kind": "cve", "value": "CVE-2024-6387"}
    for words in (
        "known to be exploited",
        "high, score 81",
        "A race.",
        "To do: Apply the update.",
        "local notes: Evil",
    ):
        assert words in ended.out
    assert "[red]and more[/red]" in ended.out
    assert "https://example.org/\\x1b[2Ja  2026-11-28 12:00" in ended.out
    assert "\x1b" not in ended.out
    assert "\u202e" not in ended.out
    assert "example.org answered 404." in ended.err
    assert "2 calls of a model refused: fetch (unknown_url)." in ended.err


def test_a_host(run: Run, server: StandIn) -> None:
    """By its address alone; with nothing to look up, that is said, and why no model noted anything."""
    server.say("POST", "/v0/ai/enrich", Enrichment(kind="ip", value="192.0.2.1", why="ai_no_provider"))
    ended = run("enrich", "ip", "192.0.2.1")
    assert (ended.code, ended.out) == (0, "")
    assert "Nothing is known of it that could be looked up." in ended.err
    assert "No model added a note: ai_no_provider." in ended.err
    assert run("enrich", "ip", "router").code == 2


def test_json(run: Run, server: StandIn) -> None:
    """All of it on one line."""
    server.say("POST", "/v0/ai/enrich", FOUND)
    [line] = run("enrich", "cve", "CVE-2024-6387", "--json").lines
    assert json.loads(line)["insights"][0]["insight"]["note_by"] == "local"
    assert "\x1b" not in line


def test_it_is_off(run: Run, server: StandIn) -> None:
    """The server's words, with how to allow it."""
    off = problem(409, "Nothing is looked up here.", reason="fetch_off", hint="Allow it with SPECTRA_AI__FETCH=true.")
    server.say("POST", "/v0/ai/enrich", off)
    ended = run("enrich", "cve", "CVE-2024-6387")
    assert ended.code == 1
    assert "SPECTRA_AI__FETCH" in ended.err
