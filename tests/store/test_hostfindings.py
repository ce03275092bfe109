"""The findings of one host, now and at any moment, and one finding with all there is to know of it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from spectra.errors import NotFound
from spectra.model.findingrecords import FindingKey, FindingRecord, IntervalRecord
from spectra.model.vulns import Kev, Metric, Reference
from spectra.store import hostfindings
from spectra.store.database import Database
from spectra.store.hostfindings import OfHost, finding, of_host
from tests.store.scribe import T0, Scribe, host, seen
from tests.store.weak import JUDGE, Weak, cpe

IP = "192.0.2.7"
DAY = timedelta(days=1)
NOW = T0 + 30 * DAY
REGRESSHION, TERRAPIN, OLD = "CVE-2024-6387", "CVE-2023-48795", "CVE-2016-0777"


@pytest.fixture
def weak(database: Database, write: Scribe) -> Weak:
    """OpenSSH 9.2 since day 0, 9.6 since day 10; a web server beside it that closed on day 5 and is back since 8.

    9.2 has two weaknesses, of which one was learned on day 3; 9.6 has one of them still. The web server has one.
    """
    ssh = ("ssh", "OpenSSH")
    write([host(IP, T0, seen(22, *ssh, "9.2"), seen(80, "http", "nginx", "1.2"), names=["www.example.org"])])
    write([host(IP, T0 + 5 * DAY, seen(80, state="closed"))])
    write([host(IP, T0 + 8 * DAY, seen(80, "http", "nginx", "1.2"))])
    write([host(IP, T0 + 10 * DAY, seen(22, *ssh, "9.6"))])
    weak = Weak(database)
    old, new, web = weak.software("OpenSSH", "9.2"), weak.software("OpenSSH", "9.6"), weak.software("nginx", "1.2")
    first = weak.vuln(REGRESSHION, 90.0, epss=0.6, kev=date(2024, 7, 1), title="A race", severity="critical")
    second = weak.vuln(TERRAPIN, 40.0, title="Terrapin", description="x" * 300)
    third = weak.vuln(OLD, 70.0)
    weak.affected(old, first, T0 + 3 * DAY)
    weak.affected(old, second, T0 - 5 * DAY)
    weak.affected(new, second, T0 + 11 * DAY, confidence=0.6, patched="possibly")
    weak.affected(web, third, T0, confidence=0.4, requires=["cpe:2.3:o:linux:linux_kernel"])
    return weak


def of(database: Database, **options: Any) -> OfHost:
    """The findings of the host."""
    return of_host(database, IP, JUDGE, NOW, **options)


def brief(records: tuple[FindingRecord, ...]) -> list[tuple[str, int, str]]:
    """CVE, port and state."""
    return [(r.cve, r.port, r.state) for r in records]


@pytest.mark.usefixtures("weak")
def test_now(database: Database) -> None:
    """The most urgent first, by the score that is shown: each with what it is of and why it is there."""
    found = of(database)
    assert brief(found.findings) == [(OLD, 80, "reopened"), (TERRAPIN, 22, "open")]
    assert (found.total, found.settled) == (2, 0)
    web, ssh = found.findings
    assert web.priority.score == 28.0
    assert (web.level, web.requires, web.opened) == ("possible", ("cpe:2.3:o:linux:linux_kernel",), T0 + 8 * DAY)
    assert (ssh.id, ssh.ip) == (f"{IP}~22~tcp~{TERRAPIN}", IP)
    assert (ssh.opened, ssh.known, ssh.closed, ssh.closed_why) == (T0, T0 - 5 * DAY, None, "")
    assert (ssh.service, ssh.product, ssh.version, ssh.hostnames) == ("ssh", "OpenSSH", "9.6", ("www.example.org",))
    assert (ssh.cpe, ssh.criterion, ssh.range, ssh.source) == (
        cpe("OpenSSH", "9.6"), "cpe:2.3:a:vendor:thing:*", "< 9.8", "nvd",
    )  # fmt: skip
    assert (ssh.confidence, ssh.level, ssh.patched) == (0.6, "likely", "possibly")
    assert ssh.reason == f"{cpe('OpenSSH', '9.6')} (by its banner) is < 9.8."
    assert (ssh.title, len(ssh.description), ssh.description[-1]) == ("Terrapin", 200, "…")
    assert (ssh.cvss, ssh.cvss_version, ssh.severity, ssh.kev) == (7.5, "3.1", "high", None)


@pytest.mark.usefixtures("weak")
def test_then(database: Database) -> None:
    """What was seen and known by then, in the state it had."""
    at_one = of(database, at=T0 + DAY).findings
    assert {(r.cve, r.state) for r in at_one} == {(TERRAPIN, "new"), (OLD, "new")}
    at_six = of(database, at=T0 + 6 * DAY).findings
    assert {(r.cve, r.state) for r in at_six} == {(TERRAPIN, "new"), (REGRESSHION, "new")}
    assert at_six[0].version == "9.2"
    assert {r.cve for r in of(database, at=T0 + 10.5 * DAY).findings} == {OLD}  # 9.6 was not known yet
    assert of(database, at=T0 - DAY).findings == ()


@pytest.mark.usefixtures("weak")
def test_with_history(database: Database) -> None:
    """What is not there any more follows, with when and why it ended."""
    found = of(database, history=True)
    assert brief(found.findings)[2:] == [(REGRESSHION, 22, "closed")]
    gone = found.findings[2]
    assert (gone.opened, gone.known, gone.closed, gone.closed_why, gone.version) == (
        T0, T0 + 3 * DAY, T0 + 10 * DAY, "upgraded", "9.2",
    )  # fmt: skip
    assert (gone.epss, gone.kev, gone.severity) == (0.6, date(2024, 7, 1), "critical")
    before = of(database, history=True, at=T0 + 6 * DAY).findings
    assert brief(before)[2:] == [(OLD, 80, "closed")]
    assert before[2].closed_why == "gone"


def test_what_is_settled_is_counted(database: Database, weak: Weak) -> None:
    """And left out; what is being looked into stays, with the decision beside it."""
    weak.triage(OLD, "false_positive", IP)
    weak.triage(TERRAPIN, "investigating", note="soon")
    found = of(database)
    assert (brief(found.findings), found.total, found.settled) == ([(TERRAPIN, 22, "open")], 1, 1)
    assert found.findings[0].triage is not None
    assert found.findings[0].triage.note == "soon"


@pytest.mark.usefixtures("weak")
def test_the_most_urgent_of_many(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host carries a bounded number of findings, and tells how many there are."""
    monkeypatch.setattr(hostfindings, "MAX_OF_HOST", 1)
    found = of(database)
    assert (brief(found.findings), found.total) == ([(OLD, 80, "reopened")], 2)


