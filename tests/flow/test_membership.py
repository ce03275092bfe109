"""Tests of spectra.flow.membership, on a real database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spectra.fabric import messages, subjects
from spectra.fabric.messages import Lost
from spectra.flow.membership import Ear, Own
from spectra.mesh.membership import Config
from spectra.model.nodes import Capabilities, Heartbeat, Load
from spectra.store import nodes, presence
from spectra.store.accounts import Act
from spectra.store.database import Database
from spectra.store.presence import Seen
from tests.flow.desk import Clock
from tests.flow.ears import Refused, Room, Wire
from tests.store.machines import T0, certificate, member, uri
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine

ABLE = Capabilities(cores=8, memory_mb=16_000, arch="x86_64", os="linux", software="1.0")


@pytest.fixture
def room(database: Database, clock: Clock) -> Room:
    """An ear, and two nodes `w1` and `w2` in its mesh."""
    clock.now = T0
    member(database, "w1")
    member(database, "w2")
    return Room(database, clock)


def test_what_is_heard_is_in_the_store(room: Room) -> None:
    """Presence, load, skew, abilities and when; another node stays as it was."""
    sent = room.clock() + timedelta(seconds=90)
    room.beat("w1", sent=sent, load=Load(0.5, 900, 2), capabilities=ABLE)
    changes = room.listen()
    assert [(c.name, c.before, c.after) for c in changes] == [("w1", "never", "alive")]
    room.work()
    node = nodes.get(room.database, "w1")
    assert (node.presence, node.last_seen, node.load) == ("alive", room.clock(), Load(0.5, 900, 2))
    assert node.capabilities == ABLE
    assert node.skew_s == pytest.approx(90)
    assert room.presence("w2") == "never"
    assert room.ear.recent() == tuple(changes)
    assert not room.refused.counts


def test_abilities_survive_the_heartbeats_after_them(room: Room) -> None:
    """Told once, and written later with a newer heartbeat that does not tell them again."""
    room.beat("w1", capabilities=ABLE)
    room.beat("w1", load=Load(0.25))
    room.listen()
    room.work()
    node = nodes.get(room.database, "w1")
    assert (node.capabilities, node.load) == (ABLE, Load(0.25))


def test_a_silent_node_is_suspect_pinged_and_dead(room: Room) -> None:
    """Each in the store at once; the one that goes on stays alive."""
    room.beat("w1")
    room.beat("w2")
    room.wait(14.5, lambda: room.beat("w2"))
    assert room.presence("w1") == "alive"
    room.wait(1, lambda: room.beat("w2"))
    assert room.presence("w1") == "suspect"
    assert [name for name, _ in room.wire.pings()] == ["w1"]
    changes = room.wait(10, lambda: room.beat("w2"))
    assert [(c.name, c.after, c.why) for c in changes] == [
        ("w1", "dead", "3 pings went unanswered; it is silent for 25 s."),
    ]
    assert room.presence("w1") == "dead"
    assert [name for name, _ in room.wire.pings()] == ["w1"] * 3
    assert room.presence("w2") == "alive"


def test_a_suspect_that_answers_lives(room: Room) -> None:
    """By the id of the ping it got, once; answers to no ping are refused."""
    room.beat("w1")
    room.wait(15.5)
    ((_, asked),) = room.wire.pings()
    room.answer("w1", "guessed")
    room.listen()
    assert room.refused.counts == {("replay", "w1"): 1}
    room.answer("w1", asked)
    assert [(c.name, c.after) for c in room.listen()] == [("w1", "alive")]
    room.answer("w1", asked)
    room.answer("w2", asked)
    room.listen()
    assert room.refused.counts == {("replay", "w1"): 2, ("replay", "w2"): 1}


def test_all_answers_of_an_eager_node_are_good(room: Room) -> None:
    """Three pings and three answers, late and in one go: none of them is a replay."""
    room.beat("w1")
    room.wait(24)
    pings = room.wire.pings()
    assert len(pings) == 3
    for name, asked in pings:
        room.answer(name, asked)
    room.listen()
    assert not room.refused.counts


def test_a_last_will_and_a_good_bye(room: Room) -> None:
    """The one makes a suspect, the other says that it left."""
    room.beat("w1")
    room.beat("w2")
    room.listen()
    room.say("w1", Lost(1, "w1", incarnation=1))
    room.beat("w2", leaving=True)
    assert {(c.name, c.after) for c in room.listen()} == {("w1", "suspect"), ("w2", "left")}
    room.work()
    assert (room.presence("w1"), room.presence("w2")) == ("suspect", "left")
    assert nodes.get(room.database, "w2").standing == "active"


def test_lies_are_refused_and_counted(room: Room) -> None:
    """Another's name, no message at all, an old number, a flood, somebody unknown and somebody revoked."""
    room.wire.bring("spectra.presence.w1", messages.encode(Heartbeat(1, "w2", 1, 1, room.clock())))
    room.wire.bring("spectra.presence.w1", b"{")
    room.wire.bring("spectra.reply.w1", b"[]")
    room.beat("w2", seq=5)
    room.beat("w2", seq=4)
    for _ in range(20):
        room.wire.bring("spectra.reply.w2", b"x")
    room.beat("ghost")
    room.listen()
    nodes.revoke(room.database, "w1", "stolen", Act("root", room.clock()))
    room.wait(1)
    room.beat("w1")
    room.listen()
    assert room.refused.counts == {
        ("impostor", "w1"): 1,
        ("malformed_message", "w1"): 2,
        ("malformed_message", "w2"): 8,
        ("replay", "w2"): 1,
        ("flood", "w2"): 12,
        ("unknown_node", "ghost"): 1,
        ("revoked", "w1"): 1,
    }
    assert room.presence("w1") == "never"


