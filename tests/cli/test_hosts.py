"""`spectra host`: the page of a host, its past, and names."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from spectra.cli.hosts import canonical_address
from spectra.model.around import Around, AroundHost, Tie
from spectra.model.observation import Certificate, Service
from spectra.model.records import (
    EndpointRecord,
    EvidenceRecord,
    HostnameRecord,
    HostRecord,
    NameRecord,
    SightingRecord,
    VersionRecord,
)
from tests.cli.conftest import Run
from tests.cli.standin import StandIn, problem

NOW = datetime.now(UTC)


def before(days: float) -> datetime:
    """A moment `days` ago."""
    return NOW - timedelta(days=days)


CERTIFICATE = Certificate("ab" * 32, subject_cn="www.example.org", not_after=before(-9))
EXPIRED = Certificate("cd" * 32, sans=("old.example.org",), not_after=before(40))
SSH = Service("ssh", "OpenSSH", "9.6p1", "Ubuntu", "Linux")
EVIDENCE = EvidenceRecord(
    "nuclei:CVE-2021-44228", "JNDI\x1b[31m", "/login", "critical", first_seen=before(3), last_seen=before(1)
)
HISTORY = (
    VersionRecord("open", before(10), before(5), before(4), Service("ssh", "OpenSSH", "8.9p1")),
    VersionRecord("open", before(4), before(0.1), None, SSH),
)
ENDPOINTS = (
    EndpointRecord(
        "open", before(4), before(0.1), service=Service("http", "nginx", "1.25.1", tunnel="tls"),
        certificate=CERTIFICATE,
        title="Welcome\nto\u202enginx", port=443, protocol="tcp", first_seen=before(10), last_seen=before(0.1),
        evidence=(EVIDENCE,),
    ),
    EndpointRecord(
        "open", before(4), before(0.1), service=SSH, banner="SSH-2.0-OpenSSH_9.6p1", port=22, protocol="tcp",
        first_seen=before(10), last_seen=before(0.1), history=HISTORY,
    ),
    EndpointRecord(
        "open", before(4), before(0.1), certificate=EXPIRED, port=8443, protocol="tcp",
        first_seen=before(10), last_seen=before(0.1),
    ),
    EndpointRecord("closed", before(4), before(1), port=23, protocol="tcp", first_seen=before(9), last_seen=before(1)),
)  # fmt: skip
HOST = HostRecord(
    "192.0.2.10", before(10), before(0.1), "up", os="Linux 5.x", mac="00:11:22:33:44:55", vendor="Acme",
    hostnames=(HostnameRecord("www.example.org", "ptr", before(10), before(1)),), endpoints=ENDPOINTS,
    evidence=(EvidenceRecord("nse:smb-os-discovery", "Samba", first_seen=before(3), last_seen=before(1)),),
    sightings=(SightingRecord("ab" * 32, before(0.1), "nmap", "weekly", "syn", "alice", 0.9, 3),),
)  # fmt: skip


@pytest.mark.parametrize("width", [80, 120])
def test_a_page_a_person_enjoys(run: Run, server: StandIn, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Header, endpoints, evidence, history with durations and sightings, all inside the terminal."""
    monkeypatch.setenv("COLUMNS", str(width))
    server.say("GET", "/v0/host/192.0.2.10", HOST)
    result = run("host", "192.0.2.10", "--history")
    assert result.code == 0
    assert max(map(len, result.lines)) <= width
    page = result.out
    for part in (
        "192.0.2.10  ● up",
        "www.example.org (ptr)",
        "Linux 5.x",
        "ENDPOINTS",
        "EVIDENCE",
        "HISTORY",
        "SEEN BY",
    ):
        assert part in page
    assert [line.split()[0] for line in result.lines if "/tcp " in line][:3] == ["22/tcp", "443/tcp", "8443/tcp"]
    assert "and 1 not open" in page
    assert "critical" in page
    assert "6 d" in page  # how long OpenSSH 8.9p1 was there
    assert "now" in page
    assert not set(page) & {"\x1b", "\u202e"}
    assert server.requests[0].params == {"history": "true"}


