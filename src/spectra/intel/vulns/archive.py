"""Archives of many records, read in one pass without their table of contents: zip and tar.

The CVE list is published as a zip of 300,000 files: its directory alone would take more memory than all the rest.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

from spectra.intel.vulns.errors import VulnFeedError
from spectra.intel.vulns.packing import MAX_BYTES, Source, inflated

_CHUNK: Final = 1 << 18
_LOCAL: Final = b"PK\x03\x04"
_DESCRIPTOR: Final = b"PK\x07\x08"
_NEXT: Final = (_LOCAL, b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x08")
_FAR: Final = 0xFFFF_FFFF  # the size is in the zip64 field
_STORED, _DEFLATED = 0, 8
_BLOCK: Final = 512
_SMALL: Final = 1 << 13  # a record has some KB


class Member(NamedTuple):
    """A file of an archive. `source` is good until the next member is asked for."""

    name: str
    source: Source


def members(source: Source, *, max_bytes: int = MAX_BYTES) -> Iterator[Member] | None:
    """The files of an archive in their order, None if `source` is no archive.

    Reading raises `VulnFeedError` for damage, and when all of them together have more than `max_bytes`.
    """
    head = source.peek(_BLOCK)
    if head.startswith(_LOCAL) or head.startswith(b"PK\x05\x06"):
        return _zipped(source, max_bytes)
    return _tarred(source) if head[257:262] == b"ustar" else None


class _Local(NamedTuple):
    """What a local header says (APPNOTE 4.3.7)."""

    name: str
    flags: int
    method: int
    crc: int
    packed: int

    @property
    def streamed(self) -> bool:
        """Whether CRC and sizes stand behind the data only."""
        return bool(self.flags & 8)


def _zipped(source: Source, max_bytes: int) -> Iterator[Member]:
    left = [max_bytes]
    while source.peek(4).startswith(_LOCAL):
        local = _local(source)
        body = Source(_body(source, local, left))
        yield Member(local.name, body)
        while body.chunk():
            pass
    if not source.peek(4).startswith(b"PK"):
        raise damaged("it ends too early")


def _local(source: Source) -> _Local:
    header = _exactly(source, 30)
    flags, method = _number(header, 6, 2), _number(header, 8, 2)
    crc, packed = _number(header, 14, 4), _number(header, 18, 4)
    name = _exactly(source, _number(header, 26, 2)).decode("utf-8", "replace")
    extra = _exactly(source, _number(header, 28, 2))
    if packed == _FAR:
        packed = _zip64(extra)
    if flags & 1 or method not in (_STORED, _DEFLATED) or (method == _STORED and flags & 8):
        raise VulnFeedError(
            "The zip archive has a file that is encrypted or packed in a way that is not read here.",
            hint="Pack it again with deflate.",
        )
    return _Local(name, flags, method, crc, packed)


def _zip64(extra: bytes) -> int:
    """The packed size in the field 0x0001: the original size stands before it."""
    at = 0
    while at + 4 <= len(extra):
        size = _number(extra, at + 2, 2)
        if _number(extra, at, 2) == 1 and size >= 16:
            return _number(extra, at + 12, 8)
        at += 4 + size
    raise damaged("a file has no size")


def _body(source: Source, local: _Local, left: list[int]) -> Iterator[bytes]:
    crc = 0
    stored = local.method == _STORED
    for piece in _portion(source, local.packed) if stored else inflated(source, -zlib.MAX_WBITS, "zip", _SMALL):
        crc = zlib.crc32(piece, crc)
        left[0] -= len(piece)
        if left[0] < 0:
            raise VulnFeedError("The archive is too large unpacked.", reason="feed_too_large")
        yield piece
    if crc != (_descriptor(source) if local.streamed else local.crc):
        raise damaged(f"{local.name[:100]} does not have its checksum")


def _descriptor(source: Source) -> int:
    """The CRC behind the data; the sizes that follow have 4 or 8 bytes each, which only what comes next tells."""
    if source.peek(4).startswith(_DESCRIPTOR):
        _exactly(source, 4)
    crc = _number(_exactly(source, 4), 0, 4)
    _exactly(source, 8 if source.peek(12)[8:12] in _NEXT else 16)
    return crc


def _tarred(source: Source) -> Iterator[Member]:
    """Regular files; what a header's extension says of the next name or time is of no use here."""
    while (header := _exactly(source, _BLOCK)).strip(b"\0"):
        size = _octal(header[124:136])
        body = Source(_portion(source, size))
        if header[156:157] in (b"0", b"\0"):
            yield Member(header[:100].rstrip(b"\0").decode("utf-8", "replace"), body)
        while body.chunk():
            pass
        _exactly(source, -size % _BLOCK)


def _octal(field: bytes) -> int:
    if field[0] & 0x80:  # GNU's base 256, for files of 8 GiB and more
        return int.from_bytes(field[1:], "big")
    try:
        return int(field.strip(b"\0 ") or b"0", 8)
    except ValueError as error:
        raise damaged("a file has no size") from error


def _portion(source: Source, size: int) -> Iterator[bytes]:
    while size > 0:
        piece = source.read(min(size, _CHUNK))
        if not piece:
            raise damaged("it ends too early")
        size -= len(piece)
        yield piece


def _exactly(source: Source, size: int) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise damaged("it ends too early")
    return data


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")


def damaged(why: str) -> VulnFeedError:
    """The archive itself is not whole: nothing that follows can be read."""
    return VulnFeedError(f"The archive is damaged: {why}.", hint="Fetch the feed again.")
