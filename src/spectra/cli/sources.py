"""What `spectra import` reads: files, folders, standard input, compressed files and archives, as bounded pieces.

The original tool output is what gets submitted, so compression and archives are taken off here. A line-based output
that is too large for one envelope is cut into parts at line ends; XML cannot be cut and is refused.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import stat
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import IO, Protocol, Self, cast

from spectra.cli.output import plural
from spectra.errors import SpectraError

MIB = 1024 * 1024
MAX_OUTPUT = 512 * MIB
PART = 128 * MIB
MAX_TOTAL = 64 * 1024 * MIB  # what one compressed file or archive may grow to: beyond it is a bomb
MAX_MEMBERS = 100_000
MAX_FILES = 1_000_000
MAX_TAR_HEADER = MIB  # of an extended header (pax, long names), which is read whole
_HEAD = 512
# What else is usually packed with; said here, as nobody knows the format of what is inside.
_FOREIGN = {
    b"\xfd7zXZ\x00": "xz",
    b"BZh": "bzip2",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"Rar!\x1a\x07": "RAR",
    b"\x04\x22\x4d\x18": "lz4",
}
_BROKEN = (OSError, EOFError, zlib.error, tarfile.TarError)


class Unreadable(SpectraError):
    """A file, or a part of one, that cannot be submitted; the message says why and what to do."""

    reason = "unreadable"


@dataclass(frozen=True)
class Limits:
    """Bounds in bytes: of one output, of one part of a larger one, of what one file may grow to."""

    output: int = MAX_OUTPUT
    part: int = PART
    total: int = MAX_TOTAL


@dataclass(frozen=True, eq=False)
class Piece:
    """Something to submit: a whole output, or part `part` (from 1) of one that was cut. `last` closes its file.

    `error` stands instead of data for what cannot be submitted; `skipped` for what need not be.
    """

    name: str
    data: bytes = b""
    modified: datetime | None = None
    part: int = 0
    last: bool = True
    error: str = ""
    skipped: str = ""

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the data, hex: by it the server knows an output again."""
        return hashlib.sha256(self.data).hexdigest()


