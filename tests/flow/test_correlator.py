"""The thread takes steps whenever there are any, at once when it is woken, and survives trouble."""

from __future__ import annotations

import threading

from spectra.errors import Unavailable
from spectra.flow.correlator import Correlator
from tests.support.waiting import eventually


class Work:
    """Steps that a test orders; `trouble` is raised by the next ones."""

    def __init__(self) -> None:
        self.left = 0
        self.done = 0
        self.rounds = 0
        self.trouble: list[Exception] = []
        self._lock = threading.Lock()

    def step(self, *, gently: bool = False) -> object | None:
        with self._lock:
            if self.trouble:
                raise self.trouble.pop()
            if not self.left:
                self.rounds += 1
                return None
            self.left -= 1
            self.done += 1
            return self.done


def test_it_works_by_itself_until_stopped() -> None:
    """Everything that there is, and nothing after it was stopped."""
    work = Work()
    work.left = 5
    correlator = Correlator(work, every_s=0.01)
    correlator.start()
    eventually(lambda: work.done == 5)
    work.left = 3
    eventually(lambda: work.done == 8)
    correlator.stop()
    rounds, work.left = work.rounds, 1
    assert (work.rounds, work.left) == (rounds, 1)


def test_it_can_be_woken() -> None:
    """It does not wait for its time then: there is a first round, and one more for the call."""
    work = Work()
    correlator = Correlator(work, every_s=3600)
    correlator.start()
    work.left = 1
    correlator.wake()
    eventually(lambda: work.done == 1)
    correlator.stop()


def test_trouble_passes() -> None:
    """A database that is away and a defect are told, and it goes on."""
    work = Work()
    work.left = 1
    work.trouble = [Unavailable("away", reason="database_away"), RuntimeError("a defect")]
    correlator = Correlator(work, every_s=0.01, pause_s=0.01)
    correlator.start()
    eventually(lambda: work.done == 1)
    assert not work.trouble
    correlator.stop()
