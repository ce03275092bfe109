"""Findings in comparisons of moments and of scans."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest

from spectra.model.diffs import DiffPage
from spectra.model.findingrecords import FindingBrief
from spectra.model.observation import Swept
from spectra.model.query import Query, parse
from spectra.store import findingdiff
from spectra.store.database import Database
from spectra.store.diff import Window, diff
from spectra.store.hostfindings import of_host
from spectra.store.scandiff import scandiff
from tests.store.scribe import T0, Scribe, host, seen
from tests.store.weak import JUDGE, Weak

DAY = timedelta(days=1)
NOW = T0 + 30 * DAY
A, B = "192.0.2.1", "192.0.2.2"


def between(database: Database, start: float, end: float, q: str = "") -> DiffPage:
    """What is different between two days."""
    query = parse(q, NOW) if q else Query()
    return diff(database, Window(T0 + start * DAY, T0 + end * DAY), query, findings=True)


def told(page: DiffPage) -> list[tuple[str, str, str]]:
    """Kind, address and CVE of what came and went by what was told."""
    return [(c.kind.removeprefix("finding_"), c.ip, c.cve[-1]) for c in page.findings]


@pytest.fixture
def weak(database: Database, write: Scribe) -> Weak:
    """OpenSSH on two hosts, upgraded on one on day 10. CVE 1 is of both versions, 2 of the old, 3 of the new alone; 4
    is told of the old one on day 5 and taken back on day 15, 5 is told of it on day 20."""
    sweep = Swept("tcp", ((1, 65535),))
    for ip in (A, B):
        write([sweep, host(ip, T0, seen(22, "ssh", "OpenSSH", "9.2"), rest="closed")], scan_id="one")
    write([sweep, host(A, T0 + 10 * DAY, seen(22, "ssh", "OpenSSH", "9.6"), rest="closed")], scan_id="two")
    weak = Weak(database)
    old, new = weak.software("OpenSSH", "9.2"), weak.software("OpenSSH", "9.6")
    vulns = [weak.vuln(f"CVE-2024-000{n}", 10.0 * n, severity="high") for n in range(1, 6)]
    for software, number, since, until in (
        (old, 1, 0, None), (new, 1, 0, None), (old, 2, 0, None), (new, 3, 0, None), (old, 4, 5, 15), (old, 5, 20, None),
    ):  # fmt: skip
        weak.affected(software, vulns[number - 1], T0 + since * DAY, None if until is None else T0 + until * DAY)
    return weak


@pytest.mark.usefixtures("weak")
def test_an_upgrade(database: Database) -> None:
    """What the new version has and the old had not, and the other way round; what both have is not told."""
    (entry,) = between(database, 1, 12).entries
    assert entry.findings_new == (FindingBrief("CVE-2024-0003", "high"),)
    assert entry.findings_closed == (FindingBrief("CVE-2024-0002", "high"),)  # 4 was not known on the first day
    (later,) = between(database, 6, 12).entries
    assert [b.cve[-1] for b in later.findings_closed] == ["4", "2"]
    assert (later.findings_new_total, later.findings_closed_total) == (1, 2)


@pytest.mark.usefixtures("weak")
def test_a_port_that_came(database: Database) -> None:
    """Everything it has is new; without `findings` nothing is told."""
    entries = between(database, -1, 1).entries
    assert [[b.cve[-1] for b in e.findings_new] for e in entries] == [["2", "1"], ["2", "1"]]
    plain = diff(database, Window(T0 - DAY, T0 + DAY), Query())
    assert [e.findings_new_total for e in plain.entries] == [0, 0]


@pytest.mark.usefixtures("weak")
def test_what_was_told_of_what_did_not_change(database: Database) -> None:
    """By endpoint, riskiest first, only with the first page and only where no kind of entry is asked for."""
    assert told(between(database, 11, 30)) == [("new", B, "5"), ("closed", B, "4")]
    assert told(between(database, 1, 6)) == [("new", A, "4"), ("new", B, "4")]  # A has changed since
    assert told(between(database, 1, 30)) == [("new", B, "5")]  # 4 came and went in between
    assert told(between(database, 11, 30, f"ip:{A}")) == []
    assert told(between(database, 1, 6, f"ip:{A}")) == [("new", A, "4")]
    assert told(between(database, 1, 6, "port:23")) == []
    page = diff(database, Window(T0 + 11 * DAY, NOW), Query(), kind="new", findings=True)
    assert page.findings == ()


def test_what_is_settled_is_no_news(database: Database, weak: Weak) -> None:
    """For everywhere, and for one host."""
    weak.triage("CVE-2024-0005", "accepted")
    weak.triage("CVE-2024-0004", "accepted", B)
    weak.triage("CVE-2024-0003", "false_positive", A)
    assert told(between(database, 11, 30)) == []
    assert told(between(database, 1, 6)) == [("new", A, "4")]
    (entry,) = between(database, 1, 12).entries
    assert (entry.findings_new, entry.findings_closed_total) == ((), 1)


@pytest.mark.usefixtures("weak")
def test_of_very_many_the_riskiest(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists are cut, and numbers say where they are at least so many."""
    monkeypatch.setattr(findingdiff, "MAX_BRIEFS", 1)
    monkeypatch.setattr(findingdiff, "MAX_LISTED", 1)
    monkeypatch.setattr(findingdiff, "FIRST_ROWS", 1)
    (entry,) = between(database, 6, 12).entries
    assert ([b.cve[-1] for b in entry.findings_closed], entry.findings_closed_total) == (["4"], 2)
    page = between(database, 11, 30)
    assert (told(page), page.findings_total, page.findings_exact) == ([("new", B, "5")], 2, True)
    monkeypatch.setattr(findingdiff, "CUT", 1)
    page = between(database, 11, 30)
    assert (page.findings_total, page.findings_exact) == (1, False)