def test_a_rejected_cve_is_no_weakness(database: Database, weak: Weak) -> None:
    """Whatever is still stored of it."""
    weak.affected(weak.software("nginx", "1.2"), weak.vuln("CVE-2020-0001", status="rejected"))
    assert {r.cve for r in of(database).findings} == {OLD, TERRAPIN}


def test_a_host_without_any(database: Database) -> None:
    """Nothing is found at an address that nobody knows."""
    assert of_host(database, "192.0.2.99", JUDGE, NOW, history=True) == OfHost((), 0, 0)


# One of them ---------------------------------------------------------------------------------------------------------


def test_all_there_is_to_know(database: Database, weak: Weak) -> None:
    """Its intervals, and the CVE's text, scores and references in full."""
    details = (
        b'{"metrics":[{"version":"4.0","score":9.1,"severity":"critical"}],"weaknesses":["CWE-79"],'
        b'"references":[{"url":"https://example.org","tags":["Patch"]}],"aliases":["GHSA-1"]}'
    )
    num = weak.vuln("CVE-2020-0002", description="y" * 300, details=details.decode(), kev=date(2021, 1, 1))
    weak.affected(weak.software("nginx", "1.2"), num, T0 + 9 * DAY)
    with database.connection() as connection:
        entry = '{"cve":"CVE-2020-0002","added":"2021-01-01","action":"Update."}'
        connection.execute("INSERT INTO kev VALUES ('CVE-2020-0002', '2021-01-01', %s)", [entry])
    found = finding(database, FindingKey(IP, 80, "tcp", "CVE-2020-0002"), JUDGE, NOW)
    assert found.description == "y" * 300
    assert found.metrics == (Metric("4.0", 9.1, "critical"),)
    assert (found.weaknesses, found.aliases) == (("CWE-79",), ("GHSA-1",))
    assert found.references == (Reference("https://example.org", ("Patch",)),)
    assert found.exploited == Kev("CVE-2020-0002", date(2021, 1, 1), action="Update.")
    assert found.published == T0
    ran: dict[str, Any] = {"service": "http", "product": "nginx", "version": "1.2"}
    since = T0 + 9 * DAY
    assert found.history == (
        IntervalRecord(opened=T0, known=since, closed=T0 + 5 * DAY, closed_why="gone", **ran),
        IntervalRecord(opened=T0 + 8 * DAY, known=since, **ran),
    )
    assert found.state == "reopened"


@pytest.mark.usefixtures("weak")
def test_one_that_is_closed(database: Database) -> None:
    """It can still be asked for; at a moment when it was there it is not closed."""
    key = FindingKey(IP, 22, "tcp", REGRESSHION)
    assert finding(database, key, JUDGE, NOW).state == "closed"
    assert finding(database, key, JUDGE, NOW, at=T0 + 4 * DAY).state == "new"
    with pytest.raises(NotFound):
        finding(database, key, JUDGE, NOW, at=T0 + DAY)


@pytest.mark.usefixtures("weak")
@pytest.mark.parametrize(
    "key",
    [
        FindingKey(IP, 22, "tcp", "CVE-1999-0001"),
        FindingKey(IP, 22, "tcp", OLD),
        FindingKey(IP, 22, "udp", TERRAPIN),
        FindingKey("192.0.2.8", 22, "tcp", TERRAPIN),
    ],
)
def test_what_never_was_found(database: Database, key: FindingKey) -> None:
    """An unknown CVE, one that concerns something else, another endpoint."""
    with pytest.raises(NotFound):
        finding(database, key, JUDGE, NOW)
