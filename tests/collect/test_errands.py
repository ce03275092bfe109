"""Bringing results and reading the law: in order, without end, and never holding anybody up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
import pytest

from spectra.collect import errands as module
from spectra.collect.coordinators import Coordinators
from spectra.collect.errands import Errands
from spectra.collect.lawbook import Lawbook, Told
from spectra.collect.spool import Spool, write
from spectra.errors import SetupError
from spectra.fabric.calls import Refused
from spectra.fabric.errors import MeshError, Unreachable
from spectra.fabric.nodefolder import NodeFolder, NodeState
from spectra.model.results import ResultReceipt
from tests.support.waiting import eventually


class Mesh(Coordinators):
    """A coordinator of the test's own: each attempt goes as `answers` says, and well where it says nothing more."""

    def __init__(self, folder: NodeFolder) -> None:
        super().__init__(folder)
        self.answers: list[Exception] = []
        self.brought: list[bytes] = []
        self.attempts = 0
        self.version = 1

    def submit(self, lease: str, file: BinaryIO, size: int) -> ResultReceipt:
        """Take it, or do not."""
        self.attempts += 1
        if self.answers:
            raise self.answers.pop(0)
        self.brought.append(file.read(size))
        return msgspec.convert({"lease": "", "status": "accepted", "received": "2025-11-01T00:00:00Z"}, ResultReceipt)

    def law(self) -> Told:
        """An empty list."""
        if self.version < 0:
            raise Unreachable("nobody answers")
        return Told(self.version, msgspec.Raw(b"[]"))


class AtWork:
    """Errands, and what they told."""

    def __init__(self, path: Path) -> None:
        folder = NodeFolder(path / "node")
        folder.write_state(NodeState("mesh-1", "board-1", "worker", "spiffe://m/n", "https://c", "https://c"))
        self.spool = Spool(path / "spool", 10**6)
        self.mesh = Mesh(folder)
        self.book = Lawbook(path, self.mesh.law)
        self.gone: list[tuple[str, str]] = []
        self.news = 0
        self.errands = Errands(
            self.spool, self.mesh, self.book, lambda lease, why: self.gone.append((lease, why)), self._told
        )

    def _told(self) -> None:
        self.news += 1

    def put(self, number: int) -> None:
        """A result that waits."""
        write(self.spool.draft(f"{number:032x}"), b"%d" % number)
        self.spool.put(f"{number:032x}")
        self.errands.hurry()


def _short(failures: int) -> float:
    return 0.01


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AtWork]:
    """Errands that begin with `start`, whose pauses are short."""
    monkeypatch.setattr(module, "pause", _short)
    made = AtWork(tmp_path)
    yield made
    made.errands.stop()


def test_results_are_brought_in_order(node: AtWork) -> None:
    """Also those from before it began; each is told, and leaves the spool."""
    for number in (3, 1):
        node.put(number)
    node.errands.start()
    node.put(2)
    eventually(lambda: len(node.gone) == 3)
    assert node.mesh.brought == [b"3", b"1", b"2"]
    assert [why for _, why in node.gone] == ["", "", ""]
    assert len(node.spool) == 0


@pytest.mark.parametrize(
    "error",
    [Unreachable("away"), Refused("oh", status=500), MeshError("whose clock?", reason="wrong_clock"), OSError("odd")],
)
def test_what_may_pass_is_tried_again(node: AtWork, error: Exception) -> None:
    """The order stays, and the problem is told until it has passed."""
    node.mesh.answers = [error, error, error]
    problems: list[str] = []
    node.errands._news = lambda: problems.append(node.errands.problem)
    node.put(1)
    node.put(2)
    node.errands.start()
    eventually(lambda: len(node.gone) == 2)
    assert node.mesh.brought == [b"1", b"2"]
    assert any(str(error)[:3] in problem for problem in problems)
    assert node.errands.problem == ""


def test_what_is_refused_holds_up_nothing(node: AtWork) -> None:
    """It is set aside with its reason; so is a file that was damaged."""
    node.mesh.answers = [Refused("lies", reason="out_of_scope", status=422)]
    for number in (1, 2, 3):
        node.put(number)
    damaged = next(path for path in (node.spool._folder).glob("*2.bundle"))
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    node.errands.start()
    eventually(lambda: len(node.gone) == 3)
    assert node.mesh.brought == [b"3"]
    assert [bool(why) for _, why in node.gone] == [True, True, False]
    assert "out_of_scope" in node.gone[0][1]
    assert node.spool.refused == 2


def test_the_law_is_read_at_once_and_again(node: AtWork, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change is news; a coordinator that does not answer is asked again."""
    monkeypatch.setattr(module, "LAW_EVERY_S", 0.02)
    node.mesh.version = -1
    node.errands.start()
    eventually(lambda: "not told" in node.errands.problem)
    node.mesh.version = 4
    eventually(lambda: node.book.version == 4)
    before = eventually(lambda: node.news)
    node.mesh.version = 5
    eventually(lambda: node.book.version == 5 and node.news > before)


def test_ending_tries_once_more(node: AtWork) -> None:
    """What is not brought by then stays for the next."""
    node.mesh.answers = [Unreachable("away")]
    node.errands.start()
    node.put(1)
    eventually(lambda: node.mesh.attempts >= 1)
    node.errands.stop()
    assert not node.errands._thread.is_alive()
    assert len(node.spool) + len(node.mesh.brought) == 1


def test_one_that_hangs_keeps_nobody(node: AtWork) -> None:
    """A coordinator that takes minutes holds up no ending."""
    held, begun = threading.Event(), threading.Event()

    def hang(lease: str, file: BinaryIO, size: int) -> ResultReceipt:
        begun.set()
        held.wait(60)
        raise Unreachable("away")

    submit: Callable[[str, BinaryIO, int], ResultReceipt] = hang
    node.mesh.submit = submit  # pyright: ignore[reportAttributeAccessIssue]
    node.put(1)
    node.errands.start()
    assert begun.wait(60)
    node.errands.stop(0.01)
    held.set()


def test_what_nobody_foresaw(node: AtWork) -> None:
    """It goes on."""
    node.mesh.answers = [ZeroDivisionError(), SetupError("folder", reason="setup")]
    node.put(1)
    node.errands.start()
    eventually(lambda: node.mesh.brought == [b"1"])
