"""`spectra vulns` from the command line to the terminal: lists, one CVE, and the endpoints it concerns."""

from __future__ import annotations

import csv
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from spectra.cli.vulns import one_of, percent
from spectra.model.vulnrecords import VulnDetail, VulnHost, VulnHosts, VulnPage, VulnSummary, VulnTotal
from tests.cli.conftest import Run
from tests.cli.standin import TOKEN, StandIn, problem

NOW = datetime.now(UTC)
CVE = "CVE-2024-6387"


def vuln(number: int = 6387, **changes: object) -> VulnSummary:
    """A CVE of a list."""
    facts: dict[str, object] = {
        "cve": f"CVE-2024-{number}",
        "title": "regreSSHion",
        "description": "A race in sshd's signal handler.",
        "severity": "critical",
        "cvss": 9.800000190734863,
        "cvss_version": "3.1",
        "epss": 0.943,
        "kev": date(2024, 7, 1),
        "risk": 97.4,
        "published": NOW - timedelta(days=3),
        "products": ("openbsd:openssh",),
    }
    return VulnSummary(**{**facts, **changes})  # pyright: ignore[reportArgumentType] - test data


def host(number: int = 1, **changes: object) -> VulnHost:
    """An endpoint that it concerns."""
    facts: dict[str, object] = {
        "ip": f"192.0.2.{number}", "port": 22, "protocol": "tcp", "product": "OpenSSH", "version": "9.2p1",
        "range": ">= 8.5p1, < 9.8p1", "confidence": 0.9, "cpe": "cpe:2.3:a:openbsd:openssh:9.2:p1:*:*:*:*:*:*",
    }  # fmt: skip
    return VulnHost(**{**facts, **changes})  # pyright: ignore[reportArgumentType] - test data


# Lists ---------------------------------------------------------------------------------------------------------------


def test_a_table_for_people(run: Run, server: StandIn) -> None:
    """One line a CVE; words and filters are sent as the API has them, and the total is told."""
    server.say("GET", "/v0/vulns", VulnPage((vuln(), vuln(6388, kev=None)), "c1", VulnTotal(1234, False)))
    result = run("vulns", "openssh", "race", "--severity", "high,critical", "--min-cvss", "7", "--kev", "--limit", "2")
    assert result.code == 0, result.err
    assert result.lines[0].split() == ["CVE", "SEVERITY", "EPSS", "USED", "RISK", "AGE", "SAYS"]
    assert result.lines[1].split()[:6] == [CVE, "critical", "9.8", "94.3%", "yes", "97"]
    assert "regreSSHion: A race" in result.lines[1]
    assert "2 of about 1,234 shown; --all prints all." in result.err
    asked = server.requests[0]
    assert asked.token == TOKEN
    assert asked.params == {
        "text": "openssh race", "severity": "high,critical", "min_cvss": "7.0", "kev": "true", "limit": "2",
        "total": "true",
    }  # fmt: skip


def test_every_filter_is_sent(run: Run, server: StandIn) -> None:
    """Those that were given, and no other."""
    server.say("GET", "/v0/vulns", VulnPage(()))
    run("vulns", "--json", "--limit", "5")
    assert server.requests[-1].params == {"limit": "5"}
    words = ("--max-cvss", "5", "--min-epss", "0.5", "--no-kev", "--ransomware", "--not-affecting", "--product", "a:b")
    words += ("--cwe", "79", "--year", "2024", "--since", "2024-07-01", "--before", "2024-08-01T12:00:00Z")
    words += ("--modified", "2024-09-01", "--status", "all", "--sort", "-cvss", "--all", "--csv")
    run("vulns", *words)
    assert server.requests[-1].params == {
        "max_cvss": "5.0", "min_epss": "0.5", "kev": "false", "ransomware": "true", "affecting": "false",
        "product": "a:b", "cwe": "79", "year": "2024", "published_since": "2024-07-01T00:00:00Z",
        "published_before": "2024-08-01T12:00:00Z", "modified_since": "2024-09-01T00:00:00Z", "status": "all",
        "sort": "-cvss", "limit": "1000",
    }  # fmt: skip


