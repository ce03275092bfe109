"""Which decision holds for a finding."""

from __future__ import annotations

from datetime import timedelta

from spectra.model.findingrecords import TriageRecord
from spectra.store import triage
from spectra.store.database import Database
from spectra.store.triage import Finding
from tests.store.scribe import T0
from tests.store.weak import Weak, cpe

DAY = timedelta(days=1)
NOW = T0 + 10 * DAY
CVE, OTHER = "CVE-2024-0001", "CVE-2024-0002"
NAME = cpe("openssh", "9.2")
HERE = Finding(CVE, "192.0.2.7", 22, "tcp", NAME)
NEXT_PORT = Finding(CVE, "192.0.2.7", 2222, "tcp", NAME)
ELSEWHERE = Finding(CVE, "192.0.2.8", 22, "tcp", NAME)


def notes(database: Database, *findings: Finding, **options: bool) -> list[str]:
    """The note of the decision that holds for each."""
    with database.connection() as connection:
        return [held.note if held else "" for held in triage.held(connection, findings, NOW, **options)]


def test_the_nearest_decision_holds(database: Database) -> None:
    """That for the endpoint before the host's before everywhere's; another CVE's never does."""
    weak = Weak(database)
    weak.triage(CVE, "accepted", note="everywhere", at=T0 + 3 * DAY)
    weak.triage(CVE, "affected", "192.0.2.7", note="host", at=T0 + 2 * DAY)
    weak.triage(CVE, "fixed", "192.0.2.7", 22, note="endpoint", at=T0 + DAY)
    weak.triage(OTHER, "accepted", "192.0.2.7", 22, note="other")
    assert notes(database, HERE, NEXT_PORT, ELSEWHERE) == ["endpoint", "host", "everywhere"]
    nowhere = Finding(CVE, None, 0, "tcp", NAME)
    assert notes(database, nowhere) == ["everywhere"]


def test_the_newest_of_two_alike_holds(database: Database) -> None:
    """And one that names the software outweighs one that does not."""
    weak = Weak(database)
    weak.triage(CVE, "accepted", note="old", at=T0)
    weak.triage(CVE, "accepted", note="new", at=T0 + DAY)
    assert notes(database, HERE) == ["new"]
    weak.triage(CVE, "not_affected", cpe=NAME, note="named", at=T0 - DAY)
    assert notes(database, HERE, HERE._replace(cpe=cpe("openssh", "9.3"))) == ["named", "new"]


def test_a_name_may_leave_parts_open(database: Database) -> None:
    """`*`, and parts that are not there, are any; nothing else is."""
    weak = Weak(database)
    weak.triage(CVE, "accepted", cpe="cpe:2.3:a:vendor:openssh", note="any version")
    weak.triage(OTHER, "accepted", cpe="cpe:2.3:*:*:openssh:9.2:*:*:*:*:*:*:*", note="any vendor")
    other = HERE._replace(cve=OTHER)
    assert notes(database, HERE, HERE._replace(cpe=cpe("openssh", "1")), HERE._replace(cpe=cpe("opensshd", "1"))) == [
        "any version", "any version", "",
    ]  # fmt: skip
    assert notes(database, other, other._replace(cpe=cpe("openssh", "9.3")), other._replace(cpe="")) == [
        "any vendor", "", "",
    ]  # fmt: skip


def test_until_and_removed(database: Database) -> None:
    """What has run out or was removed does not hold; at a past moment it did, and what came later did not."""
    weak = Weak(database)
    weak.triage(CVE, "accepted", "192.0.2.7", 22, note="ran out", until=T0 + DAY)
    weak.triage(CVE, "accepted", "192.0.2.7", note="removed", at=T0 + 2 * DAY, removed=T0 + 4 * DAY)
    weak.triage(CVE, "accepted", note="late", at=T0 + 9 * DAY, until=T0 + 11 * DAY)
    assert notes(database, HERE) == ["late"]
    with database.connection() as connection:
        for days, note in ((0.5, "ran out"), (1.5, ""), (3, "removed"), (5, ""), (9, "late")):
            (held,) = triage.held(connection, [HERE], T0 + days * DAY, past=True)
            assert (held.note if held else "") == note, days


def test_all_of_a_decision(database: Database) -> None:
    """Every column is told; who is asked about nothing gets nothing."""
    weak = Weak(database)
    ident = weak.triage(CVE, "accepted", "192.0.2.7", 22, cpe=NAME, note="n", until=NOW + DAY)
    with database.connection() as connection:
        (held,) = triage.held(connection, [HERE], NOW)
        assert triage.held(connection, [], NOW) == []
    assert held == TriageRecord(
        id=ident, cve=CVE, status="accepted", at=T0, by="alice", ip="192.0.2.7", port=22, protocol="tcp", cpe=NAME,
        note="n", until=NOW + DAY,
    )  # fmt: skip


def test_which_cves_were_touched(database: Database) -> None:
    """Those about which something stands, and whether that is for a host or an endpoint."""
    weak = Weak(database)
    weak.triage(CVE, "accepted")
    weak.triage(OTHER, "accepted", "192.0.2.7")
    weak.triage("CVE-2024-0003", "accepted", until=T0)
    with database.connection() as connection:
        asked = [CVE, OTHER, "CVE-2024-0003", "CVE-2024-0004"]
        assert triage.touched(connection, asked, NOW) == {CVE: False, OTHER: True}
