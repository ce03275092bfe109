"""A mesh in one process for the tests of the coordinator's ear: a link without a wire, and clocks that are set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from spectra.fabric import messages, subjects
from spectra.fabric.errors import MeshError
from spectra.fabric.link import CLOSE_TIMEOUT_S, Receive
from spectra.fabric.messages import Lost, Pong
from spectra.flow.membership import Ear, Own
from spectra.mesh.hearing import Moment
from spectra.mesh.membership import Change, Config
from spectra.model.nodes import Heartbeat, Presence
from spectra.store import nodes
from spectra.store.database import Database
from tests.flow.desk import Clock


class Wire:
    """A `Link` whose broker is itself: what is published is heard at once by who subscribed to it."""

    def __init__(self) -> None:
        self.connected = True
        self.full = False
        self.deaf_to_itself = False
        self.published: list[tuple[str, bytes]] = []
        self._receivers: list[tuple[str, Receive]] = []

    def publish(self, subject: str, data: bytes) -> None:
        """Send."""
        if self.full:
            raise MeshError("full.", reason="overflow")
        self.published.append((subject, data))
        if not self.deaf_to_itself:
            self.bring(subject, data)

    def bring(self, subject: str, data: bytes) -> None:
        """Have a message of somebody come in."""
        for pattern, receive in self._receivers:
            if subject.startswith(pattern.removesuffix("*")):
                receive(subject, data)

    def subscribe(self, subject: str, receive: Receive, *, queue: str = "") -> None:
        """Hear."""
        self._receivers.append((subject, receive))

    def reload(self) -> None:
        """Nothing to connect anew."""

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Gone."""
        self.connected = False

    def pings(self) -> list[tuple[str, str]]:
        """Whom the coordinator pinged, and with which id."""
        sent = [(s, data) for s, data in self.published if s.startswith("spectra.ctl.")]
        return [(subjects.node_of(subject), messages.ping(data).id) for subject, data in sent]


class Refused:
    """Counts what was refused."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.details: list[str] = []

    def note(self, kind: str, who: str, detail: str = "", times: int = 1) -> None:
        """One more."""
        self.counts[kind, who] += times
        self.details.append(detail)


class Room:
    """An ear on a database, without its threads: a test says when it listens and when it writes."""

    def __init__(self, database: Database, clock: Clock, *, own: Own | None = None, config: Config | None = None):
        self.database = database
        self.clock = clock
        self.own = own
        self.config = config
        self.wire = Wire()
        self.refused = Refused()
        self.at = 1000.0
        self.began = clock.now
        self.seqs: Counter[str] = Counter()
        self.ear = self.open()

    def open(self) -> Ear:
        """A coordinator that begins, as after a restart."""
        self.ear = Ear(
            self.database,
            self.wire,
            self.refused,
            clock=self.clock,
            own=self.own,
            config=self.config,
            steady=lambda: self.at,
        )
        self.ear.subscribe()
        self.ear.desk.read(self.at)
        return self.ear

    def listen(self) -> list[Change]:
        """One look, now."""
        return self.ear.listen(Moment(self.at, self.clock()))

    def work(self) -> None:
        """Whatever the desk has to do, now."""
        self.ear.desk.ask()
        self.ear.desk.work()

    def wait(self, seconds: float, each: Callable[[], Any] | None = None) -> list[Change]:
        """Let time pass in looks of half a second, writing after each; `each` is called before every tenth."""
        changes: list[Change] = []
        for n in range(round(seconds * 2)):
            self.at += 0.5
            self.clock.advance(timedelta(seconds=0.5))
            if each is not None and n % 10 == 9:
                each()
            changes += self.listen()
            self.work()
        return changes

    def beat(self, name: str, *, incarnation: int = 1, seq: int | None = None, **more: Any) -> None:
        """A node says its next heartbeat."""
        self.seqs[name] += 1
        number = self.seqs[name] if seq is None else seq
        fields: dict[str, Any] = {"sent": self.clock()} | more
        self.say(name, Heartbeat(1, name, incarnation, number, **fields))

    def say(self, name: str, message: Heartbeat | Lost) -> None:
        """A message on a node's presence subject."""
        self.wire.bring(subjects.presence(name), messages.encode(message))

    def answer(self, name: str, ping: str, incarnation: int = 0) -> None:
        """A node's answer to a ping."""
        self.wire.bring(subjects.reply(name), messages.encode(Pong(ping, name, incarnation)))

    def presence(self, name: str) -> Presence:
        """As the store has it."""
        return nodes.get(self.database, name).presence
