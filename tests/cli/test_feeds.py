"""`spectra feeds` against the contract."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from spectra.model.feeds import FeedChange, FeedPage, FeedRecord, Outcome, Relocating
from spectra.model.records import WorkflowRecord, WorkflowStep
from spectra.model.vulnfeeds import VulnFeedPage, VulnTotals
from tests.cli.conftest import Run
from tests.cli.standin import StandIn, problem

NOW = datetime.now(UTC)
ID = "relocate-" + "ab" * 16


def feed(name: str = "aws", **fields: Any) -> FeedRecord:
    """A feed as the server tells of it."""
    known: dict[str, Any] = {
        "kind": "cloud",
        "format": "aws",
        "source": "https://ip-ranges.amazonaws.com/ip-ranges.json",
        "version": "1787433425",
        "sha256": "ab" * 32,
        "size": 94926,
        "networks": 11012,
        "updated": NOW - timedelta(days=2),
        "taken_by": "alice",
        "checked": NOW - timedelta(hours=3),
        "built": NOW - timedelta(days=3),
    }
    return FeedRecord(name=name, **known | fields)


def change(outcome: Outcome = "added", name: str = "aws", **fields: Any) -> FeedChange:
    """What became of a feed."""
    return FeedChange(name, outcome, 3, None if outcome == "removed" else feed(name), **fields)


def page(*feeds: FeedRecord, hosts: int = 5000, behind: int = 0) -> FeedPage:
    """`GET /v0/feeds`."""
    return FeedPage(feeds, 3, hosts, behind)


def test_a_file_is_sent_as_it_is(run: Run, server: StandIn, tmp_path: Path) -> None:
    """With its name; what it was recognised as is told, and what to do next."""
    server.say("PUT", "/v0/feeds/aws", change())
    server.say("GET", "/v0/feeds", page(feed(), behind=5000))
    file = tmp_path / "ip-ranges.json.zst"
    file.write_bytes(bytes(range(256)))
    result = run("feeds", "add", "aws", file, "--provider", "aws", "--force")
    assert result.out == "aws: added, aws, 11,012 networks, version 1787433425\n"
    assert "5,000 of 5,000 stored hosts rest on older feeds: spectra feeds apply --watch" in result.err
    (sent,) = server.asked("/v0/feeds/aws")
    assert sent.body == bytes(range(256))
    assert sent.params == {"provider": "aws", "force": "true", "filename": "ip-ranges.json.zst"}
    server.say("GET", "/v0/feeds", page(feed()))
    assert run("feeds", "add", "aws", file).err == ""
    assert json.loads(run("feeds", "add", "aws", file, "--json").out)["feed"]["networks"] == 11012


def test_a_url_is_left_to_the_server(run: Run, server: StandIn) -> None:
    """It is what fetches it, now and later."""
    server.say("PUT", "/v0/feeds/aws", change("updated", version_before="1", networks_before=9066))
    server.say("GET", "/v0/feeds", page())
    result = run("feeds", "add", "aws", "https://example.org/x.json", "--provider", "acme")
    assert "11,012 networks (9,066 before)" in result.out
    (sent,) = server.asked("/v0/feeds/aws")
    assert json.loads(sent.body) == {"url": "https://example.org/x.json", "provider": "acme"}


def test_what_is_refused_exits_with_1(run: Run, server: StandIn, tmp_path: Path) -> None:
    """With the server's reason; a file that cannot be read is an error of the command."""
    file = tmp_path / "x"
    file.write_bytes(b"x")
    server.say("PUT", "/v0/feeds/aws", problem(409, "It has 3 networks where there were 9.", hint="--force takes it."))
    result = run("feeds", "add", "aws", file)
    assert result.code == 1
    assert "3 networks" in result.err
    assert "--force takes it" in result.err
    missing = run("feeds", "add", "aws", tmp_path / "nothing")
    assert missing.code == 2
    assert "nothing" in missing.err


