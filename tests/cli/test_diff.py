"""`spectra diff` from the command line to the terminal."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from spectra.model.diffs import DiffEntry, DiffPage, DiffSummary, HostChange, changes
from spectra.model.findingrecords import FindingBrief, FindingChange
from spectra.model.observation import Certificate, Service
from spectra.model.records import VersionRecord
from tests.cli.conftest import Run
from tests.cli.standin import StandIn

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def version(state: str = "open", title: str = "", certificate: str = "", **service: Any) -> VersionRecord:
    """What an endpoint is for a while."""
    return VersionRecord(
        state=state,
        since=T0,
        confirmed=T0,
        service=Service(**service) if service else None,
        certificate=Certificate(certificate * 64, subject_cn=certificate) if certificate else None,
        title=title,
    )


OLD = version(name="ssh", product="OpenSSH", version="8.4")
NEW = version(name="ssh", product="OpenSSH", version="9.6")
ENTRIES = (
    DiffEntry(kind="new", ip="192.0.2.1", port=80, protocol="tcp", at=T0, after=version(title="=1+1", name="http")),
    DiffEntry(
        kind="gone", ip="192.0.2.1", port=25, protocol="tcp", at=T0 - HOUR, before=OLD, after=version("filtered")
    ),
    DiffEntry(
        kind="changed",
        ip="192.0.2.2",
        port=22,
        protocol="tcp",
        at=T0 - 2 * HOUR,
        before=OLD,
        after=NEW,
        changes=changes(OLD, NEW),
    ),
)
HOSTS = (HostChange("host_new", "192.0.2.1", T0), HostChange("host_gone", "192.0.2.9", T0))


def page(
    entries: tuple[DiffEntry, ...] = ENTRIES, hosts: tuple[HostChange, ...] = HOSTS, cursor: str = "", **summary: Any
) -> DiffPage:
    """An answer of the server."""
    counts: dict[str, Any] = {"new": 1, "gone": 1, "changed": 1, "hosts_new": 1, "hosts_gone": 1, "exact": True}
    return DiffPage(
        from_="one", to="two", by="time", summary=DiffSummary(**(counts | summary)), hosts=hosts, entries=entries,
        next_cursor=cursor,
    )  # fmt: skip


def test_lines_for_people(run: Run, server: StandIn) -> None:
    """Hosts first, then a line per endpoint with its sign and what changed; the numbers on standard error."""
    server.say("GET", "/v0/diff", page())
    result = run("diff", "7d")
    assert result.code == 0
    assert [line.split()[0] for line in result.lines[1:]] == ["+", "-", "+", "-", "~"]
    assert "192.0.2.9  host" in " ".join(result.lines[2].split("   ")).replace("   ", "  ")
    assert "version 8.4 → 9.6" in result.lines[5]
    assert "OpenSSH 8.4 is filtered" in result.lines[4]
    assert "1 new, 1 gone, 1 changed; 1 host new, 1 host silent" in result.err
    asked = server.requests[0].params
    assert asked["to"] == "now"
    assert asked["from"].startswith("20")


def test_times_scans_and_queries(run: Run, server: StandIn) -> None:
    """Times are sent as RFC 3339, anything else as the id of a scan; a query may follow a lone time."""
    server.say("GET", "/v0/diff", page())
    run("diff", "2026-03-01", "2026-03-08", "service:ssh", "-port:22", "--kind", "new")
    run("diff", "weekly-17", "weekly-18")
    run("diff", "1d", "service:ssh")
    run("diff", "1d", "-service:ssh", "port:22")
    first, second, third, fourth = (request.params for request in server.requests)
    assert (first["from"], first["to"]) == ("2026-03-01T00:00:00Z", "2026-03-08T00:00:00Z")
    assert (first["q"], first["kind"]) == ("service:ssh -port:22", "new")
    assert (second["from"], second["to"], "q" in second) == ("weekly-17", "weekly-18", False)
    assert (third["to"], third["q"]) == ("now", "service:ssh")
    assert fourth["q"] == "-service:ssh port:22"


def test_for_machines(run: Run, server: StandIn) -> None:
    """JSON lines are whole records, CSV has a field for each property and runs nothing."""
    server.say("GET", "/v0/diff", page())
    kinds = [json.loads(line)["kind"] for line in run("diff", "7d", "--json").lines]
    assert kinds == ["host_new", "host_gone", "new", "gone", "changed"]
    assert [json.loads(line)["kind"] for line in run("diff", "7d", "--json", "--kind", "new").lines] == kinds[2:]
    rows = list(csv.DictReader(run("diff", "7d", "--csv").lines))
    assert [row["port"] for row in rows] == ["", "", "80", "25", "22"]
    assert rows[4]["changes"] == "version 8.4 → 9.6"
    assert rows[2]["after"] == "http “=1+1”"
    assert run("diff", "7d", "--fields", "ip,portt", "--csv").code == 2


def test_all_pages(run: Run, server: StandIn) -> None:
    """Cursors are followed, hosts are told once and beside the limit."""
    server.say("GET", "/v0/diff", page(cursor="a"), page((), (), "b"), page(hosts=()))
    assert len(run("diff", "7d", "--all", "--json").lines) == 2 + 3 + 3
    server.say("GET", "/v0/diff", page(cursor="a"))
    result = run("diff", "7d", "--limit", "2", "--json")
    assert len(result.lines) == 2 + 2
    assert "there are more" in result.err


def test_exit_codes(run: Run, server: StandIn) -> None:
    """0 as every command; with `--exit-code` 1 where something differs, as in git."""
    server.say("GET", "/v0/diff", page())
    assert (run("diff", "7d").code, run("diff", "7d", "--exit-code").code) == (0, 1)
    server.say("GET", "/v0/diff", page((), ()))
    result = run("diff", "7d", "--exit-code")
    assert (result.code, result.out) == (0, "")
    assert "No difference." in result.err


def test_what_only_one_scan_saw(run: Run, server: StandIn) -> None:
    """The numbers are told as a lower bound where they are one, and what could not be compared has its own line."""
    server.say("GET", "/v0/diff", page(one_sided=3, exact=False))
    err = run("diff", "a", "b").err
    assert "at least 1 new" in err
    assert "3 endpoints seen in one scan alone" in err
    assert "spectra search scan:two -scan:one" in err


@pytest.mark.parametrize("width", [60, 80, 200])
def test_it_fits_the_terminal(run: Run, server: StandIn, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """However much changed, a difference is one line."""
    monkeypatch.setenv("COLUMNS", str(width))
    before, after = version(title="a" * 200, certificate="a", name="http"), version(title="b" * 200, certificate="b")
    entry = DiffEntry(
        kind="changed", ip="2001:db8:85a3:1234:5678:8a2e:370:7334", port=443, protocol="tcp", at=T0,
        before=before, after=after, changes=changes(before, after),
    )  # fmt: skip
    server.say("GET", "/v0/diff", page((entry,), ()))
    lines = run("diff", "7d").lines
    assert len(lines) == 2
    assert max(map(len, lines)) <= width
    assert entry.ip in lines[1]


def test_findings_follow_on_what_changed(run: Run, server: StandIn) -> None:
    """The riskiest by name and how many closed; those of endpoints that did not change have lines of their own."""
    briefs = tuple(FindingBrief(f"CVE-2024-000{n}", "high") for n in range(5))
    entry = msgspec.structs.replace(
        ENTRIES[2], findings_new=briefs, findings_new_total=120, findings_closed=briefs[:1], findings_closed_total=1
    )
    place: dict[str, Any] = {"ip": "192.0.2.3", "port": 22, "protocol": "tcp", "at": T0}
    told = (
        FindingChange(kind="finding_new", cve="CVE-2024-6387", severity="high", **place),
        FindingChange(kind="finding_closed", cve="CVE-2020-1", **place),
    )
    answer = msgspec.structs.replace(page((entry,), ()), findings=told * 20, findings_total=4000, findings_exact=False)
    server.say("GET", "/v0/diff", answer)
    lines = run("diff", "7d").lines
    assert "version 8.4 → 9.6; 120 new findings, 1 closed: CVE-2024-0000 high" in lines[1]
    assert lines[2].split()[0] == "!"
    assert "CVE-2024-6387 (high) became known" in lines[2]
    assert "CVE-2020-1 was taken back" in lines[3]
    assert len(lines) == 2 + 30
    assert "at least 4,000 findings by what was told of CVEs" in run("diff", "7d").err
    assert len(run("diff", "7d", "--json").lines) == 1 + 40
    rows = list(csv.DictReader(run("diff", "7d", "--csv").lines))
    assert rows[0]["findings_new"].startswith("CVE-2024-0000, CVE-2024-0001")
    assert (rows[1]["findings_new"], rows[2]["findings_closed"]) == ("CVE-2024-6387", "CVE-2020-1")