def test_certificates_tell_when_they_end(run: Run, server: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has expired, and what soon will, is said."""
    monkeypatch.setenv("COLUMNS", "160")
    server.say("GET", "/v0/host/192.0.2.10", HOST)
    page = run("host", "192.0.2.10").out
    assert "www.example.org expires in 8 d" in page
    assert "old.example.org expired 40 d ago" in page


def test_a_past_moment(run: Run, server: StandIn) -> None:
    """`--at '2h ago'` asks for that moment and the page says which it shows."""
    moment = datetime.now(UTC) - timedelta(hours=2)  # not of the import: a suite takes its time
    server.say(
        "GET", "/v0/host/192.0.2.10", HostRecord("192.0.2.10", before(3), before(1), "down", moment, before(0.5))
    )
    result = run("host", "192.0.2.10", "--at", "2h ago")
    asked = datetime.fromisoformat(server.requests[0].params["at"])
    assert abs(asked - moment) < timedelta(minutes=1)
    assert server.requests[0].params["at"].endswith("Z")
    assert "as it was" in result.out
    assert "● down" in result.out
    assert "for 12 h" in result.out


def test_a_wrong_time_never_reaches_the_server(run: Run, server: StandIn) -> None:
    """A slip in `--at` is a usage error."""
    result = run("host", "192.0.2.10", "--at", "soon")
    assert result.code == 2
    assert not server.requests


def test_an_unknown_host_exits_with_4(run: Run, server: StandIn) -> None:
    """What is not there has an exit code of its own."""
    server.say("GET", "/v0/host/192.0.2.99", problem(404, "192.0.2.99 was never seen.", reason="not_found"))
    result = run("host", "192.0.2.99")
    assert (result.code, result.out) == (4, "")
    assert "never seen" in result.err


def test_around_a_host(run: Run, server: StandIn) -> None:
    """What it shares and with whom, hostile words made plain; or that it shares nothing."""
    other = AroundHost(ip="192.0.2.11", last_seen=NOW, hostname="www.example.org", ports=(22, 443))
    tie = Tie(relation="banner", what="x", label="Camera\x1b[31m", total=500, exact=False, hosts=(other,))
    server.say("GET", "/v0/hosts/192.0.2.10/around", Around("192.0.2.10", (tie,)))
    server.say("GET", "/v0/hosts/192.0.2.11/around", Around("192.0.2.11"))
    page = run("host", "192.0.2.10", "--around").out
    assert "banner" in page
    assert "500+" in page
    assert "192.0.2.11" in page
    assert "\x1b" not in page
    assert json.loads(run("host", "192.0.2.10", "--around", "--json").out)["ties"][0]["total"] == 500
    assert "shares nothing" in run("host", "192.0.2.11", "--around").err


def test_json_is_the_whole_record(run: Run, server: StandIn) -> None:
    """Scripts get everything the API told, on one line."""
    server.say("GET", "/v0/host/192.0.2.10", HOST)
    assert (
        json.loads(run("host", "192.0.2.10", "--json").out)["endpoints"][1]["history"][0]["service"]["version"]
        == "8.9p1"
    )


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("example.org", ""),
    ],
)
def test_addresses_are_asked_for_in_one_form(typed: str, address: str) -> None:
    """However an address is written, the server is asked for its canonical form."""
    assert canonical_address(typed) == address


def test_a_name_with_one_address_shows_its_host(run: Run, server: StandIn) -> None:
    """A name leads to the page of its host."""
    server.say(
        "GET",
        "/v0/hostname/www.example.org",
        NameRecord("www.example.org", before(2), before(1), ("192.0.2.10",), (EVIDENCE,)),
    )
    server.say("GET", "/v0/host/192.0.2.10", HOST)
    out = run("host", "WWW.example.org.").out
    assert out.startswith(" www.example.org")
    assert "192.0.2.10  ● up" in out


def test_a_name_with_many_addresses_lists_them(run: Run, server: StandIn) -> None:
    """Several addresses are listed with the next command; a past asks for each of them."""
    record = NameRecord("www.example.org", before(2), before(1), ("192.0.2.10", "192.0.2.11"))
    server.say("GET", "/v0/hostname/www.example.org", record)
    server.say("GET", "/v0/host/192.0.2.10", HOST)
    server.say("GET", "/v0/host/192.0.2.11", HOST)
    result = run("host", "www.example.org")
    assert "192.0.2.10, 192.0.2.11" in result.out
    assert "spectra host 192.0.2.10" in result.err
    assert json.loads(run("host", "www.example.org", "--json").out)["addresses"] == ["192.0.2.10", "192.0.2.11"]
    assert len(run("host", "www.example.org", "--json", "--history").lines) == 2


def test_a_name_that_is_too_long_is_refused(run: Run, server: StandIn) -> None:
    """A hostname has at most 253 characters."""
    assert run("host", "a" * 254).code == 2
