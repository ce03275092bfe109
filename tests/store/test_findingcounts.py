"""Findings counted, against the list of them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spectra.store import findingcounts
from spectra.store.database import Database
from spectra.store.findingask import Filters
from spectra.store.findingcounts import summary
from spectra.store.tallies import fold
from tests.store.scribe import T0, Scribe, host, seen
from tests.store.test_findinglist import NOW, walk, world
from tests.store.weak import Weak, cpe

__all__ = ["world"]

DAY = timedelta(days=1)


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("folded", [False, True])
def test_the_numbers_are_those_of_the_list(database: Database, folded: bool) -> None:
    """By severity, exploited, patched, settled; and hosts. Also with tallies that are still in their log."""
    if folded:
        fold(database)
    counted, listed = summary(database, NOW), walk(database, Filters(), limit=1000)
    assert counted.open == len(listed) == sum(counted.severity.values())
    for name, number in counted.severity.items():
        assert number == sum(1 for r in listed if r.severity == name), name
    assert counted.kev == sum(1 for r in listed if r.kev)
    assert counted.ransomware == sum(1 for r in listed if r.ransomware)
    assert counted.possibly_patched == sum(1 for r in listed if r.patched)
    assert counted.settled == len(walk(database, Filters(triaged="only"), limit=1000)) > 0
    assert (counted.hosts, counted.hosts_exact) == (len({r.ip for r in listed}), True)


@pytest.fixture
def upgrades(database: Database, write: Scribe) -> Weak:
    """Three hosts: one that was upgraded lately to no avail, one that came lately, one that was there before."""
    write([host("192.0.2.1", T0, seen(22, "ssh", "OpenSSH", "9.2")), host("192.0.2.3", T0, seen(22, "ssh", "x", "1"))])
    write([host("192.0.2.1", NOW - DAY, seen(22, "ssh", "OpenSSH", "9.6"))])
    write([host("192.0.2.2", NOW - DAY, seen(22, "ssh", "OpenSSH", "9.6"))])
    weak = Weak(database)
    old, new = weak.software("OpenSSH", "9.2"), weak.software("OpenSSH", "9.6")
    for number, softwares in ((1, (old, new)), (2, (new,))):
        vuln = weak.vuln(f"CVE-2024-000{number}")
        for software in softwares:
            weak.affected(software, vuln, T0)
    weak.affected(weak.software("x", "1"), weak.vuln("CVE-2024-0003"), NOW - DAY)
    return weak


def test_what_is_new(database: Database, upgrades: Weak, monkeypatch: pytest.MonkeyPatch) -> None:
    """Became known lately, or began lately with no version before it that had the same."""
    counted = summary(database, NOW)
    assert (counted.new, counted.exact, counted.open) == (4, True, 5)  # 1 at .2, 2 at .1 and .2, 3 at .3
    upgrades.triage("CVE-2024-0002", "accepted", cpe=cpe("OpenSSH", "9.6"))
    assert summary(database, NOW).new == 2
    monkeypatch.setattr(findingcounts, "REACH", 1)
    assert not summary(database, NOW).exact


def test_nothing(database: Database) -> None:
    """An empty store has none, of any severity."""
    counted = summary(database, NOW)
    assert (counted.open, counted.new, counted.hosts, counted.settled) == (0, 0, 0, 0)
    assert set(counted.severity) == {"critical", "high", "medium", "low", "none", ""}
