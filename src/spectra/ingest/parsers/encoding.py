"""Any output as clean UTF-8: what a shell's redirection or a locale did to it is undone here, once for all parsers.

PowerShell's `>` writes UTF-16 with a byte order mark over whatever the XML declaration says, so the mark wins (XML 1.0
appendix F does the same), then the declaration, then UTF-8. Bytes that fit no character become U+FFFD and are counted.
"""

from __future__ import annotations

import codecs
import io
import re
from typing import BinaryIO

from spectra.ingest.parsers.errors import ParseError

HEAD_BYTES = 64 * 1024
_CHUNK_BYTES = 128 * 1024

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED = re.compile(rb"<\?xml\s[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
# Only supersets of ASCII: in any other the parser would see another document than the checks before it.
_ALLOWED = re.compile(r"utf-8|ascii|iso8859-\d{1,2}|cp125\d|koi8-[ru]|cp437|cp850|utf-16.*|utf-32.*")


def detect(head: bytes) -> tuple[str, int]:
    """The codec of `head` and the length of its byte order mark; `ParseError` where it declares one not read here."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name, len(mark)
    if len(head) >= 4 and head[1] == 0 and head[3] == 0 and head[0] and head[2]:
        return "utf-16-le", 0
    if len(head) >= 4 and head[0] == 0 and head[2] == 0 and head[1] and head[3]:
        return "utf-16-be", 0
    declared = None if head.lstrip()[:1] in (b"{", b"[") else _DECLARED.search(head[:4096])
    return (_codec(declared.group(1).decode("ascii")) if declared else "utf-8"), 0


def _codec(declared: str) -> str:
    try:
        name = codecs.lookup(declared).name
    except LookupError:
        name = ""
    if _ALLOWED.fullmatch(name) is None:
        raise ParseError(
            f"The XML declares the encoding {declared!r}, which is not read here.",
            hint="Convert the file to UTF-8.",
            line=1,
            field="encoding",
        )
    # UTF-16 without mark or zero bytes is not UTF-16: the declaration was not written for these bytes.
    return "utf-8" if name.startswith(("utf-16", "utf-32")) else name


class _Utf8(io.RawIOBase):
    """The raw side of `Utf8Stream`: decodes a chunk, encodes it again, and remembers where it had to guess."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        head = _read_fully(source, HEAD_BYTES)
        self.codec, skip = detect(head)
        self.replaced = 0
        self.first_line = 0
        self._lines = 0
        self._decoder = codecs.getincrementaldecoder(self.codec)("strict")
        self._finished = len(head) < HEAD_BYTES
        self._ready = memoryview(self._recode(head[skip:]))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        while not self._ready and not self._finished:
            chunk = self._source.read(_CHUNK_BYTES)
            self._finished = not chunk
            self._ready = memoryview(self._recode(chunk))
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def _recode(self, chunk: bytes) -> bytes:
        try:
            out = self._decoder.decode(chunk, self._finished).encode()
        except UnicodeError:
            out = self._recode_replacing(chunk)
        self._lines += out.count(b"\n")
        return out

    def _recode_replacing(self, chunk: bytes) -> bytes:
        lenient = codecs.getincrementaldecoder(self.codec)("replace")
        # A strict decoder that failed still holds the bytes of the character cut by the last chunk.
        lenient.setstate(self._decoder.getstate())
        text = lenient.decode(chunk, self._finished)
        self._decoder.setstate(lenient.getstate())
        if not self.replaced:
            self.first_line = self._lines + text.count("\n", 0, text.find("\ufffd")) + 1
        self.replaced += text.count("\ufffd")
        return text.encode("utf-8", "replace")


def _read_fully(source: BinaryIO, size: int) -> bytes:
    parts: list[bytes] = []
    while size > 0:
        part = source.read(size)
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


class Utf8Stream(io.BufferedReader):
    """`source` as UTF-8 without byte order mark. `replaced` characters were guessed, first on `first_line`."""

    def __init__(self, source: BinaryIO) -> None:
        self._utf8 = _Utf8(source)
        super().__init__(self._utf8, 4 * HEAD_BYTES)

    @property
    def replaced(self) -> int:
        """How many U+FFFD stand for bytes that fit no character."""
        return self._utf8.replaced

    @property
    def codec(self) -> str:
        """The codec that the source was read with."""
        return self._utf8.codec

    @property
    def first_line(self) -> int:
        """The line (1-based) of the first of them."""
        return self._utf8.first_line

    def head(self) -> bytes:
        """The first 64 KiB of the source in UTF-8, without consuming them."""
        return self.peek(1)


def utf8_head(head: bytes) -> bytes:
    """`head` (the beginning of a file, cut anywhere) as UTF-8."""
    codec, skip = detect(head)
    return codecs.getincrementaldecoder(codec)("replace").decode(head[skip:]).encode("utf-8", "replace")
