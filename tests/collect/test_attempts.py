"""One attempt, from its folder to its place in the spool: whatever happens, the lease goes back at least."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from spectra.collect import attempts as module
from spectra.collect.attempts import Attempts, Made, Stopping
from spectra.collect.sandbox import Sandbox
from spectra.collect.spool import HEAD_BYTES, Spool
from spectra.collect.taskmessages import Executed, Hooks, Moved, OutputFile
from spectra.errors import SetupError
from spectra.fabric.nodefolder import NodeFolder, NodeState
from spectra.identity import results
from spectra.model.results import Result
from spectra.model.work import Order
from tests.collect.test_task import order
from tests.support.waiting import eventually

NOW = datetime(2025, 11, 1, tzinfo=UTC)
FOUND = Executed(outcome="done", outputs=(OutputFile(file="output-0", tool="x", started=NOW, finished=NOW),))
Does = Callable[[Order, Path, Hooks], Executed]


class Bench:
    """A node with a spool, and attempts in the test's own way."""

    def __init__(self, path: Path) -> None:
        self.folder = NodeFolder(path / "node")
        self.folder.make_keys()
        self.folder.write_state(NodeState("mesh-1", "board-1", "worker", "spiffe://m/n", "https://c", "https://c"))
        self.spool = Spool(path / "spool", 10**6)
        self.sandbox = Sandbox(self.folder.path, own=True)
        self.stopping = Stopping()
        self.notes: list[str] = []
        self.moved: list[Moved] = []

    def make(self, does: Does) -> Made:
        """One attempt."""
        made = Attempts(self.folder, self.sandbox, self.spool, does, most=1000, note=self.notes.append)
        return made.make(order(), self.stopping, self.moved.append)

    def kept(self) -> Result:
        """What the newest result says."""
        entry = self.spool.first()
        assert entry is not None
        with self.spool.open(entry) as file:
            bundle = results.open_bundle(file.read(entry.size - HEAD_BYTES))
        return results.verify(results.open_result(bytes(bundle.result)), self.folder.signing_key.public)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A node."""
    return Bench(tmp_path)


def finds(order: Order, folder: Path, hooks: Hooks) -> Executed:
    """Leaves one output."""
    (folder / "output-0").write_text("x")
    hooks.moved(Moved(0.5))
    return FOUND


def test_a_result_is_kept(bench: Bench) -> None:
    """Signed, in the spool; its folder has gone."""
    assert bench.make(finds) == Made("done")
    said = bench.kept()
    assert (said.outcome, len(said.observations), said.lease) == ("done", 1, order().lease)
    assert bench.moved == [Moved(0.5)]
    assert list(bench.sandbox.base.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "made"),
    [
        (SetupError("no user", reason="sandbox"), Made("refused", "sandbox", "no user")),
        (ZeroDivisionError("odd"), Made("failed", "agent", "the agent failed: odd")),
    ],
)
def test_what_breaks_goes_back(bench: Bench, error: Exception, made: Made) -> None:
    """With a reason that the coordinator knows, or in words."""

    def breaks(order: Order, folder: Path, hooks: Hooks) -> Executed:
        raise error

    assert bench.make(breaks) == made
    assert len(bench.spool) == 0
    assert list(bench.sandbox.base.iterdir()) == []


def test_what_was_stopped(bench: Bench) -> None:
    """With something found it is a part; with nothing the lease goes back; the first reason counts."""
    bench.stopping.stop("cancelled")
    bench.stopping.stop("leaving")
    assert bench.stopping.asked.is_set()
    refused = Executed(outcome="refused", reason="stopped", message="before anything")
    assert bench.make(lambda order, folder, hooks: refused) == Made("refused", "cancelled", "before anything")
    assert bench.make(lambda order, folder, hooks: Executed(outcome="failed")) == Made("refused", "cancelled")

    def part(order: Order, folder: Path, hooks: Hooks) -> Executed:
        finds(order, folder, hooks)
        return Executed(outcome="partial", reason="stopped", outputs=FOUND.outputs)

    assert bench.make(part) == Made("partial")
    assert (bench.kept().outcome, bench.kept().reason) == ("partial", "cancelled")


def test_a_lie_fails_the_attempt(bench: Bench) -> None:
    """What cannot be signed is told as a failure, which can be."""
    assert bench.make(lambda order, folder, hooks: FOUND) == Made("failed")
    assert (bench.kept().outcome, bench.kept().reason) == ("failed", "untrue_output")


def test_a_full_disk_is_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lease is held, and somebody is told; when there is room again the result is there."""
    real, room = module.bundle.seal, threading.Event()

    def full(wanted: module.bundle.Sealing) -> None:
        if not room.is_set():
            raise OSError(errno.ENOSPC, "No space left on device")
        real(wanted)

    monkeypatch.setattr(module.bundle, "seal", full)
    monkeypatch.setattr(module, "KEEP_EVERY_S", 0.01)
    made: list[Made] = []
    thread = threading.Thread(target=lambda: made.append(bench.make(finds)))
    thread.start()
    eventually(lambda: any("No space left" in note for note in bench.notes))
    room.set()
    thread.join(60)
    assert made == [Made("done")]
    room.clear()
    bench.stopping.stop("leaving")
    assert bench.make(finds).reason == "agent"
