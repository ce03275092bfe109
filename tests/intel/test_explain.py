"""Hosts explained by rules: what the facts say, and nothing they do not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.intel.explain import MAX_STEPS, explain
from spectra.model.explanations import LEVELS
from spectra.model.facts import Place
from spectra.model.observation import Certificate, Service
from spectra.model.records import EndpointRecord, EvidenceRecord, HostnameRecord, HostRecord

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
INNER, PUBLIC = "10.0.0.1", "8.8.8.8"


def endpoint(number: int, name: str = "", *, tunnel: str = "", **facts: Any) -> EndpointRecord:
    """An open port."""
    service = Service(name, tunnel=tunnel) if name or tunnel else None
    told: dict[str, Any] = {"state": "open", "since": NOW, "confirmed": NOW, "first_seen": NOW, "last_seen": NOW}
    return EndpointRecord(port=number, protocol="tcp", service=service, **(told | facts))


def host(*endpoints: EndpointRecord, ip: str = INNER, **facts: Any) -> HostRecord:
    """A host that is up."""
    told: dict[str, Any] = {"first_seen": NOW - 9 * DAY, "last_seen": NOW, "status": "up"}
    return HostRecord(ip, endpoints=endpoints, **(told | facts))


def risks(*endpoints: EndpointRecord, **facts: Any) -> list[tuple[str, str, str]]:
    """Level, rule and place of what there is to mind."""
    return [(r.level, r.rule, r.where) for r in explain(host(*endpoints, **facts), NOW).risks]


def finding(kind: str, data: str, severity: str = "") -> EvidenceRecord:
    """A piece of evidence."""
    return EvidenceRecord(kind=kind, data=data, severity=severity, first_seen=NOW, last_seen=NOW)


def test_a_quiet_host() -> None:
    """No risk is made up; there is still a next step, and it is said who drew the conclusions."""
    told = explain(host(endpoint(22, "ssh")), NOW)
    assert told.risks == ()
    assert "Nothing stands out" in told.next_steps[0]
    assert told.by == "rules"
    assert told.summary == ("10.0.0.1 is up, last seen 2026-03-01, known since 2026-02-20. 1 open port: ssh.")


def test_the_summary_says_who_and_where() -> None:
    """Names, place, network, cloud, system and ports by how common they are."""
    place = Place(64496, "Example Net", "FR", "France", city="Paris", cloud="aws", cloud_region="eu-west-3")
    names = tuple(HostnameRecord(f"{n}.example.org", "dns", NOW, NOW) for n in "abcdefg")
    ports = (endpoint(80, "http"), endpoint(81, "http"), endpoint(22, "ssh"), endpoint(9))
    text = explain(host(*ports, hostnames=names, place=place, os="Linux 6"), NOW).summary
    assert "(a.example.org, b.example.org, c.example.org, d.example.org, e.example.org and 2 more)" in text
    assert "It is in Paris, France, in the network AS64496 Example Net, at aws eu-west-3." in text
    assert "It runs Linux 6." in text
    assert "4 open ports: 2 http, ssh, unknown." in text
    assert "No port is known to be open." in explain(host(), NOW).summary


@pytest.mark.parametrize(
    ("name", "level"), [("telnet", "high"), ("ftp", "medium"), ("imap", "low"), ("login", "high"), ("snmp", "medium")]
)
def test_plain_text_protocols(name: str, level: str) -> None:
    """By the service that was found, whatever its port, and not inside TLS."""
    assert risks(endpoint(9999, name)) == [(level, "plain-text", "9999/tcp")]
    assert risks(endpoint(9999, name, tunnel="tls")) == []
    assert risks(endpoint(23)) == []  # nobody said that it is telnet


def test_databases_and_controls_at_public_addresses() -> None:
    """A database is no risk at an inner address; at a public one it comes first."""
    assert risks(endpoint(6379, "redis")) == []
    assert risks(endpoint(21, "ftp"), endpoint(6379, "redis"), endpoint(3389, "ms-wbt-server"), ip=PUBLIC) == [
        ("high", "public-database", "6379/tcp"),
        ("high", "public-control", "3389/tcp"),
        ("medium", "plain-text", "21/tcp"),
    ]
    assert risks(endpoint(6379, "redis"), ip="2001:4860:4860::8888") == [("high", "public-database", "6379/tcp")]
    assert risks(endpoint(6379, "redis"), ip="2001:db8::1") == []


def test_certificates() -> None:
    """Expired, soon to expire, not valid yet, weak key, its own issuer; a good one and an unknown end say nothing."""

    def of(**facts: Any) -> list[str]:
        return [
            rule
            for _, rule, _ in risks(endpoint(443, "http", tunnel="tls", certificate=Certificate("a" * 64, **facts)))
        ]

    assert of(not_after=NOW - DAY) == ["certificate-expired"]
    assert of(not_after=NOW + 29 * DAY) == ["certificate-expiring"]
    assert of(not_after=NOW + 31 * DAY) == []
    assert of(not_before=NOW + DAY) == ["certificate-early"]
    assert of(key="rsa 1024") == ["weak-key"]
    assert of(key="rsa 2048") == of(key="ecdsa 256") == of() == []
    assert of(subject="CN=x", issuer="CN=x") == ["self-signed"]


def test_old_tls_and_findings() -> None:
    """What a script listed and what a scanner rated, in its own words; other scripts say nothing of protocols."""
    ciphers = finding("nse:ssl-enum-ciphers", "SSLv3:\n TLSv1.0:\n TLSv1.2:")
    told = explain(host(endpoint(443, evidence=(ciphers,))), NOW).risks[0]
    assert (told.level, told.rule) == ("medium", "old-tls")
    assert "SSLv3, TLSv1.0," in told.says
    assert risks(endpoint(443, evidence=(finding("nse:http-robots", "SSLv3"),))) == []
    assert risks(endpoint(80, evidence=(finding("nuclei:CVE-1", "log4j", "critical"), finding("x", "y", "info")))) == [
        ("high", "finding", "80/tcp")
    ]
    assert risks(evidence=(finding("bbot:FINDING", "open bucket", "medium"),)) == [("medium", "finding", "")]


def test_what_is_old_silent_or_hearsay() -> None:
    """Stale ports, a host that does not answer, and a claim of somebody untrusted ask for another look."""
    stale = endpoint(80, "http", last_seen=NOW - 2 * DAY, stale_at=NOW - DAY)
    told = explain(host(stale, endpoint(22, "ssh", stale_at=NOW + DAY), status="down", down_since=NOW - DAY), NOW)
    assert [r.rule for r in told.risks] == ["stale", "silent"]
    assert "1 of 2 open ports may have changed: last seen 2026-02-27" in told.risks[0].says
    assert told.next_steps == ("Look again: spectra scan 10.0.0.1 --submit",)
    assert "does not answer" in told.summary
    assert risks(endpoint(22, "ssh", sole="mallory")) == [("low", "hearsay", "22/tcp")]


def test_unknown_services_are_to_be_found_out() -> None:
    """A port whose service nobody named is no risk but a question, with what is commonly there."""
    told = explain(host(endpoint(23), endpoint(64999)), NOW)
    assert told.risks == ()
    assert "23/tcp (commonly telnet), 64999/tcp" in told.next_steps[0]


def test_a_past_moment_is_judged_by_its_own_time() -> None:
    """A certificate that has expired since was valid then."""
    certificate = Certificate("a" * 64, not_after=NOW - DAY)
    then = host(endpoint(443, certificate=certificate), at=NOW - 60 * DAY)
    assert explain(then, NOW).risks == ()
    assert explain(then, NOW).at == NOW - 60 * DAY


@given(st.lists(st.sampled_from(("telnet", "ftp", "redis", "mysql", "vnc", "", "http", "x\x1b[2J")), max_size=40))
def test_closed_ports_say_nothing_and_all_is_in_order(names: list[str]) -> None:
    """The worst first; a bounded list of steps; nothing of what is closed."""
    ports = [endpoint(n + 1, name, state="open" if n % 2 else "closed") for n, name in enumerate(names)]
    told = explain(host(*ports, ip=PUBLIC), NOW)
    levels = [LEVELS.index(risk.level) for risk in told.risks]
    assert levels == sorted(levels)
    assert 1 <= len(told.next_steps) <= MAX_STEPS
    assert all(int(risk.where.partition("/")[0]) % 2 == 0 for risk in told.risks)
