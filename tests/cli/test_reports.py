"""`spectra reports`: lists, one of them, and finishing by hand."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from spectra.model.reports import (
    Attempt,
    Fact,
    PatternPage,
    PatternRecord,
    ReportDetail,
    ReportPage,
    ReviewDetail,
)
from tests.ai.reports.papers import document
from tests.cli.conftest import Run
from tests.cli.standin import Answer, StandIn
from tests.cli.test_report import PATH, REPORT, record


def test_reports_are_listed(run: Run, server: StandIn) -> None:
    """With what is asked of them; as a table and as lines."""
    server.say("GET", "/v0/reports", ReportPage((record(), record("incomplete", target="a\x1bb"))))
    result = run("reports", "list", "--ip", "192.0.2.7", "--state", "done")
    assert result.code == 0
    assert (REPORT in result.out, "\x1b" in result.out) == (True, False)
    assert server.asked("/v0/reports")[0].params["ip"] == "192.0.2.7"
    lines = run("reports", "list", "--json").lines
    assert json.loads(lines[1])["state"] == "incomplete"
    assert "there is no state" in run("reports", "list", "--state", "odd").err


def test_one_is_found_by_its_beginning(run: Run, server: StandIn) -> None:
    """If it is the only one; and is printed or told of."""
    server.say("GET", "/v0/reports", ReportPage((record(),)))
    server.say("GET", PATH, ReportDetail(**msgspec.structs.asdict(record()), ips=("192.0.2.7",)))
    server.say("GET", f"{PATH}/content", Answer(200, (b"# A report\n",)))
    assert run("reports", "show", "1f1f").out == "# A report\n"
    assert json.loads(run("reports", "show", REPORT, "--record").out)["ips"] == ["192.0.2.7"]
    assert "there is no report 2" in run("reports", "show", "2").err
    server.say("GET", "/v0/reports", ReportPage((record(), record())))
    assert "2 reports begin with" in run("reports", "show", "report-1f").err


def review(**fields: Any) -> ReviewDetail:
    """One that waits for a person."""
    tries = (Attempt(number=1, at=record().created, provider="local", reasons=("\x1bno",), answer="I \x1bcannot"),)
    detail = ReportDetail(**msgspec.structs.asdict(record("incomplete")), tries=tries)
    facts = (Fact("F1", "host:192.0.2.7", "192.0.2.7", "It is \x1bup."),)
    return ReviewDetail(report=detail, document=document(), facts=facts, instructions="", schema={}, **fields)


def test_what_waits_for_a_person(run: Run, server: StandIn) -> None:
    """The queue; and of one all that is needed, with nothing in it that steers a terminal."""
    server.say("GET", "/v0/reports/review", ReportPage((record("incomplete"),)))
    assert REPORT in run("reports", "review").out
    server.say("GET", f"{PATH}/review", review())
    result = run("reports", "review", REPORT)
    for words in ("Attempts", "said: I", "[F1] It is", "risks (Risks), by model", "Telnet: Clear text."):
        assert words in result.out
    assert "\x1b" not in result.out
    assert json.loads(run("reports", "review", REPORT, "--json").out)["facts"][0]["ref"] == "F1"


def test_a_draft_is_edited_and_sent(run: Run, server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With references instead of ids, as a file or through a pipe."""
    server.say("GET", f"{PATH}/review", review())
    draft = tmp_path / "draft.json"
    assert run("reports", "draft", REPORT, "-o", draft).code == 0
    body = json.loads(draft.read_text("utf-8"))
    assert body["sections"]["summary"][0]["cites"] == ["F1"]
    assert body["sections"]["risks"][0]["weight"] == "high"
    assert json.loads(run("reports", "draft", REPORT).out) == body
    server.say("POST", f"{PATH}/finish", record(by="person"))
    assert run("reports", "finish", REPORT, draft).out == f"{REPORT} version 2: done\n"
    assert json.loads(server.asked(f"{PATH}/finish")[0].body) == body
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"sections": {}}')))
    assert json.loads(run("reports", "finish", REPORT, "-", "--json").out)["by"] == "person"
    draft.write_text("{")
    assert "is not JSON" in run("reports", "finish", REPORT, draft).err
    draft.write_text(" " * 300_000)
    assert "is larger than" in run("reports", "finish", REPORT, draft).err
    assert "cannot read" in run("reports", "finish", REPORT, tmp_path / "none").err


def test_patterns_are_listed(run: Run, server: StandIn) -> None:
    """What each is for, and whose it is."""
    pattern = PatternRecord(
        name="shop",
        title="Shop",
        purpose="For shops.",
        scans=("web",),
        sections=("summary",),
        shown=("figures",),
        built_in=False,
    )
    server.say("GET", "/v0/reports/patterns", PatternPage((pattern,)))
    assert "own" in run("reports", "patterns").out
    assert json.loads(run("reports", "patterns", "--json").out)["scans"] == ["web"]
