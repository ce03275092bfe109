"""The list of open findings, against the findings of each host."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest

from spectra.errors import BadRequest
from spectra.model.findingrecords import FindingRecord
from spectra.model.query import parse
from spectra.store import findingask, findinglist, findingruns
from spectra.store.database import Database
from spectra.store.findingask import Filters
from spectra.store.findinglist import SORTS, findings
from spectra.store.hostfindings import of_host
from tests.store.scribe import T0, Scribe, host, seen
from tests.store.weak import JUDGE, Weak, cpe

DAY = timedelta(days=1)
NOW = T0 + 30 * DAY
IPS = [f"192.0.2.{n}" for n in range(12)] + ["10.0.0.1", "2001:db8::1"]
PORTS = (22, 80, 443)
PRODUCTS = [("OpenSSH", "9.2"), ("OpenSSH", "9.6"), ("nginx", "1.2"), ("Exim", "4.9"), ("safe", "1")]


@pytest.fixture
def world(database: Database, write: Scribe) -> Weak:
    """Fourteen hosts looked at three times, ten CVEs, five kinds of software; some decisions."""
    chance = random.Random(11)
    for day in (0, 10, 26):
        for ip in IPS:
            ports = chance.sample(PORTS, chance.randint(0, 3))
            services = {port: chance.choice(PRODUCTS) for port in ports}
            listed = [seen(port, "x", *services[port]) if port in services else seen(port, state="closed")
                      for port in PORTS if port in services or chance.random() < 0.2]  # fmt: skip
            if listed:
                write([host(ip, T0 + day * DAY, *listed)], at=T0 + day * DAY)
    weak = Weak(database)
    softwares = [weak.software(*product) for product in PRODUCTS[:-1]]
    for number in range(10):
        vuln = weak.vuln(
            f"CVE-2024-{number:04}",
            float(chance.choice([10, 30, 30, 90])),
            severity=chance.choice(["critical", "low", ""]),
            cvss=chance.choice([None, 5.0, 9.8]),
            epss=chance.choice([None, 0.1, 0.9]),
            kev=chance.choice([None, date(2025, 1, 1)]),
        )
        for software in softwares:
            if chance.random() < 0.6:
                since = T0 + chance.choice([-5, 3, 15, 28]) * DAY
                how: dict[str, Any] = {"confidence": chance.choice([0.3, 0.6, 0.9]),
                                       "patched": chance.choice(["", "possibly"])}  # fmt: skip
                if chance.random() < 0.3:
                    weak.affected(software, vuln, since - 9 * DAY, since - 2 * DAY, **how)
                if chance.random() < 0.9:
                    weak.affected(software, vuln, since, **how)
    weak.triage("CVE-2024-0001", "accepted")
    weak.triage("CVE-2024-0002", "fixed", cpe=cpe("OpenSSH", "9.2"))
    weak.triage("CVE-2024-0003", "false_positive", IPS[0])
    weak.triage("CVE-2024-0001", "affected", IPS[1], 22)
    weak.triage("CVE-2024-0004", "investigating")
    return weak


@pytest.fixture(params=[False, True], ids=["wide", "narrow"])
def bounds(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual bounds, and ones so small that every page meets all of them."""
    if request.param:
        for module, names in (
            (findingruns, {"FEW_RUNS": 0, "FIRST_RUNS": 3, "MAX_RUNS": 9, "ALL_RUNS": 20, "REACH": 4}),
            (findingask, {"NARROW": 0, "FEW": -1, "PAST": -1}),
            (findinglist, {"AT_ONCE": 3, "PATIENCE": 2}),
        ):
            for name, value in names.items():
                monkeypatch.setattr(module, name, value)


def walk(database: Database, filters: Filters, *, limit: int = 7, sort: str = "priority") -> list[FindingRecord]:
    """The findings of all pages."""
    found: list[FindingRecord] = []
    cursor, pages = "", 0
    while pages < 500:
        page = findings(database, filters, JUDGE, NOW, sort=sort, cursor=cursor, limit=limit)
        assert len(page.findings) <= limit
        found += page.findings
        cursor, pages = page.next_cursor, pages + 1
        if not cursor:
            return found
    raise AssertionError("the list does not end")


def everything(database: Database, weak: Weak) -> Iterator[FindingRecord]:
    """All open findings, host by host, those that are settled too."""
    with database.connection() as connection:
        connection.execute("ALTER TABLE triage RENAME TO aside")
        connection.execute("CREATE TABLE triage (LIKE aside)")
    plain = [r for ip in IPS for r in of_host(database, ip, JUDGE, NOW).findings]
    with database.connection() as connection:
        connection.execute("DROP TABLE triage")
        connection.execute("ALTER TABLE aside RENAME TO triage")
    unsettled = {r.id: r for ip in IPS for r in of_host(database, ip, JUDGE, NOW).findings}
    for record in plain:
        yield unsettled.get(record.id, record)


def settled(database: Database) -> set[str]:
    """The ids of those that triage settled."""
    return {r.id for r in walk(database, Filters(triaged="only"))}


