"""The original output of a payload, decompressed as it is read, in bounded memory, and checked against its claim."""

from __future__ import annotations

import hashlib
import io
import zlib
from typing import BinaryIO, Protocol

import zstandard

from spectra.ingest.parsers.errors import ParseError
from spectra.model.envelope import Output

# RFC 8878 3.1.1.1.2 recommends decoders to support 8 MiB; `zstd -19` uses that, `--ultra -22` 128 MiB.
MAX_WINDOW_BYTES = 32 * 1024 * 1024
_BUFFER_BYTES = 256 * 1024


class _Source(Protocol):
    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        ...


def open_output(output: Output, *, max_bytes: int) -> BinaryIO:
    """The decompressed bytes of `output` as a stream; at most 256 KiB and the decoder's window are held.

    Reading raises `ParseError`: `too_large` as soon as more than `max_bytes` come out, `malformed_compression` where
    the data is not what `encoding` says, and at the end `output_mismatch` unless size and SHA-256 are the claimed ones.
    A claim above `max_bytes` is refused at once.
    """
    if output.size > max_bytes:
        raise _too_large(max_bytes)
    return io.BufferedReader(_Checked(_source(output), output, max_bytes), _BUFFER_BYTES)


def _source(output: Output) -> _Source:
    if output.encoding == "gzip":
        return _Gzip(output.data)
    if output.encoding == "zstd":
        return _Zstd(output.data)
    return io.BytesIO(output.data)


class _Checked(io.RawIOBase):
    """Counts and hashes what `source` gives, and compares at the end."""

    def __init__(self, source: _Source, claimed: Output, max_bytes: int) -> None:
        self._source = source
        self._claimed = claimed
        self._max_bytes = max_bytes
        self._sha256 = hashlib.sha256()
        self._size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        chunk = self._source.read(len(buffer))
        if not chunk:
            self._compare()
            return 0
        self._size += len(chunk)
        if self._size > self._max_bytes:
            raise _too_large(self._max_bytes)
        if self._size > self._claimed.size:
            raise self._mismatch("is longer than")
        self._sha256.update(chunk)
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def _compare(self) -> None:
        if self._size != self._claimed.size:
            raise self._mismatch(f"has {self._size} bytes instead of")
        if self._sha256.hexdigest() != self._claimed.sha256:
            raise ParseError(
                "The output does not have the SHA-256 that the payload claims.",
                reason="output_mismatch",
                field="output.sha256",
            )

    def _mismatch(self, verb: str) -> ParseError:
        return ParseError(
            f"The output {verb} the {self._claimed.size} bytes that the payload claims.",
            reason="output_mismatch",
            field="output.size",
        )


def _too_large(max_bytes: int) -> ParseError:
    return ParseError(
        f"The output is larger than {max_bytes} bytes after decompression.",
        reason="too_large",
        hint="Split the scan, or raise gate.max_output_bytes.",
        field="output.size",
    )


def _malformed(encoding: str, why: str) -> ParseError:
    return ParseError(
        f"The output is not whole {encoding} data: {why[:200]}.", reason="malformed_compression", field="output.data"
    )


class _Gzip:
    """RFC 1952, one member after the other; `max_length` keeps a bomb from inflating further than was asked for."""

    def __init__(self, data: bytes) -> None:
        self._rest = memoryview(data)
        self._inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)

    def read(self, size: int, /) -> bytes:
        while True:
            if self._inflater.eof:
                if not self._rest:
                    return b""
                self._inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            chunk = self._inflate(size)
            if chunk:
                return chunk
            if not self._rest and not self._inflater.eof:
                raise _malformed("gzip", "it ends too early")

    def _inflate(self, size: int) -> bytes:
        piece = self._rest[:_BUFFER_BYTES]
        try:
            chunk = self._inflater.decompress(piece, size)
        except zlib.error as error:
            raise _malformed("gzip", str(error)) from error
        unused = len(self._inflater.unused_data if self._inflater.eof else self._inflater.unconsumed_tail)
        self._rest = self._rest[len(piece) - unused :]
        return chunk


class _Zstd:
    """RFC 8878; the window is bounded, and the content size that a frame claims allocates nothing."""

    def __init__(self, data: bytes) -> None:
        decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
        source = io.BytesIO(data)
        self._reader = decompressor.stream_reader(source, read_size=_BUFFER_BYTES, read_across_frames=True)

    def read(self, size: int, /) -> bytes:
        try:
            return self._reader.read(size)
        except zstandard.ZstdError as error:
            raise _malformed("zstd", str(error)) from error
