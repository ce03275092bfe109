"""`spectra observations`, `workflows` and `provenance` against the contract."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from spectra.model.envelope import Counts, Problem
from spectra.model.records import ChainReport, ObservationRecord, WorkflowRecord, WorkflowStep
from tests.cli.conftest import Run
from tests.cli.standin import Answer, StandIn, problem

NOW = datetime.now(UTC)
ID = "ab" * 32


def observation(identifier: str = ID, problems: int = 0) -> ObservationRecord:
    """An accepted submission."""
    return ObservationRecord(
        identifier, "merged", NOW, "nmap", "7.94", "weekly", "syn", "alice", "cd" * 32, 1.0, "full", "laptop\x1b[2J",
        "nmap_xml", "ef" * 32, 100, "01" * 32, counts=Counts(3, 7, problems=problems),
        problems=tuple(Problem(f"wrong {n}", n + 1, "port") for n in range(problems)),
    )  # fmt: skip


def flow(status: str, *steps: WorkflowStep, error: str = "") -> WorkflowRecord:
    """A workflow in some state."""
    return WorkflowRecord(ID, "wf.scan", status, NOW, NOW, ID, steps, error)  # pyright: ignore[reportArgumentType]


def test_observations_are_listed_over_pages(run: Run, server: StandIn) -> None:
    """The list follows cursors up to its limit, as table, JSON or CSV."""
    pages = (
        {"observations": [observation("a" * 64), observation("b" * 64)], "next_cursor": "7"},
        {"observations": [observation("c" * 64)]},
    )
    server.say("GET", "/v0/observations", *pages)
    result = run("observations", "list", "--limit", "0")
    assert [line.split()[0] for line in result.lines[1:]] == ["a" * 16, "b" * 16, "c" * 16]
    assert "\x1b" not in result.out
    assert server.requests[1].params["cursor"] == "7"
    server.say("GET", "/v0/observations", pages[0])
    assert len(run("observations", "list", "--limit", "1", "--json").lines) == 1
    server.say("GET", "/v0/observations", {"observations": []})
    assert "Nothing was submitted" in run("observations", "list").err


def test_pages_of_observations_must_advance(run: Run, server: StandIn) -> None:
    """The same cursor again ends the command."""
    server.say("GET", "/v0/observations", {"observations": [observation()], "next_cursor": "7"})
    assert run("observations", "list", "--limit", "0").code == 1


def test_one_observation(run: Run, server: StandIn) -> None:
    """What was kept and what was not; a short id from the list is enough."""
    server.say("GET", "/v0/observations", {"observations": [observation()]})
    server.say("GET", f"/v0/observations/{ID}", observation(problems=60))
    result = run("observations", "show", ID[:16])
    assert "3 hosts, 7 endpoints, 60 records not kept" in result.out
    assert "   not kept: line 1 port: wrong 0" in result.lines
    assert "   and 10 more; --json prints all" in result.lines
    assert json.loads(run("observations", "show", ID, "--json").out)["observation_id"] == ID
    assert run("observations", "show", "12345678").code == 4


def test_originals_come_back_byte_for_byte(run: Run, server: StandIn, tmp_path: Path) -> None:
    """The raw output goes to a file or a pipe unchanged."""
    data = bytes(range(256)) * 100
    server.say("GET", f"/v0/observations/{ID}/raw", Answer(200, (data[:1000], data[1000:])))
    result = run("observations", "raw", ID, "-o", tmp_path / "raw")
    assert (tmp_path / "raw").read_bytes() == data
    assert "25,600 bytes" in result.err
    text = b"plain\n" * 10
    server.say("GET", f"/v0/observations/{ID}/raw", Answer(200, (text,)))
    assert run("observations", "raw", ID).out.encode() == text


def test_a_corrupt_original_leaves_no_file(run: Run, server: StandIn, tmp_path: Path) -> None:
    """A refused or broken download leaves nothing behind."""
    server.say(
        "GET", f"/v0/observations/{ID}/raw", problem(500, "the blob is corrupt", reason="corrupt", request_id="r1")
    )
    result = run("observations", "raw", ID, "-o", tmp_path / "raw")
    assert result.code == 1
    assert "request r1" in result.err
    server.say("GET", f"/v0/observations/{ID}/raw", Answer(200, (b"half",), cut=True))
    assert run("observations", "raw", ID, "-o", tmp_path / "raw").code == 3
    assert list(tmp_path.glob("raw*")) == []


def test_workflows(run: Run, server: StandIn) -> None:
    """The list, one workflow, and what failed in it."""
    failed = flow("failed", WorkflowStep("parse"), WorkflowStep("upsert", "disk\nfull"), error="gave up")
    server.say("GET", "/v0/workflows", {"workflows": [failed]})
    server.say("GET", f"/v0/workflows/{ID}", failed)
    assert ID[:16] in run("workflows", "list", "--status", "failed").out
    assert server.requests[0].params == {"limit": "50", "status": "failed"}
    result = run("workflows", "show", ID[:16])
    assert result.code == 0
    assert result.lines[-3:] == ["  ✓ parse", "  ✗ upsert: disk full", "  failed: gave up"]
    assert json.loads(run("workflows", "show", ID, "--json").out)["status"] == "failed"
    server.say("GET", "/v0/workflows", {"workflows": []})
    assert "no workflows" in run("workflows", "list").err


def test_watching_a_workflow(run: Run, server: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--watch` prints each step once as it comes and exits with 1 for one that failed."""
    monkeypatch.setattr("spectra.cli.workflows.WATCH_EVERY_S", 0.001)
    one, two = WorkflowStep("parse"), WorkflowStep("upsert")
    states = flow("pending"), flow("running", one), flow("running", one), flow("done", one, two)
    server.say("GET", f"/v0/workflows/{ID}", *states)
    result = run("workflows", "show", ID, "--watch")
    assert result.code == 0
    assert result.lines[3:] == ["  ✓ parse", "  ✓ upsert", "  done"]
    server.say("GET", f"/v0/workflows/{ID}", flow("failed", error="x"))
    assert run("workflows", "show", ID, "--watch").code == 1


