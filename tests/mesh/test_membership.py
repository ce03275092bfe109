"""Tests of spectra.mesh.membership: what it does in each case, and that it agrees with a naive second model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from spectra.fabric.messages import Lost
from spectra.mesh.hearing import Hearing, Moment
from spectra.mesh.interval import Arrivals
from spectra.mesh.membership import Change, Config, Membership
from spectra.model.nodes import Capabilities, Heartbeat, Presence

START = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


class World:
    """A membership and the time in it. Ticks come every half a second; pings are taken at each tick."""

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config()
        self.membership = Membership(self.config)
        self.at = 1000.0
        self.changes: list[Change] = []
        self.pinged: list[str] = []
        self.seqs: dict[str, int] = {}
        self.tick()

    @property
    def now(self) -> Moment:
        """The two clocks."""
        return Moment(self.at, START + timedelta(seconds=self.at - 1000))

    def tick(self) -> None:
        """Tick now, and take the pings."""
        self.changes += self.membership.tick(self.now)
        self.pinged += self.membership.probes(self.now)

    def wait(self, seconds: float, *, speaking: Iterable[str] = (), every: float = 5.0) -> None:
        """Let time pass, while those `speaking` send a heartbeat at every multiple of `every`."""
        for _ in range(round(seconds / 0.5)):
            self.at += 0.5
            if (self.at - 1000) % every == 0:
                for name in speaking:
                    self.beat(name)
            self.tick()

    def beat(self, name: str, *, incarnation: int = 1, seq: int | None = None, **more: Any) -> str:
        """A heartbeat, by default the next one; the verdict."""
        said = self.seqs[name] = self.seqs.get(name, -1) + 1 if seq is None else seq
        fields: dict[str, Any] = {"sent": self.now.wall} | more
        return self.membership.heard(Heartbeat(1, name, incarnation, said, **fields), self.now)

    def lost(self, name: str, incarnation: int = 0) -> str:
        """A last will."""
        return self.membership.heard(Lost(1, name, incarnation=incarnation), self.now)

    def told(self) -> list[tuple[str, Presence, Presence]]:
        """The changes since this was last asked, without their sentences."""
        told: list[tuple[str, Presence, Presence]] = [(c.name, c.before, c.after) for c in self.changes]
        self.changes.clear()
        return told


def test_a_node_is_alive_from_its_first_heartbeat() -> None:
    """And says so once."""
    world = World()
    assert world.beat("w1") == "counted"
    world.wait(60, speaking=["w1"])
    assert world.changes == [
        Change("w1", "never", "alive", "It is heard for the first time.", START),
    ]
    assert world.membership.presence("w1") == "alive"
    assert world.membership.counts() == {"alive": 1}
    assert world.pinged == []


def test_silence_makes_a_suspect_and_unanswered_pings_a_dead_node() -> None:
    """Three intervals, then two more with three pings; each change says why."""
    world = World()
    world.beat("w1")
    world.wait(30, speaking=["w1"])
    world.told()
    world.wait(14.5)
    assert world.told() == []
    world.wait(0.5)
    assert [c.why for c in world.changes] == ["Nothing was heard of it for 15 s, and it is heard every 5.0 s."]
    assert world.told() == [("w1", "alive", "suspect")]
    world.wait(9.5)
    assert world.told() == []
    assert world.pinged == ["w1"] * 3
    world.wait(0.5)
    assert [c.why for c in world.changes] == ["3 pings went unanswered; it is silent for 25 s."]
    assert world.told() == [("w1", "suspect", "dead")]
    world.wait(1000)
    assert world.told() == []


def test_a_suspect_that_is_heard_is_alive_at_once() -> None:
    """No death follows, and its silence starts from there."""
    world = World()
    world.beat("w1")
    world.wait(20)
    world.told()
    world.beat("w1")
    world.wait(14.5)
    assert world.told() == [("w1", "suspect", "alive")]


def test_the_dead_come_back() -> None:
    """With how long they were away."""
    world = World()
    world.beat("w1")
    world.wait(600)
    world.changes.clear()
    world.beat("w1")
    world.tick()
    assert [c.why for c in world.changes] == ["It is heard again, 10 min after it was last heard."]
    assert world.told() == [("w1", "dead", "alive")]


def test_how_long_a_node_was_dead_earns_it_no_patience() -> None:
    """An outage is not a habit: afterwards it is suspect as soon as before."""
    world = World()
    world.beat("w1")
    world.wait(60, speaking=["w1"])
    world.wait(600)
    world.beat("w1")
    world.wait(1)
    world.told()
    world.wait(14)
    assert world.told() == [("w1", "alive", "suspect")]


def test_a_suspect_that_answers_is_alive() -> None:
    """Its heartbeats may be held up; what answers is not dead."""
    world = World()
    world.beat("w1")
    world.wait(16)
    world.told()
    assert world.pinged == ["w1"]
    assert world.membership.answered("w1", world.now)
    world.wait(14.5)
    assert world.told() == [("w1", "suspect", "alive")]
    assert world.membership.seen("w1") == START + timedelta(seconds=16)


def test_an_answer_of_nobody_is_nothing() -> None:
    """Who is not tracked is not made up."""
    assert not World().membership.answered("w1", World().now)


def test_nobody_is_dead_without_three_pings() -> None:
    """Where they cannot be sent, a suspect stays one."""
    world = World()
    world.beat("w1")
    for _ in range(1000):
        world.at += 0.5
        world.changes += world.membership.tick(world.now)
    assert world.told()[-1] == ("w1", "alive", "suspect")
    world.wait(4)
    assert world.told() == []
    world.wait(10)
    assert world.told() == [("w1", "suspect", "dead")]


def test_a_slow_promise_is_waited_for() -> None:
    """Who says something every minute is not suspect after 15 s."""
    world = World()
    world.beat("w1", every_s=60.0)
    world.wait(179.5)
    assert world.told() == [("w1", "never", "alive")]
    world.wait(0.5)
    assert [c.why for c in world.changes] == [
        "Nothing was heard of it for 3 min, and it promised to be heard every 60 s."
    ]


def test_a_promise_of_hours_is_not_waited_for() -> None:
    """What is promised more slowly than `slowest_s` counts as that."""
    world = World(Config(slowest_s=10.0))
    world.beat("w1", every_s=3600.0)
    world.wait(31)
    assert world.membership.presence("w1") == "suspect"


def test_a_busy_board_earns_patience() -> None:
    """Who was heard every 5 to 14 s for a while is not suspect after 15 s, but is after what is unusual for it."""
    world = World()
    world.beat("w1")
    for _ in range(10):
        world.wait(5)
        world.beat("w1")
        world.wait(14)
        world.beat("w1")
    world.told()
    world.wait(20)
    assert world.told() == []
    world.wait(30)
    assert world.told()[0] == ("w1", "alive", "suspect")


def test_a_last_will_makes_a_suspect_at_once() -> None:
    """It is pinged at once too, and dead only after the suspicion time."""
    world = World()
    world.beat("w1")
    world.wait(5, speaking=["w1"])
    world.told()
    assert world.lost("w1") == "counted"
    world.tick()
    assert [c.why for c in world.changes] == ["Its connection to the fabric broke."]
    assert world.told() == [("w1", "alive", "suspect")]
    assert world.pinged == ["w1"]
    world.wait(9.5)
    assert world.told() == []
    world.wait(0.5)
    assert world.told() == [("w1", "suspect", "dead")]


def test_the_will_of_an_earlier_life_says_nothing() -> None:
    """A broker may tell of a broken connection after the node made another."""
    world = World()
    world.beat("w1", incarnation=5)
    assert world.lost("w1", incarnation=4) == "again"
    assert world.lost("w1", incarnation=5) == "counted"
    assert world.lost("w1", incarnation=5) == "again"
    assert world.lost("w2") == "again"
    assert world.membership.presence("w2") is None


def test_who_says_good_bye_left() -> None:
    """It is neither suspected nor dead, its last will is no news, and it may come back."""
    world = World()
    world.beat("w1")
    world.tick()
    world.beat("w1", leaving=True)
    world.beat("w1", leaving=True)
    world.wait(100)
    assert world.lost("w1") == "again"
    assert world.told() == [("w1", "never", "alive"), ("w1", "alive", "left")]
    world.beat("w1", incarnation=2, seq=0)
    world.tick()
    assert [c.why for c in world.changes] == ["It started anew, 100 s after it was last heard."]


def test_a_new_life_is_told_and_counts_from_nought() -> None:
    """A restarted agent is an event, though it was alive all the time."""
    world = World()
    world.beat("w1", incarnation=1, seq=40)
    world.tick()
    world.changes.clear()
    assert world.beat("w1", incarnation=2, seq=0) == "counted"
    world.tick()
    assert [(c.before, c.after, c.why) for c in world.changes] == [("alive", "alive", "It started anew.")]


def test_replays_change_nothing() -> None:
    """An old number or an old life is a replay; the newest message once more is only that."""
    world = World()
    world.beat("w1", incarnation=3, seq=7)
    assert world.beat("w1", incarnation=3, seq=7) == "again"
    assert world.beat("w1", incarnation=3, seq=6) == "replay"
    assert world.beat("w1", incarnation=2, seq=9) == "replay"
    assert world.beat("w1", incarnation=2, seq=9, leaving=True) == "replay"
    world.wait(15)
    assert world.membership.presence("w1") == "suspect"
    assert world.beat("w1", incarnation=3, seq=2) == "replay"
    assert world.membership.presence("w1") == "suspect"


def test_a_machine_whose_clock_went_back_is_asked_and_gets_in() -> None:
    """A lower incarnation looks like a replay, but no replay can answer a fresh ping."""
    world = World()
    world.beat("w1", incarnation=900)
    world.wait(40)
    assert world.membership.presence("w1") == "dead"
    world.pinged.clear()
    assert world.beat("w1", incarnation=100, seq=0) == "replay"
    assert world.beat("w1", incarnation=100, seq=1) == "replay"
    world.tick()
    world.tick()
    assert world.pinged == ["w1"]
    world.membership.answered("w1", world.now)
    assert world.beat("w1", incarnation=100, seq=2) == "counted"
    assert world.membership.presence("w1") == "alive"


def test_who_answers_in_its_newer_life_keeps_it() -> None:
    """Then the lower one was a replay indeed."""
    world = World()
    world.beat("w1", incarnation=900, seq=4)
    world.beat("w1", incarnation=100, seq=0)
    world.tick()
    world.membership.answered("w1", world.now, incarnation=900)
    assert world.beat("w1", incarnation=100, seq=1) == "replay"
    assert world.beat("w1", incarnation=900, seq=5) == "counted"


def test_a_coordinator_that_was_stopped_declares_nobody_dead() -> None:
    """An hour of SIGSTOP: it could not hear, so nobody was silent; it judges slowly for a while."""
    world = World()
    world.beat("w1")
    world.wait(10, speaking=["w1"])
    world.told()
    world.at += 3600
    world.tick()
    assert world.told() == []
    world.wait(13.5)
    assert world.told() == []
    world.wait(0.5)
    assert world.told() == [("w1", "alive", "suspect")]


def test_a_coordinator_that_is_late_suspects_for_longer() -> None:
    """Each late tick adds the suspicion time once, four times at most."""
    world = World()
    world.beat("w1")
    for _ in range(60):
        world.at += 2.0
        world.tick()
    assert world.told()[-1] == ("w1", "alive", "suspect")
    assert world.membership.hold(world.now) == "late"


def test_while_the_fabric_is_away_nobody_is_silent() -> None:
    """And nodes get time to connect again when it is back; what is heard in the meantime counts."""
    world = World()
    world.beat("w1")
    world.beat("w2")
    world.wait(10, speaking=["w1", "w2"])
    world.told()
    world.membership.deaf(world.now)
    world.wait(600)
    assert world.membership.hold(world.now) == "deaf"
    world.membership.hears(world.now)
    world.wait(10)
    assert world.membership.hold(world.now) == "settling"
    world.beat("w2")
    world.wait(5)
    assert world.told() == []
    world.wait(15, speaking=["w2"])
    assert world.told() == [("w1", "alive", "suspect")]


def test_when_most_fall_silent_at_once_nobody_dies_for_a_while() -> None:
    """Eight of ten: rather is the fabric cut than eight machines broken. They come back, or die half a minute later."""
    world = World()
    names = [f"w{n}" for n in range(10)]
    for name in names:
        world.beat(name)
    world.wait(10, speaking=names)
    world.told()
    world.wait(15, speaking=names[:2])
    assert world.membership.counts() == {"alive": 2, "suspect": 8}
    assert world.membership.hold(world.now) == "many"
    world.wait(25, speaking=names[:2])
    assert world.membership.counts() == {"alive": 2, "suspect": 8}
    world.wait(5, speaking=names[:8])
    assert world.membership.hold(world.now) == ""
    world.wait(1, speaking=names[:8])
    assert world.membership.counts() == {"alive": 8, "dead": 2}


def test_a_few_who_die_are_no_cut() -> None:
    """Of a hundred, forty may die at once; of four, all may."""
    for count, dying in ((100, 40), (4, 4)):
        world = World()
        names = [f"w{n}" for n in range(count)]
        for name in names:
            world.beat(name)
        world.wait(30, speaking=names[dying:])
        assert world.membership.counts().get("dead") == dying


def test_skew_is_the_clocks_difference() -> None:
    """A node ten minutes ahead is told so, whatever a delayed message says; a new life may have another clock."""
    world = World()
    for delay in (3.0, 0.5, 9.0):
        world.beat("w1", sent=world.now.wall + timedelta(minutes=10) - timedelta(seconds=delay))
    assert world.membership.skew_s("w1") == pytest.approx(599.5)
    world.beat("w1", incarnation=2, seq=0, sent=world.now.wall)
    assert world.membership.skew_s("w1") == pytest.approx(0)
    assert world.membership.skew_s("w2") is None


def test_what_the_store_knew_is_taken_over() -> None:
    """After a restart who was alive has its full time, a suspect is asked at once, the dead stay dead."""
    world = World()
    for name, presence in {"a": "alive", "s": "suspect", "d": "dead", "l": "left", "n": "never"}.items():
        world.membership.restore(name, presence, START, world.now)  # type: ignore[arg-type]
    world.tick()
    assert world.told() == []
    assert world.pinged == ["s"]
    world.wait(14.5)
    assert world.told() == [("s", "suspect", "dead")]
    world.wait(0.5)
    assert world.told() == [("a", "alive", "suspect")]
    assert world.membership.presence("n") == "never"
    world.membership.restore("a", "dead", START, world.now)
    assert world.membership.presence("a") == "suspect"


def test_another_coordinators_word_counts() -> None:
    """A suspect that another hears is alive; older news are none."""
    world = World()
    world.beat("w1")
    world.wait(16)
    world.told()
    world.membership.vouch("w1", START, world.now)
    world.membership.vouch("w2", START, world.now)
    world.tick()
    assert world.told() == []
    world.membership.vouch("w1", START + timedelta(seconds=12), world.now)
    world.wait(14.5)
    assert world.told() == [("w1", "suspect", "alive")]
    world.membership.vouch("w1", START + timedelta(seconds=13), world.now)
    world.wait(1)
    assert world.told() == [("w1", "alive", "suspect")]


def test_what_is_tracked_is_bounded() -> None:
    """A node too many is told to be so; who is forgotten makes room."""
    world = World(Config(max_nodes=2))
    assert [world.beat(name) for name in ("a", "b", "c")] == ["counted", "counted", "full"]
    world.membership.restore("c", "alive", START, world.now)
    assert set(world.membership.names()) == {"a", "b"}
    world.membership.forget("a")
    world.membership.forget("a")
    assert world.beat("c") == "counted"
    world.wait(100)
    assert world.membership.counts() == {"dead": 2}


def test_who_flaps_between_two_ticks_is_one_change() -> None:
    """However often it was lost and heard: changes waiting to be told are bounded by the number of nodes."""
    world = World()
    world.beat("w1")
    world.tick()
    world.told()
    for _ in range(1000):
        world.lost("w1")
        world.beat("w1")
    world.tick()
    assert world.told() == [("w1", "alive", "alive")]
    assert len(world.membership._heap) < 100


def test_who_flaps_for_long_takes_no_more_room() -> None:
    """Each loss leaves an entry of a deadline that no longer holds: there are never many of them."""
    world = World()
    for _ in range(500):
        world.beat("w1", every_s=300.0)
        world.wait(1)
        world.lost("w1")
        world.wait(0.5)
        assert len(world.membership._heap) <= 67
    world.beat("w1", every_s=300.0)
    world.told()
    world.wait(900)
    assert world.told() == [("w1", "suspect", "alive"), ("w1", "alive", "suspect")]


def test_capabilities_are_not_kept() -> None:
    """What a node can do goes to the store; here it would be memory for nothing."""
    world = World()
    capabilities = Capabilities(cores=4, memory_mb=2048, arch="aarch64", os="linux", software="0")
    assert world.beat("w1", capabilities=capabilities) == "counted"


def test_ten_thousand_nodes_are_one_entry_each() -> None:
    """Heartbeats do not grow the heap; every node that dies is told once."""
    world = World(Config(mass_hold_s=0.0))
    names = [f"w{n}" for n in range(10_000)]
    for name in names:
        world.beat(name)
    world.wait(20, speaking=names)
    assert len(world.membership._heap) == 10_000
    world.told()
    world.wait(26)
    told = world.told()
    assert len(told) == 20_000
    assert world.membership.counts() == {"dead": 10_000}


@dataclass
class Naive:
    """A node as the second model has it: no heap, no counters; everything is looked at in every tick."""

    presence: Presence = "never"
    incarnation: int = -1
    seq: int = -1
    claimed: int | None = None
    every: float = 5.0
    beat: float | None = None
    heard: float = 0.0
    since: float = 0.0
    next_probe: float = 0.0
    probes: int = 0
    waiting: bool = False
    arrivals: Arrivals | None = None

    def patience(self, config: Config) -> float:
        """How long it may be silent."""
        assert self.arrivals
        return self.arrivals.patience(3 * self.every, 12 * self.every, config.deviations)


NAMES = st.sampled_from(["a", "b", "c", "d", "e", "f", "g"])


class Twice(RuleBasedStateMachine):
    """The membership and the naive model go through the same; they always believe the same."""

    def __init__(self) -> None:
        super().__init__()
        self.config = Config(max_nodes=6, mass_least=3)
        self.real = Membership(self.config)
        self.naive: dict[str, Naive] = {}
        self.clock = Hearing(self.config.tick_s, self.config.settle_s)
        self.at = 50.0
        self.hold = -1.0
        self.mass = False
        self.told: dict[str, Presence] = {}
        self.tick()

    @property
    def now(self) -> Moment:
        """The two clocks; the naive model hears by the same `Hearing`, which has tests of its own."""
        return Moment(self.at, START + timedelta(seconds=self.at))

    def turn(self, node: Naive, presence: Presence) -> None:
        """Change a presence, and look whether most are suspects now."""
        node.presence = presence
        self.weigh()

    def weigh(self) -> None:
        """A hold begins when most became suspects."""
        suspects = sum(n.presence == "suspect" for n in self.naive.values())
        present = suspects + sum(n.presence == "alive" for n in self.naive.values())
        mass = suspects >= 3 and suspects > present / 2
        if mass and not self.mass:
            self.hold = self.clock.ticked + self.config.mass_hold_s
        self.mass = mass

    def suspect(self, node: Naive) -> None:
        """It is one from now on."""
        node.since = node.next_probe = self.clock.at(self.at)
        node.probes = 0
        self.turn(node, "suspect")

    def suspicion(self, node: Naive) -> float:
        """From suspicion to death."""
        return max(2.0, 2 * node.every) * (1 + self.clock.strain)

    def tick(self) -> None:
        """Both tick; whose changes are told follow on what was told before."""
        listened = self.clock.tick(self.at)
        for node in self.naive.values():
            if node.presence == "alive" and listened >= node.heard + node.patience(self.config):
                self.suspect(node)
        for node in self.naive.values():
            if node.presence == "suspect" and listened >= node.next_probe:
                if node.probes >= 3 and listened >= max(node.since + self.suspicion(node), self.hold):
                    node.waiting = False
                    self.turn(node, "dead")
                else:
                    node.waiting = True
        for change in self.real.tick(self.now):
            assert self.told.get(change.name, change.before) == change.before
            assert change.after != "dead" or change.before in ("alive", "suspect")
            assert change.why.endswith(".")
            self.told[change.name] = change.after

    @rule(name=NAMES, every=st.sampled_from([1.0, 5.0, 20.0]), restart=st.booleans(), leaving=st.booleans())
    def beats(self, name: str, every: float, restart: bool, leaving: bool) -> None:
        """The next heartbeat of a node."""
        node = self.naive.get(name)
        if node is None and len(self.naive) == self.config.max_nodes:
            assert self.real.heard(Heartbeat(1, name, 10, 0, self.now.wall), self.now) == "full"
            return
        node = self.naive.setdefault(name, Naive(arrivals=Arrivals()))
        assert node.arrivals is not None
        anew = restart or node.incarnation < 0
        listened = self.clock.at(self.at)
        if not anew and node.beat is not None and node.presence in ("alive", "suspect"):
            node.arrivals.add(max(0.0, listened - node.beat))
        node.incarnation, node.seq = (max(node.incarnation, 9) + 1, 0) if anew else (node.incarnation, node.seq + 1)
        node.every, node.claimed, node.waiting = every, None, False
        node.beat = node.heard = listened
        self.turn(node, "left" if leaving else "alive")
        message = Heartbeat(1, name, node.incarnation, node.seq, self.now.wall, every_s=every, leaving=leaving)
        assert self.real.heard(message, self.now) == "counted"

    @precondition(lambda self: self.naive)
    @rule(data=st.data(), back=st.integers(0, 3), older=st.booleans())
    def replays(self, data: st.DataObject, back: int, older: bool) -> None:
        """Something a node said before comes again."""
        name = data.draw(st.sampled_from(sorted(self.naive)))
        node = self.naive[name]
        if older and node.incarnation > 0:
            if node.claimed != node.incarnation - 1:
                node.claimed, node.waiting = node.incarnation - 1, True
            message = Heartbeat(1, name, node.incarnation - 1, node.seq + back, self.now.wall)
            assert self.real.heard(message, self.now) == "replay"
        elif not older and node.seq >= back and node.incarnation >= 0:
            message = Heartbeat(1, name, node.incarnation, node.seq - back, self.now.wall)
            assert self.real.heard(message, self.now) == ("replay" if back else "again")

    @rule(name=NAMES)
    def loses(self, name: str) -> None:
        """A last will."""
        node = self.naive.get(name)
        counted = node is not None and node.presence == "alive"
        if node is not None and counted:
            self.suspect(node)
        assert self.real.heard(Lost(1, name), self.now) == ("counted" if counted else "again")

    @rule(take=st.booleans())
    def pings(self, take: bool) -> None:
        """Pings are taken, or cannot be sent."""
        if not take:
            return
        expected = {name for name, node in self.naive.items() if node.waiting}
        for name in expected:
            node = self.naive[name]
            node.waiting = False
            if node.presence == "suspect":
                node.probes += 1
                gap = self.suspicion(node) / 3
                node.next_probe = max(node.since + node.probes * gap, self.clock.at(self.at) + gap / 2)
        assert set(self.real.probes(self.now)) == expected

    @rule(name=NAMES)
    def answers(self, name: str) -> None:
        """A ping is answered."""
        node = self.naive.get(name)
        assert self.real.answered(name, self.now) == (node is not None)
        if node is None:
            return
        if node.claimed is not None:
            node.incarnation, node.seq, node.beat, node.claimed = node.claimed, -1, None, None
        node.heard, node.waiting = self.clock.at(self.at), False
        if node.presence != "alive":
            self.turn(node, "alive")

    @rule(name=NAMES, presence=st.sampled_from(["alive", "suspect", "dead", "left", "never"]))
    def restores(self, name: str, presence: Presence) -> None:
        """The store tells of a node that is not tracked."""
        if name not in self.naive and len(self.naive) < self.config.max_nodes:
            at = self.clock.at(self.at)
            self.naive[name] = Naive(presence, heard=at, since=at, next_probe=at, arrivals=Arrivals())
            self.told[name] = presence
        self.real.restore(name, presence, None, self.now)

    @rule(name=NAMES)
    def forgets(self, name: str) -> None:
        """The store knows a node no longer."""
        self.naive.pop(name, None)
        self.told.pop(name, None)
        self.weigh()
        self.real.forget(name)

    @rule(ticks=st.integers(1, 60))
    def waits(self, ticks: int) -> None:
        """Time passes, tick by tick."""
        for _ in range(ticks):
            self.at += 0.5
            self.tick()

    @rule(seconds=st.sampled_from([1.5, 10.0, 3600.0]))
    def sleeps(self, seconds: float) -> None:
        """The coordinator is stopped for a while."""
        self.at += seconds
        self.tick()

    @rule(away=st.booleans())
    def fabric(self, away: bool) -> None:
        """The fabric goes or comes."""
        if away:
            self.clock.tick(self.at)
            self.clock.deaf()
            self.real.deaf(self.now)
        else:
            self.clock.hears(self.at)
            self.real.hears(self.now)

    @invariant()
    def they_agree(self) -> None:
        """On everybody's presence, and within bounds."""
        assert {name: self.real.presence(name) for name in self.real.names()} == {
            name: node.presence for name, node in self.naive.items()
        }
        counts = self.real.counts()
        assert sum(counts.values()) == len(self.naive) <= self.config.max_nodes
        assert len(self.real._heap) <= 2 * len(self.naive) + 65


Twice.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestTwice = Twice.TestCase
