"""The host page's own choices: what it leaves out, and how it says so. `test_hosts` drives the whole command."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from spectra.cli.hostpage import host_page
from spectra.model.facts import Place
from spectra.model.records import EndpointRecord, EvidenceRecord, FeedsUsed, HostRecord
from spectra.model.work import ArtefactRecord
from tests.cli.findingsamples import finding
from tests.cli.worksamples import file

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def nonce(n: int) -> EvidenceRecord:
    """What a script said `n` hours ago, something else each time."""
    at = NOW - timedelta(hours=n)
    return EvidenceRecord(kind="nse:http-auth", data=f"nonce {n}", first_seen=at, last_seen=at)


def test_evidence_that_changes_every_time_is_shown_once() -> None:
    """Of one kind and key the newest piece is shown, with the number of the earlier ones."""
    host = HostRecord("192.0.2.1", NOW, NOW, "up", evidence=(nonce(3), nonce(1), nonce(2)))
    page = "\n".join(line.plain for line in host_page(host, NOW, 100))
    assert page.count("nse:http-auth") == 1
    assert "nonce 1" in page
    assert "(+2 earlier)" in page


def test_where_it_is_and_what_says_so() -> None:
    """Place, network, cloud and feeds are lines of the head; what is not known has none."""
    place = Place(
        64496, "Example Net", "FR", "France", "Île-de-France", "Paris", "aws", "EC2", "eu-west-3", 48.86, 2.35
    )
    host = HostRecord("192.0.2.1", NOW, NOW, "up", place=place, feeds=FeedsUsed(3, {"geo": "2026-01", "asn": "v7"}))
    page = [" ".join(line.plain.split()) for line in host_page(host, NOW, 100)]
    assert page[2:] == [
        "place Paris, Île-de-France, France 48.86, 2.35",
        "network AS64496 Example Net",
        "cloud aws EC2 eu-west-3",
        "feeds asn v7, geo 2026-01",
    ]
    bare = HostRecord("192.0.2.1", NOW, NOW, "up", place=Place(country="FR"), feeds=FeedsUsed(3))
    assert [line.plain.split() for line in host_page(bare, NOW, 100)][2:] == [["place", "FR"]]


def test_ports_that_are_due_and_whose_word_they_are() -> None:
    """The time of the next look, the CPE names, and a claim or contradiction of somebody untrusted."""
    facts = {"state": "open", "since": NOW, "confirmed": NOW, "protocol": "tcp", "first_seen": NOW, "last_seen": NOW}
    ports = (
        EndpointRecord(port=22, stale_at=NOW + timedelta(hours=3), cpe23=("cpe:2.3:a:x", "cpe:2.3:a:y"), **facts),  # pyright: ignore[reportArgumentType]
        EndpointRecord(port=80, stale_at=NOW - timedelta(hours=2), sole="mallory", **facts),  # pyright: ignore[reportArgumentType]
        EndpointRecord(port=81, doubt="mallory", **facts),  # pyright: ignore[reportArgumentType]
    )
    page = "\n".join(
        line.plain for line in host_page(HostRecord("192.0.2.1", NOW, NOW, "up", endpoints=ports), NOW, 120)
    )
    assert "in 3 h" in page
    assert "2 h ago" in page
    assert "only mallory says so" in page
    assert "mallory contradicts" in page
    assert page.index("cpe:2.3:a:x") < page.index("cpe:2.3:a:y")


def test_the_worst_findings_and_how_many_there_are() -> None:
    """A short table, with where the others are told; `explain` says of each why it is one."""
    many = tuple(finding(port=n) for n in range(1, 21))
    host = HostRecord("192.0.2.7", NOW, NOW, "up", findings=many, findings_total=30, findings_settled=2)
    page = [line.plain for line in host_page(host, NOW, 100)]
    assert sum("CVE-2024-6387" in line for line in page) == 15
    assert " and 15 more: spectra findings ip:192.0.2.7; 2 settled by triage: " in page[-1] + " "
    explained = [line.plain for line in host_page(host, NOW, 100, explain=True)]
    assert sum(line.startswith("   why ") for line in explained) == 20
    assert " FINDINGS" in explained
    settled = HostRecord("192.0.2.7", NOW, NOW, "up", findings_settled=2)
    assert "no finding, 2 settled by triage" in [line.plain for line in host_page(settled, NOW, 100)][-1]


def test_files_that_machines_sent() -> None:
    """Which scan, job and target each belongs to, and how to get one."""
    sent = msgspec.convert(file(812, b"x" * 2000, name="nmap.xml", kind="raw"), ArtefactRecord)
    host = HostRecord("192.0.2.1", NOW, NOW, "up", artefacts=(sent,), artefacts_more=True)
    page = "\n".join(line.plain for line in host_page(host, NOW, 120))
    for words in ("FILES", "812", "raw nmap.xml", "2,000", "scan-20260301-120000-ab12", "job-1f2e3d4c 4712", "attic"):
        assert words in page
    assert "spectra jobs fetch ID" in page
    assert "spectra jobs files --host 192.0.2.1" in page
    assert "FILES" not in "\n".join(line.plain for line in host_page(HostRecord("192.0.2.1", NOW, NOW, "up"), NOW, 120))
