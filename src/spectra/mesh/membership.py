"""Who of the mesh is there: heartbeats in, changes of presence out. A pure state machine; nothing here waits or sends.

As in SWIM (Das, Gupta and Motivala 2002), suspicion comes before death. A node that is silent for longer than is
usual for it (`Arrivals`), or whose last will came, is *suspect* and is pinged; it is *dead* when it answered none of
three pings within the suspicion time, and *alive* again at once when it is heard. Three things keep a coordinator in
trouble from declaring others dead: time in which it could not hear does not count (`Hearing`), who is late itself
suspects for longer, and when most nodes fall silent at once, which says that the fabric is cut and not they, nobody
is declared dead for a while.

A heartbeat costs O(1): each node has one entry in a heap of deadlines, which is looked at again only when it is due.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, NamedTuple, get_args

from spectra.fabric.messages import Lost
from spectra.mesh.hearing import Hearing, Hold, Moment
from spectra.mesh.interval import Arrivals, Offset
from spectra.mesh.wording import span
from spectra.model.nodes import Heartbeat, Presence

__all__ = ["Change", "Config", "Membership", "Moment", "Verdict"]

Verdict = Literal["counted", "again", "replay", "full"]
"""`counted`: it said something new; `again`: its newest message once more; `replay`: one of the past; `full`: more
nodes than `max_nodes`. Only what is `counted` changes anything."""

_NEVER: Final = math.inf
_SLACK: Final = 64  # stale entries that the heap may hold beside two of each node


@dataclass(frozen=True, slots=True)
class Config:
    """How patient to be. What is in intervals is in those of the node's own promise (`Heartbeat.every_s`)."""

    tick_s: float = 0.5
    """How often `tick` is called."""
    silence: float = 3.0
    """Intervals of silence that are ordinary for everybody,"""
    deviations: float = 4.0
    """and standard deviations above a node's own mean gap that are ordinary for it,"""
    most_silence: float = 12.0
    """but never more intervals than these."""
    suspicion: float = 2.0
    """Intervals from suspicion to death,"""
    suspicion_least_s: float = 2.0
    """and at least these seconds."""
    probes: int = 3
    """Pings that go unanswered before a death."""
    every_s: float = 5.0
    """The interval of a node that has not told its own."""
    slowest_s: float = 300.0
    """A promise of a longer interval counts as this one."""
    settle_s: float = 15.0
    """How long nodes get to connect again after the fabric was away."""
    mass_least: int = 5
    """So many suspects at once, and"""
    mass_share: float = 0.5
    """more than this share of those not dead, may be a cut of the fabric:"""
    mass_hold_s: float = 30.0
    """nobody is declared dead for so long."""
    max_nodes: int = 10_000


class Change(NamedTuple):
    """A node's presence before and after, and a sentence on why; both are the same where it only started anew."""

    name: str
    before: Presence
    after: Presence
    why: str
    at: datetime


@dataclass(slots=True, eq=False)
class _Member:
    """One node. `deadline` and the other times without a unit are by the clock of `Hearing`."""

    name: str
    every_s: float
    presence: Presence = "never"
    incarnation: int = -1
    seq: int = -1
    claimed: int | None = None
    """A lower incarnation that it spoke in: a replay, or a machine whose clock went back. A ping tells which."""
    arrivals: Arrivals = field(default_factory=Arrivals)
    offset: Offset = field(default_factory=Offset)
    beat: float | None = None
    heard: float = 0.0
    seen: datetime | None = None
    deadline: float = _NEVER
    queued: float = _NEVER
    """The deadline of its valid entry in the heap."""
    since: float = 0.0
    probes: int = 0
    next_probe: float = 0.0


