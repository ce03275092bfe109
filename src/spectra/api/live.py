"""What happens, told to one client as server-sent events for as long as it stays. (WHATWG HTML, section 9.2.)

No thread waits for a client: one is taken for a moment where the database has to be asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import anyio
import anyio.to_thread
import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from spectra.api.compat.eventstream import HEADERS
from spectra.errors import SpectraError
from spectra.flow.stream import Batch, Listener, Stream
from spectra.model.activity import Activity
from spectra.store.activity import Wanted

T = TypeVar("T")

BEAT_S: Final = 15.0
"""How often something is said where nothing happens: proxies give up on what is silent."""
CHECK_S: Final = 30.0
"""How often it is looked at whether the client may still listen."""
WITHIN_S: Final = 3600.0
"""How long one answer lasts; clients come back by themselves."""
_SEND_S: Final = 30.0  # who reads nothing for so long is let go
THREADS: Final = 8
"""Threads that ask the database for all clients of an app."""
_encode = msgspec.json.Encoder().encode

Words = Callable[[Batch], bytes]


class Live(Response):
    """The events of `stream` that are `wanted`, from `cursor` on or from now on, in `words`.

    `account` is whom it counts for; `still` asks whether the client may go on, and may block, on one of `threads`.
    Answering raises what `Stream.listen` does, which is told as a problem.
    """

    def __init__(
        self,
        stream: Stream,
        account: str,
        wanted: Wanted,
        words: Words,
        *,
        still: Callable[[], bool],
        cursor: int | None = None,
        threads: anyio.CapacityLimiter,
        headers: Mapping[str, str] | None = None,
        beat_s: float = BEAT_S,
    ) -> None:
        super().__init__()
        self._stream = stream
        self._account = account
        self._wanted = wanted
        self._words = words
        self._still = still
        self._cursor = cursor
        self._threads = threads
        self._more = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        self._beat_s = beat_s
        self._news = asyncio.Event()
        self._said = -1

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        loop = asyncio.get_running_loop()

        def notify() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._news.set)

        listener = await self._run(
            lambda: self._stream.listen(self._account, self._wanted, notify, cursor=self._cursor)
        )
        try:
            with anyio.move_on_after(WITHIN_S):
                async with anyio.create_task_group() as group:
                    group.start_soon(_until_gone, receive, group.cancel_scope)
                    await self._answer(listener, send)
                    group.cancel_scope.cancel()
        finally:
            listener.close()

    async def _answer(self, listener: Listener, send: Send) -> None:
        headers = [*HEADERS, *self._more, (b"cache-control", b"no-store")]
        with anyio.move_on_after(_SEND_S):
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send(_piece(b"retry: 3000\n" + self._at(listener)))
        checked = time.monotonic()
        try:
            while not self._stream.closed:
                self._news.clear()
                batch = await self._run(listener.take) if listener.behind else listener.take()
                events = self._words(batch)
                if not batch.entries and not events and not await self._waited():
                    events = self._at(listener)
                    if time.monotonic() - checked >= CHECK_S:
                        checked = time.monotonic()
                        if not await self._run(self._still):
                            break
                if events and not await _sent(send, events):
                    return  # and the connection is closed, as the answer has no end
        except SpectraError:  # the client comes back with its cursor, and is told what is wrong
            pass
        await _sent(send, b"", last=True)

    async def _waited(self) -> bool:
        """Wait for news; False where none came in time."""
        with anyio.move_on_after(self._beat_s):
            await self._news.wait()
            return True
        return False

    async def _run(self, call: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(call, limiter=self._threads)

    def _at(self, listener: Listener) -> bytes:
        """Where the client would go on: also past what it was not told of, so that nobody looks there again."""
        if listener.cursor == self._said:
            return b": \n\n"
        self._said = listener.cursor
        return b"id: %d\n\n" % listener.cursor


def events(*, whole: bool) -> Words:
    """Activity, progress and changes as JSON, each an event of its name; `whole` with what entries say."""

    def words(batch: Batch) -> bytes:
        told = bytearray()
        for one in batch.entries:
            told += b"id: %d\nevent: activity\ndata: %b\n\n" % (one.cursor, _encode(one if whole else without(one)))
        for job in batch.progress:
            told += b"event: progress\ndata: %b\n\n" % _encode(job)
        for topic in sorted(batch.changed):
            told += b'event: changed\ndata: {"topic":"%b"}\n\n' % topic.encode()
        return bytes(told)

    return words


def topics(batch: Batch) -> bytes:
    """Nothing but the topics of which something is new: what a page has to know to fetch itself again."""
    named: set[str] = {one.topic for one in batch.entries} | batch.changed
    named.update(["job"] if batch.progress else [])
    last = b"id: %d\n" % batch.entries[-1].cursor if batch.entries else b""
    return b"".join(b"%bdata: %b\n\n" % (last, topic.encode()) for topic in sorted(named))


def without(activity: Activity) -> Activity:
    """`activity` without what only readers of the audit trail may see."""
    return msgspec.structs.replace(activity, detail={}) if activity.detail else activity


async def _until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


async def _sent(send: Send, events: bytes, *, last: bool = False) -> bool:
    """Send; False where the client does not read."""
    with anyio.move_on_after(_SEND_S):
        await send(_piece(events, last=last))
        return True
    return False


def _piece(events: bytes, *, last: bool = False) -> dict[str, object]:
    return {"type": "http.response.body", "body": events, "more_body": not last}
