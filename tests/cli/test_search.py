"""`spectra search` and `spectra mesh query` from the command line to the terminal."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta

import pytest

from spectra.cli.search import term
from spectra.model.query import parse
from spectra.model.records import Match, SearchPage
from tests.cli.conftest import Run
from tests.cli.standin import TOKEN, StandIn, problem

NOW = datetime.now(UTC)


def match(number: int = 1, **changes: object) -> Match:
    """An SSH endpoint."""
    facts = {
        "ip": f"192.0.2.{number}",
        "port": 22,
        "protocol": "tcp",
        "state": "open",
        "first_seen": NOW - timedelta(days=3),
        "last_seen": NOW - timedelta(hours=2),
        "service": "ssh",
        "product": "OpenSSH",
        "version": "9.6p1",
        "banner": "SSH-2.0-OpenSSH_9.6p1 Ubuntu-3ubuntu13.5",
        "hostnames": ("www.example.org", "mail.example.org"),
    }
    return Match(**{**facts, **changes})  # pyright: ignore[reportArgumentType] - test data


def test_a_table_for_people(run: Run, server: StandIn) -> None:
    """The everyday call prints one line per endpoint and sends query, order, limit and token."""
    server.say("GET", "/v0/search", SearchPage((match(1), match(2))))
    result = run("search", "port:22", "product:openssh", "--sort", "ip", "--limit", "5")
    assert result.code == 0
    assert result.lines[0].split() == ["ADDRESS", "PORT", "SERVICE", "PRODUCT", "SAYS", "NAMES", "SEEN"]
    assert "22/tcp" in result.lines[1]
    assert "OpenSSH 9.6p1" in result.lines[1]
    assert "2 h ago" in result.lines[2]
    asked = server.requests[0]
    assert asked.params == {"q": "port:22 product:openssh", "sort": "ip", "limit": "5"}
    assert asked.token == TOKEN


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_the_terminal(run: Run, server: StandIn, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """At 80 and 120 columns no line is wider, addresses stay whole, and one endpoint is one line."""
    monkeypatch.setenv("COLUMNS", str(width))
    long = match(1, ip="2001:db8:85a3:1234:5678:8a2e:370:7334", title="A very long title\nof two lines " * 9)
    server.say("GET", "/v0/search", SearchPage((long, match(2))))
    result = run("search", "x")
    assert len(result.lines) == 3
    assert max(map(len, result.lines)) <= width
    assert "2001:db8:85a3:1234:5678:8a2e:370:7334" in result.lines[1]
    assert ("…" in result.lines[1]) == ("SAYS" in result.lines[0])


def test_hostile_banners_do_nothing(run: Run, server: StandIn) -> None:
    """Escapes, direction marks and formulas from a banner reach neither terminal nor spreadsheet."""
    evil = match(1, title="\x1b]0;owned\x07\u202e=HYPERLINK(1)", product="=1+1")
    server.say("GET", "/v0/search", SearchPage((evil,)))
    for flags in ((), ("--csv",), ("--json",)):
        out = run("search", "x", *flags).out
        assert not set(out) & {"\x1b", "\x07", "\u202e"}
    assert json.loads(run("search", "x", "--json").out)["title"] == "\x1b]0;owned\x07\u202e=HYPERLINK(1)"
    rows = list(csv.DictReader(run("search", "x", "--csv").lines))
    assert rows[0]["product"] == "'=1+1"


def test_findings_are_a_column_where_there_are_any(run: Run, server: StandIn) -> None:
    """How many and how bad the worst is; whole in JSON and CSV."""
    server.say(
        "GET", "/v0/search", SearchPage((match(1, findings=12, worst="critical"), match(2), match(3, findings=1)))
    )
    lines = run("search", "x").lines
    assert "FINDINGS" in lines[0]
    assert "12 critical" in lines[1]
    assert lines[3].index(" 1 ") > 0
    rows = list(csv.DictReader(run("search", "x", "--csv", "--fields", "findings,worst").lines))
    assert rows == [
        {"findings": "12", "worst": "critical"},
        {"findings": "0", "worst": ""},
        {"findings": "1", "worst": ""},
    ]
    assert json.loads(run("search", "x", "--json").lines[0])["worst"] == "critical"


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("CVE-2024-6387", "CVE-2024-6387"),
        ("port:22 cve-2024-6387 CVE-2023-48795", "CVE-2024-6387,CVE-2023-48795"),
        ("vuln:CVE-2024-6387", ""),
        ('"CVE-2024-6387"', ""),
        ("-CVE-2024-6387", ""),
        ("CVE-2024-63", ""),
    ],
)
def test_a_bare_cve_is_words_and_told_so(run: Run, server: StandIn, query: str, ids: str) -> None:
    """It may stand in a banner, but most likely what has it was meant."""
    server.say("GET", "/v0/search", SearchPage(()))
    assert (f"vuln:{ids}\n" in run("search", query).err) == bool(ids)


def test_terms_that_exclude_are_not_options(run: Run, server: StandIn) -> None:
    """`-protocol:udp` holds the letters of `-o` and is still a term; real options are still options."""
    server.say("GET", "/v0/search", SearchPage(()))
    result = run("search", "-protocol:udp", "port:53", '-"exact words"', "--json")
    assert result.code == 0
    assert server.requests[0].params["q"] == '-protocol:udp port:53 -"exact words"'
    assert "Nothing matches" in result.err


def test_all_pages_are_followed(run: Run, server: StandIn) -> None:
    """`--limit 0` walks the cursors; a limit stops in the middle of a page and says that there is more."""
    pages = [SearchPage((match(1), match(2)), "c1"), SearchPage((match(3),), "")]
    server.say("GET", "/v0/search", *pages)
    assert len(run("search", "x", "--limit", "0", "--json").lines) == 3
    assert [request.params.get("cursor") for request in server.requests] == [None, "c1"]
    server.say("GET", "/v0/search", SearchPage((match(1), match(2)), "c1"))
    result = run("search", "x", "--limit", "2")
    assert "2 shown, there are more" in result.err


def test_pages_that_do_not_advance_end(run: Run, server: StandIn) -> None:
    """A server that hands out the same cursor again does not keep the command running."""
    server.say("GET", "/v0/search", SearchPage((match(1),), "same"))
    result = run("search", "x", "--all", "--json")
    assert result.code == 1
    assert "do not advance" in result.err


def test_a_slip_in_the_query_is_pointed_at(run: Run, server: StandIn) -> None:
    """The server's column becomes a mark under the query; the exit code says usage."""
    server.say("GET", "/v0/search", problem(400, "There is no filter prt.", field="q", column=9, hint="port?"))
    result = run("search", "port:22 prt:80")
    assert result.code == 2
    assert result.err.splitlines()[:2] == ["  port:22 prt:80", "          ^"]
    assert "spectra: There is no filter prt. (column 9, field q)" in result.err
    assert "  port?" in result.err


