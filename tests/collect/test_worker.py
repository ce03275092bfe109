"""The worker: what it asks, takes, gives back and brings, over a link that the test holds in its hands.

The scans in here are the test's own (named so); `test_execution.py` runs real ones, and one at the end of this file.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from spectra.collect.sandbox import Sandbox
from spectra.collect.spool import Spool
from spectra.collect.taskmessages import Execute, Executed, Hooks, Lending, Moved, OutputFile
from spectra.collect.worker import Worker
from spectra.errors import SetupError
from spectra.fabric import workmessages
from spectra.fabric.nodefolder import NodeFolder
from spectra.fabric.workmessages import Assign, Cancel, Doing, FromNode, Ready, Returned
from spectra.identity import dsse, payload
from spectra.model.lawbook import LawBook
from spectra.model.nodes import Capabilities
from spectra.model.presets import Preset
from spectra.model.work import Order, Permission
from tests.support.coordinator import Coordinator, coordinator, joined, serving
from tests.support.waiting import eventually

ABLE = Capabilities(cores=4, memory_mb=2000, arch="aarch64", os="Debian", software="0.1.0")
LOOPBACK = Permission("the owner", "a test", datetime(2025, 1, 1, tzinfo=UTC), None, ("127.0.0.0/8",))


def order(number: int = 1, **changes: Any) -> Order:
    """An order for a scan of this machine, as a coordinator gives it."""
    made = Order(
        lease=f"{number:032x}",
        job="job-" + "0" * 20,
        target=number,
        attempt=1,
        scan_id="scan-1",
        targets=("127.0.0.1",),
        ports="22",
        preset=Preset(name="quick", description="", tools=("connect",), timeout_s=1.0, grab=False),
        permission=LOOPBACK,
        rate=1000,
        deadline_s=60.0,
        lease_s=60.0,
        law=1,
    )
    return msgspec.structs.replace(made, **changes)


class OwnScan:
    """The test's own scan: it says what it is told to, once it is let go."""

    def __init__(self, *, waits: bool = False, executed: Executed | None = None) -> None:
        self.begun: list[Order] = []
        self.go = threading.Event()
        if not waits:
            self.go.set()
        self.executed = executed or Executed(outcome="done", tool="none")

    def __call__(self, order: Order, folder: Path, hooks: Hooks) -> Executed:
        """Wait, and leave an output of one line."""
        self.begun.append(order)
        hooks.moved(Moved(0.5, 3, "half way"))
        while not (self.go.wait(0.01) or hooks.stop.is_set()):
            pass
        now = datetime.now(UTC)
        outcome = self.executed.outcome if self.go.is_set() else "partial"
        if outcome not in {"done", "partial"}:
            return self.executed
        (folder / "output-0").write_bytes(b'{"host": "127.0.0.1"}\n' + str(order.target).encode())
        output = OutputFile(file="output-0", tool="none", started=now, finished=now)
        return msgspec.structs.replace(self.executed, outcome=outcome, outputs=(output,))