@pytest.mark.usefixtures("bounds")
@pytest.mark.parametrize("sort", SORTS)
def test_every_open_finding_once_and_in_order(database: Database, world: Weak, sort: str) -> None:
    """The pages together are the findings of all hosts, in each order, whatever the size of a page."""
    every = {r.id for r in everything(database, world)}
    shown = {r.id for ip in IPS for r in of_host(database, ip, JUDGE, NOW).findings}
    assert len(shown) > 40
    for limit in (7, 1000):
        found = walk(database, Filters(), sort=sort, limit=limit)
        assert len(found) == len({r.id for r in found})
        assert {r.id for r in found} == shown
    both = [walk(database, Filters(triaged=t), sort=sort) for t in ("all", "only")]
    assert {r.id for r in both[0]} == every
    assert {r.id for r in both[1]} == every - shown
    keys: dict[str, Callable[[FindingRecord], float]] = {
        "cvss": lambda r: -(r.cvss or -1),
        "epss": lambda r: -(r.epss or -1),
    }
    if sort in keys:
        assert [keys[sort](r) for r in both[0]] == sorted(keys[sort](r) for r in both[0])
    if sort == "priority":
        scores = [r.priority.score * (1 if JUDGE.exposed(r.ip) else 2) for r in both[0]]
        assert all(one >= other - 0.11 for one, other in pairwise(scores))
    if sort == "opened":
        versions = [_version(database, r) for r in both[0]]
        assert versions == sorted(versions, reverse=True)


def _version(database: Database, record: FindingRecord) -> Any:
    with database.connection() as connection:
        row = connection.execute(
            "SELECT since FROM endpoint WHERE ip = %s AND port = %s", [record.ip, record.port]
        ).fetchone()
    assert row
    return row[0]


@pytest.mark.usefixtures("bounds")
@pytest.mark.parametrize("sort", ["priority", "epss", "opened"])
def test_filters(database: Database, world: Weak, sort: str) -> None:
    """Each of them leaves exactly what it says."""
    shown = [r for ip in IPS for r in of_host(database, ip, JUDGE, NOW).findings]
    for filters, keeps in _questions():
        found = walk(database, filters, sort=sort, limit=25)
        assert {r.id for r in found} == {r.id for r in shown if keeps(r)}, filters
        assert len(found) == len({r.id for r in found})


Keeps = Callable[[FindingRecord], bool]


def _questions() -> Iterator[tuple[Filters, Keeps]]:
    yield Filters(min_priority=20), lambda r: r.priority.score >= 20
    yield Filters(states=("new",)), lambda r: r.state == "new"
    yield Filters(states=("reopened",)), lambda r: r.state == "reopened"
    yield Filters(states=("open", "new")), lambda r: r.state in ("open", "new")
    yield Filters(since=T0 + 12 * DAY), lambda r: max(r.opened, r.known) >= T0 + 12 * DAY
    yield Filters(patched=True), lambda r: r.patched != ""
    yield Filters(patched=False), lambda r: r.patched == ""
    yield Filters(levels=("likely", "possible")), lambda r: r.level in ("likely", "possible")
    exploited = parse("kev:true", NOW)
    yield Filters(exploited, levels=("confirmed",)), lambda r: r.level == "confirmed" and r.kev is not None
    asked: list[tuple[str, Keeps]] = [
        ("port:22", lambda r: r.port == 22),
        ("product:nginx", lambda r: r.product == "nginx"),
        ("net:192.0.2.0/30 port:80", lambda r: r.ip in IPS[:4] and r.port == 80),
        ("net:192.0.2.0/24 -service:x", lambda r: False),
        ("state:closed", lambda r: False),
        ("vuln:CVE-2024-0005,CVE-2024-0006", lambda r: r.cve[-4:] in ("0005", "0006")),
        ("vuln:CVE-1999-0001", lambda r: False),
        ("severity:critical", lambda r: r.severity == "critical"),
        ("-severity:critical", lambda r: r.severity != "critical"),
        ("cvss:>5", lambda r: (r.cvss or 0) > 5),
        ("epss:>=0.1 kev:false", lambda r: (r.epss or 0) >= 0.1 and r.kev is None),
        ("-epss:>=0.5 port:22,443", lambda r: (r.epss or 0) < 0.5 and r.port != 80),
        ("has:finding port:80", lambda r: r.port == 80),
        ("ip:2001:db8::1", lambda r: r.ip == "2001:db8::1"),
    ]
    for text, keeps in asked:
        yield Filters(query=parse(text, NOW)), keeps


def test_all_states_are_there(database: Database, world: Weak) -> None:
    """The world has what the filters are tried on."""
    assert {r.state for r in walk(database, Filters())} == {"new", "open", "reopened"}
    assert settled(database)
    assert {r.level for r in walk(database, Filters())} == {"confirmed", "likely", "possible"}


def test_what_is_no_page(database: Database) -> None:
    """Limits, sorts and cursors that do not exist are refused by name, as is the cursor of another order."""
    asked: list[tuple[str, dict[str, Any]]] = [
        ("limit", {"limit": 0}),
        ("limit", {"limit": 1001}),
        ("sort", {"sort": "colour"}),
        ("cursor", {"cursor": "x"}),
    ]
    for field, options in asked:
        with pytest.raises(BadRequest) as caught:
            findings(database, Filters(), JUDGE, NOW, **options)
        assert caught.value.field == field


@pytest.mark.usefixtures("world")
def test_a_cursor_keeps_its_order(database: Database) -> None:
    """It is refused with any other sort."""
    page = findings(database, Filters(), JUDGE, NOW, limit=2)
    with pytest.raises(BadRequest) as caught:
        findings(database, Filters(), JUDGE, NOW, limit=2, sort="epss", cursor=page.next_cursor)
    assert caught.value.field == "cursor"


def test_nothing_is_known(database: Database) -> None:
    """An empty store has an empty list, in every order."""
    for sort in SORTS:
        assert walk(database, Filters(), sort=sort) == []
        assert walk(database, Filters(query=parse("port:22", NOW)), sort=sort) == []
