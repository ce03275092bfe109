"""The API as pages ask it: in this process, without a socket or a token, with the scopes of whoever looks at the page.

A page is a client of the API like any other. Limits, validation, audit and errors are those of the routes, and exist
once; what a page could not ask for by hand it cannot show either.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast
from urllib.parse import quote, urlencode

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope

from spectra.api.auth import INSIDE, Caller
from spectra.errors import BadRequest, SpectraError

T = TypeVar("T")

_MAX_ANSWER: Final = 64 * 1024 * 1024
# The origin that passkeys are bound to, and the cookie that this browser is known by where a password is asked again.
_HANDED_ON: Final = frozenset({b"host", b"x-forwarded-proto", b"cookie"})


class _Told(msgspec.Struct):
    detail: str = ""
    hint: str = ""
    field: str = ""
    reason: str = ""
    retry_after: float = 0.0


class Problem(SpectraError):
    """A route answered with a problem (RFC 9457): `status`, and the rest as the route told it."""

    def __init__(self, status: int, told: _Told) -> None:
        super().__init__(told.detail or "Something went wrong in here.", hint=told.hint, reason=told.reason or "failed")
        self.status = status
        self.field = told.field
        self.retry_after_s = told.retry_after

    @property
    def detail(self) -> str:
        """What went wrong, as a sentence."""
        return self.message


@dataclass(frozen=True, slots=True)
class Answer:
    """What a route answered; names of header fields are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Inside:
    """Asks the routes of one app as `caller`; addresses and ids are those of the request `outer` that asks."""

    def __init__(self, app: ASGIApp, caller: Caller, outer: Scope) -> None:
        self._app = app
        self._caller = caller
        self._outer = outer

    async def get(self, path: str, kind: type[T], /, **params: Any) -> T:
        """What GET `path` answers, as `kind`; raises `Problem`. Parameters that are None or empty are not sent."""
        return self._read(await self.raw("GET", path, params=params), kind)

    async def send(
        self, method: str, path: str, kind: type[T], /, body: object = None, *, once: str = "", **params: Any
    ) -> T:
        """The same for another method, with a body that is sent as JSON where there is one. `once`: the key by which
        the route knows it again; empty: none.
        """
        raw = b"" if body is None else msgspec.json.encode(body)
        return self._read(await self.raw(method, path, params=params, body=raw, once=once), kind)

    async def together(self, *asked: Awaitable[Any]) -> list[Any]:
        """Several answers at once, in the order they were asked for; the first problem ends the others."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(_awaited(one)) for one in asked]
        except BaseExceptionGroup as several:
            raise _first_of(several) from None
        return [task.result() for task in tasks]

    async def raw(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: bytes = b"",
        media_type: str = "application/json",
        once: str = "",
    ) -> Answer:
        """What a route answers, whatever that is. The whole of it is in memory: 64 MiB at most."""
        status, headers, parts = 0, dict[str, str](), list[bytes]()
        size = 0

        async def send(message: Message) -> None:
            nonlocal status, headers, size
            if message["type"] == "http.response.start":
                status, headers = message["status"], _headers(message)
                return
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > _MAX_ANSWER:
                raise SpectraError("The answer is too large for a page.", reason="too_large")

        scope = self._scope(method, path, params or {}, body, media_type)
        if once:
            scope["headers"].append((b"idempotency-key", once.encode()))
        await self._app(scope, _receiving(body), send)
        return Answer(status, headers, b"".join(parts))

    async def stream(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None
    ) -> tuple[Answer, AsyncGenerator[bytes]]:
        """An answer whose body comes piece by piece. Close the generator to end the route."""
        messages = self._messages(self._scope(method, path, params or {}, b"", "application/json"))
        first = await anext(messages)
        return Answer(first["status"], _headers(first), b""), _bodies(messages)

    def _read(self, answer: Answer, kind: type[T]) -> T:
        if answer.status >= 400:
            raise _problem(answer)
        if not answer.body and kind is type(None):
            return None  # type: ignore[return-value]
        return msgspec.json.decode(answer.body, type=kind)

    async def _messages(self, scope: Scope) -> AsyncGenerator[Message]:
        queue: asyncio.Queue[Message | None] = asyncio.Queue(8)
        gone = asyncio.Event()

        async def run() -> None:
            try:
                await self._app(scope, _receiving(b"", gone), queue.put)
            finally:
                await queue.put(None)

        async with asyncio.TaskGroup() as group:
            task = group.create_task(run())
            try:
                while (message := await queue.get()) is not None:
                    yield message
            finally:
                gone.set()
                task.cancel()

    def _scope(self, method: str, path: str, params: Mapping[str, Any], body: bytes, media_type: str) -> Scope:
        outer = self._outer
        headers = [pair for pair in outer["headers"] if pair[0] in _HANDED_ON]
        if body:
            headers += [(b"content-type", media_type.encode()), (b"content-length", str(len(body)).encode())]
        pairs = _pairs(params)
        if "\0" in path or any("\0" in value for _, value in pairs):
            raise BadRequest("A field has a NUL character.", field="path")
        state = {name: outer.get("state", {}).get(name) for name in ("address", "request_id")}
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": outer["scheme"],
            "path": path,
            "raw_path": quote(path).encode(),
            "query_string": urlencode(pairs).encode(),
            "root_path": "",
            "headers": headers,
            "client": outer.get("client"),
            "server": outer.get("server"),
            "state": state,
            INSIDE: self._caller,
        }


def _pairs(params: Mapping[str, Any]) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for name, value in params.items():
        several = cast("Sequence[object]", value) if isinstance(value, list | tuple) else (value,)
        for one in several:
            if one is None or one == "":
                continue
            pairs.append((name, str(one).lower() if isinstance(one, bool) else str(one)))
    return pairs


def _problem(answer: Answer) -> Problem:
    try:
        told = msgspec.json.decode(answer.body, type=_Told)
    except msgspec.MsgspecError:
        told = _Told()
    return Problem(answer.status, told)


async def _bodies(messages: AsyncGenerator[Message]) -> AsyncGenerator[bytes]:
    async for message in messages:
        yield message.get("body", b"")


def _headers(message: Message) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in message["headers"]}


def _receiving(body: bytes, gone: asyncio.Event | None = None) -> Receive:
    """What a route receives: the body once, then nothing until `gone` says that nobody listens any more."""
    told = False

    async def receive() -> Message:
        nonlocal told
        if not told:
            told = True
            return {"type": "http.request", "body": body, "more_body": False}
        await (gone or asyncio.Event()).wait()
        return {"type": "http.disconnect"}

    return receive


def _first_of(several: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first of the errors that ended several requests at once."""
    first = several.exceptions[0]
    return (
        _first_of(cast("BaseExceptionGroup[BaseException]", first)) if isinstance(first, BaseExceptionGroup) else first
    )


async def _awaited(one: Awaitable[T]) -> T:
    return await one