class HeldLink:
    """A fabric whose other end is the test."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []

    def publish(self, subject: str, data: bytes) -> None:
        """Keep what is said."""
        assert subject == "spectra.work.board-1"
        self.raw.append(data)

    @property
    def said(self) -> list[FromNode]:
        """All that was said."""
        return [workmessages.from_node(data, "spectra.work.board-1") for data in self.raw]

    def ready(self) -> list[Ready]:
        """Every `Ready`."""
        return [one for one in self.said if isinstance(one, Ready)]

    def returned(self) -> list[Returned]:
        """Every lease given back."""
        return [one for one in self.said if isinstance(one, Returned)]


class AtWork:
    """A worker and its two ends."""

    def __init__(self, folder: NodeFolder, lending: Lending, execute: Execute | None) -> None:
        self.link = HeldLink()
        self.worker = Worker(folder, lending, 7, self.link.publish, execute=execute)

    def tell(self, message: Assign | Cancel) -> None:
        """As a coordinator does."""
        self.worker.heard("spectra.assign.board-1", workmessages.encode(message))

    def until(self, **wanted: Any) -> Ready:
        """Wait for a `Ready` that says all of this, as the newest."""

        def found() -> Ready | None:
            newest = self.link.ready()[-1:]
            good = newest and all(getattr(newest[0], name) == value for name, value in wanted.items())
            return newest[0] if good else None

        return eventually(found)  # pyright: ignore[reportReturnType]


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Coordinator]:
    """A coordinator at work."""
    with serving(coordinator(tmp_path / "mesh")) as running:
        yield running


@pytest.fixture
def folder(mesh: Coordinator, tmp_path: Path) -> NodeFolder:
    """A node that joined."""
    return joined(mesh, tmp_path / "node")


@contextmanager
def at_work(
    folder: NodeFolder, execute: Execute | None = None, *, lending: Lending | None = None, up: bool = True
) -> Generator[AtWork]:
    """A worker whose node is active and linked, ended with the block."""
    made = AtWork(folder, lending or Lending(slots=2), execute)
    made.worker.start()
    made.worker.standing("active")
    made.worker.link(up)
    try:
        yield made
    finally:
        made.worker.stop()


def test_what_it_scanned_is_brought(folder: NodeFolder, mesh: Coordinator) -> None:
    """It asks, holds the lease while it scans, and brings what the signing key vouches for; then it has room again."""
    scan = OwnScan(waits=True)
    with at_work(folder, scan) as node:
        node.until(free=2, slots=2, scanning=(), incarnation=7, law=1)
        node.tell(Assign(order()))
        node.until(free=1, scanning=(order().lease,))
        doing = eventually(lambda: [one for one in node.link.said if isinstance(one, Doing)])[0]
        assert (doing.lease, doing.fraction, doing.found, doing.note) == (order().lease, 0.5, 3, "half way")
        assert node.worker.tasks == 1
        scan.go.set()
        node.until(free=2, scanning=(), spooled=(), spooled_count=0)
        said = eventually(mesh.said)[0]
    assert (said.lease, said.target, said.node, said.outcome, said.tool) == (
        order().lease,
        1,
        "board-1",
        "done",
        "none",
    )
    assert said.stats.output_bytes == 23
    (bundle,) = mesh.results
    (envelope,) = bundle.observations
    opened = dsse.decode(bytes(envelope))
    key = folder.signing_key.public
    assert dsse.verify(key, opened.signatures[0].sig, opened.payload)
    assert payload.observation_id(opened.payload) == said.observations[0]
    assert payload.decode(opened.payload).contributor == "node-board-1"
    assert payload.decode(opened.payload).scan_id == "scan-1"
    assert not list((folder.path / "spool").glob("*.bundle"))
    assert (node.worker.state.done, node.worker.state.failed) == (1, 0)


def test_the_same_order_again_is_no_news(folder: NodeFolder, mesh: Coordinator) -> None:
    """Whether it is being scanned or is done with."""
    scan = OwnScan(waits=True)
    with at_work(folder, scan) as node:
        for _ in range(3):
            node.tell(Assign(order()))
        node.until(scanning=(order().lease,))
        scan.go.set()
        eventually(mesh.said)
        node.until(scanning=())
        node.tell(Assign(order()))
        node.tell(Assign(order(2)))
        eventually(lambda: len(mesh.results) == 2)
    assert [one.target for one in scan.begun] == [1, 2]


def test_no_more_than_its_slots(folder: NodeFolder) -> None:
    """What comes beyond them is given back, and taken once there is room."""
    scan = OwnScan(waits=True)
    with at_work(folder, scan, lending=Lending(slots=1)) as node:
        node.until(free=1)
        node.tell(Assign(order(1)))
        node.tell(Assign(order(2)))
        back = eventually(node.link.returned)[0]
        assert (back.lease, back.reason) == (order(2).lease, "busy")
        scan.go.set()
        node.until(free=1)
        node.tell(Assign(order(2)))
        eventually(lambda: len(scan.begun) == 2)


def test_a_cancelled_one_is_not_held_any_more(folder: NodeFolder, mesh: Coordinator) -> None:
    """What it found until then is brought; a lease that is not here is cancelled already."""
    scan = OwnScan(waits=True)
    with at_work(folder, scan) as node:
        node.tell(Assign(order()))
        node.until(scanning=(order().lease,))
        node.tell(Cancel("f" * 32))
        node.tell(Cancel(order().lease, "by a person"))
        said = eventually(mesh.said)[0]
        node.until(scanning=(), free=2)
    assert (said.outcome, said.reason, len(said.observations)) == ("partial", "cancelled", 1)


@pytest.mark.parametrize("reason", ["no_tool", "do_not_scan", "not_here"])
def test_what_was_refused_goes_back(folder: NodeFolder, mesh: Coordinator, reason: str) -> None:
    """Nothing is brought; the same order again is answered the same, since the first answer may have been lost."""
    scan = OwnScan(executed=Executed(outcome="refused", reason=reason, message="why"))
    with at_work(folder, scan) as node:
        node.tell(Assign(order()))
        back = eventually(node.link.returned)[0]
        assert (back.lease, back.reason, back.message) == (order().lease, reason, "why")
        node.tell(Assign(order()))
        eventually(lambda: len(node.link.returned()) == 2)
    assert len(scan.begun) == 1
    assert not mesh.results


def test_a_scan_that_broke_is_told(folder: NodeFolder) -> None:
    """Whatever it raises, the lease goes back."""

    def breaks(order: Order, folder: Path, hooks: Hooks) -> Executed:
        if order.target == 1:
            raise SetupError("no sandbox", reason="sandbox")
        raise ZeroDivisionError

    with at_work(folder, breaks) as node:
        node.tell(Assign(order(1)))
        node.tell(Assign(order(2)))
        eventually(lambda: len(node.link.returned()) == 2)
        assert {(one.lease, one.reason) for one in node.link.returned()} == {
            (order(1).lease, "sandbox"),
            (order(2).lease, "agent"),
        }


def test_what_failed_is_brought(folder: NodeFolder, mesh: Coordinator) -> None:
    """With the reason, and without observations; a file that is not there fails what was well otherwise."""
    failed = OwnScan(executed=Executed(outcome="failed", reason="scan_failed", message="nmap said no"))
    with at_work(folder, failed) as node:
        node.tell(Assign(order()))
        said = eventually(mesh.said)[0]
    assert (said.outcome, said.reason, said.message, said.observations) == ("failed", "scan_failed", "nmap said no", ())

    def lies(order: Order, folder: Path, hooks: Hooks) -> Executed:
        now = datetime.now(UTC)
        (folder / "output-0").symlink_to(folder.parent.parent / "signing.pem")
        return Executed(outcome="done", outputs=(OutputFile(file="output-0", tool="x", started=now, finished=now),))

    with at_work(folder, lies) as node:
        node.tell(Assign(order(2)))
        said = eventually(lambda: mesh.said()[1:])[0]
    assert (said.outcome, said.reason, said.observations) == ("failed", "untrue_output", ())


def test_while_the_fabric_is_away(folder: NodeFolder, mesh: Coordinator) -> None:
    """It says nothing and goes on; the next thing it says is how it stands."""
    scan = OwnScan(waits=True)
    with at_work(folder, scan) as node:
        node.tell(Assign(order()))
        node.until(scanning=(order().lease,))
        node.worker.link(False)
        eventually(lambda: node.worker.state.free == 1)
        before = len(node.link.raw)
        scan.go.set()
        eventually(mesh.said)
        eventually(lambda: not node.worker.tasks)
        assert len(node.link.raw) == before
        node.worker.link(True)
        node.until(free=2, scanning=())


def test_only_an_active_node_asks(folder: NodeFolder) -> None:
    """A quarantined one keeps silent until it is released."""
    with at_work(folder, OwnScan()) as node:
        node.until(free=2)
        node.worker.standing("quarantined")
        node.worker.link(False)
        node.worker.link(True)
        before = len(node.link.raw)
        node.tell(Assign(order()))
        eventually(lambda: node.worker.state.done == 1)
        assert len(node.link.raw) == before
        node.worker.standing("active")
        eventually(lambda: len(node.link.raw) > before)


def test_results_wait_in_order(folder: NodeFolder, mesh: Coordinator) -> None:
    """While no coordinator answers they are kept, and told of; then they are brought, the oldest first."""
    mesh.away.add("/v0/mesh/results")
    with at_work(folder, OwnScan(), lending=Lending(slots=1)) as node:
        for number in (3, 1, 2):
            node.tell(Assign(order(number)))
            node.until(free=1, spooled_count=[3, 1, 2].index(number) + 1)
        held = tuple(order(number).lease for number in (3, 1, 2))
        assert node.until(spooled=held).spooled_bytes > 3000
        eventually(lambda: "busy" in node.worker.state.problem)
        node.tell(Assign(order(1)))  # it is here already
        mesh.away.clear()
        node.worker.link(True)
        node.until(spooled_count=0, spooled=(), spooled_bytes=0)
    assert [one.target for one in mesh.said()] == [3, 1, 2]
    assert node.worker.state.problem == ""


def test_results_outlive_the_agent(folder: NodeFolder, mesh: Coordinator) -> None:
    """What waits when it ends is brought by the next."""
    mesh.away.add("/v0/mesh/results")
    with at_work(folder, OwnScan()) as node:
        node.tell(Assign(order()))
        node.until(spooled_count=1)
    mesh.away.clear()
    with at_work(folder, OwnScan()):
        eventually(lambda: [one.target for one in mesh.said()] == [1])


def test_a_refused_result_is_set_aside(folder: NodeFolder, mesh: Coordinator) -> None:
    """The queue goes on, the coordinator is told, and a person finds it with its reason."""
    mesh.refusing[order(1).lease] = "out_of_scope"
    with at_work(folder, OwnScan(), lending=Lending(slots=1)) as node:
        node.tell(Assign(order(1)))
        back = eventually(node.link.returned)[0]
        assert (back.lease, back.reason) == (order(1).lease, "result_refused")
        node.tell(Assign(order(2)))
        eventually(lambda: [one.target for one in mesh.said()] == [2])
        eventually(lambda: node.worker.state.refused == 1)
    (kept,) = (folder.path / "spool" / "refused").glob("*.txt")
    assert "out_of_scope" in kept.read_text()


def test_a_full_spool_asks_for_nothing(folder: NodeFolder, mesh: Coordinator) -> None:
    """Room is reserved before it asks, so that nothing is ever dropped; it asks again once there is room."""
    mesh.away.add("/v0/mesh/results")
    with at_work(folder, OwnScan(), lending=Lending(slots=1, spool_mb=1)) as node:
        node.until(free=1, spool_full=False)
        node.tell(Assign(order(1)))
        node.until(free=0, spool_full=True, spooled_count=1)
        node.tell(Assign(order(2)))
        assert eventually(node.link.returned)[0].reason == "spool_full"
        mesh.away.clear()
        node.worker.link(True)
        node.until(free=1, spool_full=False, spooled_count=0)
    assert [one.target for one in mesh.said()] == [1]


def test_an_agent_that_ends_gives_back(folder: NodeFolder, mesh: Coordinator) -> None:
    """What was found is kept as a partial result; a lease that gained nothing goes back at once."""

    def idle(order: Order, folder: Path, hooks: Hooks) -> Executed:
        hooks.stop.wait(60)
        return Executed(outcome="refused", reason="stopped")

    with at_work(folder, idle) as node:
        node.tell(Assign(order(1)))
        node.until(free=1)
    assert [(one.lease, one.reason) for one in node.link.returned()] == [(order(1).lease, "leaving")]
    with at_work(folder, OwnScan(waits=True)) as node:
        node.tell(Assign(order(2)))
        node.until(free=1)
    eventually(mesh.said)
    assert [(one.outcome, one.reason) for one in mesh.said()] == [("partial", "leaving")]


def test_another_coordinator_is_found(folder: NodeFolder, mesh: Coordinator) -> None:
    """Orders tell where the others are: the first one that answers gets the result."""
    mesh.away.add("/v0/mesh/results")
    other = coordinator(mesh.folder.parent / "other")
    other.authority = mesh.authority
    other.members = mesh.members
    other.server_files()
    with serving(other), at_work(folder, OwnScan()) as node:
        node.tell(Assign(order(), apis=(mesh.url, other.url)))
        eventually(other.said)
    assert not mesh.results


def test_it_lives_through_what_nobody_foresaw(folder: NodeFolder, mesh: Coordinator) -> None:
    """Such as somebody who tidies up in its folder; a task that prints without end holds up nothing."""

    def talks(order: Order, folder: Path, hooks: Hooks) -> Executed:
        for number in range(5000):
            hooks.moved(Moved(0.1, number))
        return Executed(outcome="done")

    with at_work(folder, talks) as node:
        node.until(free=2)
        (folder.path / "spool" / "refused").rmdir()
        node.tell(Assign(order()))
        (folder.path / "spool" / "refused").mkdir()
        assert eventually(mesh.said)[0].outcome == "done"
        node.until(free=2, scanning=())


def test_what_is_no_order_is_passed_over(folder: NodeFolder) -> None:
    """Whatever comes over the fabric, the worker lives."""
    with at_work(folder, scan := OwnScan()) as node:
        for data in (b"", b"{", b'{"kind": "assign"}', b'{"kind": "ready"}', b"\xff" * 100):
            node.worker.heard("spectra.assign.board-1", data)
        node.tell(Assign(order()))
        eventually(lambda: scan.begun)


def test_a_machine_that_cannot_asks_for_nothing(folder: NodeFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the tools of its sandbox it says so to whoever looks, and hands back what comes."""
    monkeypatch.setenv("PATH", str(folder.path))
    with at_work(folder) as node:
        eventually(lambda: "sandbox" in node.worker.state.problem)
        assert node.until(free=0).slots == 2
        node.tell(Assign(order()))
        assert eventually(node.link.returned)[0].reason == "sandbox"


