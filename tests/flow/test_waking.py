"""A thread that sleeps until there is something to do."""

from __future__ import annotations

import threading

from spectra.flow.waking import Waking
from tests.support.waiting import eventually


class Counting(Waking):
    """Counts how often it was woken."""

    def __init__(self) -> None:
        super().__init__("counting")
        self.rounds = 0

    def _run(self) -> None:
        while not self._stop.is_set():
            self._awake.wait()
            self._awake.clear()
            self.rounds += 1


def test_it_works_when_woken_and_ends_when_stopped() -> None:
    """Each time on the thread of its name; `stop` wakes it a last time and waits for its end."""
    one = Counting()
    one.start()
    for rounds in (1, 2):
        one.wake()
        eventually(lambda wanted=rounds: one.rounds == wanted)
    assert "counting" in [thread.name for thread in threading.enumerate()]
    one.stop()
    assert one.rounds == 3
    assert "counting" not in [thread.name for thread in threading.enumerate()]


def test_one_that_never_began_is_stopped_at_once() -> None:
    """As where a start fails half way."""
    one = Counting()
    one.stop()
    assert one.rounds == 0