@pytest.mark.usefixtures("weak")
def test_scans(database: Database) -> None:
    """By what is known by now of what each saw; nothing is told of other endpoints."""
    page = scandiff(database, ("one", "two"), Query(), findings=True)
    (entry,) = page.entries
    assert [b.cve[-1] for b in entry.findings_new] == ["3"]
    assert [b.cve[-1] for b in entry.findings_closed] == ["5", "2"]
    assert page.findings == ()
    assert scandiff(database, ("one", "two"), Query()).entries[0].findings_new == ()


def test_a_comparison_is_the_difference_of_two_moments(database: Database, write: Scribe) -> None:
    """Over random histories, entries and what was told together are the findings of each host then, and now."""
    chance = random.Random(5)
    ips = [f"192.0.2.{n}" for n in range(10)]
    versions = ["1", "2", "3"]
    for ip in ips:
        for day in sorted(chance.sample(range(20), 4)):
            port = (
                seen(22, "x", "thing", chance.choice(versions)) if chance.random() < 0.8 else seen(22, state="closed")
            )
            write([host(ip, T0 + day * DAY, port)])
    weak = Weak(database)
    for number in range(6):
        vuln = weak.vuln(f"CVE-2024-000{number}", float(number))
        for version in versions:
            ends = sorted(chance.sample(range(25), 2))
            if chance.random() < 0.7:
                until = T0 + ends[1] * DAY if chance.random() < 0.5 else None
                weak.affected(weak.software("thing", version), vuln, T0 + ends[0] * DAY, until)
    for _ in range(12):
        start, end = sorted(T0 + chance.randint(0, 25) * DAY for _ in range(2))
        page = diff(database, Window(start, end), Query(), limit=1000, findings=True)
        before, after = _at(database, ips, start), _at(database, ips, end)
        came = {(e.ip, b.cve) for e in page.entries for b in e.findings_new}
        went = {(e.ip, b.cve) for e in page.entries for b in e.findings_closed}
        listed = [(c.ip, c.cve, c.kind) for c in page.findings]
        told_new = {(ip, cve) for ip, cve, kind in listed if kind == "finding_new"}
        told_closed = {(ip, cve) for ip, cve, kind in listed if kind == "finding_closed"}
        same = _same_again(database, start, end)
        assert {f for f in came | told_new if f[0] not in same} == {f for f in after - before if f[0] not in same}
        assert {f for f in went | told_closed if f[0] not in same} == {f for f in before - after if f[0] not in same}


def _at(database: Database, ips: list[str], at: datetime) -> set[tuple[str, str]]:
    return {(ip, r.cve) for ip in ips for r in of_host(database, ip, JUDGE, NOW, at=at).findings}


def _same_again(database: Database, start: datetime, end: datetime) -> set[str]:
    """Hosts whose port was something else in between, and then as before: they are in no comparison."""
    with database.connection() as connection:
        rows = connection.execute(
            """WITH v AS (SELECT ip, state::text, service, since, 'infinity'::timestamptz AS until FROM endpoint
                 UNION ALL SELECT ip, state::text, service, since, until FROM endpoint_version)
               SELECT host(a.ip) FROM v a JOIN v b USING (ip, state, service)
               WHERE a.since <= %s AND a.until > %s AND b.since > a.since AND b.since <= %s AND b.until > %s""",
            [start, start, end, end],
        )
        return {row[0] for row in rows}
