"""Tests of spectra.flow.roll: what is pending, and the desk that writes it, with the database there and away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from spectra.errors import Unavailable
from spectra.flow.roll import Desk, Pending
from spectra.model.nodes import Capabilities, Load
from spectra.store import nodes
from spectra.store.accounts import Act
from spectra.store.database import Database
from spectra.store.presence import Beat, Seen
from tests.store.machines import T0, member
from tests.support.waiting import eventually

NOW = datetime(2026, 11, 27, tzinfo=UTC)
ABLE = Capabilities(cores=8, memory_mb=16_000, arch="x86_64", os="linux", software="1.0")


def beat(name: str, seconds: int = 0, capabilities: Capabilities | None = None) -> Beat:
    """A heartbeat that was heard so many seconds after midnight."""
    return Beat(name, NOW + timedelta(seconds=seconds), Load(), 0.0, capabilities)


def test_the_newest_of_each_is_pending() -> None:
    """With what an older one told and the newer did not; taken, nothing is left."""
    pending = Pending()
    pending.beat(beat("a", 0, ABLE))
    pending.beat(beat("b"))
    pending.beat(beat("a", 5))
    pending.turned(Seen("a", "suspect", NOW))
    pending.turned(Seen("a", "alive", NOW))
    assert (len(pending), pending.urgent) == (3, True)
    assert pending.take() == ([beat("a", 5, ABLE), beat("b")], [Seen("a", "alive", NOW)])
    assert (len(pending), pending.urgent) == (0, False)


def test_what_could_not_be_written_gives_way_to_what_is_newer() -> None:
    """Given back, it fills gaps only: newer heartbeats and changes stay, but abilities are not lost."""
    pending = Pending()
    pending.beat(beat("a", 5))
    pending.turned(Seen("a", "alive", NOW))
    pending.give_back([beat("a", 0, ABLE), beat("b")], [Seen("a", "dead", NOW), Seen("b", "dead", NOW)])
    assert pending.take() == (
        [beat("a", 5, ABLE), beat("b")],
        [Seen("a", "alive", NOW), Seen("b", "dead", NOW)],
    )


@pytest.mark.engine
def test_the_roll_is_read_where_anything_changed(database: Database) -> None:
    """Nodes that joined, also the revoked; the same mapping as long as nothing changes."""
    member(database, "w1")
    desk = Desk(database, lambda: 0.0)
    desk.read(1.0)
    first = desk.roll
    assert first is not None
    assert {name: known.standing for name, known in first.known.items()} == {"w1": "active"}
    desk.read(2.0)
    assert desk.roll is not None
    assert desk.roll.known is first.known
    assert desk.roll.read == 2.0
    nodes.revoke(database, "w1", "stolen", Act("root", T0))
    desk.read(3.0)
    assert {name: known.standing for name, known in desk.roll.known.items()} == {"w1": "revoked"}


@pytest.mark.engine
def test_changes_are_written_at_once_and_heartbeats_every_two_seconds(database: Database) -> None:
    """So that a heartbeat costs little, and a death is known."""
    at = 100.0
    member(database, "w1")
    desk = Desk(database, lambda: at)
    desk.work()
    desk.pending.beat(beat("w1"))
    at = 101.5
    desk.work()
    assert nodes.get(database, "w1").last_seen is None
    at = 102.0
    desk.work()
    assert nodes.get(database, "w1").last_seen == NOW
    desk.pending.turned(Seen("w1", "dead", NOW))
    desk.work()
    assert nodes.get(database, "w1").presence == "dead"


@pytest.mark.engine
def test_who_asks_again_and_again_is_answered_twice_a_second(database: Database) -> None:
    """The database is not asked as often as strangers speak."""
    at = 100.0
    desk = Desk(database, lambda: at)
    desk.work()
    desk.ask()
    at = 100.4
    desk.work()
    assert desk.roll is not None
    assert desk.roll.read == 100.0
    at = 100.5
    desk.work()
    assert desk.roll.read == 100.5
    at = 102.0
    desk.work()
    assert desk.roll.read == 100.5
    at = 102.5
    desk.work()
    assert desk.roll.read == 102.5


@pytest.mark.engine
def test_what_another_coordinator_knows_better_comes_back(database: Database) -> None:
    """The store has heard of it later than we say."""
    member(database, "w1")
    desk = Desk(database, lambda: 0.0)
    desk.pending.beat(beat("w1", 60))
    desk.write()
    desk.pending.turned(Seen("w1", "dead", NOW))
    desk.write()
    assert [(seen.name, seen.at) for seen in desk.vouched] == [("w1", NOW + timedelta(seconds=60))]
    assert nodes.get(database, "w1").presence != "dead"


@pytest.mark.engine
def test_while_the_database_is_away_everything_stays_pending(database: Database) -> None:
    """Not written, not lost; the newest is written when it is back."""
    member(database, "w1")
    away = Database("postgresql://spectra@127.0.0.1:1/none", pool_size=2, timeout_s=0.1)
    desk = Desk(away, lambda: 0.0)
    desk.pending.beat(beat("w1"))
    desk.pending.turned(Seen("w1", "alive", NOW))
    for _ in range(2):
        with pytest.raises(Unavailable):
            desk.write()
        assert len(desk.pending) == 2
    desk._database = database
    desk.write()
    assert nodes.get(database, "w1").presence == "alive"
    assert len(desk.pending) == 0


@pytest.mark.engine
def test_its_thread_survives_trouble_and_tells_it_once(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """One line when the database goes and one when it is back; stopped, it has written what was left."""
    caplog.set_level("INFO", "spectra.mesh")
    member(database, "w1")
    away = Database("postgresql://spectra@127.0.0.1:1/none", pool_size=2, timeout_s=0.05)
    desk = Desk(away, lambda: 0.0)
    desk.start()
    eventually(lambda: any("cannot be stored" in record.getMessage() for record in caplog.records))
    desk.pending.turned(Seen("w1", "alive", NOW))
    desk._database = database
    eventually(lambda: any("stored again" in record.getMessage() for record in caplog.records))
    eventually(lambda: nodes.get(database, "w1").presence == "alive")
    assert len([r for r in caplog.records if "cannot be stored" in r.getMessage()]) == 1
    desk.pending.turned(Seen("w1", "dead", NOW))
    desk.stop()
    assert nodes.get(database, "w1").presence == "dead"
