"""The last step before the wire: every request to a provider, whichever library made it, goes through `Guarded`.

Here the bytes that leave are looked at: no private value may be in them, and they are on record before the first of
them is sent. Imported when a model is first asked: httpx2 takes a while.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import httpx2

from spectra import __version__
from spectra.ai.gateway.books import Books
from spectra.ai.gateway.outgoing import Outgoing
from spectra.errors import SpectraError
from spectra.store.aiegress import Leaving

_log = logging.getLogger("spectra.ai")

MAX_ANSWER: Final = 16 * 1024 * 1024
"""Bytes of an answer that are read at most."""
_HEADERS: Final = frozenset(
    {"host", "accept", "content-type", "content-length", "transfer-encoding", "connection", "authorization"}
    | {"x-api-key", "x-goog-api-key", "anthropic-version", "anthropic-beta"}
)
"""What is said in headers. Client libraries would tell of this machine, too: its system, its architecture."""

Stop = Literal["leak", "record", "elsewhere", "not_machine"]


class Stopped(Exception):
    """A request was not sent; `Sending.stopped` says why."""


@dataclass(slots=True)
class Sending:
    """The request of one attempt: who asks whom for what, and what became of it on the way."""

    account: str
    provider: str
    model: str
    purpose: str
    away: bool
    outgoing: Outgoing
    books: Books
    clock: Callable[[], datetime]
    stopped: Stop | Literal[""] = ""
    left: int = 0
    """Bytes that left this machine."""


SENDING: Final[ContextVar[Sending]] = ContextVar("spectra-ai-sending")


class Guarded(httpx2.AsyncBaseTransport):
    """Sends what belongs to the `SENDING` of its task, to one origin, and nothing else. `key`: whether one is sent."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, origin: str, *, key: bool) -> None:
        self._inner = inner
        self._origin = _origin(httpx2.URL(origin))
        self._key = key

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Look at it, put it on record, send it."""
        sending = SENDING.get(None)
        if sending is None:
            raise Stopped("nothing is sent that no prompt asked for")
        if _origin(request.url) != self._origin:
            sending.stopped = "elsewhere"
            raise Stopped("it would go to another host than the configured one")
        body = await request.aread()
        self._strip(request)
        if sending.away:
            await asyncio.to_thread(_checked, sending, request, body)
            sending.left += len(body)
        response = await self._inner.handle_async_request(request)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise httpx2.RemoteProtocolError("an answer that nobody asked to be packed")
        stream = response.stream
        assert isinstance(stream, httpx2.AsyncByteStream)
        response.stream = _Bounded(stream)
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()

    def _strip(self, request: httpx2.Request) -> None:
        for name in [name for name in request.headers if name not in _HEADERS]:
            del request.headers[name]
        if not self._key:
            request.headers.pop("authorization", None)
        request.headers["user-agent"] = f"spectra/{__version__}"
        request.headers["accept-encoding"] = "identity"


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = 0
        async for chunk in self._inner:
            read += len(chunk)
            if read > MAX_ANSWER:
                raise httpx2.RemoteProtocolError(f"an answer of more than {MAX_ANSWER} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


def _checked(sending: Sending, request: httpx2.Request, body: bytes) -> None:
    """Look at what is about to leave, and put it on record; raises `Stopped` where it may not."""
    redactor = sending.outgoing.redactor
    leaks = redactor.leaks(body) + redactor.leaks(request.url.raw_path) if redactor is not None else None
    if leaks is None or leaks:
        sending.stopped = "leak"
        kinds = sorted({private.kind.value for private in leaks or ()})
        _log.error("what was to go to %s still held something private: %s", sending.provider, ", ".join(kinds))
        raise Stopped("a private value was about to leave")
    leaving = Leaving(
        account=sending.account,
        sha256=hashlib.sha256(body).hexdigest(),
        bytes=len(body),
        label=sending.outgoing.label,
        provider=sending.provider,
        model=sending.model,
        purpose=sending.purpose,
        host=request.url.netloc.decode("ascii"),
    )
    try:
        sending.books.leaving(leaving, sending.clock())
    except (SpectraError, ValueError) as error:
        sending.stopped = "record"
        _log.error("a request to %s is not sent: it cannot be put on record: %s", sending.provider, error)
        raise Stopped("it cannot be put on record") from error


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
