"""The ways along open findings are bounded: a page may be short, and the next one goes on."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spectra.model.query import parse
from spectra.store import findingask, findingruns
from spectra.store.database import Database
from spectra.store.findingask import Filters
from spectra.store.findinglist import findings
from tests.store.scribe import T0, Scribe, host, seen
from tests.store.weak import JUDGE, Weak

NOW = T0 + timedelta(days=30)
CVE = "CVE-2024-0001"


@pytest.fixture
def crowd(database: Database, write: Scribe) -> Weak:
    """Twenty hosts with one service, of which the last has another port too; one CVE."""
    for n in range(1, 21):
        ports = (22, 2222) if n == 20 else (22,)
        write(
            [host(f"192.0.2.{n}", T0 + timedelta(minutes=n), *(seen(port, "ssh", "OpenSSH", "9.2") for port in ports))]
        )
    weak = Weak(database)
    weak.affected(weak.software("OpenSSH", "9.2"), weak.vuln(CVE))
    return weak


@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize("sort", ["priority", "opened"])
def test_a_long_way_to_what_is_asked_for(database: Database, monkeypatch: pytest.MonkeyPatch, sort: str) -> None:
    """Endpoints that are not wanted are passed in bounded steps: pages without a finding, but with a cursor."""
    monkeypatch.setattr(findingruns, "REACH", 4)
    monkeypatch.setattr(findingask, "NARROW", 0)
    monkeypatch.setattr(findingask, "FEW", -1)
    text = "port:2222" if sort == "priority" else "ip:192.0.2.2"
    filters = Filters(query=parse(text, NOW))
    cursor, sizes, found = "", [], []
    while not sizes or cursor:
        page = findings(database, filters, JUDGE, NOW, sort=sort, cursor=cursor)
        sizes.append(len(page.findings))
        found += [(r.ip, r.port) for r in page.findings]
        cursor = page.next_cursor
    assert found == [("192.0.2.20", 2222) if sort == "priority" else ("192.0.2.2", 22)]
    assert sizes[:4] == [0, 0, 0, 0]


@pytest.mark.usefixtures("crowd")
def test_a_run_longer_than_a_page(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The endpoints of one service are given over several pages, none twice, none left out, in order of address."""
    monkeypatch.setattr(findingruns, "REACH", 6)
    cursor, ips = "", []
    while not ips or cursor:
        page = findings(database, Filters(), JUDGE, NOW, cursor=cursor, limit=5)
        ips += [(r.ip, r.port) for r in page.findings]
        cursor = page.next_cursor
    assert ips == [*((f"192.0.2.{n}", 22) for n in range(1, 21)), ("192.0.2.20", 2222)]


def test_what_is_settled_everywhere_is_not_walked(
    database: Database, crowd: Weak, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CVE accepted for every host costs one look at its run, not one at each endpoint."""
    monkeypatch.setattr(findingruns, "REACH", 2)
    crowd.triage(CVE, "accepted")
    page = findings(database, Filters(), JUDGE, NOW)
    assert (page.findings, page.next_cursor) == ((), "")
    assert findings(database, Filters(min_priority=60), JUDGE, NOW).next_cursor == ""
