"""A feed cut into its records without reading one of them: JSON lines, JSON values and one huge JSON document.

Brackets outside of strings are counted (RFC 8259); whether a record is JSON at all shows where it is decoded. At most
one record and one piece of the source are held.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec

from spectra.intel.vulns.errors import VulnFeedError
from spectra.intel.vulns.packing import Source

MAX_RECORD: Final = 64 << 20
"""Bytes of one record. The largest known CVE has 2 MB."""

ARRAY: Final = ""
MALFORMED: Final = "feed_malformed"
_HEAD: Final = 1 << 16  # bytes in which a document's array of records has begun, and a first line may have ended
_PIECE: Final = 1 << 18
_LEVELS: Final = 8  # of brackets that the fast expression knows; deeper records are counted
_STRING: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_INSIDE: Final = rb'[^"{}\[\]]*+(?:' + _STRING + rb'[^"{}\[\]]*+)*+'


def _nested(levels: int) -> bytes:
    inside = _INSIDE
    for _ in range(levels):
        inside = rb'[^"{}\[\]]*+(?:(?:' + _STRING + rb"|[{\[]" + inside + rb'[}\]])[^"{}\[\]]*+)*+'
    return rb"[{\[]" + inside + rb"[}\]]"


_ELEMENT: Final = re.compile(_nested(_LEVELS) + rb"|" + _STRING + rb"|[^\s,\"{}\[\]]++(?=[\s,\"{}\[\]])", re.DOTALL)
_BRACKET: Final = re.compile(_INSIDE + rb"[{}\[\]]", re.DOTALL)
_BETWEEN: Final = re.compile(rb"[\s,]*+")
_RECORDS: Final = re.compile(rb'"(?:vulnerabilities|data|vulns|CVE_Items)"\s*+:\s*+\[\Z')
_MAY_HOLD: Final = re.compile(rb'"(?:vulnerabilities|data|vulns|CVE_Items)"\s*+:\s*+\[')
_OPEN: Final = frozenset(b"{[")


class Raw(NamedTuple):
    """The bytes of one record, the line (1-based) on which it begins, and the name of its file within an archive.

    `cut`: the feed ends with it, so that it is cut short if it is not whole.
    """

    data: bytes
    line: int
    cut: bool = False
    name: str = ""


def split(source: Source, head: dict[str, Any]) -> Iterator[Raw]:
    """The records of a source: the lines of JSON lines, else the values, or the elements of a document's array.

    `head` takes what a document says beside its array, as far as it was read, and the array's name at `ARRAY`. Raises
    `VulnFeedError` (`MALFORMED`) where no record can be told from the next any more.
    """
    return lines(source) if _is_lines(source.peek(_HEAD)) else _Values(source, head).records()


def _is_lines(head: bytes) -> bool:
    """Whether every line is a record: the first is a whole object, or does not end soon, or is followed by another."""
    head = head.lstrip()
    if not head.startswith(b"{"):
        return False
    first, _, rest = head.partition(b"\n")
    if array_in(first) is not None:
        return False
    return first.rstrip().endswith(b"}") or not rest or rest.lstrip(b"\r\n").startswith(b"{")


def lines(source: Source) -> Iterator[Raw]:
    """The lines that hold anything, without white space around them. Raises `VulnFeedError` for one without end."""
    rest = b""
    number = 0
    while piece := source.chunk():
        parts = (rest + piece).split(b"\n") if rest else piece.split(b"\n")
        rest = parts.pop()
        for part in parts:
            number += 1
            if line := part.strip():
                yield Raw(line, number)
        if len(rest) > MAX_RECORD:
            raise _too_large(number + 1)
    if line := rest.strip():
        yield Raw(line, number + 1, cut=True)


def rows(source: Source) -> Iterator[Raw]:
    """The rows of a CSV file (RFC 4180): a quoted value may go over several lines."""
    held: list[bytes] = []
    start = size = 0
    quotes = 0
    for raw in lines(source):
        start = start or raw.line
        held.append(raw.data)
        size += len(raw.data)
        quotes += raw.data.count(b'"')
        if size > MAX_RECORD:
            raise _too_large(start)
        if quotes % 2 == 0:
            yield Raw(b"\n".join(held), start, raw.cut)
            held, start, size, quotes = [], 0, 0, 0
    if held:
        yield Raw(b"\n".join(held), start, cut=True)


def array_in(text: bytes) -> tuple[int, int] | None:
    """Where in the object that `text` begins with its array of records stands: of its key, and behind its bracket."""
    if _MAY_HOLD.search(text) is None:
        return None
    at = depth = 0
    while found := _BRACKET.match(text, at):
        at = found.end()
        if text[at - 1] in _OPEN:
            key = _RECORDS.search(text, found.start(), at) if depth == 1 and text[at - 1 : at] == b"[" else None
            if key:
                return key.start(), at
            depth += 1
        else:
            depth -= 1
            if depth <= 0:
                return None
    return None


class _Values:
    """JSON values one after the other, arrays and documents of records among them, through a sliding window."""

    def __init__(self, source: Source, head: dict[str, Any]) -> None:
        self._source = source
        self._head = head
        self._data = b""
        self._at = 0
        self._line = 1

    def records(self) -> Iterator[Raw]:
        while self._to_next():
            first = self._data[self._at : self._at + 1]
            if first == b"[":
                self._skip(1)
                yield from self._array()
                continue
            array = self._document() if first == b"{" else None
            if array is None:
                yield self._element()
                continue
            yield from self._array()
            self._trailer()

    def _document(self) -> bool | None:
        """Step into the array of the document that begins here; None where it has none."""
        while len(self._data) - self._at < _HEAD and self._more():
            pass
        text = self._data[self._at : self._at + _HEAD]
        array = array_in(text)
        if array is None:
            return None
        self._tell(text[: array[0]] + b'"":0}')
        self._skip(array[1])
        return True

    def _array(self) -> Iterator[Raw]:
        """The elements up to the closing bracket, which is passed."""
        while self._to_next():
            if self._data[self._at : self._at + 1] == b"]":
                self._skip(1)
                return
            yield self._element()
        raise self._short()

    def _trailer(self) -> None:
        """Pass what follows the array in its document."""
        size, depth = 0, 1
        while depth:
            found = self._within(_BRACKET, self._at + size)
            depth += 1 if self._data[found - 1] in _OPEN else -1
            size = found - self._at
        self._tell(b'{"":0' + self._data[self._at : self._at + size])
        self._skip(size)

    def _element(self) -> Raw:
        """The value that begins here: whole, or `VulnFeedError`."""
        raw = self._whole()
        line = self._line
        self._skip(len(raw))
        return Raw(raw, line)

    def _whole(self) -> bytes:
        if self._data[self._at : self._at + 1] in (b"]", b"}"):
            raise VulnFeedError("A bracket closes that was not opened.", reason=MALFORMED, line=self._line)
        while True:
            found = _ELEMENT.match(self._data, self._at)
            if found:
                return found[0]
            if self._data[self._at] in _OPEN and (end := self._deep()):
                return self._data[self._at : end]
            if not self._more():
                raise self._short()

    def _deep(self) -> int:
        """The end of the value that begins here and has more levels than the fast expression knows; 0: not yet here."""
        at, depth = self._at, 0
        while found := _BRACKET.match(self._data, at):
            at = found.end()
            depth += 1 if self._data[at - 1] in _OPEN else -1
            if depth == 0:
                return at
        return 0

    def _within(self, pattern: re.Pattern[bytes], at: int) -> int:
        """The end of what `pattern` finds at `at`, with as much more of the source as that needs."""
        offset = at - self._at
        while True:
            found = pattern.match(self._data, self._at + offset)
            if found:
                return found.end()
            if not self._more():
                raise self._short()

    def _to_next(self) -> bool:
        """Go to the next value; False at the end of everything."""
        while True:
            found = _BETWEEN.match(self._data, self._at)
            self._skip(found.end() - self._at if found else 0)
            if self._at < len(self._data):
                return True
            if not self._more():
                return False

    def _skip(self, size: int) -> None:
        self._line += self._data.count(b"\n", self._at, self._at + size)
        self._at += size

    def _more(self) -> bool:
        """Get at least as much again as is held, so that what is looked at again and again grows linearly."""
        held = len(self._data) - self._at
        if held > MAX_RECORD:
            raise _too_large(self._line)
        parts, wanted = [self._data[self._at :]], max(held, _PIECE)
        while wanted > 0 and (piece := self._source.chunk()):
            parts.append(piece)
            wanted -= len(piece)
        self._data, self._at = b"".join(parts), 0
        return len(parts) > 1

    def _tell(self, text: bytes) -> None:
        """Note what the document says of itself; what is no JSON there says nothing."""
        try:
            self._head.update(msgspec.json.decode(text, type=dict[str, Any]))
        except (ValueError, RecursionError):
            return

    def _short(self) -> VulnFeedError:
        return VulnFeedError(
            "The JSON ends too early or is malformed.", reason=MALFORMED, hint="Fetch the feed again.", line=self._line
        )


def _too_large(line: int) -> VulnFeedError:
    return VulnFeedError(f"A record is larger than {MAX_RECORD >> 20} MiB.", reason="feed_too_large", line=line)
