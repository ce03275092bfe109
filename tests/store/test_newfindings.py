"""Findings that began since a moment: by what runs there now, and by what was learned since."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spectra.model.overview import Bounded
from spectra.store import newfindings
from spectra.store.database import Database
from tests.store.scribe import T0, Scribe, host, seen
from tests.store.weak import JUDGE, Weak

DAY = timedelta(days=1)
NOW = T0 + 30 * DAY
OLD, NEW = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def weak(database: Database, write: Scribe) -> Weak:
    """A host with an old OpenSSH from the beginning, another that has it since day 20; two CVEs known from before."""
    write([host(OLD, T0, seen(22, "ssh", "OpenSSH", "9.2"))], at=T0)
    write([host(NEW, T0 + 20 * DAY, seen(22, "ssh", "OpenSSH", "9.2"))], at=T0 + 20 * DAY)
    made = Weak(database)
    software = made.software("OpenSSH", "9.2")
    for number, risk in ((1, 30.0), (2, 90.0)):
        made.affected(software, made.vuln(f"CVE-2024-000{number}", risk), T0 - DAY)
    return made


def test_what_began_is_told_the_most_urgent_first(database: Database, weak: Weak) -> None:
    """At the host that runs it since then alone."""
    count, found = newfindings.began(database, T0 + 10 * DAY, JUDGE, NOW)
    assert count == Bounded(2, True)
    assert [(one.cve, one.ip) for one in found] == [("CVE-2024-0002", NEW), ("CVE-2024-0001", NEW)]


def test_what_was_learned_is_new_wherever_it_runs(database: Database, weak: Weak) -> None:
    """On hosts that changed nothing too; what began before is not told."""
    weak.affected(weak.software("OpenSSH", "9.2"), weak.vuln("CVE-2024-0003", 60.0), T0 + 25 * DAY)
    count, found = newfindings.began(database, T0 + 22 * DAY, JUDGE, NOW)
    assert count == Bounded(2, True)
    assert {(one.cve, one.ip) for one in found} == {("CVE-2024-0003", OLD), ("CVE-2024-0003", NEW)}


def test_what_was_settled_is_not_new(database: Database, weak: Weak) -> None:
    """It is neither listed nor counted."""
    weak.triage("CVE-2024-0002", "false_positive")
    count, found = newfindings.began(database, T0 + 10 * DAY, JUDGE, NOW)
    assert (count, [one.cve for one in found]) == (Bounded(1, True), ["CVE-2024-0001"])


def test_many_are_at_least_so_many(database: Database, weak: Weak, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where not all was looked at, the number says so, and what is listed is bounded."""
    monkeypatch.setattr(newfindings, "LOOKED_AT", 1)
    count, found = newfindings.began(database, T0 - 2 * DAY, JUDGE, NOW, limit=1)
    assert not count.exact
    assert len(found) == 1


def test_nothing_new_is_nothing(database: Database, weak: Weak) -> None:
    """And exactly that."""
    assert newfindings.began(database, NOW, JUDGE, NOW) == (Bounded(0, True), ())
