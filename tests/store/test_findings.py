"""Findings put together from endpoints, software and what is known of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spectra.store import findings as module
from spectra.store.database import Database
from spectra.store.findings import Candidate, Clock, cpe_of, cut, load
from tests.store.scribe import T0, Scribe, host, seen
from tests.store.weak import JUDGE, Weak

IP = "2001:db8::7"
DAY = timedelta(days=1)
NOW = Clock(T0 + 30 * DAY)


@pytest.fixture
def weak(database: Database, write: Scribe) -> Weak:
    """A service that went through four versions, all but the last with a weakness."""
    for day, version in enumerate(("1", "2", "3", "4")):
        write([host(IP, T0 + day * DAY, seen(22, "ssh", "OpenSSH", version))])
    weak = Weak(database)
    vuln = weak.vuln("CVE-2024-0001")
    for version in ("1", "2", "3"):
        weak.affected(weak.software("OpenSSH", version), vuln, T0 - DAY)
    return weak


def test_each_in_its_place(database: Database, weak: Weak) -> None:
    """Answers stand in the order of the questions; what never was a finding is None; nothing asked, nothing told."""
    other = weak.vuln("CVE-2024-0002")
    with database.connection() as connection:
        one = Candidate(IP, 22, 6, weak_number(database, "CVE-2024-0001"))
        found = load(connection, [one._replace(vuln=other), one, one._replace(port=23), one], JUDGE, NOW)
        assert [f.record.cve if f else None for f in found] == [None, "CVE-2024-0001", None, "CVE-2024-0001"]
        assert load(connection, [], JUDGE, NOW) == []


def weak_number(database: Database, cve: str) -> int:
    """The number of a CVE's row."""
    with database.connection() as connection:
        row = connection.execute("SELECT num FROM vuln WHERE cve = %s", [cve]).fetchone()
    assert row
    return row[0]


@pytest.mark.usefixtures("weak")
def test_three_versions_are_one_interval(database: Database) -> None:
    """It opened with the first, ended with the fourth, and tells of the last that had it."""
    with database.connection() as connection:
        (found,) = load(connection, [Candidate(IP, 22, 6, weak_number(database, "CVE-2024-0001"))], JUDGE, NOW)
    assert found
    record = found.record
    assert (record.opened, record.closed, record.closed_why, record.version) == (T0, T0 + 3 * DAY, "upgraded", "3")
    assert (len(found.lived), record.ip) == (1, IP)


@pytest.mark.usefixtures("weak")
def test_of_a_long_past_the_newest(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions before the newest few are not looked at."""
    monkeypatch.setattr(module, "MAX_PAST", 2)
    with database.connection() as connection:
        (found,) = load(connection, [Candidate(IP, 22, 6, weak_number(database, "CVE-2024-0001"))], JUDGE, NOW)
    assert found
    assert found.record.opened == T0 + DAY


def test_small_things() -> None:
    """A cut text ends with an ellipsis; a name that is not there any more is empty."""
    assert (cut("abc", 3), cut("abcd", 3), cut("a  cd", 4)) == ("abc", "ab…", "a…")
    assert cpe_of(None, 0) == ""