class _Stream(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class _Bounded:
    """A stream that refuses to give more than `bound` bytes: the end of a decompression bomb."""

    def __init__(self, stream: _Stream, bound: int) -> None:
        self._stream = stream
        self._left = bound

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise Unreadable("it decompresses to more than is allowed", hint="Decompress it and import what you need.")
        return data


class _Replay:
    """A stream that gives the bytes that were peeked at before the rest."""

    def __init__(self, head: bytes, stream: _Stream) -> None:
        self._head = head
        self._stream = stream

    def read(self, size: int = -1, /) -> bytes:
        if not self._head:
            return self._stream.read(size)
        if size < 0:
            taken, self._head = self._head, b""
            return taken + self._stream.read()
        taken, self._head = self._head[:size], self._head[size:]
        return taken


def find(paths: Iterable[str], *, recursive: bool, tell: Callable[[str], None]) -> Iterator[Path | None]:
    """The files behind `paths` in order; None is standard input (`-`). `tell` hears what is left out and why.

    A folder gives its files, sorted, and with `recursive` those below it. Links to folders and hidden files inside
    folders are left out; what was named itself is taken as it is.
    """
    count = 0
    for name in paths:
        for path in _below(name, recursive, tell):
            count += 1
            if count > MAX_FILES:
                raise Unreadable(f"there are more than {MAX_FILES} files", hint="Import the folders one by one.")
            yield path


def _below(name: str, recursive: bool, tell: Callable[[str], None]) -> Iterator[Path | None]:
    if name == "-":
        yield None
        return
    path = Path(name)
    if not path.is_dir():
        yield path
        return
    for folder, folders, files in os.walk(path):
        if not recursive and folders:
            tell(f"{folder}: {plural(len(folders), 'folder')} in it left out; -r takes them in")
            folders.clear()
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        yield from (Path(folder) / file for file in sorted(files) if not file.startswith("."))


def pieces(path: Path | None, name: str = "", limits: Limits | None = None) -> Iterator[Piece]:
    """All pieces of one file (None: standard input), read as they are asked for.

    Never raises for what a file holds: that becomes a `Piece` with `error`, after the good ones before it.
    """
    limits = limits or Limits()
    shown = name or (str(path) if path else "stdin")
    try:
        with ExitStack() as stack:
            stream, modified = _open(path, stack)
            yield from _unpacked(_Source(shown, modified, stream), limits)
    except Unreadable as error:
        yield Piece(shown, error=_told(error))
    except _BROKEN as error:
        yield Piece(shown, error=f"cannot be read: {getattr(error, 'strerror', None) or error or 'it is cut off'}")


def _told(error: Unreadable) -> str:
    return f"{error.message}. {error.hint}" if error.hint else error.message


@dataclass(frozen=True)
class _Source:
    name: str
    modified: datetime | None
    stream: _Stream


def _open(path: Path | None, stack: ExitStack) -> tuple[_Stream, datetime | None]:
    if path is None:
        return sys.stdin.buffer, None
    stream = stack.enter_context(path.open("rb"))
    facts = os.fstat(stream.fileno())
    if not (stat.S_ISREG(facts.st_mode) or stat.S_ISFIFO(facts.st_mode)):
        raise Unreadable("it is not a regular file")
    regular = stat.S_ISREG(facts.st_mode)
    return stream, datetime.fromtimestamp(facts.st_mtime, UTC) if regular else None


def _unpacked(source: _Source, limits: Limits, *, wraps: int = 2, archives: int = 1) -> Iterator[Piece]:
    """Take compression (at most `wraps` times) and an archive off, told by content and not by name."""
    head = _read_exactly(source.stream, _HEAD)
    stream = _Replay(head, source.stream)
    if wraps and head.startswith(b"\x1f\x8b"):
        inner: _Stream = gzip.GzipFile(fileobj=cast("IO[bytes]", stream))
    elif wraps and head.startswith(b"\x28\xb5\x2f\xfd"):
        inner = _zstd(stream)
    elif archives and head[257:262] == b"ustar":
        yield from _members(source, stream, limits)
        return
    elif packer := next((name for magic, name in _FOREIGN.items() if head.startswith(magic)), ""):
        raise Unreadable(f"it is packed with {packer}, which is not read here", hint="Unpack it and import the folder.")
    else:
        yield from _cut(source.name, source.modified, head, source.stream, limits)
        return
    unwrapped = _Source(source.name, source.modified, _Bounded(inner, limits.total))
    yield from _unpacked(unwrapped, limits, wraps=wraps - 1, archives=archives)


def _zstd(stream: _Stream) -> _Stream:
    import zstandard

    reader = zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(
        cast("IO[bytes]", stream), read_across_frames=True
    )
    return _ZstdErrors(reader)


class _ZstdErrors:
    def __init__(self, stream: _Stream) -> None:
        self._stream = stream

    def read(self, size: int = -1, /) -> bytes:
        import zstandard

        try:
            return self._stream.read(size)
        except zstandard.ZstdError as error:
            raise Unreadable(f"it does not decompress: {error}") from error


class _Member(tarfile.TarInfo):
    """A member whose extended headers are bounded: tarfile reads them into memory whatever size they claim."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """The header in `buf`; raises `Unreadable` for one that tarfile would read without bound."""
        member = super().frombuf(buf, encoding, errors)
        if member.type in _EXTENDED and member.size > MAX_TAR_HEADER:
            raise Unreadable(f"it has a header of {member.size} bytes", hint="It is damaged, or made to do harm.")
        if member.type == tarfile.GNUTYPE_SPARSE:
            raise Unreadable("it has a sparse file", hint="Unpack it and import the folder.")
        return member


_EXTENDED = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


def _members(source: _Source, stream: _Stream, limits: Limits) -> Iterator[Piece]:
    """The regular files of a tar archive, each a file of its own, read in the order they come."""
    with closing(tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|", tarinfo=_Member)) as archive:
        for number, member in enumerate(archive, 1):
            if number > MAX_MEMBERS:
                raise Unreadable(f"it has more than {MAX_MEMBERS} members", hint="Unpack it and import the folder.")
            content = archive.extractfile(member) if member.isreg() else None
            if content is None or Path(member.name).name.startswith("."):
                continue
            changed = datetime.fromtimestamp(min(max(member.mtime, 0), 2**33), UTC)
            inner = _Source(f"{source.name}:{member.name}", changed, content)
            try:
                yield from _unpacked(inner, limits, wraps=1, archives=0)
            except Unreadable as error:
                yield Piece(inner.name, error=_told(error))


def _read_exactly(stream: _Stream, size: int) -> bytes:
    """Up to `size` bytes, fewer only at the end: a pipe gives what it has, not what was asked for."""
    parts: list[bytes] = []
    while size > 0 and (data := stream.read(min(size, MIB))):
        parts.append(data)
        size -= len(data)
    return b"".join(parts)


def _cut(name: str, modified: datetime | None, head: bytes, stream: _Stream, limits: Limits) -> Iterator[Piece]:
    data = head + _read_exactly(stream, limits.output + 1 - len(head))
    if not data.strip():
        yield Piece(name, skipped="empty")
        return
    if len(data) <= limits.output:
        yield Piece(name, data, modified)
        return
    if why := _uncuttable(data):
        raise Unreadable(f"it is larger than {limits.output // MIB} MiB and {why}", hint=_HOW_TO_CUT)
    yield from _parts(name, modified, data, stream, limits)


_HOW_TO_CUT = "Scan in smaller ranges, or write JSON lines, which can be cut."


def _uncuttable(data: bytes) -> str:
    start = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    kinds = {b"<": "XML, which holds only as a whole", b"[": "one JSON array, which holds only as a whole"}
    return kinds.get(start, "")


def _parts(name: str, modified: datetime | None, data: bytes, stream: _Stream, limits: Limits) -> Iterator[Piece]:
    """Pieces of at most `limits.part` bytes that end where a line ends; one piece is held back to know the last."""
    number, rest, ended = 0, data, False
    while not ended or rest:
        if not ended and len(rest) <= limits.part:
            more = _read_exactly(stream, limits.part)
            ended = not more
            rest += more
            continue
        end = len(rest) if len(rest) <= limits.part else rest.rfind(b"\n", 0, limits.part) + 1
        if end == 0:
            raise Unreadable(f"a line is longer than {limits.part // MIB} MiB")
        taken, rest = rest[:end], rest[end:]
        number += 1
        yield Piece(name, taken, modified, part=number, last=ended and not rest)


def halves(piece: Piece) -> tuple[Piece, Piece]:
    """A piece as two, cut at the line end nearest its middle; raises `Unreadable` where it cannot be cut."""
    middle = len(piece.data) // 2
    end = piece.data.rfind(b"\n", 0, middle) + 1 or piece.data.find(b"\n", middle) + 1
    why = _uncuttable(piece.data) or ("" if 0 < end < len(piece.data) else "one long line")
    if why:
        raise Unreadable(f"it does not fit into one submission and is {why}", hint=_HOW_TO_CUT)
    number = piece.part or 1
    return (
        replace(piece, data=piece.data[:end], part=number * 2),
        replace(piece, data=piece.data[end:], part=number * 2 + 1),
    )
