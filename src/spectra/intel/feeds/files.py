"""The bytes of a feed file, unpacked and bounded, and the JSON or lines in them."""

from __future__ import annotations

import io
import re
import zlib
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

import msgspec
import zstandard

from spectra.intel.feeds.errors import FeedError

MAX_BYTES: Final = 1 << 30
"""The largest feed, unpacked. The largest known, GeoIP2 Enterprise, has half of that."""
MAX_NETWORKS: Final = 20_000_000
MAX_WORD: Final = 200
"""Characters of a name of anything in a feed."""

_CHUNK: Final = 1 << 20
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_MAX_WINDOW: Final = 1 << 27  # what `zstd --long` may ask of a reader
_BYTE: Final = re.compile(r"\(byte (\d+)\)")
_PATH: Final = re.compile(r"^(.*) - at `(.*)`$", re.DOTALL)

T = TypeVar("T")


def load(path: Path) -> bytes:
    """The bytes of `path`, unpacked where it is gzip (RFC 1952) or zstd (RFC 8878). Raises `FeedError`."""
    try:
        with path.open("rb") as file:
            head = file.read(4)
            file.seek(0)
            if head.startswith(_GZIP):
                return _gunzipped(file)
            if head.startswith(_ZSTD):
                return _unzstd(file)
            return _bounded(file)
    except OSError as error:
        raise FeedError(f"The feed cannot be read: {error.strerror or error}.", reason="feed_unreadable") from error


def _bounded(file: BinaryIO) -> bytes:
    data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise _too_large()
    return data


def _gunzipped(file: BinaryIO) -> bytes:
    out = io.BytesIO()
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    rest = b""
    while rest := rest or file.read(_CHUNK):
        if inflater.eof:  # the next member
            inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            out.write(inflater.decompress(rest, _CHUNK))
        except zlib.error as error:
            raise FeedError(f"The gzip data is damaged: {error}.", offset=file.tell() - len(rest)) from error
        rest = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
        if out.tell() > MAX_BYTES:
            raise _too_large()
    if not inflater.eof:
        raise FeedError("The gzip data ends too early.", offset=file.tell())
    return out.getvalue()


def _unzstd(file: BinaryIO) -> bytes:
    packed = _bounded(file)
    out = io.BytesIO()
    at = 0
    while at < len(packed):
        frame = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW).decompressobj()
        while not frame.eof:
            piece = packed[at : at + _CHUNK]
            if not piece:
                raise FeedError("The zstd data ends too early.", offset=len(packed))
            try:
                out.write(frame.decompress(piece))
            except zstandard.ZstdError as error:
                raise FeedError(f"The zstd data is damaged: {error}.", offset=at) from error
            at += len(piece) - len(frame.unused_data)
            if out.tell() > MAX_BYTES:
                raise _too_large()
    return out.getvalue()


def _too_large() -> FeedError:
    return FeedError(f"The feed is larger than {MAX_BYTES >> 20} MiB unpacked.", reason="feed_too_large")


def json(data: bytes, kind: type[T], at: str = "") -> T:
    """`data`, which stands at the path `at`, as `kind`; what does not fit is named by its path, no JSON by its byte."""
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        found = _PATH.match(str(error))
        message = found[1] if found else str(error)
        field = f"{at}{found[2].removeprefix('$')}".lstrip(".") if found else at
        raise FeedError(f"{field}: {message}" if field else message, field=field) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        byte = _BYTE.search(str(error))
        raise FeedError(f"This is no whole JSON: {error}.", offset=int(byte[1]) if byte else -1) from error
    except RecursionError as error:
        raise FeedError("The JSON is nested too deep.", reason="feed_too_large") from error


def text(data: bytes) -> str:
    """`data` as UTF-8 without byte order mark."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FeedError("This is not UTF-8 text.", line=data.count(b"\n", 0, error.start) + 1) from error


def many(count: int) -> None:
    """Raise `FeedError` where a feed has more networks than are taken."""
    if count > MAX_NETWORKS:
        raise FeedError(f"The feed has more than {MAX_NETWORKS} networks.", reason="feed_too_large")


def word(value: str) -> str:
    """A name as it is kept: trimmed, without control characters, at most `MAX_WORD` characters."""
    return "".join(c if c.isprintable() else " " for c in value).strip()[:MAX_WORD]
