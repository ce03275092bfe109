"""What is kept packed in a column: MessagePack of a model type, and a zstd frame around it where that is smaller.

No MessagePack of a struct or of a sequence of them begins as a zstd frame does (0x28, RFC 8878 section 3.1.1).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import Any, Final

import msgspec
import zstandard

_WORTH: Final = 200  # bytes; below, a frame saves nothing
_LEVEL: Final = 3
_MAGIC: Final = b"\x28\xb5\x2f\xfd"
MAX_BYTES: Final = 64 * 1024 * 1024
"""The largest value that is unpacked."""

_encode: Final = msgspec.msgpack.Encoder().encode
_own = threading.local()  # a zstd context belongs to one thread


def canonical(value: Any) -> bytes:
    """MessagePack of `value`: the same for equal values."""
    return _encode(value)


def sha256(plain: bytes) -> bytes:
    """SHA-256 of what `canonical` gave."""
    return hashlib.sha256(plain).digest()


def pack(value: Any) -> bytes:
    """`value` as a column holds it; the same for equal values under one release of zstd."""
    return packed(_encode(value))


def packed(plain: bytes) -> bytes:
    """As `pack`, of what `canonical` gave."""
    if len(plain) < _WORTH:
        return plain
    if not hasattr(_own, "compressor"):
        _own.compressor = zstandard.ZstdCompressor(level=_LEVEL)
    frame = _own.compressor.compress(plain)
    return frame if len(frame) < len(plain) else plain


def plain(data: bytes) -> bytes:
    """The MessagePack in a column."""
    if not data.startswith(_MAGIC):
        return data
    if not hasattr(_own, "decompressor"):
        _own.decompressor = zstandard.ZstdDecompressor()
    return _own.decompressor.decompress(data, max_output_size=MAX_BYTES)


def unpacker(kind: Any) -> Callable[[bytes], Any]:
    """Reads values of the type `kind` from a column."""
    decode = msgspec.msgpack.Decoder(kind).decode
    return lambda data: decode(plain(data))
