"""Lists of decisions: filters, and pages by cursor."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from spectra.errors import BadRequest, NotFound
from spectra.model.triage import DecisionRecord, Target, Verdict
from spectra.store import triagelist, triagewrite
from spectra.store.database import Database
from spectra.store.triagelist import Filters
from tests.store.scribe import T0

DAY = timedelta(days=1)
CVE, OTHER = "CVE-2024-0001", "CVE-2024-0002"
NOW = T0 + 9 * DAY


@pytest.fixture
def decided(database: Database) -> Database:
    """Four that stand, one that ended, one that was replaced."""
    steps = (
        (Target(CVE), Verdict("accepted", "wide"), "alice"),
        (Target(CVE, "192.0.2.7"), Verdict("fixed", "host"), "bob"),
        (Target(CVE, "192.0.2.7", 22, "tcp"), Verdict("fixed", "replaced"), "bob"),
        (Target(CVE, "192.0.2.7", 22, "tcp"), Verdict("false_positive", "endpoint"), "bob"),
        (Target(OTHER, "2001:db8::7", 22, "tcp"), Verdict("not_affected", "vex", origin="urn:x"), "alice"),
        (Target(OTHER), Verdict("accepted", "ended", until=T0 + 6 * DAY), "alice"),
    )
    for number, (target, verdict, by) in enumerate(steps):
        triagewrite.decide(database, [(target, verdict)], by=by, now=T0 + number * DAY)
    return database


def notes(database: Database, **asked: Any) -> list[str]:
    """The notes of the decisions that match."""
    return [one.note for one in triagelist.decisions(database, Filters(**asked), NOW).decisions]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, "vex endpoint host wide"),
        ({"fate": "ended"}, "ended"),
        ({"fate": "removed"}, "replaced"),
        ({"fate": "all"}, "ended vex endpoint replaced host wide"),
        ({"cve": OTHER}, "vex"),
        ({"statuses": ("accepted", "fixed")}, "host wide"),
        ({"scope": "endpoint"}, "vex endpoint"),
        ({"scope": "host"}, "host"),
        ({"scope": "everywhere"}, "wide"),
        ({"network": ipaddress.ip_network("192.0.2.0/24")}, "endpoint host"),
        ({"network": ipaddress.ip_network("2001:db8::7")}, "vex"),
        ({"by": "bob"}, "endpoint host"),
        ({"origin": "urn:x"}, "vex"),
        ({"cve": CVE, "by": "alice", "scope": "host"}, ""),
    ],
)
def test_filters(decided: Database, asked: dict[str, Any], found: str) -> None:
    """All of them hold; the newest first."""
    assert notes(decided, **asked) == found.split()


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7])
def test_pages(decided: Database, limit: int) -> None:
    """Of any size they have every decision once, in one order, also where several were made at once."""
    triagewrite.decide(decided, [(Target(CVE, f"10.0.0.{n}"), Verdict("fixed")) for n in range(5)], by="eve", now=NOW)
    whole = triagelist.decisions(decided, Filters(fate="all"), NOW)
    assert (len(whole.decisions), whole.next_cursor) == (11, "")
    found: list[DecisionRecord] = []
    cursor = ""
    while True:
        page = triagelist.decisions(decided, Filters(fate="all"), NOW, cursor=cursor, limit=limit)
        found += page.decisions
        if not (cursor := page.next_cursor):
            break
    assert found == list(whole.decisions)


def test_slips(decided: Database) -> None:
    """A limit out of bounds, and a cursor of no list."""
    slips: list[tuple[dict[str, Any], str]] = [
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"cursor": "x"}, "cursor"),
    ]
    for options, field in slips:
        with pytest.raises(BadRequest) as caught:
            triagelist.decisions(decided, Filters(), NOW, **options)
        assert caught.value.field == field


def test_one(decided: Database) -> None:
    """By its id, whatever became of it."""
    replaced = triagelist.decisions(decided, Filters(fate="removed"), NOW).decisions[0]
    assert triagelist.decision(decided, UUID(replaced.id)) == replaced
    with pytest.raises(NotFound):
        triagelist.decision(decided, uuid4())


def test_those_of_a_document(decided: Database) -> None:
    """Which were not removed."""
    with decided.connection() as connection:
        (ident,) = triagelist.of_origin(connection, "urn:x")
        assert triagelist.of_origin(connection, "urn:y") == []
    triagewrite.remove(decided, [ident], by="bob", now=NOW)
    with decided.connection() as connection:
        assert triagelist.of_origin(connection, "urn:x") == []