def test_who_joined_a_moment_ago_is_heard(room: Room) -> None:
    """Its heartbeat comes before we know it: it waits until the store was asked, which is at once."""
    room.beat("w3", capabilities=ABLE)
    assert room.listen() == []
    member(room.database, "w3")
    room.at += 0.5
    room.ear.desk.work()
    assert [(c.name, c.after) for c in room.listen()] == [("w3", "alive")]
    room.work()
    assert nodes.get(room.database, "w3").capabilities == ABLE
    assert not room.refused.counts


def test_a_restart_declares_nobody_dead(room: Room) -> None:
    """Who was alive before has a full interval to be heard, however long the coordinator was away."""
    room.beat("w1")
    room.beat("w2")
    room.wait(3)
    room.at, room.clock.now = 50.0, room.clock.now + timedelta(hours=3)
    room.seqs.clear()
    room.open()
    assert room.listen() == []
    room.work()
    assert (room.presence("w1"), room.presence("w2")) == ("alive", "alive")
    assert room.wait(14, lambda: room.beat("w2", incarnation=1)) == []
    assert [(c.name, c.after) for c in room.wait(1.5)] == [("w1", "suspect")]


def test_while_the_link_is_away_nobody_is_suspect(room: Room) -> None:
    """And no ping is wasted; the state says why."""
    room.beat("w1")
    room.wait(5)
    room.wire.connected = False
    assert room.wait(300) == []
    state = room.ear.state()
    assert (state.connected, state.hold, state.counts) == (False, "deaf", {"alive": 1, "never": 1})
    room.wire.connected = True
    assert room.wait(15) == []
    assert [(c.name, c.after) for c in room.wait(12)] == [("w1", "suspect")]


