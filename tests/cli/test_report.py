"""`spectra report` from the command line to a file, and the check of a pattern."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from spectra.model.reports import PatternCheck, ReportRecord
from tests.cli.conftest import Run
from tests.cli.standin import Answer, StandIn, problem

NOW = datetime(2026, 3, 1, tzinfo=UTC)
REPORT = f"report-{'1f' * 10}"
PATH = f"/v0/reports/{REPORT}"


def record(state: str = "done", **fields: Any) -> ReportRecord:
    """A report."""
    made = ReportRecord(
        id=REPORT, kind="ip", target="192.0.2.7", pattern="full", version=2, account="alice", state="done", by="rules",
        why="No model is configured.", created=NOW, changed=NOW,
    )  # fmt: skip
    return msgspec.structs.replace(made, state=state, **fields)


def making(server: StandIn, *states: ReportRecord, content: bytes = b"# A report\n") -> None:
    """A server that makes one, and is in these states while it does."""
    server.say("POST", "/v0/reports", record("waiting"))
    server.say("GET", PATH, *states)
    server.say("GET", f"{PATH}/content", Answer(200, (content,), {"content-type": "text/markdown"}))


def test_a_report_is_waited_for_and_printed(run: Run, server: StandIn) -> None:
    """As Markdown; who wrote it is told beside it."""
    making(server, record("running", attempts=1), record("done"))
    result = run("report", "192.0.2.7", "--question", "why?", "--pattern", "full")
    assert (result.code, result.out) == (0, "# A report\n")
    assert "version 2, full: written by fixed rules (No model is configured.)" in result.err
    request = server.asked("/v0/reports")[0]
    body = json.loads(request.body)
    assert request.key, "sent again after a broken connection, it makes no second one"
    assert body == {"target": "192.0.2.7", "pattern": "full", "question": "why?", "rules": False}
    assert server.asked(f"{PATH}/content")[0].params == {"format": "md"}


def test_a_file_says_its_form(run: Run, server: StandIn, tmp_path: Path) -> None:
    """And `--format` says it before that."""
    for words, form in ((("-o", tmp_path / "a.pdf"), "pdf"), (("-o", tmp_path / "b", "--format", "HTML"), "html")):
        making(server, record())
        assert run("report", "net:192.0.2.0/24", "-service:ssh", *words).code == 0
        assert server.asked(f"{PATH}/content")[-1].params == {"format": form}
    assert (tmp_path / "a.pdf").read_bytes() == b"# A report\n"
    assert json.loads(server.asked("/v0/reports")[0].body)["target"] == "net:192.0.2.0/24 -service:ssh"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"by": "model", "provider": "local", "model": "m\x1b", "attempts": 2},
            "written by local m\\x1b in 2 attempts",
        ),
        ({"by": "person"}, "completed by alice"),
        ({"state": "incomplete"}, f"Finish it by hand: spectra reports review {REPORT}"),
    ],
)
def test_how_it_stands_is_told(run: Run, server: StandIn, fields: dict[str, Any], said: str) -> None:
    """Who wrote it, and whether a person has to look."""
    making(server, record(**fields))
    result = run("report", "192.0.2.7")
    assert result.code == 0
    assert said in result.err


def test_one_that_cannot_be_made_fails(run: Run, server: StandIn) -> None:
    """With the reason; so does one that is refused."""
    making(server, record("failed", why="Nothing matches."))
    result = run("report", "port:9")
    assert (result.code, "Nothing matches." in result.err) == (1, True)
    server.say("POST", "/v0/reports", problem(404, "No host is known.", reason="not_found"))
    assert run("report", "192.0.2.9").code == 4


def test_what_is_no_question(run: Run, server: StandIn) -> None:
    """No target, no such form."""
    assert "what is the report to be on?" in run("report").err
    assert "there is no format" in run("report", "192.0.2.7", "--format", "docx").err


def test_nobody_has_to_wait(run: Run, server: StandIn) -> None:
    """`--no-wait` prints the id alone."""
    making(server, record())
    assert run("report", "192.0.2.7", "--no-wait", "--rules").out == f"{REPORT}\n"


def test_a_pattern_is_checked(run: Run, server: StandIn, tmp_path: Path) -> None:
    """Its files are sent, bounded; problems are printed and fail."""
    folder = tmp_path / "shop"
    (folder / "examples").mkdir(parents=True)
    (folder / "system.md").write_text("Say it.")
    (folder / "examples" / "a.json").write_text("{}")
    (folder / "notes.txt").write_text("not sent")
    server.say("POST", "/v0/reports/patterns/check", PatternCheck(True, 1))
    result = run("report", "--check-pattern", folder)
    assert (result.code, result.out) == (0, f"{folder}: it holds, with 1 test\n")
    sent = json.loads(server.asked("/v0/reports/patterns/check")[0].body)
    assert sent == {"name": "shop", "files": {"system.md": "Say it.", "examples/a.json": "{}"}}
    server.say("POST", "/v0/reports/patterns/check", PatternCheck(False, 0, ("shop/system.md:1: \x1bno",)))
    result = run("report", "--check-pattern", folder)
    assert (result.code, result.out) == (1, "shop/system.md:1: \\x1bno\n")
    (folder / "system.md").write_bytes(b"\xff")
    assert "system.md:1: it cannot be read" in run("report", "--check-pattern", folder).err
    (folder / "system.md").write_text("x" * 70_000)
    assert "system.md:1: larger than" in run("report", "--check-pattern", folder).err
    assert "is no folder" in run("report", "--check-pattern", tmp_path / "none").err
