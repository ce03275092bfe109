"""The coordinator's ear: heartbeats from the fabric into the membership, and what became of nodes into the store.

Three threads meet here and none waits for another. The link's puts messages into a bounded inbox; the ear's looks
twice a second, judges them and pings suspects; the desk's talks to the database. A coordinator that begins takes over
what the store knows, so a restart declares nobody dead. It says heartbeats of its own, too: while it does not hear
these, its fabric is stuck, and silence says nothing about others.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from spectra.fabric import messages, subjects
from spectra.fabric.errors import MeshError
from spectra.fabric.link import Link
from spectra.fabric.messages import Lost, Ping, Pong
from spectra.flow.inbox import Arrived, Inbox
from spectra.flow.roll import Desk, Roll
from spectra.mesh.hearing import Hold, Moment
from spectra.mesh.membership import Change, Config, Membership
from spectra.model.nodes import Capabilities, Heartbeat, Load, Presence
from spectra.store.database import Database
from spectra.store.presence import Beat, Seen

_log = logging.getLogger("spectra.mesh")

OWN_EVERY_S: Final = 3.0
"""How often the coordinator says a heartbeat of its own."""
_ECHOES: Final = 2.5
"""After so many of these without hearing one the fabric is stuck: before anybody else is suspect."""
_REMEMBERED: Final = 1000  # changes, for who asks what happened of late
_STRANGERS: Final = 1000  # names that are looked up at once
_LINES: Final = 50  # of the log in one tick
_PINGS: Final = 3  # of one node, any of which it may still answer
_HOLDS: Final = {
    "deaf": "the fabric is away: nobody is heard, and nobody is declared dead",
    "many": "most nodes fell silent at once: that may be the network, and nobody is declared dead for a while",
}


class Refusals(Protocol):
    """Where what nodes may not do is counted: `flow.refusals.RefusalLog`."""

    def note(self, kind: str, who: str, detail: str = "", times: int = 1) -> None:
        """Count it, and never wait."""
        ...


class Own(NamedTuple):
    """The coordinator as a node."""

    name: str
    capabilities: Callable[[], Capabilities] | None = None
    load: Callable[[], Load] = Load
    every_s: float = OWN_EVERY_S


class EarState(NamedTuple):
    """How it stands with hearing, for health and metrics."""

    connected: bool
    hold: Hold
    """Why deaths are put off: `deaf`, `settling`, `late`, `many`, or empty."""
    counts: dict[Presence, int]
    heard: int
    dropped: int
    pending: int
    """Rows that are not written yet."""


class Ear:
    """Hears every node. `listen` is one look, `start` takes one after the other until `stop`."""

    def __init__(
        self,
        database: Database,
        link: Link,
        refusals: Refusals,
        *,
        clock: Callable[[], datetime],
        own: Own | None = None,
        config: Config | None = None,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._link = link
        self._refusals = refusals
        self._clock = clock
        self._steady = steady
        self._config = config or Config()
        self._membership = Membership(self._config)
        self._inbox = Inbox(senders=2 * self._config.max_nodes + _STRANGERS)
        self._desk = Desk(database, steady)
        self._roll: Roll | None = None
        self._strangers: dict[str, Arrived] = {}
        self._asked: dict[str, deque[str]] = {}
        self._recent: tuple[Change, ...] = ()
        self._heard = self._dropped = 0
        self._voice = _Voice(own, link, int(clock().timestamp() * 1000)) if own else None
        self._full = False
        self._held = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spectra-presence", daemon=True)

    def start(self) -> None:
        """Begin to hear."""
        self.subscribe()
        self._desk.start()
        self._thread.start()

    def subscribe(self) -> None:
        """Have the link bring what nodes say."""
        self._link.subscribe(subjects.EVERY_PRESENCE, self._receive)
        self._link.subscribe(subjects.EVERY_REPLY, self._receive)

    def stop(self) -> None:
        """Say good-bye, write what is left, and end. The link is its owner's to close."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(30)
        if self._voice is not None:
            self._voice.leave(self._now())
            self._desk.pending.turned(Seen(self._voice.name, "left", self._clock()))
        self._desk.stop()

    def wake(self) -> None:
        """Members may have changed. Never waits."""
        self._desk.ask()

    @property
    def desk(self) -> Desk:
        """What reads and writes."""
        return self._desk

    def state(self) -> EarState:
        """How it stands."""
        counts = self._membership.counts()
        hold = self._membership.hold(self._now())
        return EarState(self._link.connected, hold, counts, self._heard, self._dropped, len(self._desk.pending))

    def recent(self) -> Sequence[Change]:
        """The newest changes of presence, the latest last."""
        return self._recent

    def listen(self, now: Moment) -> list[Change]:
        """One look: 1. who belongs; 2. whether we hear at all; 3. what came; 4. what changed; 5. whom to ping."""
        roll = self._desk.roll
        if roll is None:
            return []
        if roll is not self._roll:
            self._enrol(roll, now)
        self._take_in(roll)
        if self._voice is not None:
            self._voice.speak(now)
        if self._link.connected and not (self._voice and self._voice.unheard(now)):
            self._membership.hears(now)
        else:
            self._membership.deaf(now)
        changes = self._membership.tick(now)
        self._tell(changes)
        self._tell_hold(self._membership.hold(now))
        if self._link.connected:
            self._ping(now)
        self._desk.hurry()
        return changes

    def _run(self) -> None:
        while not self._stop.wait(self._config.tick_s):
            try:
                self.listen(self._now())
            except Exception:  # noqa: BLE001 - one message too strange must not make the coordinator deaf
                _log.exception("presence: a look failed")

    def _now(self) -> Moment:
        return Moment(self._steady(), self._clock())

    def _receive(self, subject: str, data: bytes) -> None:
        """On the link's thread."""
        self._inbox.put(subject, data, self._now())

    def _enrol(self, roll: Roll, now: Moment) -> None:
        """Nodes that are new to us, and what another coordinator or an earlier life of ours knew of them."""
        if self._roll is None or self._roll.known is not roll.known:
            for name in [name for name in self._membership.names() if name not in roll.known]:
                self._forget(name)
            for known in roll.known.values():
                if known.standing != "revoked" or known.presence in ("alive", "suspect"):
                    self._membership.restore(known.name, known.presence, known.last_seen, now)
        self._roll = roll

    def _forget(self, name: str) -> None:
        self._membership.forget(name)
        self._asked.pop(name, None)

    def _is_revoked(self, name: str) -> bool:
        known = self._roll.known.get(name) if self._roll else None
        return known is not None and known.standing == "revoked"

    def _take_in(self, roll: Roll) -> None:
        """Everything that waits, and what strangers said before the roll was read that tells who they are."""
        arrived, dropped = self._inbox.take()
        for subject, count in dropped.items():
            self._dropped += count
            self._refusals.note(
                "flood", subjects.speaker(subject), f"said more than can be looked at on {subject}", count
            )
        strangers, self._strangers = self._strangers, {}
        for one in (*strangers.values(), *arrived):
            self._judge(one, roll)
        while self._desk.vouched:
            seen = self._desk.vouched.popleft()
            if seen.at is not None:
                self._membership.vouch(seen.name, seen.at, self._now())

    def _judge(self, arrived: Arrived, roll: Roll) -> None:
        """One message: who says it, may they, and what is it."""
        name = subjects.speaker(arrived.subject)
        known = roll.known.get(name)
        if known is None:
            if roll.read <= arrived.at.steady and len(self._strangers) < _STRANGERS:
                self._strangers[arrived.subject] = arrived
                self._desk.ask()
            else:
                self._refusals.note("unknown_node", name, f"spoke on {arrived.subject}")
            return
        if known.standing == "revoked":
            self._refusals.note("revoked", name, f"spoke on {arrived.subject}")
            return
        try:
            if subjects.is_presence(arrived.subject):
                self._hear(messages.heartbeat(arrived.data, arrived.subject), arrived.at)
            else:
                self._answered(messages.pong(arrived.data, arrived.subject), arrived.at)
        except MeshError as error:
            self._refusals.note(error.reason, name, error.message)

    def _hear(self, message: Heartbeat | Lost, at: Moment) -> None:
        verdict = self._membership.heard(message, at)
        if verdict == "replay" and isinstance(message, Heartbeat):
            self._refusals.note("replay", message.node, f"number {message.seq} of {message.incarnation} came again")
        elif verdict == "full" and not self._full:
            self._full = True
            _log.error("more than %d nodes: the others are not tracked", self._config.max_nodes)
        if verdict != "counted" or isinstance(message, Lost):
            return
        self._heard += 1
        skew = self._membership.skew_s(message.node)
        self._desk.pending.beat(Beat(message.node, at.wall, message.load, skew, message.capabilities))
        if self._voice is not None and message.node == self._voice.name:
            self._voice.echoed(message, at)

    def _answered(self, pong: Pong, at: Moment) -> None:
        asked = self._asked.get(pong.node, deque())
        meant = [one for one in asked if hmac.compare_digest(one, pong.id)]
        if not meant:
            self._refusals.note("replay", pong.node, "answered a ping that was not sent, was answered, or is long ago")
            return
        asked.remove(meant[0])
        self._membership.answered(pong.node, at, pong.incarnation)

    def _tell(self, changes: Sequence[Change]) -> None:
        for change in changes:
            self._desk.pending.turned(Seen(change.name, change.after, self._membership.seen(change.name)))
            if change.after == "dead" and self._is_revoked(change.name):
                self._forget(change.name)
        self._recent = (*self._recent, *changes)[-_REMEMBERED:]
        for change in changes[:_LINES]:
            bad = change.after in ("suspect", "dead")
            _log.log(
                logging.WARNING if bad else logging.INFO,
                "node %s is %s: %s",
                change.name,
                change.after,
                change.why,
                extra={"spectra.node": change.name, "spectra.presence": change.after},
            )
        if len(changes) > _LINES:
            others = Counter(change.after for change in changes[_LINES:])
            _log.warning("and of others: %s", ", ".join(f"{count} {what}" for what, count in others.items()))

    def _tell_hold(self, hold: str) -> None:
        """Once when deaths begin to be put off for one of two reasons, and once when they no longer are."""
        held = hold if hold in _HOLDS and self._heard else ""
        if held and held != self._held:
            _log.warning("presence: %s", _HOLDS[held])
        elif self._held and not hold:
            _log.info("presence: nodes are judged by their silence again")
        if held or not hold:
            self._held = held

    def _ping(self, now: Moment) -> None:
        for name in self._membership.probes(now):
            ping = Ping(secrets.token_urlsafe(12))
            self._asked.setdefault(name, deque(maxlen=_PINGS)).append(ping.id)
            try:
                self._link.publish(subjects.control(name), messages.encode(ping))
            except MeshError as error:
                _log.debug("%s could not be pinged: %s", name, error.message)


