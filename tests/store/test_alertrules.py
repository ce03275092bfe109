"""Rules and what is left out: kept, changed, removed, on record, and bounded."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from spectra.errors import BadRequest, NotFound
from spectra.model.alerts import Muting, Occurrence, Rule
from spectra.store import alertrules
from spectra.store.accounts import Act
from spectra.store.database import Database
from tests.store.scribe import T0

pytestmark = pytest.mark.engine

ACT = Act("alice", T0)
RULE = Rule(name="hosts", on=("host.new",))


def kinds(database: Database) -> list[str]:
    """The kinds of entries of the chain."""
    with database.connection() as connection:
        return [row[0] for row in connection.execute("SELECT kind FROM provenance ORDER BY seq")]


def test_rules_are_kept_and_removed(database: Database) -> None:
    """Each change once on record; the same again is none."""
    assert alertrules.put(database, RULE, ACT, new=True).rule == RULE
    alertrules.put(database, RULE, ACT)
    with pytest.raises(BadRequest, match="already"):
        alertrules.put(database, RULE, ACT, new=True)
    other = Rule(name="hosts", on=("host.new", "port.opened"), enabled=False)
    assert alertrules.put(database, other, Act("bob", T0)).by == "bob"
    assert [record.rule for record in alertrules.every(database)] == [other]
    with database.connection() as connection:
        assert alertrules.held(connection) == []
    assert alertrules.details(database)["alert-rule:hosts"]["by"] == "bob"
    assert alertrules.remove(database, "hosts", ACT).rule == other
    with pytest.raises(NotFound):
        alertrules.get(database, "hosts")
    assert kinds(database) == ["alert-rule.put", "alert-rule.put", "alert-rule.removed"]


def test_what_is_left_out(database: Database) -> None:
    """Until it is over, or taken back; what it covers is all that it says."""
    until = T0 + timedelta(hours=1)
    made = alertrules.mute(database, Muting(ip="192.0.2.1", port=443, protocol="tcp", until=until), ACT)
    assert alertrules.mutes(database, T0) == (made,)
    assert alertrules.mutes(database, until) == ()
    one = Occurrence(kind="port.opened", at=T0, title="", ip="192.0.2.1", port=443, protocol="tcp")
    assert made.covers("any", one)
    assert not made.covers(
        "any", Occurrence(kind="port.opened", at=T0, title="", ip="192.0.2.1", port=80, protocol="tcp")
    )
    assert alertrules.unmute(database, made.id, ACT) == made
    with pytest.raises(NotFound):
        alertrules.unmute(database, made.id, ACT)
    with pytest.raises(BadRequest, match="over already"):
        alertrules.mute(database, Muting(ip="192.0.2.1", until=T0), ACT)
    assert kinds(database) == ["alert-mute.added", "alert-mute.removed"]
    assert alertrules.details(database)[f"alert-mute:{made.id}"]["removed_by"] == "alice"


def test_the_newest_word_counts_about_what_is_left_out(database: Database) -> None:
    """Said again, it is left out once: until when and why as said last. Anything else is another thing."""
    about = Muting(ip="192.0.2.1", cve="CVE-2024-1000", reason="a")
    first = alertrules.mute(database, about, ACT)
    other = alertrules.mute(database, Muting(ip="192.0.2.1"), ACT)
    again = alertrules.mute_all(database, [replace(about, reason="b", until=T0 + timedelta(days=1))] * 2, ACT)
    assert set(alertrules.mutes(database, T0)) == {other, *again}
    assert (len(again), again[0].reason) == (1, "b")
    assert alertrules.details(database)[f"alert-mute:{first.id}"]["removed_by"] == "alice"
    assert kinds(database) == [*["alert-mute.added"] * 2, "alert-mute.removed", "alert-mute.added"]
