"""Presence over a real nats-server and a real database: nodes that speak, lie, fall silent and come back."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from spectra.fabric import messages, subjects
from spectra.fabric.link import TlsFiles
from spectra.fabric.messages import Pong
from spectra.fabric.natslink import NatsLink
from spectra.flow.membership import Ear, Own
from spectra.mesh.hearing import Moment
from spectra.mesh.membership import Change, Config
from spectra.model.nodes import Heartbeat, Presence
from spectra.store import nodes
from spectra.store.database import Database
from tests.flow.conftest import store_server
from tests.flow.ears import Refused
from tests.store.conftest import database, migrated_template
from tests.store.machines import T0, certificate, member, uri
from tests.support.fabrics import COORDINATOR, Fabric, fabric
from tests.support.postgres import embedded
from tests.support.waiting import eventually

__all__ = ["database", "embedded", "migrated_template", "store_server"]
pytestmark = [pytest.mark.engine, pytest.mark.fault]

PATIENT = Config(tick_s=0.05, settle_s=3.0)
"""Nodes promise a heartbeat a second: suspect after three, dead two later."""


class Node:
    """A machine that says a heartbeat every fifth of the second it promised, and answers pings, until silenced."""

    def __init__(self, url: str, name: str, tls: TlsFiles) -> None:
        self.name = name
        self.errors: list[str] = []
        self.link = NatsLink([url], tls, name, on_error=lambda error: self.errors.append(error.message))
        self.link.subscribe(subjects.control(name), self._answer)
        self._silent = threading.Event()
        self._thread = threading.Thread(target=self._speak, name=name, daemon=True)
        self._thread.start()

    def say(self, node: str, seq: int = 0) -> None:
        """A heartbeat in somebody's name on somebody's subject."""
        beat = Heartbeat(1, node, 1, seq, datetime.now(UTC), every_s=1.0)
        self.link.publish(subjects.presence(node), messages.encode(beat))

    def silence(self) -> None:
        """Say nothing any more; the connection stays."""
        self._silent.set()
        self._thread.join(30)

    def close(self) -> None:
        """Go."""
        self.silence()
        self.link.close()

    def _speak(self) -> None:
        seq = 0
        while not self._silent.wait(0.2):
            if self.link.connected:
                self.say(self.name, seq := seq + 1)

    def _answer(self, subject: str, data: bytes) -> None:
        if not self._silent.is_set():
            pong = Pong(messages.ping(data).id, self.name, 1)
            self.link.publish(subjects.reply(self.name), messages.encode(pong))


class Counting(Ear):
    """An ear that tells how often it looked."""

    looks = 0

    def listen(self, now: Moment) -> list[Change]:
        """One more."""
        self.looks += 1
        return super().listen(now)


class Mesh:
    """A fabric, a coordinator and the nodes `w1` and `w2`."""

    def __init__(self, made: Fabric, database: Database, stack: ExitStack) -> None:
        self.fabric = made
        self.database = database
        self.refused = Refused()
        self._stack = stack
        for name in ("w1", "w2"):
            member(database, name)
        nodes.establish(database, COORDINATOR, uri(COORDINATOR), certificate=certificate("c", "spki-c"), now=T0)
        self.link = NatsLink([made.server.url], made.coordinator, COORDINATOR, on_error=lambda _: None)
        stack.callback(self.link.close)
        self.nodes = {name: self.node(name) for name in ("w1", "w2")}
        self.ear = self.open()

    def node(self, name: str) -> Node:
        """A machine, in its own place."""
        made = Node(self.fabric.server.url, name, self.fabric.node(name))
        self._stack.callback(made.close)
        return made

    def open(self) -> Counting:
        """A coordinator that begins."""
        ear = Counting(
            self.database,
            self.link,
            self.refused,
            clock=lambda: datetime.now(UTC),
            own=Own(COORDINATOR, every_s=0.5),
            config=PATIENT,
        )
        ear.start()
        self._stack.callback(ear.stop)
        return ear

    def are(self, presence: Presence, *names: str) -> Callable[[], bool]:
        """Whether these are all that, in the store."""
        return lambda: all(nodes.get(self.database, name).presence == presence for name in names)

    def looked(self, times: int) -> Callable[[], bool]:
        """Whether the ear took so many looks more."""
        until = self.ear.looks + times
        return lambda: self.ear.looks >= until

    def hears(self) -> bool:
        """Whether silence counts (again); on a busy machine the coordinator may judge slowly."""
        return self.ear.state().hold not in ("deaf", "settling")

    def dead(self) -> list[str]:
        """Who was taken for dead so far."""
        return [change.name for change in self.ear.recent() if change.after == "dead"]


@pytest.fixture
def mesh(tmp_path: Path, database: Database) -> Iterator[Mesh]:
    """Running, and everybody is alive."""
    with fabric(tmp_path, "w1", "w2") as made, ExitStack() as stack:
        one = Mesh(made, database, stack)
        eventually(one.are("alive", "w1", "w2", COORDINATOR))
        yield one


def test_who_falls_silent_is_dead_though_connected(mesh: Mesh) -> None:
    """A process that hangs keeps its connection: heartbeats tell. It is alive again as soon as it speaks."""
    mesh.nodes["w1"].silence()
    eventually(mesh.are("dead", "w1"))
    assert [change.after for change in mesh.ear.recent() if change.name == "w1"][-2:] == ["suspect", "dead"]
    assert nodes.get(mesh.database, "w2").presence == "alive"
    mesh.nodes["w1"].say("w1", 10**6)
    eventually(mesh.are("alive", "w1"))
    assert not mesh.refused.counts


def test_lies_reach_nobody_or_are_counted(mesh: Mesh) -> None:
    """Another's subject is stopped by the server; another's name on one's own subject, and a replay, by the ear."""
    liar = mesh.nodes["w1"]
    member(mesh.database, "w3")
    liar.say("w3")
    mesh.fabric.refused.wait_for("forbidden_publish")
    liar.link.publish(
        subjects.presence("w1"), messages.encode(Heartbeat(1, "w2", 9, 9, datetime.now(UTC), leaving=True))
    )
    eventually(lambda: mesh.refused.counts["impostor", "w1"] == 1)
    liar.say("w1", 0)
    eventually(lambda: mesh.refused.counts["replay", "w1"] == 1)
    assert nodes.get(mesh.database, "w3").presence == "never"
    assert nodes.get(mesh.database, "w2").presence == "alive"


