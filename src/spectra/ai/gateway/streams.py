"""An answer that comes in pieces, from the event loop to whichever thread reads it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Final

from spectra.ai.gateway.callmemory import CallMemory
from spectra.ai.gateway.chain import Chain, Try
from spectra.ai.gateway.loop import Loop
from spectra.ai.gateway.restoring import Restoring
from spectra.model.ai import Delta, ToolCall, Usage
from spectra.store.aicalls import ANSWERED

_PIECES: Final = 256  # that wait to be read; the model waits after that
_GRACE_S: Final = 2.0

_End = BaseException | None


class _Pump:
    """What fills the queue, in the event loop. It does not know who reads: a stream nobody holds any more is ended."""

    def __init__(self, chain: Chain, one: Try) -> None:
        self.queue: SimpleQueue[Delta | _End] = SimpleQueue()
        self._chain = chain
        self._one = one
        self._room: asyncio.Semaphore | None = None
        self._said = 0

    def make_room(self) -> None:
        """A piece was read. Called in the loop's thread."""
        if self._room is not None:
            self._room.release()

    async def run(self, pieces: Callable[[], AsyncIterator[Delta]], until: float) -> None:
        """Put pieces into the queue, at most `_PIECES` ahead of who reads. `until`: when the first has to be there."""
        self._room = asyncio.Semaphore(_PIECES)
        one, outcome, usage = self._one, "cancelled", Usage()
        end: _End = None
        begun = False
        try:
            async with asyncio.timeout(until - time.monotonic()) as limit:
                async for piece in pieces():
                    if not begun:
                        begun = True
                        one.provider.good()
                        limit.reschedule(asyncio.get_running_loop().time() + one.job.until - time.monotonic())
                    if piece.finish:
                        outcome, usage = ANSWERED, piece.usage
                        await asyncio.to_thread(self._settle, usage, outcome)
                    await self._room.acquire()
                    self._said += len(piece.text) + sum(len(call.arguments) for call in piece.calls)
                    self.queue.put(piece)
        except Exception as error:  # noqa: BLE001 - whoever reads is told of it
            end = error
            outcome = "ai_deadline" if isinstance(error, TimeoutError) else "ai_broke_off"
        finally:
            if begun and outcome != ANSWERED:
                # Not waited for: where the task is cancelled there is no waiting.
                asyncio.get_running_loop().run_in_executor(None, self._settle, usage, outcome)
            self.queue.put(end)

    def _settle(self, usage: Usage, outcome: str) -> None:
        """Write down what it took; where the provider did not tell, about that."""
        guess = self._one.provider.guess(self._one.outgoing.size, None)
        used = usage if usage != Usage() else Usage(guess.input, self._said // 3 + 1)
        self._chain.finish(self._one, used, outcome)


class Stream(Iterator[Delta]):
    """Pieces, as they come; `close` may be called from any thread, also while another waits for the next one.

    The time it may take in all is bounded, whether somebody reads or not.
    """

    def __init__(self, chain: Chain, loop: Loop, one: Try, memory: CallMemory) -> None:
        self._loop = loop
        self._one = one
        self._memory = memory
        self._calls: dict[int, ToolCall] = {}
        self._pump = _Pump(chain, one)
        self._restoring = Restoring(one.outgoing)
        self._first: Delta | None = None
        self._over = False
        self._task: Future[None] | None = None

    def begin(self, pieces: Callable[[], AsyncIterator[Delta]], seconds: float, ended: Callable[[], None]) -> None:
        """Ask, and wait for the first piece; raises what the asking raises. Once there is one, `ended` is called when
        nothing runs any more.
        """
        pump, until = self._pump, time.monotonic() + seconds
        self._task = self._loop.submit(lambda: pump.run(pieces, until))
        try:
            first = pump.queue.get(timeout=seconds + _GRACE_S)
        except Empty:
            first = TimeoutError()
        if isinstance(first, Delta):
            self._first = first
            self._task.add_done_callback(lambda _: ended())
            return
        self._over = True
        self._task.cancel()
        raise first if first is not None else TimeoutError

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> Delta:
        while not self._over:
            piece, self._first = self._first or self._pump.queue.get(), None
            if not isinstance(piece, Delta):
                self._over = True
                if piece is None:
                    break
                return self._last(Delta(finish="error"))
            self._loop.call(self._pump.make_room)
            if piece.finish:
                self._over = True
                return self._last(piece)
            told = self._restoring.piece(piece)
            if told.text or told.calls:
                return self._noted(told)
        raise StopIteration

    def close(self) -> None:
        """Cancel the request, if it is not over. Whoever waits for the next piece gets none."""
        if self._task is not None:
            self._task.cancel()
        self._pump.queue.put(None)

    def __del__(self) -> None:
        if self._task is not None and not self._task.done():
            self._task.cancel()

    def _last(self, piece: Delta) -> Delta:
        one = self._one
        told = self._noted(self._restoring.end(piece))
        for call in self._calls.values() if piece.finish != "error" else ():
            self._memory.keep(call, one.outgoing.label)
        return told._replace(provider=one.provider.name, model=one.model, label=one.outgoing.label)

    def _noted(self, piece: Delta) -> Delta:
        """The piece; its calls are kept in mind as they grow."""
        for more in piece.calls:
            call = self._calls.setdefault(more.number, ToolCall(more.id, more.name, ""))
            self._calls[more.number] = call._replace(arguments=call.arguments + more.arguments)
        return piece
