"""The agent's loop: heartbeats, pings, capabilities, clocks that jump, and how it ends.

Its link is kept in memory here, so that a test sees every message; `tests/mesh` runs agents over real brokers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from spectra.collect import agentstate
from spectra.collect.agent import Agent, Ending, Hooks, Options, place_of, speaks
from spectra.collect.inventory import Inventory
from spectra.collect.keeper import Clock, Proved
from spectra.collect.taskmessages import Execute, Executed, Lending
from spectra.collect.taskmessages import Hooks as WorkHooks
from spectra.fabric import messages, workmessages
from spectra.fabric.errors import MeshError
from spectra.fabric.link import Receive
from spectra.fabric.messages import Lost, Ping
from spectra.fabric.nodefolder import NodeFolder, NodeState
from spectra.fabric.workmessages import Assign
from spectra.model.nodes import Capabilities, FabricPlace, Heartbeat, Transport
from spectra.model.work import Order
from tests.collect.test_task import order
from tests.support.coordinator import Coordinator, coordinator, joined, serving
from tests.support.waiting import eventually

PLACE = FabricPlace(mqtt="mqtts://127.0.0.1:8883")
ABLE = Capabilities(cores=4, memory_mb=2000, arch="aarch64", os="Debian", software="0.1.0")


class MemoryLink:
    """A link whose other end is the test."""

    def __init__(self, state: NodeState, will: Lost, hooks: Hooks) -> None:
        self.state, self.will, self.hooks = state, will, hooks
        self.sent: list[tuple[str, bytes]] = []
        self.subjects: list[str] = []
        self.receivers: dict[str, Receive] = {}
        self.reloads = 0
        self.closed = False
        self.connected = False

    def publish(self, subject: str, data: bytes) -> None:
        """Keep a message."""
        if len(data) > 10_000:
            raise MeshError("too large", reason="too_large")
        self.sent.append((subject, data))

    def subscribe(self, subject: str, receive: Receive, *, queue: str = "") -> None:
        """Keep a subject, and who hears it."""
        self.subjects.append(subject)
        self.receivers[subject] = receive

    def reload(self) -> None:
        """Count."""
        self.reloads += 1

    def close(self, timeout_s: float = 0.0) -> None:
        """Keep in mind."""
        self.closed = True

    def up(self, connected: bool = True) -> None:
        """The broker welcomes the node, or is gone."""
        self.connected = connected
        self.hooks.changed(connected)

    @property
    def heartbeats(self) -> list[Heartbeat]:
        """Every heartbeat so far."""
        read = (messages.heartbeat(data, subject) for subject, data in self.sent if ".presence." in subject)
        return [one for one in read if isinstance(one, Heartbeat)]


class Board(Inventory):
    """A machine whose abilities a test sets."""

    able = ABLE

    def capabilities(self, *, region: str = "", relay: bool = False) -> Capabilities:
        """As set."""
        return msgspec.structs.replace(self.able, region=region, relay=relay)


class AtWork:
    """An agent in a thread; its proofs go as `proofs` says, the last one for ever."""

    def __init__(self, folder: NodeFolder, options: Options, clock: Clock, execute: Execute | None = None) -> None:
        self.folder = folder
        self.links: list[MemoryLink] = []
        self.board = Board()
        self.proofs: list[Proved] = [Proved(True, "statement", "active")]
        self.agent = Agent(
            folder, options, self._connect, inventory=self.board, prove=self._prove, execute=execute, clock=clock
        )
        self.ending: Ending | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        self.ending = self.agent.run()

    def _connect(
        self, folder: NodeFolder, state: NodeState, transport: Transport, will: Lost, hooks: Hooks
    ) -> MemoryLink | None:
        if not place_of(state.fabric, transport):
            return None
        self.links.append(MemoryLink(state, will, hooks))
        return self.links[-1]

    def _prove(self, folder: NodeFolder, now: datetime) -> tuple[Proved, float]:
        return (self.proofs.pop(0) if len(self.proofs) > 1 else self.proofs[0]), 0.05

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self) -> Ending | None:
        """Wait for the end."""
        self._thread.join(60)
        return self.ending

    @property
    def link(self) -> MemoryLink:
        """The newest link."""
        return eventually(lambda: self.links[-1:])[0]

    @property
    def told(self) -> agentstate.AgentState:
        """Its state file."""
        return eventually(lambda: agentstate.read(self.folder.path))  # pyright: ignore[reportReturnType]


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Coordinator]:
    """A coordinator at work."""
    with serving(coordinator(tmp_path / "mesh", fabric=PLACE)) as running:
        yield running


@pytest.fixture
def folder(mesh: Coordinator, tmp_path: Path) -> NodeFolder:
    """A node that joined."""
    return joined(mesh, tmp_path / "node")


class Jumping:
    """A wall clock that can be set, beside a steady one."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        """The wall clock."""
        return datetime.now(UTC) + self.ahead


@contextmanager
def at_work(
    folder: NodeFolder,
    beat_s: float = 0.02,
    jumping: Jumping | None = None,
    *,
    work: Lending | None = None,
    execute: Execute | None = None,
) -> Generator[AtWork]:
    """An agent that beats fast, ended with the block."""
    wall = jumping or Jumping()
    options = Options(heartbeat_s=beat_s, region="attic", work=work or Lending())
    made = AtWork(folder, options, Clock(wall.now, time.monotonic), execute)
    made.start()
    try:
        yield made
    finally:
        made.agent.stop()
        assert made.join()


def test_heartbeats(folder: NodeFolder) -> None:
    """Counted from 0 within an incarnation, with this machine's load; the will is of the same incarnation."""
    with at_work(folder) as node:
        beats = eventually(lambda: node.link.heartbeats[2:3] and node.link.heartbeats[:3])
    assert [beat.seq for beat in beats] == [0, 1, 2]
    assert {beat.incarnation for beat in beats} == {node.link.will.incarnation}
    assert (beats[0].every_s, beats[0].node, beats[0].leaving) == (0.02, "board-1", False)
    assert abs(datetime.now(UTC) - beats[0].sent) < timedelta(hours=1)


