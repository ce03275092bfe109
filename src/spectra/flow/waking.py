"""A thread that sleeps until there is something to do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final, Protocol

_STOP_WITHIN_S: Final = 30.0


class Waking:
    """Runs `_run` on a thread of its own from `start` to `stop`.

    `_run` waits for `_awake`, clears it, and returns once `_stop` is set; both are set by `stop`.
    """

    def __init__(self, name: str) -> None:
        self._awake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after what is under way; harmless where it never began."""
        self._stop.set()
        self._awake.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_WITHIN_S)

    def wake(self) -> None:
        """There may be something to do. Never waits."""
        self._awake.set()

    def _run(self) -> None:
        raise NotImplementedError


class Background(Protocol):
    """What works on threads of its own."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


@contextmanager
def running(close: Callable[[], None], background: Sequence[Background]) -> Generator[None]:
    """All of it, until the block ends: before the database goes away, as threads are loud when that happens to them.
    `close` comes last.
    """
    with ExitStack() as stack:
        stack.callback(close)
        for one in background:
            one.start()
            stack.callback(one.stop)
        yield