def test_mesh_query_is_search(run: Run, server: StandIn) -> None:
    """The call of the source document prints JSON lines."""
    server.say("GET", "/v0/search", SearchPage((match(1, service="redis"),)))
    result = run("mesh", "query", "service", "redis", "--since", "7d", "--output", "json")
    assert json.loads(result.out)["service"] == "redis"
    assert server.requests[0].params["q"] == "service:redis since:7d"


def test_mesh_query_takes_options_alone(run: Run, server: StandIn) -> None:
    """Appendix B of the source document: no selector in front, every property an option."""
    server.say("GET", "/v0/search", SearchPage((match(1),)))
    options = ("--service", "http", "--city", "London", "--since", "7d", "--output", "json")
    assert run("mesh", "query", *options).code == 0
    assert server.requests[0].params["q"] == "service:http city:London since:7d"
    assert run("mesh", "query", "--city", "New York", "--asn", "64496", "--port", "22,80", "-f", "csv").code == 0
    assert server.requests[1].params["q"] == 'city:"New York" asn:64496 port:22,80'


@pytest.mark.parametrize(
    ("words", "said"),
    [((), "nothing to select by"), (("servce", "x"), "Did you mean service?"), (("port",), "a value for port")],
)
def test_mesh_query_says_what_is_missing(run: Run, server: StandIn, words: tuple[str, ...], said: str) -> None:
    """A slip in the selector is a sentence about it, without the words of a library."""
    result = run("mesh", "query", *words)
    assert result.code == 2
    assert said in result.err
    assert "Value error" not in result.err
    assert not server.requests


@pytest.mark.parametrize("flags", [("-f", "json"), ("--output", "json"), ("--format", "JSONL"), ("--json",)])
def test_formats_are_named_in_any_of_the_usual_ways(run: Run, server: StandIn, flags: tuple[str, ...]) -> None:
    """`-f json` and `--output json` are `--json`."""
    server.say("GET", "/v0/search", SearchPage((match(1),)))
    assert json.loads(run("search", "x", *flags).out)["port"] == 22


def test_a_format_there_is_not(run: Run, server: StandIn) -> None:
    """An unknown format names those there are; two at once exclude each other."""
    result = run("search", "x", "-f", "yaml")
    assert (result.code, "Formats: table, json, csv" in result.err) == (2, True)
    assert run("search", "x", "-f", "json", "--csv").code == 2


@pytest.mark.parametrize("values", [["redis"], ["Apache httpd", "nginx"], ['say "hi"'], ["back\\slash x"], ["a,b c"]])
def test_terms_mean_what_was_typed(values: list[str]) -> None:
    """Every value comes out of the query language as the value it was."""
    asked = parse(term("product", values), NOW)
    assert repr(parse(term("product", values[::-1][::-1]), NOW)) == repr(asked)
    for value in values:
        for word in value.replace('"', " ").replace("\\", " ").split():
            assert word.split(",")[0].lower() in repr(asked).lower()


def test_files_are_written(run: Run, server: StandIn, tmp_path: object) -> None:
    """`-o` writes the file and keeps standard output empty."""
    from pathlib import Path

    path = Path(str(tmp_path)) / "found.csv"
    server.say("GET", "/v0/search", SearchPage((match(1),)))
    result = run("search", "x", "-o", path, "--fields", "ip,port")
    assert result.out == ""
    assert path.read_bytes() == b"ip,port\r\n192.0.2.1,22\r\n"
    assert "1 endpoint written to" in result.err
