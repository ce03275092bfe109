"""Threads that do what comes in, in order, each once, at most so many at a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from spectra.flow.runner import Runner
from tests.support.waiting import eventually


class Gate:
    """Work that waits until it is let through."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.done: list[int] = []
        self.open = threading.Event()

    def work(self, key: int) -> None:
        """Wait, then be done."""
        self.begun.append(key)
        self.open.wait(60)
        if key < 0:
            raise ValueError("bad work")
        self.done.append(key)


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Opened at the end."""
    made = Gate()
    yield made
    made.open.set()


@pytest.fixture
def runner(gate: Gate) -> Iterator[Runner[int]]:
    """Two threads, three places to wait."""
    made = Runner(name="test", work=gate.work, threads=2, waiting=3)
    made.start()
    yield made
    gate.open.set()
    made.stop()


def test_work_is_done_at_most_so_many_at_once(runner: Runner[int], gate: Gate) -> None:
    """The rest waits, as far as there is room; what waits or runs is not taken again, what is done is."""
    assert all(runner.put(key) for key in (1, 2))
    eventually(lambda: sorted(gate.begun) == [1, 2])
    assert all(runner.put(key) for key in (3, 4, 5))
    assert not runner.put(6)
    assert not runner.put(1)
    assert not runner.put(3)
    assert len(gate.begun) == 2
    gate.open.set()
    eventually(lambda: sorted(gate.done) == [1, 2, 3, 4, 5])
    assert eventually(lambda: runner.put(1))


def test_work_that_fails_ends_no_thread(runner: Runner[int], gate: Gate, caplog: pytest.LogCaptureFixture) -> None:
    """It is told in the log, and may come again."""
    gate.open.set()
    with caplog.at_level(logging.WARNING, logger="spectra.flow"):
        for key in (-1, -2, -3):
            eventually(lambda key=key: runner.put(key))
        eventually(lambda: len(gate.begun) == 3)
        assert runner.put(7)
        eventually(lambda: gate.done == [7])
    assert "bad work" in caplog.text
    assert eventually(lambda: runner.put(-1))


def test_what_waits_at_the_end_is_left(gate: Gate) -> None:
    """Stopping waits for what is under way, and takes nothing more."""
    runner = Runner[int]("test", gate.work, threads=1, waiting=3)
    runner.start()
    runner.put(1)
    eventually(lambda: gate.begun == [1])
    runner.put(2)
    stopping = threading.Thread(target=runner.stop)
    stopping.start()
    eventually(lambda: not runner.put(3))
    gate.open.set()
    stopping.join(60)
    assert gate.done == [1]
    runner.stop()
