"""Closed findings of all hosts, against the history of each."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spectra.errors import BadRequest
from spectra.model.findingrecords import SETTLED
from spectra.model.query import parse
from spectra.store import findingclosed
from spectra.store.database import Database
from spectra.store.findingask import Filters
from spectra.store.findinglist import findings
from spectra.store.hostfindings import of_host
from tests.store.scribe import T0
from tests.store.test_findinglist import IPS, NOW, PRODUCTS, Keeps, bounds, walk, world
from tests.store.weak import JUDGE, Weak

__all__ = ["bounds", "world"]

DAY = timedelta(days=1)


@pytest.mark.usefixtures("bounds")
@pytest.mark.parametrize("reach", [5, 2000])
def test_against_the_history_of_each_host(
    database: Database, world: Weak, monkeypatch: pytest.MonkeyPatch, reach: int
) -> None:
    """The last closed first: all that a host's history has, but what was taken back before its endpoint changed."""
    monkeypatch.setattr(findingclosed, "REACH", reach)
    for number, until in ((10, 27), (11, 27), (12, 29)):
        vuln = world.vuln(f"CVE-2024-{number:04}", 40.0)
        for product in PRODUCTS[:3]:
            world.affected(world.software(*product), vuln, T0, T0 + until * DAY)
    every = [r for ip in IPS for r in of_host(database, ip, JUDGE, NOW, history=True).findings if r.state == "closed"]
    with database.connection() as connection:
        rows = connection.execute("SELECT host(ip), port, since FROM endpoint").fetchall()
    began = {(ip, port): since for ip, port, since in rows}
    unsettled = [r for r in every if r.triage is None or r.triage.status not in SETTLED]
    told = {r.id for r in unsettled if r.closed_why != "withdrawn" or (r.closed and r.closed > began[r.ip, r.port])}
    assert {r.closed_why for r in unsettled if r.id in told} == {"upgraded", "gone", "withdrawn"}
    closed = Filters(states=("closed",))
    for limit in (3, 1000):
        found = walk(database, closed, limit=limit)
        assert [r.id for r in found if r.id not in told] == []
        assert len(found) == len({r.id for r in found}) == len(told)
        times = [r.closed for r in found if r.closed]
        assert times == sorted(times, reverse=True)
    by_id = {r.id: r for r in every}
    asked: list[tuple[Filters, Keeps]] = [
        (Filters(parse("port:22", NOW), states=("closed",)), lambda r: r.port == 22),
        (Filters(parse("kev:true", NOW), states=("closed",)), lambda r: r.kev is not None),
        (
            Filters(states=("closed",), since=T0 + 12 * DAY),
            lambda r: r.closed is not None and r.closed >= T0 + 12 * DAY,
        ),
        (Filters(states=("closed",), min_priority=20), lambda r: r.priority.score >= 20),
    ]
    for filters, keeps in asked:
        found = walk(database, filters, limit=7)
        assert {r.id for r in found} == {ident for ident in told if keeps(by_id[ident])}, filters


@pytest.mark.usefixtures("world")
def test_a_cursor_keeps_its_list(database: Database) -> None:
    """That of open findings is refused for closed ones, and the other way round."""
    closed, opened = Filters(states=("closed",)), Filters()
    for one, other in ((closed, opened), (opened, closed)):
        page = findings(database, one, JUDGE, NOW, limit=2)
        assert page.next_cursor
        with pytest.raises(BadRequest):
            findings(database, other, JUDGE, NOW, limit=2, cursor=page.next_cursor)


def test_nothing_ever_closed(database: Database) -> None:
    """An empty store has no closed finding either."""
    assert walk(database, Filters(states=("closed",))) == []
