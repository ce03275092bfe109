"""What keeps a node a member: renewal, roots, places and revocation, against a real CA over real TLS.

The keeper's thread runs as it does in an agent; its clocks are the test's to move.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from spectra.collect.joining import Joining, Wishes
from spectra.collect.keeper import Able, Certified, Clock, Event, Failed, Keeper, Known, Prove, Proved, Thrown, patience
from spectra.fabric.nodefolder import NodeFolder
from spectra.identity import x509
from spectra.identity.renewal import due
from spectra.model.nodes import Capabilities, FabricPlace
from tests.support.coordinator import Coordinator, coordinator, serving

ABLE = Capabilities(cores=4, memory_mb=2000, arch="aarch64", os="Debian", software="0.1.0")
T = TypeVar("T", bound=Event)


class Clocks:
    """Two clocks that a test sets; the coordinator lives at the same time."""

    def __init__(self, mesh: Coordinator) -> None:
        self._mesh = mesh
        self._steady = 1000.0

    def now(self) -> datetime:
        """The wall clock."""
        return self._mesh.now

    def monotonic(self) -> float:
        """The steady one."""
        return self._steady

    def pass_(self, length: timedelta) -> None:
        """Time passes, for everybody."""
        self._mesh.skew += length
        self._steady += length.total_seconds()

    def sleep(self, length: timedelta) -> None:
        """The machine sleeps, the world does not."""
        self._mesh.skew += length


class Kept:
    """A keeper at work and what it told."""

    def __init__(self, folder: NodeFolder, clocks: Clocks, prove: Prove | None) -> None:
        self.folder = folder
        self.clocks = clocks
        self._told: queue.Queue[Event] = queue.Queue()
        self.all: list[Event] = []
        clock = Clock(clocks.now, clocks.monotonic)
        self.keeper = Keeper(folder, lambda: ABLE, self._told.put, clock=clock, prove=prove)

    def next(self, kind: type[T], check: Callable[[T], bool] = lambda _: True) -> T:
        """The next event of a kind that `check` holds for."""
        while True:
            event = self._told.get(timeout=60)
            self.all.append(event)
            if isinstance(event, kind) and check(event):
                return event

    def after(self, length: timedelta) -> None:
        """Let time pass, and have the keeper look."""
        self.clocks.pass_(length)
        self.keeper.woke_late()


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Coordinator]:
    """A coordinator at work."""
    with serving(coordinator(tmp_path / "mesh", fabric=FabricPlace(mqtt="mqtts://127.0.0.1:1"))) as running:
        yield running


@contextmanager
def kept(mesh: Coordinator, tmp_path: Path, prove: Prove | None = None) -> Generator[Kept]:
    """A node that joined, with its keeper at work."""
    folder = NodeFolder(tmp_path / "node")
    Joining(folder, now=lambda: mesh.now, pause=lambda _: None).join(mesh.token(), Wishes(), lambda: ABLE, None)
    made = Kept(folder, Clocks(mesh), prove)
    made.keeper.start()
    try:
        yield made
    finally:
        made.keeper.stop(60)


def test_it_begins_with_what_is(mesh: Coordinator, tmp_path: Path) -> None:
    """The certificate's dates, what the machine can do, what the coordinator thinks of it."""
    with kept(mesh, tmp_path) as node:
        dates = node.next(Certified)
        leaf = node.folder.certificate
        seed = str(leaf.serial_number)
        assert dates == Certified(
            leaf.not_valid_after_utc, due(leaf.not_valid_before_utc, leaf.not_valid_after_utc, seed), False
        )
        assert node.next(Able).capabilities == ABLE
        assert node.next(Known) == Known("active", "", False, False)


def test_it_renews_when_that_is_due(mesh: Coordinator, tmp_path: Path) -> None:
    """Not before; the links are told, and it is the same key."""
    with kept(mesh, tmp_path) as node:
        first = node.next(Certified)
        node.next(Known)
        key = x509.spki(node.folder.tls_key)
        node.after(timedelta(hours=10))
        node.next(Known)
        assert mesh.paths("board-1").count("/1.0/renew") == 0
        node.after(first.renew_at - node.clocks.now())
        renewed = node.next(Certified)
        assert renewed.news
        assert renewed.not_after > first.not_after
        assert x509.spki(node.folder.certificate) == key
        assert mesh.paths("board-1").count("/1.0/renew") == 1


def test_it_renews_after_a_long_sleep(mesh: Coordinator, tmp_path: Path) -> None:
    """The certificate ended meanwhile: by a token that its key signs, at once."""
    with kept(mesh, tmp_path) as node:
        node.next(Known)
        node.clocks.sleep(timedelta(days=3))
        node.keeper.woke_late()
        assert node.next(Certified, lambda event: event.news).not_after > node.clocks.now()
        assert "/1.0/renew" in mesh.paths("")


