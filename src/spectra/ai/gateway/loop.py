"""An event loop in a thread of its own, for callers in any thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, Final, TypeVar

from spectra.errors import Unavailable

T = TypeVar("T")

_GRACE_S: Final = 5.0


class Loop:
    """Started by the first task. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(self, task: Callable[[], Coroutine[Any, Any, T]]) -> Future[T]:
        """Begin a task; cancelling the future cancels it. Raises `Unavailable` after `close`."""
        with self._lock:
            if self._closed:
                raise Unavailable("The gateway to models is closed.")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_run, args=(self._loop,), name="ai-gateway", daemon=True)
                self._thread.start()
            return asyncio.run_coroutine_threadsafe(task(), self._loop)

    def run(self, task: Callable[[], Coroutine[Any, Any, T]], seconds: float) -> T:
        """The result of a task that may take so long; `TimeoutError` after that."""

        async def bounded() -> T:
            async with asyncio.timeout(seconds):
                return await task()

        future = self.submit(bounded)
        try:
            return future.result(seconds + _GRACE_S)
        except CancelledError as error:
            raise Unavailable("The gateway to models is closed.") from error
        except BaseException:
            future.cancel()
            raise

    def call(self, function: Callable[[], object]) -> None:
        """Call a function in the loop's thread, soon; nothing where it has ended."""
        with self._lock:
            if self._loop is not None and not self._closed:
                self._loop.call_soon_threadsafe(function)

    def close(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Cancel every task, run `last`, and end the thread."""
        with self._lock:
            loop, thread, self._closed = self._loop, self._thread, True
        if loop is None or thread is None or not thread.is_alive():
            return

        async def end() -> None:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=_GRACE_S) if tasks else None
            try:
                await last()
            finally:
                await loop.shutdown_default_executor()
                loop.stop()

        asyncio.run_coroutine_threadsafe(end(), loop)
        thread.join(2 * _GRACE_S)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()
