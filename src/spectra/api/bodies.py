"""Request bodies, bounded in size and time, and read only after the caller was let in.

FastAPI's own body parameters are read whole, and before any dependency has looked at the caller: a stranger could fill
the memory of this process.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, BinaryIO, Final, TypeVar

import anyio
import msgspec
from fastapi import Depends, Request
from starlette.requests import ClientDisconnect

from spectra.api.answers import describe, ref
from spectra.api.auth import services_of
from spectra.errors import BadRequest, Unavailable

T = TypeVar("T")

JSON: Final = "application/json"
MAX_JSON_BYTES: Final = 256 * 1024
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # escaped: no text in PostgreSQL can hold one
_AT: Final = re.compile(r" - at `\$\.?([^`]+)`$")


class BodyTooLarge(BadRequest):
    """The body has `size` bytes or more, where `most` are accepted."""

    reason = "too_large"

    def __init__(self, size: int, most: int) -> None:
        super().__init__(f"The body has {size} bytes or more; {most} are accepted.", field="body")
        self.size = size


def _free(_: int) -> None:
    """Small bodies are not counted."""


async def read(request: Request, most: int, take: Callable[[int], None] = _free) -> bytes:
    """The body, at most `most` bytes: a claim of more is refused before anything is read.

    `take` is told of every piece as it arrives, and may refuse it by raising. Raises `BodyTooLarge`, or `BadRequest`
    for a body that took longer than the settings allow or was broken off.
    """
    body = bytearray()

    def keep(chunk: bytes) -> None:
        take(len(chunk))
        body.extend(chunk)

    await _receive(request, most, keep)
    return bytes(body)


async def save(request: Request, most: int, file: BinaryIO) -> None:
    """The body into `file`, at most `most` bytes. Raises as `read` does, and `Unavailable` where the disk is full."""

    def keep(chunk: bytes) -> None:
        file.write(chunk)

    try:
        await _receive(request, most, keep)
        file.flush()
    except OSError as error:
        raise Unavailable(f"The body cannot be stored: {error.strerror}.", reason="disk_full") from error


async def _receive(request: Request, most: int, keep: Callable[[bytes], None]) -> None:
    claimed = request.headers.get("content-length", "")
    if claimed.isdecimal() and int(claimed) > most:
        raise BodyTooLarge(int(claimed), most)
    within_s = services_of(request).body_timeout_s
    size = 0
    try:
        with anyio.fail_after(within_s):
            async for chunk in request.stream():
                size += len(chunk)
                keep(chunk)
                if size > most:
                    raise BodyTooLarge(size, most)
    except TimeoutError as error:
        raise BadRequest(
            f"The body did not arrive within {within_s:g} s.", reason="body_too_slow", field="body"
        ) from error
    except ClientDisconnect as error:
        raise BadRequest("The body was broken off.", reason="body_cut_off", field="body") from error


def json_body(kind: type[T], most: int = MAX_JSON_BYTES) -> Any:
    """A dependency: the body, at most `most` bytes, as a struct of type `kind`. `BadRequest` names the wrong field."""
    decoder = msgspec.json.Decoder(kind)

    async def decoded(request: Request) -> T:
        raw = await read(request, most)
        if _NUL.search(raw):
            raise BadRequest("The body has a NUL character.", field="body")
        try:
            return decoder.decode(raw)
        except (ValueError, RecursionError) as error:
            raise _refused(error) from error

    checked: Callable[[Request], Awaitable[T]] = decoded
    return Depends(checked)


def described_body(kind: type) -> dict[str, Any]:
    """The `openapi_extra` of a route whose body is a JSON `kind`."""
    describe(kind)
    content = {JSON: {"schema": {"$ref": ref(kind)}}}
    return {"requestBody": {"required": True, "description": kind.__doc__, "content": content}}


def described_file(kind: type) -> dict[str, Any]:
    """The `openapi_extra` of a route that takes a file, or a JSON `kind` that says where to fetch it from."""
    describe(kind)
    content = {
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        JSON: {"schema": {"$ref": ref(kind)}},
    }
    words = "The file, as it is published, plain or packed; or as application/json where to fetch it from."
    return {"requestBody": {"required": True, "description": words, "content": content}}


async def source(request: Request, kind: type[T]) -> T | None:
    """Where to fetch a file from, as a struct of type `kind`; None where the body is the file itself."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        return None
    try:
        return msgspec.json.decode(await read(request, MAX_JSON_BYTES), type=kind)
    except (ValueError, RecursionError) as error:
        raise BadRequest(
            f"The body is not where to fetch a feed from: {str(error)[:300]}.",
            field="body",
            hint="Send a file as application/octet-stream, even where it is JSON itself.",
        ) from error


def _refused(error: Exception) -> BadRequest:
    message = str(error)[:300]
    if (at := _AT.search(message)) is None:
        return BadRequest(f"The body is not what this route reads: {message}.", field="body")
    return BadRequest(f"`{at[1]}`: {message[: at.start()]}.", field=at[1])
