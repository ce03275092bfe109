"""Threads that do what has come in, in its order, at most so many at once; what is too much is left to a later look."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

_log = logging.getLogger("spectra.flow")

_STOP_WITHIN_S: Final = 10.0


K = TypeVar("K", bound=Hashable)


class Runner(Generic[K]):
    """Calls `work` with each key that was given, on `threads` threads. Nothing is kept over a restart.

    At most `waiting` keys wait. A key that waits or is worked on is not taken again.
    """

    def __init__(self, name: str, work: Callable[[K], object], *, threads: int, waiting: int) -> None:
        self._work = work
        self._most = waiting
        self._waiting: deque[K] = deque()
        self._known: set[K] = set()
        self._changed = threading.Condition()
        self._stopped = False
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True) for number in range(threads)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after what is under way, or ten seconds; what waits is left."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        until = time.monotonic() + _STOP_WITHIN_S
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, until - time.monotonic()))

    def put(self, key: K) -> bool:
        """Have `key` worked on; whether it was taken. Never waits."""
        with self._changed:
            if self._stopped or key in self._known or len(self._waiting) >= self._most:
                return False
            self._known.add(key)
            self._waiting.append(key)
            self._changed.notify()
            return True

    def _run(self) -> None:
        while (key := self._next()) is not None:
            try:
                self._work(key)
            except Exception:  # noqa: BLE001 - a later look finds it undone
                _log.warning("work of the background failed; it is looked at again", exc_info=True)
            finally:
                with self._changed:
                    self._known.discard(key)

    def _next(self) -> K | None:
        with self._changed:
            while not self._waiting and not self._stopped:
                self._changed.wait()
            return None if self._stopped else self._waiting.popleft()
