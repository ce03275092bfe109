"""`spectra feeds correlate` against the contract."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from spectra.model.correlation import Correlating
from spectra.model.records import WorkflowRecord, WorkflowStep
from tests.cli.conftest import Run
from tests.cli.standin import StandIn

NOW = datetime.now(UTC)
ID = "correlate-" + "ab" * 16


def correlation(status: Any, done: int = 0, error: str = "") -> WorkflowRecord:
    """The workflow, that far."""
    return WorkflowRecord(
        ID, "wf.vuln_correlate", status, NOW, NOW, "", (WorkflowStep("evaluate"),), error, done=done, total=5000
    )


def test_correlating(run: Run, server: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begun and left to itself, or followed to its end; asked for twice it is the same; failing exits with 1."""
    monkeypatch.setattr("spectra.cli.workflows.WATCH_EVERY_S", 0.001)
    server.say("POST", "/v0/correlate", Correlating(ID, True, 0), Correlating(ID, False, 3000))
    result = run("feeds", "correlate")
    assert result.out == f"All services are held against all CVEs again, workflow {ID}\n"
    assert f"spectra workflows show {ID[:16]} --watch" in result.err
    server.say("GET", f"/v0/workflows/{ID}", correlation("running", 2000), correlation("done", 5000))
    watched = run("feeds", "correlate", "--watch")
    assert watched.out == "done, 5,000 services and what they are\n"
    assert "running already" in watched.err
    assert json.loads(run("feeds", "correlate", "--json").out)["workflow_id"] == ID
    server.say("GET", f"/v0/workflows/{ID}", correlation("failed", 2000, "gave up"))
    failed = run("feeds", "correlate", "--watch")
    assert (failed.code, failed.out) == (1, "failed: gave up\n")


def test_among_workflows(run: Run, server: StandIn) -> None:
    """Shown with how far it is."""
    server.say("GET", f"/v0/workflows/{ID}", correlation("running", 2000))
    server.say("GET", "/v0/workflows", {"workflows": [correlation("running")]})
    assert "  2,000 of 5,000 services" in run("workflows", "show", ID[:16]).lines