def test_a_ca_that_is_away(mesh: Coordinator, tmp_path: Path) -> None:
    """It says so and tries again; when the CA is back, the problem is over."""
    with kept(mesh, tmp_path) as node:
        node.next(Known)
        mesh.away.add("/1.0/renew")
        node.after(timedelta(hours=18))
        assert "renewing the certificate" in node.next(Failed, lambda event: bool(event.what)).what
        mesh.away.clear()
        node.keeper.woke_late()
        assert node.next(Failed, lambda event: not event.what)
        assert node.next(Certified, lambda event: event.news)


def test_somebody_else_renewed(mesh: Coordinator, tmp_path: Path) -> None:
    """`spectra node renew` beside a running agent: the links take it up."""
    from spectra.fabric import enrol

    with kept(mesh, tmp_path) as node:
        node.next(Known)
        enrol.renew(node.folder, node.clocks.now() + timedelta(seconds=1))
        node.keeper.woke_late()
        assert node.next(Certified, lambda event: event.news)


@pytest.mark.parametrize("where", ["look", "renewal"])
def test_a_node_that_is_thrown_out(mesh: Coordinator, tmp_path: Path, where: str) -> None:
    """It learns so when its link breaks, or when it renews; it keeps that in mind and asks no more."""
    with kept(mesh, tmp_path) as node:
        node.next(Known)
        node.keeper.link(True)
        mesh.throw_out("board-1", "stolen")
        if where == "look":
            node.keeper.link(False)
            node.after(timedelta(seconds=3))
        else:
            node.after(timedelta(hours=18))
        assert "revoked" in node.next(Thrown).why
        node.keeper.stop(60)
        assert node.folder.state.revoked is not None


def test_the_fabric_moved(mesh: Coordinator, tmp_path: Path) -> None:
    """A coordinator that came back with other ports: the folder knows, and the agent is told."""
    with kept(mesh, tmp_path) as node:
        node.next(Known)
        mesh.fabric = FabricPlace(nats="tls://127.0.0.1:2")
        node.after(timedelta(hours=2))
        assert node.next(Known).moved
        assert node.folder.state.fabric == mesh.fabric
        mesh.members["board-1"].standing, mesh.members["board-1"].reason = "quarantined", "its state changed"
        node.after(timedelta(hours=2))
        assert node.next(Known) == Known("quarantined", "its state changed", False, False)


def test_new_roots(mesh: Coordinator, tmp_path: Path) -> None:
    """Both roots of a rotation are trusted as soon as the node looks; and the next renewal goes on."""
    with kept(mesh, tmp_path) as node:
        node.next(Known)
        mesh.authority = mesh.authority.rotate(node.clocks.now())
        mesh.server_files()
        node.after(timedelta(hours=2))
        assert node.next(Known).roots
        assert set(node.folder.roots) == set(mesh.authority.roots)
        node.after(timedelta(hours=16))
        assert node.next(Certified, lambda event: event.news)


def test_proofs(mesh: Coordinator, tmp_path: Path) -> None:
    """At the start, after a renewal, and as often as the coordinator asks."""
    asked: queue.Queue[datetime] = queue.Queue()

    def prove(folder: NodeFolder, now: datetime) -> tuple[Proved, float]:
        asked.put(now)
        return Proved(True, folder.state.name), 600.0

    with kept(mesh, tmp_path, prove) as node:
        assert node.next(Proved) == Proved(True, "board-1")
        first = asked.get(timeout=60)
        node.after(timedelta(hours=18))
        node.next(Certified, lambda event: event.news)
        node.next(Proved)
        assert asked.get(timeout=60) > first


def test_patience() -> None:
    """Seconds at first, then a minute, however long nothing good comes of it."""
    assert [patience(looks) for looks in (0, 1, 2, 5, 5000)] == [2.0, 4.0, 8.0, 60.0, 60.0]


def test_certificates_that_are_due_at_once(mesh: Coordinator, tmp_path: Path) -> None:
    """A CA with a wrong clock, say: it is asked again after a pause, not all the time."""
    with kept(mesh, tmp_path) as node:
        node.next(Known)
        mesh.late = timedelta(hours=20)
        node.after(timedelta(hours=18))
        node.next(Certified, lambda event: event.news)
        node.next(Failed)
        assert mesh.paths("board-1").count("/1.0/renew") == 1


def test_a_folder_that_goes_away(mesh: Coordinator, tmp_path: Path) -> None:
    """The keeper says what is missing instead of ending in silence."""
    with kept(mesh, tmp_path) as node:
        node.next(Known)
        node.folder.forget()
        node.keeper.woke_late()
        assert "tls.crt" in node.next(Failed, lambda event: bool(event.what)).what
