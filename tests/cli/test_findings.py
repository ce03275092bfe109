"""`spectra findings` from the command line to the terminal."""

from __future__ import annotations

import csv
import json

import pytest

from spectra.model.findingrecords import FindingPage, FindingSummary
from tests.cli.conftest import Run
from tests.cli.findingsamples import CVE, DECISION, detail, finding
from tests.cli.standin import StandIn, problem

PATH = "/v0/findings"


def test_a_table_for_people(run: Run, server: StandIn) -> None:
    """Where no command is named it lists; a line each, the most telling first."""
    server.say("GET", PATH, FindingPage((finding(), finding(port=2222, state="reopened", triage=DECISION))))
    for words in (("findings",), ("findings", "list"), ("findings", "severity:high")):
        result = run(*words)
        assert result.code == 0
        head = ["PRIO", "CVE", "SEVERITY", "ADDRESS", "PORT", "SOFTWARE", "STATE", "SURE", "SAYS"]
        assert result.lines[0].split() == head
        assert CVE in result.lines[1]
        assert "OpenSSH 9.2p1" in result.lines[1]
        assert "accepted" in result.lines[2]
    assert server.requests[0].params == {
        "state": "open", "triaged": "none", "sort": "priority", "limit": "50",
    }  # fmt: skip
    assert server.requests[2].params["q"] == "severity:high"


def test_every_option_is_sent(run: Run, server: StandIn) -> None:
    """As the server has them; terms that exclude are no options."""
    server.say("GET", PATH, FindingPage(()))
    options = ("--severity", "critical,high", "--kev", "--min-cvss", "7", "--min-epss", "0.05", "--min-priority", "30")
    more = ("--state", "new", "--since", "2026-03-01", "--level", "confirmed", "--patched", "no", "--triaged", "all")
    result = run("findings", "-service:ssh", *options, *more, "--sort", "epss", "--all")
    assert result.code == 0
    assert "No finding" in result.err
    assert server.requests[0].params == {
        "q": "-service:ssh", "severity": "critical,high", "kev": "true", "cvss": ">=7", "epss": ">=0.05",
        "min_priority": "30.0", "state": "new", "since": "2026-03-01T00:00:00Z", "level": "confirmed",
        "patched": "no", "triaged": "all", "sort": "epss", "limit": "1000",
    }  # fmt: skip
    run("findings", "--no-kev")
    assert server.requests[1].params["kev"] == "false"


def test_json_and_csv(run: Run, server: StandIn) -> None:
    """Whole records, and rows with cells no spreadsheet runs."""
    server.say("GET", PATH, FindingPage((finding(title="=1+1"),)))
    assert json.loads(run("findings", "--json").out)["id"] == f"192.0.2.7~22~tcp~{CVE}"
    (row,) = csv.DictReader(run("findings", "--csv").lines)
    assert (row["priority"], row["title"], row["epss"]) == ("71.4", "'=1+1", "0.63")
    chosen = run("findings", "--json", "--fields", "id,priority_reasons,age,requires,description,status,criterion").out
    assert json.loads(chosen)["priority_reasons"][1] == "It is reachable."
    assert "there is no field" in run("findings", "--fields", "colour").err


def test_pages_are_followed(run: Run, server: StandIn) -> None:
    """Also over one that is empty; a limit says that there is more."""
    server.say("GET", PATH, FindingPage((finding(),), "a"), FindingPage((), "b"), FindingPage((finding(port=23),)))
    assert len(run("findings", "--all", "--json").lines) == 2
    server.say("GET", PATH, FindingPage((finding(),), "a"))
    assert "there are more" in run("findings", "--limit", "1").err


def test_slips_are_pointed_at(run: Run, server: StandIn) -> None:
    """A mark under the query."""
    server.say("GET", PATH, problem(400, "No.", field="q", column=3))
    result = run("findings", "severity:bad")
    assert (result.code, result.err.splitlines()[1]) == (2, "    ^")
    assert run("findings", "--state", "shut").code == 2


@pytest.mark.parametrize("width", [80, 100])
def test_tables_fit(run: Run, server: StandIn, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """No line is wider than the terminal."""
    monkeypatch.setenv("COLUMNS", str(width))
    server.say("GET", PATH, FindingPage((finding(title="x" * 300, ip="2001:db8:85a3:1234:5678:8a2e:370:7334"),)))
    assert max(map(len, run("findings").lines)) <= width


def test_one(run: Run, server: StandIn) -> None:
    """With why it is one and all that is known; as it was at a moment; 404 is exit code 4."""
    ident = f"192.0.2.7~22~tcp~{CVE}"
    server.say("GET", f"{PATH}/{ident}", detail())
    result = run("findings", "show", ident)
    assert result.code == 0
    assert "the NVD says that" in result.out
    assert "HISTORY" in result.out
    assert json.loads(run("findings", "show", ident, "--json", "--at", "2026-03-01").out)["id"] == ident
    assert server.requests[-1].params == {"at": "2026-03-01T00:00:00Z"}
    server.say("GET", f"{PATH}/x", problem(404, "There is none.", reason="not_found"))
    assert run("findings", "show", "x").code == 4


def test_numbers(run: Run, server: StandIn) -> None:
    """By severity, with what is estimated said to be so."""
    counts = {"critical": 2, "high": 0, "": 1}
    found = FindingSummary(
        open=3, severity=counts, kev=1, ransomware=0, new=2, possibly_patched=1, settled=4, hosts=1, exact=False,
        hosts_exact=False,
    )  # fmt: skip
    server.say("GET", f"{PATH}/summary", found)
    out = run("findings", "summary").out
    for part in ("3 findings on about 1 host", "2 critical, 1 unrated", "at least 2 within 7 days", "4 by triage"):
        assert part in out, part
    assert json.loads(run("findings", "summary", "--json").out)["open"] == 3


def test_help(run: Run) -> None:
    """The group has its own; each command shows a whole call."""
    assert "summary" in run("findings", "--help").out
    assert "$ spectra findings show" in run("findings", "show", "--help").out