def test_updating(run: Run, server: StandIn) -> None:
    """Those named, or all that have a URL; one that fails does not keep the others from it."""
    server.say("GET", "/v0/feeds", page(feed("aws"), feed("city", source="upload"), feed("gcp")))
    server.say("POST", "/v0/feeds/aws/update", problem(424, "example.org answered 503."))
    server.say("POST", "/v0/feeds/gcp/update", change("unchanged", "gcp"))
    result = run("feeds", "update")
    assert result.code == 1
    assert result.out == "gcp: nothing new, aws, 11,012 networks, version 1787433425\n"
    assert "aws: example.org answered 503." in result.err
    assert "1 feed could not be updated" in result.err
    assert run("feeds", "update", "gcp", "--force").code == 0
    assert server.asked("/v0/feeds/gcp/update")[-1].params == {"force": "true"}
    assert run("feeds", "update", "aws").code == 1
    server.say("GET", "/v0/feeds", page(feed("city", source="upload")))
    assert "No feed has a URL" in run("feeds", "update").err


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_the_table_fits(run: Run, server: StandIn, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Age, networks, hosts behind, and below it the errors."""
    monkeypatch.setenv("COLUMNS", str(width))
    city = feed("city", kind="geo", built=None, error="line 7: \x1b[2Jno network", hosts_behind=1200)
    server.say("GET", "/v0/feeds", page(feed(), city, behind=1200))
    server.say("GET", "/v0/vuln-feeds", VulnFeedPage((), VulnTotals()))
    result = run("feeds", "status")
    assert len(result.lines) == 3
    assert max(map(len, result.lines)) <= width
    assert "\x1b" not in result.out + result.err
    assert "city: line 7:" in result.err
    assert "1,200 of 5,000 stored hosts" in result.err
    if width >= 80:
        assert "3 d" in result.lines[1]
        assert "≥ 2 d" in result.lines[2]
        assert "1,200" in result.lines[2]


def test_no_feed_at_all(run: Run, server: StandIn) -> None:
    """Says how to begin."""
    server.say("GET", "/v0/feeds", page())
    server.say("GET", "/v0/vuln-feeds", VulnFeedPage((), VulnTotals()))
    result = run("feeds", "status")
    assert (result.code, result.out) == (0, "")
    assert "spectra feeds add NAME FILE|URL" in result.err
    assert "spectra feeds vulns add NAME FILE|URL" in result.err
    assert run("feeds", "status", "--json").out == ""


def test_rolling_back_and_removing(run: Run, server: StandIn) -> None:
    """What is in use then is told."""
    server.say("GET", "/v0/feeds", page(behind=7))
    server.say("POST", "/v0/feeds/aws/rollback", change("rolled_back", networks_before=4))
    result = run("feeds", "rollback", "aws")
    assert result.out == "aws: rolled back, aws, 11,012 networks (4 before), version 1787433425\n"
    assert "7 of 5,000" in result.err
    server.say("DELETE", "/v0/feeds/aws", change("removed"))
    assert run("feeds", "remove", "aws").out == "aws: removed\n"


def relocation(status: str, done: int = 0, error: str = "") -> WorkflowRecord:
    """A relocation in some state."""
    steps = (WorkflowStep("look hosts up"),)
    return WorkflowRecord(ID, "wf.relocate", status, NOW, NOW, "", steps, error, done, 5000)  # pyright: ignore[reportArgumentType]


def test_applying(run: Run, server: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begun and left to itself, or followed to its end; asked for twice it is the same."""
    monkeypatch.setattr("spectra.cli.workflows.WATCH_EVERY_S", 0.001)
    server.say("POST", "/v0/enrich", Relocating(ID, True, 5000), Relocating(ID, False, 3000))
    result = run("feeds", "apply")
    assert result.out == f"5,000 hosts to look up, workflow {ID}\n"
    assert f"spectra workflows show {ID[:16]} --watch" in result.err
    states = relocation("running", 2000), relocation("done", 5000)
    server.say("GET", f"/v0/workflows/{ID}", *states)
    watched = run("feeds", "apply", "--watch")
    assert watched.out == "done, 5,000 hosts\n"
    assert "running already" in watched.err
    assert json.loads(run("feeds", "apply", "--json").out)["workflow_id"] == ID
    server.say("GET", f"/v0/workflows/{ID}", relocation("failed", 2000, "gave up"))
    failed = run("feeds", "apply", "--watch")
    assert (failed.code, failed.out) == (1, "failed: gave up\n")


def test_a_relocation_among_workflows(run: Run, server: StandIn) -> None:
    """Shown with how far it is."""
    server.say("GET", f"/v0/workflows/{ID}", relocation("running", 2000))
    server.say("GET", "/v0/workflows", {"workflows": [relocation("running")]})
    assert "  2,000 of 5,000 hosts" in run("workflows", "show", ID[:16]).lines