def test_watching_ends(run: Run, server: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """A workflow that never ends does not keep the command for ever."""
    monkeypatch.setattr("spectra.cli.workflows.WATCH_EVERY_S", 0.001)
    monkeypatch.setattr("spectra.cli.workflows.WATCH_AT_MOST_S", 0.003)
    server.say("GET", f"/v0/workflows/{ID}", flow("running"))
    assert "Still running" in run("workflows", "show", ID, "--watch").err


def lines(*objects: object) -> Answer:
    """An NDJSON answer."""
    return Answer(200, tuple(msgspec.json.encode(one) + b"\n" for one in objects))


def test_an_intact_chain(run: Run, server: StandIn) -> None:
    """Progress lines are followed by a report; the command says what holds."""
    report = ChainReport(True, 12, 10, 8, "ab" * 32, deep=True)
    server.say("POST", "/v0/provenance/verify", lines({"progress": {"done": 1, "total": 12}}, {"report": report}))
    result = run("provenance", "verify", "--deep")
    assert result.code == 0
    assert (
        result.out
        == f"intact: 12 entries, 10 observations and every row of the graph hold (8 blobs), head {'ab' * 32}\n"
    )
    assert server.requests[0].params == {"deep": "true"}


def test_a_broken_chain_names_the_entry(run: Run, server: StandIn) -> None:
    """The first entry that does not hold is named, and the exit code is 1."""
    report = ChainReport(False, 12, 10, 8, "ab" * 32, False, 7, ID, "the hash differs")
    server.say("POST", "/v0/provenance/verify", lines({"report": report}))
    result = run("provenance", "verify")
    assert (result.code, result.out) == (1, f"BROKEN at entry 7, observation {ID}: the hash differs\n")
    assert json.loads(run("provenance", "verify", "--json").out)["broken_seq"] == 7


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lines({"progress": {"done": 1, "total": 12}}), "stopped before"),
        (lines({"error": {"reason": "unavailable", "detail": "the database went away"}}), "the database went away"),
        (Answer(200, (b"not json\n",)), "not understood"),
    ],
)
def test_half_a_verification_is_no_success(run: Run, server: StandIn, answer: Answer, said: str) -> None:
    """A walk that ends without a report exits with 1, never with 0."""
    server.say("POST", "/v0/provenance/verify", answer)
    result = run("provenance", "verify")
    assert (result.code, result.out) == (1, "")
    assert said in result.err


def test_the_head_of_the_chain(run: Run, server: StandIn) -> None:
    """What one notes elsewhere to anchor the chain."""
    server.say("GET", "/v0/provenance", {"entries": 3, "head": "ab" * 32})
    assert run("provenance", "show").out == f"3 entries, head {'ab' * 32}\n"
    assert json.loads(run("provenance", "show", "--json").out) == {"entries": 3, "head": "ab" * 32}


def test_the_log_of_privileged_acts(run: Run, server: StandIn) -> None:
    """Newest first, with who did it and what it was about; by kind and subject."""
    detail = {"network": "192.0.2.0/24", "added_by": "alice", "removed_by": "carol"}
    block = "0f1e2d3c000040008000000000000001"
    act = {"seq": 7, "at": "2026-01-01T00:00:00Z", "kind": "block.removed", "subject": block, "hash": "ab" * 32}
    server.say("GET", "/v0/audit", {"acts": [act | {"detail": detail}]})
    table = run("provenance", "log", "--kind", "block", "--subject", "0f1e2d3c-0000-4000-8000-000000000001").out
    for word in ("block.removed", "carol", "192.0.2.0/24"):
        assert word in table
    assert {name: server.requests[0].params[name] for name in ("kind", "subject")} == {
        "kind": "block",
        "subject": block,
    }
    assert json.loads(run("provenance", "log", "--json").out)["detail"] == detail
    run("provenance", "log", "--subject", "local-admin")
    assert server.requests[-1].params["subject"] == "local-admin"
    server.say("GET", "/v0/audit", {"acts": []})
    assert "Nothing of that is on record" in run("provenance", "log").err
