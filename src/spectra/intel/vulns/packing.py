"""The bytes of a feed, unpacked as they are read and bounded: gzip, zstd, bzip2 and xz, one around the other."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

import zstandard

from spectra.intel.vulns.errors import VulnFeedError

MAX_BYTES: Final = 8 << 30
"""The largest feed, unpacked. All of the NVD has 1.5 GB, all of the CVE list 2 GB."""

_CHUNK: Final = 1 << 18
_MAX_LAYERS: Final = 4
_ZSTD_PIECE: Final = 1 << 11  # a block of 4 bytes may stand for 128 KiB: what one piece can become is bounded so
_MAX_WINDOW: Final = 1 << 27  # what `zstd --long` may ask of a reader
_LZMA_MEMORY: Final = 1 << 28

_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_BZIP2: Final = b"BZh"
_XZ: Final = b"\xfd7zXZ\x00"


class Source:
    """Bytes that are read once, from pieces of any size. The pieces' errors come out where their bytes would."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._held = b""
        self._at = 0

    def chunk(self, most: int = _CHUNK) -> bytes:
        """The next bytes, as many as there happen to be, but at most `most`; none at the end."""
        while self._at >= len(self._held):
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._held, self._at = piece, 0
        data = self._held[self._at : self._at + most]
        self._at += len(data)
        return data

    def read(self, size: int, /) -> bytes:
        """Exactly `size` bytes; fewer only at the end."""
        data = self.peek(size)
        self._at += len(data)
        return data

    def peek(self, size: int) -> bytes:
        """What `read` would give, not taken away."""
        if len(self._held) - self._at < size:
            self._gather(size)
        return self._held[self._at : self._at + size]

    def _gather(self, size: int) -> None:
        """Hold `size` bytes, or all that there are before the end or an error, which comes out once they are read."""
        parts = [self._held[self._at :]]
        have = len(parts[0])
        try:
            while have < size and (piece := next(self._pieces, None)) is not None:
                parts.append(piece)
                have += len(piece)
        except VulnFeedError as error:
            if not have:
                raise
            self._pieces = _raising(error)
        self._held, self._at = b"".join(parts), 0

    def push(self, data: bytes) -> None:
        """Put back what was taken too much. What was only just taken costs nothing."""
        start = self._at - len(data)
        if start >= 0 and self._held[start : self._at] == data:
            self._at = start
        elif data:
            self._held, self._at = data + self._held[self._at :], 0


def _raising(error: VulnFeedError) -> Iterator[bytes]:
    raise error
    yield


class Readable(Protocol):
    """A binary file, or a `Source`."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        ...


def unpacked(file: Readable, *, max_bytes: int = MAX_BYTES) -> Source:
    """What `file` holds once every packing is off. Reading raises `VulnFeedError` for damage and beyond `max_bytes`."""
    source = Source(_bounded(_plain(file), max_bytes))
    for _ in range(_MAX_LAYERS):
        head = _head(source)
        unpack = next((function for magic, function in _PACKINGS if head.startswith(magic)), None)
        if unpack is None:
            return source
        source = Source(_bounded(unpack(source), max_bytes))
    raise VulnFeedError("The feed is packed too many times.", reason="feed_too_large")


def _head(source: Source) -> bytes:
    return source.peek(max(len(magic) for magic, _ in _PACKINGS))


def _plain(file: Readable) -> Iterator[bytes]:
    try:
        while piece := file.read(_CHUNK):
            yield piece
    except OSError as error:
        raise VulnFeedError(f"The feed cannot be read: {error.strerror or error}.", reason="feed_unreadable") from error


def _bounded(pieces: Iterable[bytes], max_bytes: int) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > max_bytes:
            raise VulnFeedError(f"The feed is larger than {max_bytes} bytes unpacked.", reason="feed_too_large")
        yield piece


def inflated(source: Source, wbits: int, what: str, piece_size: int = _CHUNK) -> Iterator[bytes]:
    """One deflated stream (RFC 1951) in the wrapping that `wbits` tells; what follows it stays in `source`.

    It is taken from the source in pieces of `piece_size`: small ones where many small streams follow each other.
    """
    inflater = zlib.decompressobj(wbits)
    rest = b""
    while not inflater.eof:
        given = rest or source.chunk(piece_size)
        try:
            piece = inflater.decompress(given, _CHUNK)
        except zlib.error as error:
            raise _damaged(what, error) from error
        if not given and not piece:
            raise _short(what)
        rest = inflater.unconsumed_tail
        if piece:
            yield piece
    source.push(inflater.unused_data)


def _gunzipped(source: Source) -> Iterator[bytes]:
    """Members one after the other (RFC 1952); a tape's zeros may follow the last."""
    while head := source.peek(2):
        if not head.startswith(_GZIP):
            yield from _padding(source, "gzip")
            return
        yield from inflated(source, zlib.MAX_WBITS | 16, "gzip")


def _padding(source: Source, what: str) -> Iterator[bytes]:
    while piece := source.chunk():
        if piece.strip(b"\0"):
            raise VulnFeedError(f"After the {what} data stands something else.")
    yield from ()


def _unzstd(source: Source) -> Iterator[bytes]:
    """Frames one after the other (RFC 8878)."""
    while source.peek(1):
        frame = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW).decompressobj()
        while not frame.eof:
            given = source.chunk(_ZSTD_PIECE)
            if not given:
                raise _short("zstd")
            try:
                piece = frame.decompress(given)
            except zstandard.ZstdError as error:
                raise _damaged("zstd", error) from error
            source.push(frame.unused_data)
            if piece:
                yield piece


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /, max_length: int = -1) -> bytes:
        """At most `max_length` bytes of what the data given so far stands for."""
        ...


def _streams(source: Source, new: Callable[[], _Decompressor], what: str) -> Iterator[bytes]:
    """Streams one after the other of what the standard library unpacks (bzip2, xz)."""
    while source.peek(1):
        stream = new()
        while not stream.eof:
            given = source.chunk() if stream.needs_input else b""
            if not given and stream.needs_input:
                raise _short(what)
            try:
                piece = stream.decompress(given, _CHUNK)
            except (OSError, ValueError, EOFError, lzma.LZMAError) as error:
                raise _damaged(what, error) from error
            if piece:
                yield piece
        source.push(stream.unused_data)


def _unbzip2(source: Source) -> Iterator[bytes]:
    return _streams(source, bz2.BZ2Decompressor, "bzip2")


def _unxz(source: Source) -> Iterator[bytes]:
    return _streams(source, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_LZMA_MEMORY), "xz")


_PACKINGS: Final[tuple[tuple[bytes, Callable[[Source], Iterator[bytes]]], ...]] = (
    (_GZIP, _gunzipped),
    (_ZSTD, _unzstd),
    (_BZIP2, _unbzip2),
    (_XZ, _unxz),
)


def _damaged(what: str, error: Exception) -> VulnFeedError:
    return VulnFeedError(f"The {what} data is damaged: {str(error)[:200]}.")


def _short(what: str) -> VulnFeedError:
    return VulnFeedError(f"The {what} data ends too early.", hint="Fetch the feed again.")
