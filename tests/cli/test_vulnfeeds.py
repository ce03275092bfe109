"""`spectra feeds vulns` against the contract."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from spectra.model.envelope import Problem
from spectra.model.feeds import FeedPage
from spectra.model.records import WorkflowRecord
from spectra.model.vulnfeeds import (
    KNOWN_SOURCES,
    Unread,
    VulnFeedPage,
    VulnFeedRecord,
    VulnSync,
    VulnTotals,
)
from tests.cli.conftest import Run
from tests.cli.standin import StandIn, problem

NOW = datetime.now(UTC)
ID = "vulnsync-" + "ab" * 16
TOTALS = VulnTotals(222_541, 9_000, 193_199, 210_000, 207_730, 1_147, 60_000)


def feed(name: str = "nvd", **fields: Any) -> VulnFeedRecord:
    """A feed as the server tells of it."""
    known: dict[str, Any] = {
        "kind": "nvd",
        "source": "https://example.org/nvd.json.gz",
        "checked": NOW - timedelta(hours=3),
        "version": "2.0",
        "built": NOW - timedelta(days=3),
        "records": 1000,
        "updated": NOW - timedelta(hours=3),
        "cves": 200_000,
        "configured": 150_000,
        "scored": 190_000,
    }
    return VulnFeedRecord(name=name, **known | fields)


def page(*feeds: VulnFeedRecord) -> VulnFeedPage:
    """All feeds."""
    return VulnFeedPage(feeds, TOTALS)


def workflow(status: str, done: int = 0, error: str = "") -> WorkflowRecord:
    """A sync in some state."""
    return WorkflowRecord(ID, "wf.vuln_sync", status, NOW, NOW, error=error, done=done, total=2000)  # pyright: ignore[reportArgumentType]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever watches looks often."""
    monkeypatch.setattr("spectra.cli.workflows.WATCH_EVERY_S", 0.001)


def test_a_file_is_sent_as_it_is(run: Run, server: StandIn, tmp_path: Path) -> None:
    """And begun: its workflow is told, or followed to its end, which may be a failure."""
    file = tmp_path / "nvd.json.gz"
    file.write_bytes(b"\x1f\x8bfeed")
    server.say("PUT", "/v0/vuln-feeds/nvd", VulnSync("nvd", "started", ID))
    result = run("feeds", "vulns", "add", "nvd", file, "--force")
    assert result.out == f"nvd: taking it in, workflow {ID}\n"
    assert f"spectra workflows show {ID[:16]} --watch" in result.err
    (sent,) = server.asked("/v0/vuln-feeds/nvd")
    assert (sent.body, sent.params) == (b"\x1f\x8bfeed", {"force": "true"})
    server.say("GET", f"/v0/workflows/{ID}", workflow("running", 1000), workflow("done", 2000))
    assert run("feeds", "vulns", "add", "nvd", file, "--watch").out == "nvd: done, 2,000 records\n"
    assert json.loads(run("feeds", "vulns", "add", "nvd", file, "--watch", "--json").out)["done"] == 2000
    server.say("GET", f"/v0/workflows/{ID}", workflow("failed", 1000, "\x1b[2Jline 7: cut short"))
    failed = run("feeds", "vulns", "add", "nvd", file, "--watch")
    assert failed.code == 1
    assert failed.out.startswith("nvd: failed: ")
    assert "\x1b" not in failed.out
    server.say("PUT", "/v0/vuln-feeds/nvd", VulnSync("nvd", "unchanged"))
    assert run("feeds", "vulns", "add", "nvd", file, "--watch").out == "nvd: nothing new\n"


@pytest.mark.parametrize("name", sorted(KNOWN_SOURCES))
def test_well_known_feeds_need_no_address(run: Run, server: StandIn, name: str) -> None:
    """Others do; the server fetches them."""
    server.say("PUT", f"/v0/vuln-feeds/{name}", VulnSync(name, "started", ID))
    assert run("feeds", "vulns", "add", name).code == 0
    assert json.loads(server.asked(f"/v0/vuln-feeds/{name}")[0].body)["url"] == KNOWN_SOURCES[name]
    refused = run("feeds", "vulns", "add", "other")
    assert refused.code == 2
    assert "Give a file or a URL" in refused.err
    assert run("feeds", "vulns", "add", "other", "/nowhere/at/all").code == 2


def test_updating(run: Run, server: StandIn) -> None:
    """Those named, or all that have a URL; one that fails does not keep the others from it."""
    server.say("GET", "/v0/vuln-feeds", page(feed("epss"), feed("file", source="upload"), feed("nvd")))
    server.say("POST", "/v0/vuln-feeds/epss/update", problem(409, "It came as a file."))
    server.say("POST", "/v0/vuln-feeds/nvd/update", VulnSync("nvd", "running", ID))
    result = run("feeds", "vulns", "update")
    assert result.code == 1
    assert result.out == f"nvd: is being taken in already, workflow {ID}\n"
    assert "epss: It came as a file." in result.err
    assert "1 feed could not be updated" in result.err
    assert run("feeds", "vulns", "update", "nvd").code == 0
    assert run("feeds", "vulns", "update", "epss").code == 1
    server.say("GET", "/v0/vuln-feeds", page(feed("file", source="upload")))
    assert "No feed of weaknesses has a URL" in run("feeds", "vulns", "update").err


def test_removing(run: Run, server: StandIn) -> None:
    """By a workflow, too."""
    server.say("DELETE", "/v0/vuln-feeds/nvd", VulnSync("nvd", "started", ID))
    server.say("GET", f"/v0/workflows/{ID}", workflow("done", 2000))
    assert run("feeds", "vulns", "remove", "nvd", "--watch").out == "nvd: done, 2,000 records\n"


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_the_table_fits(run: Run, server: StandIn, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Age and coverage of each; below it what went wrong, what could not be read, and the corpus."""
    monkeypatch.setenv("COLUMNS", str(width))
    odd = feed(
        "kev",
        kind="kev",
        built=None,
        error="\x1b[2Jan older one",
        unread=Unread(30, (Problem("no id", 7), Problem("x"))),
    )
    server.say("GET", "/v0/feeds", FeedPage((), 0, 0, 0))
    server.say("GET", "/v0/vuln-feeds", page(feed(), odd, feed("new", kind="", built=None, updated=None)))
    result = run("feeds", "status")
    assert len(result.lines) == 4
    assert max(map(len, result.lines)) <= width
    assert "\x1b" not in result.out + result.err
    assert "an older one" in result.err
    assert "kev: 30 records could not be read:" in result.err
    assert "line 7: no id" in result.err
    assert "222,541 CVEs: 87 % tell what is affected" in result.err
    if width >= 80:
        assert "3 d" in result.lines[1]
        assert "200,000" in result.lines[1]
    told = [json.loads(line) for line in run("feeds", "status", "--json").lines]
    assert [one["name"] for one in told] == ["nvd", "kev", "new"]