def test_capabilities_come_once_and_again(folder: NodeFolder) -> None:
    """With the first heartbeat that knows them, with the first of a new connection, and when they changed."""
    with at_work(folder) as node:
        first = eventually(lambda: [beat for beat in node.link.heartbeats if beat.capabilities])[0]
        assert first.capabilities is not None
        assert first.capabilities.region == "attic"
        eventually(lambda: node.link.heartbeats[-1].seq > first.seq + 3)
        assert len([beat for beat in node.link.heartbeats if beat.capabilities]) == 1
        node.link.up()
        again = eventually(lambda: [beat for beat in node.link.heartbeats[first.seq + 1 :] if beat.capabilities])[0]
        assert again.capabilities == first.capabilities


def test_work(folder: NodeFolder, mesh: Coordinator) -> None:
    """An agent that lends slots hears orders, counts what it scans in its heartbeats, and tells of it on disk."""
    go = threading.Event()

    def waits(order: Order, folder: Path, hooks: WorkHooks) -> Executed:
        assert go.wait(60)
        return Executed(outcome="done")

    with at_work(folder, execute=waits, work=Lending(slots=1)) as node:
        eventually(lambda: node.told.standing == "active")
        receive = eventually(lambda: node.link.receivers.get("spectra.assign.board-1"))
        assert receive is not None
        node.link.up()
        eventually(lambda: any(".work." in subject for subject, _ in node.link.sent))
        receive("spectra.assign.board-1", workmessages.encode(Assign(order())))
        eventually(lambda: node.link.heartbeats[-1].load.tasks == 1)
        eventually(lambda: (work := node.told.work) is not None and len(work.scanning) == 1)
        go.set()
        eventually(lambda: node.link.heartbeats[-1].load.tasks == 0)
        eventually(mesh.said)
        eventually(lambda: (work := node.told.work) is not None and work.done == 1)


def test_pings_are_answered(folder: NodeFolder) -> None:
    """On the node's own reply subject; what is no ping is passed over."""
    with at_work(folder, beat_s=300) as node:
        eventually(lambda: node.link.heartbeats)
        assert node.link.subjects == ["spectra.ctl.board-1", "spectra.all"]
        for data in (b"", b"{", b'{"id": 7}', messages.encode(Ping("p-1"))):
            node.link.hooks.heard("spectra.ctl.board-1", data)
        (subject, data) = eventually(lambda: [one for one in node.link.sent if ".reply." in one[0]])[0]
        answer = messages.pong(data, subject)
    assert (answer.id, answer.node, answer.incarnation) == ("p-1", "board-1", node.link.will.incarnation)


def test_a_flood_of_pings_is_bounded(folder: NodeFolder) -> None:
    """Who floods a node does not fill its memory; the node lives on."""
    with at_work(folder, beat_s=300) as node:
        eventually(lambda: node.link.heartbeats)
        for number in range(20_000):
            node.link.hooks.heard("spectra.all", messages.encode(Ping(f"p-{number}")))
        eventually(lambda: [one for one in node.link.sent if ".reply." in one[0]])
        node.link.up()
        eventually(lambda: node.told.connected)


def test_it_says_good_bye(folder: NodeFolder) -> None:
    """The last heartbeat is leaving, the link is closed after it, and the state file says how it ended."""
    with at_work(folder) as node:
        node.link.up()
        eventually(lambda: node.told.connected and node.told.standing)
    assert node.ending == "stopped"
    assert node.link.heartbeats[-1].leaving
    assert node.link.closed
    assert (node.told.ended, node.told.connected, node.told.standing) == ("stopped", False, "active")