def test_nobody_dies_with_the_server(mesh: Mesh) -> None:
    """nats-server is killed and comes back: nodes connect again in their own time, and nobody was dead meanwhile."""
    first = mesh.fabric.server.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    eventually(lambda: mesh.fabric.server.pid not in (None, first))
    eventually(lambda: all(node.link.connected for node in mesh.nodes.values()))
    eventually(mesh.hears)
    eventually(mesh.looked(200))
    assert mesh.dead() == []
    assert mesh.are("alive", "w1", "w2", COORDINATOR)()


def test_nobody_dies_of_a_server_that_hangs(mesh: Mesh) -> None:
    """Connections stay open and nothing comes: the coordinator does not hear itself, and blames no one."""
    pid = mesh.fabric.server.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        eventually(lambda: mesh.ear.state().hold == "deaf")
        eventually(mesh.looked(200))
        assert mesh.dead() == []
    finally:
        os.kill(pid, signal.SIGCONT)
    eventually(mesh.hears)
    eventually(mesh.are("alive", "w1", "w2", COORDINATOR))
    assert mesh.dead() == []


def test_a_coordinator_that_begins_again_blames_no_one(mesh: Mesh) -> None:
    """Who died meanwhile is noticed; who lives was alive all the time."""
    mesh.ear.stop()
    mesh.nodes["w1"].silence()
    mesh.ear = mesh.open()
    eventually(mesh.are("dead", "w1"))
    assert mesh.dead() == ["w1"]
    assert [change.name for change in mesh.ear.recent() if change.name == "w2"] == []
    eventually(mesh.are("alive", "w2", COORDINATOR))