def test_words_that_exclude_are_not_options(run: Run, server: StandIn) -> None:
    """`-windows` is a word; options and their values stay what they are."""
    server.say("GET", "/v0/vulns", VulnPage(()))
    result = run("vulns", "overflow", "-windows", '-"old one"', "-f", "json", "--sort", "-epss", "-openssl")
    assert result.code == 0, result.err
    assert server.requests[0].params["text"] == 'overflow -windows -"old one" -openssl'
    assert server.requests[0].params["sort"] == "-epss"
    assert "No CVE matches" in result.err


@pytest.mark.parametrize("width", [80, 100, 160])
def test_tables_fit_the_terminal(run: Run, server: StandIn, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """No line is wider, one CVE is one line, and ids stay whole."""
    monkeypatch.setenv("COLUMNS", str(width))
    long = vuln(123456789, title="A very long title\nof two lines " * 9, ransomware=True, status="disputed")
    server.say("GET", "/v0/vulns", VulnPage((long, vuln(epss=None, cvss=None, severity="", published=None))))
    result = run("vulns")
    assert len(result.lines) == 3
    assert max(map(len, result.lines)) <= width
    assert "CVE-2024-123456789" in result.lines[1]
    assert "(disputed)" in result.lines[1]
    assert "ransom" in result.lines[1]


def test_data_has_all_fields(run: Run, server: StandIn) -> None:
    """CSV and JSON lines have what tables join or leave out; numbers are rounded as sources give them."""
    server.say("GET", "/v0/vulns", VulnPage((vuln(),)))
    (row,) = csv.DictReader(run("vulns", "x", "--csv").lines)
    assert (row["cve"], row["cvss"], row["epss"], row["kev"]) == (CVE, "9.8", "0.943", "2024-07-01")
    assert (row["products"], row["ransomware"]) == ("openbsd:openssh", "no")
    assert json.loads(run("vulns", "x", "--json").out)["description"] == "A race in sshd's signal handler."
    assert json.loads(run("vulns", "--fields", "cve,risk", "-f", "json").out) == {"cve": CVE, "risk": 97.4}


def test_hostile_texts_do_nothing(run: Run, server: StandIn) -> None:
    """Escapes and formulas from a feed reach neither terminal nor spreadsheet."""
    server.say("GET", "/v0/vulns", VulnPage((vuln(title="\x1b]0;owned\x07\u202e", description="=1+1"),)))
    server.say("GET", f"/v0/vulns/{CVE}", VulnDetail(cve=CVE, title="\x1b[2J", description="\u202e\x07"))
    for words in (("x",), ("x", "--csv"), ("x", "--json"), (CVE,)):
        assert not set(run("vulns", *words).out) & {"\x1b", "\x07", "\u202e"}


def test_files_are_written(run: Run, server: StandIn, tmp_path: Path) -> None:
    """`-o` writes the file and keeps standard output empty."""
    server.say("GET", "/v0/vulns", VulnPage((vuln(),)))
    result = run("vulns", "x", "-o", tmp_path / "found.csv", "--fields", "cve,severity")
    assert result.out == ""
    assert (tmp_path / "found.csv").read_bytes() == f"cve,severity\r\n{CVE},critical\r\n".encode()
    assert "1 CVE written to" in result.err


def test_all_pages_are_followed(run: Run, server: StandIn) -> None:
    """`--all` walks the cursors and counts nothing on the way."""
    server.say("GET", "/v0/vulns", VulnPage((vuln(1000),), "c1"), VulnPage((vuln(1001),)))
    assert len(run("vulns", "--all", "--json").lines) == 2
    assert [request.params.get("cursor") for request in server.requests] == [None, "c1"]
    assert all("total" not in request.params for request in server.requests)


# One -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [(CVE,), ("cve-2024-6387",), ("show", CVE)])
def test_one_cve_is_shown(run: Run, server: StandIn, words: tuple[str, ...]) -> None:
    """Its id alone, in any case, or after `show`."""
    server.say("GET", f"/v0/vulns/{CVE}", VulnDetail(cve=CVE, severity="high", cvss=8.1, description="A race."))
    result = run("vulns", *words)
    assert result.code == 0, result.err
    assert result.lines[0].startswith(f" {CVE}  high 8.1")
    assert json.loads(run("vulns", *words, "--json").out)["cve"] == CVE


def test_one_cve_as_a_row(run: Run, server: StandIn, tmp_path: Path) -> None:
    """Fields and CSV are those of lists, also of a CVE that was taken back; a page can go to a file."""
    server.say("GET", "/v0/vulns", VulnPage((vuln(),)))
    server.say("GET", f"/v0/vulns/{CVE}", VulnDetail(cve=CVE))
    assert run("vulns", CVE, "--csv", "--fields", "cve").lines == ["cve", CVE]
    assert server.requests[0].params == {"text": CVE, "status": "all", "limit": "50"}
    assert run("vulns", CVE, "-o", tmp_path / "page.txt").out == ""
    assert (tmp_path / "page.txt").read_text().startswith(f" {CVE}")


def test_one_that_is_not_there(run: Run, server: StandIn) -> None:
    """Exit code 4, and which feed would tell of it."""
    server.say(
        "GET", f"/v0/vulns/{CVE}", problem(404, "No feed tells of it.", reason="not_found", hint="The NVD would.")
    )
    result = run("vulns", CVE)
    assert result.code == 4
    assert "The NVD would." in result.err


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([CVE], CVE),
        (["cve-2024-6387"], CVE),
        (["show", CVE], CVE),
        (["show"], ""),
        ([CVE, "openssh"], ""),
        ([CVE, CVE], ""),
        (["CVE-2024-63*"], ""),
        ([f'"{CVE}"'], ""),
        ([], ""),
    ],
)
def test_which_one_is_meant(words: list[str], found: str) -> None:
    """An id by itself; anything else is looked for."""
    assert one_of(words) == found