class _Voice:
    """The coordinator's own heartbeats, and whether they come back."""

    def __init__(self, own: Own, link: Link, incarnation: int) -> None:
        self.name = own.name
        self._own = own
        self._link = link
        self._incarnation = incarnation
        self._seq = -1
        self._spoken: float | None = None
        self._echo: float | None = None

    def speak(self, now: Moment) -> None:
        """Say one, if it is time."""
        if self._link.connected and (self._spoken is None or now.steady - self._spoken >= self._own.every_s):
            first = self._spoken is None
            self._spoken = now.steady
            self._say(now, self._own.capabilities() if first and self._own.capabilities else None)

    def leave(self, now: Moment) -> None:
        """Say good-bye."""
        if self._link.connected:
            self._say(now, None, leaving=True)

    def echoed(self, beat: Heartbeat, at: Moment) -> None:
        """One came back."""
        if beat.incarnation == self._incarnation:
            self._echo = at.steady

    def unheard(self, now: Moment) -> bool:
        """Whether they do not come back any more. A fabric that never brought one back may be meant to be so."""
        return self._echo is not None and now.steady - self._echo > _ECHOES * self._own.every_s

    def _say(self, now: Moment, capabilities: Capabilities | None, *, leaving: bool = False) -> None:
        self._seq += 1
        beat = Heartbeat(
            version=1,
            node=self.name,
            incarnation=self._incarnation,
            seq=self._seq,
            sent=now.wall,
            load=self._own.load(),
            every_s=self._own.every_s,
            capabilities=capabilities,
            leaving=leaving,
        )
        try:
            self._link.publish(subjects.presence(self.name), messages.encode(beat))
        except MeshError as error:
            _log.debug("no heartbeat of our own: %s", error.message)