def test_why_deaths_are_put_off_is_told_once(
    database: Database, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """When most nodes fall silent at once, and when the fabric goes; and when it is over."""
    caplog.set_level("INFO", "spectra.mesh")
    clock.now = T0
    names = [f"n{n}" for n in range(6)]
    for name in names:
        nodes.establish(database, name, uri(name), certificate=certificate(name, f"spki-{name}"), now=T0)
    room = Room(database, clock)

    def all_beat() -> None:
        for name in names:
            room.beat(name)

    all_beat()
    room.wait(25)
    room.wait(31, all_beat)
    room.wire.connected = False
    room.wait(10)
    told = [text for record in caplog.records if (text := record.getMessage()).startswith("presence: ")]
    assert [text.partition(":")[2].partition(":")[0].strip() for text in told] == [
        "most nodes fell silent at once",
        "nodes are judged by their silence again",
        "the fabric is away",
    ]


def test_a_coordinator_is_a_node_and_hears_itself(database: Database, clock: Clock) -> None:
    """It is alive in the store with its abilities. While its own heartbeats do not come back, nobody is suspect."""
    clock.now = T0
    member(database, "w1")
    nodes.establish(database, "c1", uri("c1"), certificate=certificate("c1", "spki-c1"), now=T0)
    room = Room(database, clock, own=Own("c1", lambda: ABLE, lambda: Load(0.125)))
    room.beat("w1")
    room.wait(4)
    own = nodes.get(database, "c1")
    assert (own.presence, own.capabilities, own.load) == ("alive", ABLE, Load(0.125))
    room.wire.deaf_to_itself = True
    assert room.wait(120) == []
    assert room.ear.state().hold == "deaf"
    room.wire.deaf_to_itself = False
    assert room.wait(18) == []
    assert [(c.name, c.after) for c in room.wait(8)] == [("w1", "suspect")]
    room.ear.stop()
    room.ear.desk.write()
    assert room.presence("c1") == "left"


def test_a_fabric_that_never_brings_our_own_back_is_believed(database: Database, clock: Clock) -> None:
    """An external one may be meant to be so: others are heard all the same."""
    clock.now = T0
    member(database, "w1")
    nodes.establish(database, "c1", uri("c1"), certificate=certificate("c1", "spki-c1"), now=T0)
    room = Room(database, clock, own=Own("c1"))
    room.wire.deaf_to_itself = True
    room.beat("w1")
    assert [(c.name, c.after) for c in room.wait(30)] == [("w1", "alive"), ("w1", "suspect"), ("w1", "dead")]


def test_a_full_link_is_no_trouble(room: Room) -> None:
    """A ping that cannot be sent is not sent; what comes is heard."""
    room.own = Own("w2")
    room.open()
    room.beat("w1")
    room.wire.full = True
    room.wait(20)
    assert room.wire.pings() == []
    room.beat("w1")
    assert [(c.name, c.after) for c in room.listen()] == [("w1", "alive")]


def test_another_coordinator_that_hears_it_is_believed(room: Room) -> None:
    """We take it for suspect, the store knows better: it is alive, and was never written as anything else."""
    room.beat("w1")
    room.wait(14)
    later = room.clock() + timedelta(seconds=1)
    presence.set_presence(room.database, [Seen("w1", "alive", later)])
    changes = room.wait(3)
    assert [(c.name, c.after, c.why) for c in changes][1:] == [("w1", "alive", "Another coordinator hears it.")]
    assert room.presence("w1") == "alive"


def test_who_is_revoked_is_not_heard_any_more_and_forgotten_when_dead(room: Room) -> None:
    """Its heartbeats are refused, so it becomes silent; then it takes no room any more."""
    room.beat("w1")
    room.wait(1)
    nodes.revoke(room.database, "w1", "stolen", Act("root", room.clock()))
    changes = room.wait(28, lambda: room.beat("w1"))
    assert [(c.name, c.after) for c in changes] == [("w1", "suspect"), ("w1", "dead")]
    assert room.refused.counts["revoked", "w1"] >= 5
    assert room.ear.state().counts == {"never": 1}
    room.open()
    room.listen()
    assert room.ear.state().counts == {"never": 1}


def test_more_nodes_than_may_be_are_told_once(
    database: Database, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says that others are not tracked."""
    clock.now = T0
    for name in ("w1", "w2", "w3"):
        member(database, name)
    room = Room(database, clock, config=Config(max_nodes=2))
    for _ in range(3):
        room.beat("w3")
        room.listen()
    assert [r.getMessage() for r in caplog.records] == ["more than 2 nodes: the others are not tracked"]


def test_many_changes_are_few_lines(database: Database, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """The first fifty in full, the others counted."""
    caplog.set_level("INFO", "spectra.mesh")
    clock.now = T0
    names = [f"n{n}" for n in range(60)]
    for name in names:
        nodes.establish(database, name, uri(name), certificate=certificate(name, f"spki-{name}"), now=T0)
    room = Room(database, clock)
    for name in names:
        room.beat(name)
    room.listen()
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 51
    assert lines[0] == "node n0 is alive: It is heard for the first time."
    assert lines[-1] == "and of others: 10 alive"
    room.work()
    assert room.presence("n59") == "alive"


def test_its_threads_do_all_that(database: Database, clock: Clock) -> None:
    """Started, it hears and writes by itself; stopped, it says good-bye and has written everything."""
    clock.now = T0
    member(database, "w1")
    nodes.establish(database, "c1", uri("c1"), certificate=certificate("c1", "spki-c1"), now=T0)
    wire, refused = Wire(), Refused()
    ear = Ear(database, wire, refused, clock=clock, own=Own("c1"), config=Config(tick_s=0.01))
    ear.start()
    wire.bring(subjects.presence("w1"), messages.encode(Heartbeat(1, "w1", 1, 0, T0)))
    eventually(lambda: nodes.get(database, "w1").presence == "alive")
    eventually(lambda: nodes.get(database, "c1").presence == "alive")
    member(database, "w2")
    ear.wake()
    wire.bring(subjects.presence("w2"), messages.encode(Heartbeat(1, "w2", 1, 0, T0)))
    eventually(lambda: nodes.get(database, "w2").presence == "alive")
    ear.stop()
    assert nodes.get(database, "c1").presence == "left"
    assert not refused.counts


def test_a_message_that_breaks_a_look_does_not_end_hearing(database: Database, clock: Clock) -> None:
    """Whatever goes wrong once, the next look is taken."""
    clock.now = T0
    member(database, "w1")

    class Odd(Refused):
        def note(self, kind: str, who: str, detail: str = "", times: int = 1) -> None:
            super().note(kind, who, detail, times)
            raise RuntimeError("odd")

    wire, refused = Wire(), Odd()
    ear = Ear(database, wire, refused, clock=clock, config=Config(tick_s=0.01))
    ear.start()
    wire.bring(subjects.presence("w1"), b"nonsense")
    eventually(lambda: refused.counts["malformed_message", "w1"])
    wire.bring(subjects.presence("w1"), messages.encode(Heartbeat(1, "w1", 1, 0, T0)))
    eventually(lambda: nodes.get(database, "w1").presence == "alive")
    ear.stop()