def test_it_ends_when_it_is_thrown_out(folder: NodeFolder, mesh: Coordinator) -> None:
    """The broker ended its connection: it asks, is told, and does not say good-bye to a mesh that knows."""
    with at_work(folder) as node:
        node.link.up()
        eventually(lambda: node.told.standing == "active")
        mesh.throw_out("board-1", "stolen")
        node.link.up(False)
        assert node.join() == "revoked"
    assert "stolen" in node.agent.why
    assert not node.link.heartbeats[-1].leaving
    assert (node.told.ended, node.told.standing) == ("revoked", "revoked")
    assert folder.state.revoked is not None


def test_it_goes_on_while_everything_is_away(folder: NodeFolder, mesh: Coordinator) -> None:
    """No broker and no coordinator: it says what is wrong, and that it is over when it is."""
    mesh.away.add("/v0/mesh/self")
    with at_work(folder) as node:
        node.link.hooks.failed(MeshError("no route"))
        eventually(lambda: "is busy" in node.told.problem or "no route" in node.told.problem)
        assert not node.told.connected
        mesh.away.clear()
        node.link.up()
        eventually(lambda: node.told.connected and not node.told.problem)


def test_the_fabric_moves(folder: NodeFolder, mesh: Coordinator) -> None:
    """The old link is closed, a new one opened, by the other transport where only that is there."""
    mesh.fabric = FabricPlace(nats="tls://127.0.0.1:4222")
    with at_work(folder) as node:
        eventually(lambda: len(node.links) == 2)
        assert node.links[0].closed
        eventually(lambda: node.told.place == "tls://127.0.0.1:4222")
        assert node.told.transport == "nats"


def test_a_mesh_without_a_fabric(folder: NodeFolder, mesh: Coordinator) -> None:
    """There is nobody to beat for; the node stays a member, and links as soon as there is one."""
    mesh.fabric = FabricPlace()
    jumping = Jumping()
    with at_work(folder, jumping=jumping) as node:
        eventually(lambda: node.links and node.links[0].closed)
        eventually(lambda: node.told.standing == "active" and not node.told.place)
        mesh.fabric = PLACE
        jumping.ahead = timedelta(minutes=1)  # what else would take an hour
        eventually(lambda: len(node.links) == 2)


def test_a_machine_that_slept(folder: NodeFolder) -> None:
    """The clock jumped: the connection is made anew, and what is due is done."""
    jumping = Jumping()
    with at_work(folder, jumping=jumping) as node:
        eventually(lambda: node.told.renew_at)
        jumping.ahead = timedelta(minutes=5)
        eventually(lambda: node.link.reloads)
        reloads = node.link.reloads
        jumping.ahead = timedelta(hours=20)
        eventually(lambda: node.told.renewals == 1)
        assert node.link.reloads > reloads


def test_what_a_proof_changes(folder: NodeFolder) -> None:
    """The node knows at once that it is quarantined for its state, and when that is over: then it subscribes anew, as
    the broker refused a quarantined node.
    """
    with at_work(folder) as node:
        eventually(lambda: node.told.proof == "statement" and node.told.standing == "active")
        node.proofs[:] = [Proved(False, "pcr:7 changed", "quarantined")]
        eventually(lambda: node.told.standing == "quarantined")
        assert (node.told.proof, node.told.standing_reason) == ("failed: pcr:7 changed", "pcr:7 changed")
        reloads = node.link.reloads
        node.proofs[:] = [Proved(True, "tpm", "active")]
        eventually(lambda: node.told.standing == "active" and node.told.proof == "tpm")
        eventually(lambda: node.link.reloads > reloads)


def test_the_state_file_is_not_written_with_every_beat(folder: NodeFolder) -> None:
    """A board's card would wear out: many heartbeats, hardly a write."""
    with at_work(folder, beat_s=0.002) as node:
        eventually(lambda: node.told.standing == "active" and node.told.not_after and node.told.proof)
        written = (folder.path / agentstate.FILE).stat().st_mtime_ns
        beats = len(node.link.heartbeats)
        eventually(lambda: len(node.link.heartbeats) > beats + 100)
        assert (folder.path / agentstate.FILE).stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ("places", "wanted", "spoken"),
    [
        (FabricPlace(nats="n", mqtt="m"), "mqtt", "mqtt"),
        (FabricPlace(nats="n", mqtt="m"), "nats", "nats"),
        (FabricPlace(nats="n"), "mqtt", "nats"),
        (FabricPlace(mqtt="m"), "nats", "mqtt"),
        (FabricPlace(), "nats", "nats"),
    ],
)
def test_what_a_node_speaks(places: FabricPlace, wanted: Transport, spoken: Transport) -> None:
    """What it wants, or the other one where only that is there."""
    assert speaks(places, wanted) == spoken