# Where it was seen ---------------------------------------------------------------------------------------------------


def test_the_endpoints_it_concerns(run: Run, server: StandIn) -> None:
    """`--hosts` lists them with what they met; how many there are is told."""
    path = f"/v0/vulns/{CVE}/hosts"
    server.say("GET", path, VulnHosts((host(1), host(2, patched="possibly", confidence=0.4)), 40, "c1"))
    result = run("vulns", CVE, "--hosts", "--limit", "2")
    assert result.lines[1].split() == [
        "192.0.2.1",
        "22/tcp",
        "OpenSSH",
        "9.2p1",
        ">=",
        "8.5p1,",
        "<",
        "9.8p1",
        "confirmed",
    ]
    assert result.lines[2].split()[-2:] == ["possible", "possibly"]
    assert "2 of 40 shown" in result.err
    assert json.loads(run("vulns", CVE, "--hosts", "--json", "--limit", "1").lines[0])["ip"] == "192.0.2.1"
    server.say("GET", path, VulnHosts((), 0))
    assert f"No open endpoint is affected by {CVE}." in run("vulns", CVE, "--hosts").err
    assert run("vulns", "openssh", "--hosts").code == 2


@pytest.mark.parametrize(
    ("share", "said"),
    [(None, ""), (1.0, "100.0%"), (0.9434, "94.3%"), (0.00042, "0.04%"), (0.001, "0.1%"), (0.0, "0.00%")],
)
def test_shares(share: float | None, said: str) -> None:
    """Small ones keep a digit that says something."""
    assert percent(share) == said
