"""An event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from spectra.ai.gateway.loop import Loop
from spectra.errors import Unavailable


async def nothing() -> None:
    """What is done last."""


def test_results_errors_and_time() -> None:
    """A result comes back, an exception too, and what takes too long is cancelled."""
    loop, cancelled = Loop(), threading.Event()

    async def name() -> str:
        return threading.current_thread().name

    async def fails() -> str:
        raise KeyError("x")

    async def hangs() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return ""

    assert loop.run(name, 10) == "ai-gateway"
    with pytest.raises(KeyError):
        loop.run(fails, 10)
    with pytest.raises(TimeoutError):
        loop.run(hangs, 0.01)
    assert cancelled.wait(10)
    loop.close(nothing)


def test_closing_cancels_what_runs_and_refuses_what_comes() -> None:
    """Twice is as once; a loop that never ran closes too."""
    loop, begun, last = Loop(), threading.Event(), list[int]()

    async def hangs() -> None:
        begun.set()
        await asyncio.Event().wait()

    async def ends() -> None:
        last.append(1)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(loop.run, hangs, 60.0)
        assert begun.wait(10)
        loop.close(ends)
        with pytest.raises(Unavailable):
            waiting.result(10)
    assert last == [1]
    with pytest.raises(Unavailable):
        loop.run(nothing, 1.0)
    loop.call(lambda: last.append(2))
    loop.close(ends)
    assert last == [1]
    Loop().close(ends)
    assert last == [1]


def test_calls_are_made_in_its_thread() -> None:
    """Soon, not at once."""
    loop, names, done = Loop(), list[str](), threading.Event()
    loop.run(nothing, 10)
    loop.call(lambda: (names.append(threading.current_thread().name), done.set()))
    assert done.wait(10)
    assert names == ["ai-gateway"]
    loop.close(nothing)