class Membership:
    """The nodes of a mesh as one coordinator hears them. Not thread-safe: it has one owner, who calls `tick` often."""

    def __init__(self, config: Config | None = None) -> None:
        self._config = config or Config()
        self._hearing = Hearing(self._config.tick_s, self._config.settle_s)
        self._members: dict[str, _Member] = {}
        self._heap: list[tuple[float, str]] = []
        self._changes: dict[str, Change] = {}
        self._due: dict[str, None] = {}
        self._counts: Counter[Presence] = Counter()
        self._mass = False
        self._hold_until = -math.inf

    def restore(self, name: str, presence: Presence, seen: datetime | None, now: Moment) -> None:
        """Take over what the store knew of a node when this coordinator began; of one that is tracked, nothing.

        Who was alive has its full time from now on, and a suspect the full time of suspicion.
        """
        if name in self._members or len(self._members) >= self._config.max_nodes:
            return
        member = self._track(name, presence)
        member.seen = seen
        member.heard = member.since = member.next_probe = self._hearing.at(now.steady)
        if presence == "alive":
            self._await(member)
        elif presence == "suspect":
            self._schedule(member, member.heard)

    def forget(self, name: str) -> None:
        """Track a node no longer, without a word."""
        member = self._members.pop(name, None)
        if member is not None:
            self._counts[member.presence] -= 1
            self._due.pop(name, None)
            self._changes.pop(name, None)
            self._weigh()

    def heard(self, message: Heartbeat | Lost, now: Moment) -> Verdict:
        """Take in what came from a node at `now`, the moment of its arrival. `tick` tells what changed."""
        member = self._members.get(message.node)
        if isinstance(message, Lost):
            return "again" if member is None else self._lost(member, message, now)
        if member is None:
            if len(self._members) >= self._config.max_nodes:
                return "full"
            member = self._track(message.node, "never")
        if message.incarnation < member.incarnation:
            self._challenge(member, message.incarnation)
            return "replay"
        if message.incarnation == member.incarnation and message.seq <= member.seq:
            return "again" if message.seq == member.seq else "replay"
        self._beat(member, message, now)
        return "counted"

    def answered(self, name: str, now: Moment, incarnation: int = 0) -> bool:
        """A node answered the newest ping: it is alive, in the incarnation it tells (0: not told). False: not tracked.

        The caller has checked that the answer is that of a ping of its own: nobody could have known it before.
        """
        member = self._members.get(name)
        if member is None:
            return False
        if member.claimed is not None:
            spoken, member.claimed = incarnation or member.claimed, None
            if spoken < member.incarnation:
                member.incarnation, member.seq, member.beat = spoken, -1, None
        member.seen = now.wall
        member.heard = self._hearing.at(now.steady)
        if member.presence != "alive":
            self._turn(member, "alive", "It answers when it is asked.", now)
        self._due.pop(name, None)
        self._await(member)
        return True

    def vouch(self, name: str, seen: datetime, now: Moment) -> None:
        """Another coordinator heard a node at `seen`: a suspect, or one taken for dead, is alive where that is news."""
        member = self._members.get(name)
        if member is None or (member.seen is not None and seen <= member.seen):
            return
        member.seen = seen
        if member.presence in ("suspect", "dead", "never"):
            member.heard = self._hearing.at(now.steady)
            self._turn(member, "alive", "Another coordinator hears it.", now)
            self._await(member)

    def deaf(self, now: Moment) -> None:
        """The fabric is away: nothing can be heard, so silence says nothing."""
        self._hearing.tick(now.steady)
        self._hearing.deaf()

    def hears(self, now: Moment) -> None:
        """The fabric is there (again)."""
        self._hearing.hears(now.steady)

    def tick(self, now: Moment) -> list[Change]:
        """What changed since the last tick, after everything was heard that came until `now`."""
        listened = self._hearing.tick(now.steady)
        due = self._pop(listened)
        for member in due:  # all who fell silent first: only then is it known whether they are many
            if member.presence == "alive":
                silent = span(listened - member.heard)
                self._suspect(member, listened, f"Nothing was heard of it for {silent}, {_habit(member)}.", now)
        for member in due:
            if member.presence == "suspect":
                self._pursue(member, listened, now)
        changes = list(self._changes.values())
        self._changes.clear()
        return changes

    def probes(self, now: Moment) -> list[str]:
        """Whom to ping now: suspects, and those who may have replayed. To be sent: only pings that went out count."""
        listened = self._hearing.at(now.steady)
        names = [name for name in self._due if name in self._members]
        self._due.clear()
        for name in names:
            member = self._members[name]
            if member.presence == "suspect":
                member.probes += 1
                gap = self._suspicion(member) / self._config.probes
                member.next_probe = max(member.since + member.probes * gap, listened + gap / 2)
                self._schedule(member, member.next_probe)
        return names

    def presence(self, name: str) -> Presence | None:
        """What is believed of a node; None where it is not tracked."""
        member = self._members.get(name)
        return None if member is None else member.presence

    def seen(self, name: str) -> datetime | None:
        """When a node was last heard."""
        member = self._members.get(name)
        return None if member is None else member.seen

    def skew_s(self, name: str) -> float | None:
        """A node's clock less ours, in seconds, as well as one-way messages tell."""
        member = self._members.get(name)
        return None if member is None else member.offset.seconds

    def names(self) -> Iterable[str]:
        """Everybody who is tracked."""
        return self._members.keys()

    def counts(self) -> dict[Presence, int]:
        """How many nodes are alive, suspect and so on. May be asked on any thread."""
        return {presence: count for presence in get_args(Presence) if (count := self._counts[presence])}

    def hold(self, now: Moment) -> Hold:
        """Why deaths are put off: `deaf`, `settling`, `late`, `many` or empty."""
        many: Hold = "many" if self._hearing.at(now.steady) < self._hold_until else ""
        return self._hearing.hold(now.steady) or many

    def _track(self, name: str, presence: Presence) -> _Member:
        member = self._members[name] = _Member(name, self._config.every_s, presence)
        self._counts[presence] += 1
        return member

    def _beat(self, member: _Member, beat: Heartbeat, now: Moment) -> None:
        """1. Is it a new life? 2. What does it tell about gaps and clocks? 3. What is it now?"""
        listened = self._hearing.at(now.steady)
        anew = beat.incarnation > member.incarnation
        if anew:
            member.offset = Offset()
        elif member.beat is not None and member.presence in ("alive", "suspect"):
            member.arrivals.add(max(0.0, listened - member.beat))
        restarted = anew and member.incarnation >= 0
        member.incarnation, member.seq, member.claimed = beat.incarnation, beat.seq, None
        member.every_s = min(beat.every_s, self._config.slowest_s)
        member.beat = member.heard = listened
        member.offset.add((beat.sent - now.wall).total_seconds())
        before, member.seen = member.seen, now.wall
        self._due.pop(member.name, None)
        if beat.leaving:
            member.deadline = _NEVER
            if member.presence != "left":
                self._turn(member, "left", "It said good-bye.", now)
            return
        if member.presence != "alive":
            self._turn(member, "alive", _return(before, now.wall, restarted=restarted), now)
        elif restarted:
            self._turn(member, "alive", "It started anew.", now)
        self._await(member)

    def _lost(self, member: _Member, lost: Lost, now: Moment) -> Verdict:
        """The broker lost its connection. That may be made again, so it is only asked about, but at once."""
        if member.presence != "alive" or (lost.incarnation and lost.incarnation < member.incarnation):
            return "again"
        self._suspect(member, self._hearing.at(now.steady), "Its connection to the fabric broke.", now)
        return "counted"

    def _challenge(self, member: _Member, incarnation: int) -> None:
        """Have it asked which of its incarnations it is in, once until it answers or is heard in the newer one."""
        if member.claimed != incarnation:
            member.claimed = incarnation
            self._due[member.name] = None

    def _suspect(self, member: _Member, listened: float, why: str, now: Moment) -> None:
        member.since = member.next_probe = listened
        member.probes = 0
        self._turn(member, "suspect", why, now)
        self._schedule(member, listened)

    def _pursue(self, member: _Member, listened: float, now: Moment) -> None:
        """A suspect whose deadline came: it is pinged again, or it is dead. A ping waits for `probes` to take it."""
        death = max(member.since + self._suspicion(member), self._hold_until)
        if listened >= death and member.probes >= self._config.probes:
            member.deadline = _NEVER
            self._due.pop(member.name, None)
            silent = span(listened - member.heard)
            self._turn(member, "dead", f"{member.probes} pings went unanswered; it is silent for {silent}.", now)
            return
        self._due[member.name] = None
        self._schedule(member, listened + self._config.tick_s)

    def _suspicion(self, member: _Member) -> float:
        least = max(self._config.suspicion_least_s, self._config.suspicion * member.every_s)
        return least * (1 + self._hearing.strain)

    def _turn(self, member: _Member, after: Presence, why: str, now: Moment) -> None:
        """Note a change for the next tick: one of each node, from what was told last to what is now."""
        before = member.presence
        earlier = self._changes.pop(member.name, None)
        self._changes[member.name] = Change(member.name, earlier.before if earlier else before, after, why, now.wall)
        member.presence = after
        self._counts[before] -= 1
        self._counts[after] += 1
        self._weigh()

    def _weigh(self) -> None:
        """Whether most nodes are suspects: from the moment on that they are, nobody dies for a while."""
        suspects = self._counts["suspect"]
        present = suspects + self._counts["alive"]
        mass = suspects >= self._config.mass_least and suspects > self._config.mass_share * present
        if mass and not self._mass:
            self._hold_until = self._hearing.ticked + self._config.mass_hold_s
        self._mass = mass

    def _pop(self, listened: float) -> list[_Member]:
        """Whose deadline came. Of the entries looked at, some are stale, and some belong to who was heard since."""
        due: list[_Member] = []
        while self._heap and self._heap[0][0] <= listened:
            at, name = heapq.heappop(self._heap)
            member = self._members.get(name)
            if member is None or member.queued != at:
                continue
            member.queued = _NEVER
            if member.deadline > listened:
                self._schedule(member, member.deadline)
            else:
                due.append(member)
        return due

    def _await(self, member: _Member) -> None:
        """From its last sign of life, it has as long as is ordinary for it."""
        least, most = self._config.silence * member.every_s, self._config.most_silence * member.every_s
        patience = member.arrivals.patience(least, most, self._config.deviations)
        self._schedule(member, member.heard + patience)

    def _schedule(self, member: _Member, deadline: float) -> None:
        """Look at it at `deadline`. An entry that is in the heap for an earlier time finds the new one by itself."""
        member.deadline = deadline
        if deadline < member.queued:
            member.queued = deadline
            heapq.heappush(self._heap, (deadline, member.name))
            if len(self._heap) > 2 * len(self._members) + _SLACK:
                self._heap = [(m.queued, m.name) for m in self._members.values() if m.queued < _NEVER]
                heapq.heapify(self._heap)


def _habit(member: _Member) -> str:
    mean, promised = member.arrivals.mean, span(member.every_s)
    return f"and it is heard every {span(mean)}" if mean else f"and it promised to be heard every {promised}"


def _return(before: datetime | None, wall: datetime, *, restarted: bool) -> str:
    if before is None:
        return "It is heard for the first time."
    gone = max(0.0, (wall - before).total_seconds())
    return f"It {'started anew' if restarted else 'is heard again'}, {span(gone)} after it was last heard."
