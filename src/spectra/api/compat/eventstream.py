"""An answer that comes piece by piece, as server-sent events: from an iterator that blocks, which ends when the client
hangs up. (WHATWG HTML, section 9.2.)
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Final, Generic, Protocol, TypeVar

import anyio
import anyio.to_thread
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from spectra.errors import SpectraError, Unavailable

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)

HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"x-accel-buffering", b"no"),  # nginx would hold pieces back
)


class TooManyStreams(Unavailable):
    """As many answers as this node has threads for are on their way."""

    reason = "ai_busy"


class Pieces(Protocol[T_co]):
    """What comes piece by piece. `close` may be called while another thread waits for the next one, which ends then."""

    def __iter__(self) -> Iterator[T_co]: ...
    def __next__(self) -> T_co: ...
    def close(self) -> None: ...


class Wording(Protocol[T_contra]):
    """How pieces are told as events."""

    def first(self) -> bytes:
        """What comes before any."""
        ...

    def of(self, piece: T_contra, /) -> bytes:
        """A piece; empty where it tells nothing."""
        ...

    def broken(self, error: SpectraError) -> bytes:
        """That the rest does not come."""
        ...

    def failed(self, error: SpectraError) -> Response:
        """The answer where nothing has come yet."""
        ...


class Streams:
    """The streams of one app: at most `most` at once, each of which may have a thread waiting for it."""

    def __init__(self, most: int = 64) -> None:
        self._most = most
        self._limiter = anyio.CapacityLimiter(2 * most)  # one waits for the next piece, one may be closing
        self.open = 0

    def take(self) -> None:
        """Count one more; raises `TooManyStreams`."""
        if self.open >= self._most:
            raise TooManyStreams("As many answers are on their way as this node has room for.")
        self.open += 1

    def give(self) -> None:
        """Count one less."""
        self.open -= 1

    async def run(self, call: Callable[[], T]) -> T:
        """What `call` answers, from a thread; when the caller is cancelled it is left to end by itself."""
        return await anyio.to_thread.run_sync(call, abandon_on_cancel=True, limiter=self._limiter)


class EventStream(Response, Generic[T]):
    """The events of what `begin` makes, for `within_s` seconds at most, however slowly the client reads.

    What `begin` or the first piece raises is told as `words.failed` has it.
    """

    def __init__(self, begin: Callable[[], Pieces[T]], words: Wording[T], streams: Streams, within_s: float) -> None:
        super().__init__()
        self._held = _Held(begin)
        self._words = words
        self._streams = streams
        self._within_s = within_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            self._streams.take()
        except SpectraError as error:
            await self._words.failed(error)(scope, receive, send)
            return
        try:
            with anyio.move_on_after(self._within_s):
                async with anyio.create_task_group() as group:
                    group.start_soon(_until_gone, receive, group.cancel_scope)
                    await self._answer(scope, receive, send)
                    group.cancel_scope.cancel()
        finally:
            self._streams.give()
            with anyio.CancelScope(shield=True):
                await self._streams.run(self._held.close)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            piece = await self._streams.run(self._held.next)
        except SpectraError as error:
            await self._words.failed(error)(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})
        events = self._words.first()
        try:
            while piece is not None:
                events += self._words.of(piece[0])
                if events:
                    await send({"type": "http.response.body", "body": events, "more_body": True})
                events = b""
                piece = await self._streams.run(self._held.next)
        except SpectraError as error:
            events = self._words.broken(error)
        await send({"type": "http.response.body", "body": events, "more_body": False})


async def _until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    """Cancel `scope` when the client hangs up."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


class _Held(Generic[T]):
    """What was begun, if it was, so that it can be closed from any thread at any time, and is in the end."""

    def __init__(self, begin: Callable[[], Pieces[T]]) -> None:
        self._begin = begin
        self._lock = threading.Lock()
        self._pieces: Pieces[T] | None = None
        self._closed = False

    def next(self) -> tuple[T] | None:
        """The next piece; None after the last. Begins where that was not done."""
        if self._pieces is None:
            begun = self._begin()
            with self._lock:
                closed, self._pieces = self._closed, begun
            if closed:
                begun.close()
        for piece in self._pieces:
            return (piece,)
        return None

    def close(self) -> None:
        """End it: whoever waits for a piece is told that there is none."""
        with self._lock:
            self._closed, begun = True, self._pieces
        if begun is not None:
            begun.close()