def test_a_real_scan(folder: NodeFolder, mesh: Coordinator) -> None:
    """A task process in its sandbox scans a server on loopback; its output and log are brought. The law is heeded:
    an order that names a newer list has it read anew, and what it says is not scanned.
    """

    with socket.create_server(("127.0.0.1", 0)) as server, at_work(folder) as node:
        port = str(server.getsockname()[1])
        node.until(free=2)
        node.tell(Assign(order(1, ports=port)))
        said = eventually(mesh.said)[0]
        assert (said.outcome, said.tool, said.stats.found) == ("done", "spectra-connect", 1)
        (claim,) = said.artefacts
        assert (claim.kind, claim.name) == ("log", "log.txt")
        mesh.law = LawBook(2, ("127.0.0.1",))
        node.tell(Assign(order(2, ports=port, law=2)))
        back = eventually(node.link.returned)[0]
        assert (back.lease, back.reason) == (order(2).lease, "do_not_scan")
        node.tell(Assign(order(3, ports=port, law=3)))
        back = eventually(lambda: node.link.returned()[1:])[0]
        assert (back.lease, back.reason) == (order(3).lease, "law_unknown")
        past = datetime.now(UTC) - timedelta(seconds=1)
        node.tell(Assign(order(4, ports=port, law=2, not_after=past)))
        assert eventually(lambda: node.link.returned()[2:])[0].reason == "window"
    assert Spool(folder.path / "spool", 2**20).first() is None
    assert not Sandbox(folder.path).base.exists()
