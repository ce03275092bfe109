"""JSON records from a stream, however a tool or a person laid them out: one a line, pretty-printed over lines, in an
array, several on a line, with separators on lines of their own. Bounded in size and depth; a broken record costs
itself, not its neighbours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import BinaryIO, TypeVar

import msgspec

from spectra.model.observation import Problem

T = TypeVar("T")

MAX_RECORD_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 100
_PIECE_BYTES = 1024 * 1024
_SEPARATORS = b" \t\r\n,[]"

# A string (perhaps unterminated), or a bracket. RFC 8259 7: a raw line feed cannot stand in a string.
_TOKEN = re.compile(rb'"[^"\\\n]*(?:\\.[^"\\\n]*)*("?)|[{}\[\]]')
_QUOTE, _BRACKET = ord('"'), ord("[")
_COLON = re.compile(rb"\s*:")
_FIELD = re.compile(r" - at `\$\.?([^`]+)`$")


def records(
    stream: BinaryIO, decode: Callable[[bytes], T], *, skip: bytes | None = None
) -> Iterator[tuple[int, T] | Problem]:
    """Yield (line, value) for each JSON object of `stream` that `decode` accepts, and a `Problem` for each other.

    `line` is where the object begins. `decode` raises `msgspec.DecodeError`. A line equal to `skip` is left out.
    """
    splitter = _Splitter()
    line, at_start = 0, True
    while piece := stream.readline(_PIECE_BYTES):
        line += at_start
        if at_start and _may_be_record(piece):
            yield from _whole_line(splitter, piece, line, decode, skip)
        else:
            yield from _decoded(splitter.feed(piece, line), decode)
        at_start = piece.endswith(b"\n")
    yield from splitter.finish()


def decode_problem(error: msgspec.DecodeError, line: int) -> Problem:
    """What is wrong with the record at `line`, with the path of the field in it."""
    message = str(error)
    found = _FIELD.search(message)
    if found is None:
        return Problem(message=f"not a JSON object: {message[:200]}", line=line)
    return Problem(message=message[: found.start()][:200], line=line, field=found.group(1)[:100])


def first_keys(text: bytes) -> set[str]:
    """The keys of the first object in `text`, which may be cut off anywhere; not those of objects inside it."""
    keys: set[str] = set()
    depth = 0
    for token in _TOKEN.finditer(text):
        kind = text[token.start()]
        if kind == _QUOTE:
            if depth == 1 and token.group(1) and _COLON.match(text, token.end()):
                keys.add(token.group()[1:-1].decode("utf-8", "replace"))
        elif kind in b"{[":
            depth += depth > 0 or kind != _BRACKET
        else:
            depth -= 1
            if depth <= 0:
                break
    return keys


def _may_be_record(piece: bytes) -> bool:
    return piece[:1] == b"{" or piece.lstrip(_SEPARATORS)[:1] == b"{"


def _whole_line(
    splitter: _Splitter, piece: bytes, line: int, decode: Callable[[bytes], T], skip: bytes | None
) -> Iterator[tuple[int, T] | Problem]:
    """The usual case, tried first: the line is one object. Also where a record cut off before it is given up."""
    body = piece.strip(_SEPARATORS)
    if splitter.pending and not (piece[:1] == b"{" and len(body) > 2):
        yield from _decoded(splitter.feed(piece, line), decode)
        return
    if body == skip:
        return
    result = _attempt(body, line, decode)
    if result is None:
        yield from _decoded(splitter.feed(piece, line), decode)
        return
    if splitter.pending:
        yield from splitter.finish()
    yield result


def _attempt(body: bytes, line: int, decode: Callable[[bytes], T]) -> tuple[int, T] | Problem | None:
    """The record that `body` is, or its problem; None where it is not one whole JSON value."""
    if not body.endswith(b"}"):
        return None
    try:
        return line, decode(body)
    except msgspec.ValidationError as error:
        return decode_problem(error, line)
    except (msgspec.DecodeError, RecursionError):
        return None


def _decoded(
    found: Iterator[tuple[int, bytes] | Problem], decode: Callable[[bytes], T]
) -> Iterator[tuple[int, T] | Problem]:
    for item in found:
        if isinstance(item, Problem):
            yield item
            continue
        line, body = item
        try:
            yield line, decode(body)
        except msgspec.DecodeError as error:
            yield decode_problem(error, line)
        except RecursionError:
            yield Problem(message=f"nested deeper than {MAX_DEPTH} levels", line=line)


class _Splitter:
    """Finds the top-level objects in pieces of text by counting brackets outside strings.

    The text held always begins with the object that is `pending`; without one, nothing is held.
    """

    def __init__(self) -> None:
        self._text = bytearray()
        self._begin: int = 0
        self._scanned: int = 0
        self._depth: int = 0
        self._line: int = 0
        self._complaint = ""
        self._skipping = False  # until the end of this line

    @property
    def pending(self) -> bool:
        """Whether an object has begun and not ended."""
        return self._depth > 0

    def finish(self) -> Iterator[Problem]:
        """Give up the object that has begun, if any."""
        if self.pending:
            yield Problem(message="a JSON object begins here and does not end", line=self._line)
        self._reset()

    def feed(self, piece: bytes, line: int) -> Iterator[tuple[int, bytes] | Problem]:
        """Take a piece that belongs to `line`; yield (line of its beginning, text) of each object that ends in it."""
        if self._skipping:
            self._skipping = not piece.endswith(b"\n")
            return
        self._text += piece
        done, stray = 0, False
        for end in self._ends(line):
            stray = stray or self._has_words(done, self._begin)
            done = end
            yield self._line, bytes(self._text[self._begin : end])
        stray = stray or self._has_words(done, self._begin if self.pending else len(self._text))
        self._keep()
        if stray:
            yield Problem(message="text that is not JSON", line=line)
        if self._complaint:
            yield Problem(message=self._complaint, line=self._line)
            self._reset()
            self._skipping = not piece.endswith(b"\n")

    def _ends(self, line: int) -> Iterator[int]:
        """Where each object ends that begins at `_begin`; sets `_complaint` where one cannot go on."""
        for token in _TOKEN.finditer(self._text, self._scanned):
            self._scanned = token.end()
            kind = self._text[token.start()]
            if kind == _QUOTE:
                if self.pending and not token.group(1):
                    self._open_string(token.start())
                    return
            elif kind in b"{[":
                if self._depth == 0:
                    if kind == _BRACKET:
                        continue  # the array around all records
                    self._begin, self._line = token.start(), line
                self._depth += 1
                if self._depth > MAX_DEPTH:
                    self._complaint = f"nested deeper than {MAX_DEPTH} levels"
                    return
            elif self._depth > 0:
                self._depth -= 1
                if self._depth == 0:
                    yield token.end()
        self._scanned = len(self._text)

    def _open_string(self, start: int) -> None:
        """A string without end goes on in the next piece, unless its line has ended."""
        self._scanned = start
        if self._text.endswith(b"\n"):
            self._complaint = "a string is not closed on its line"

    def _has_words(self, start: int, end: int) -> bool:
        return bool(self._text[start:end].strip(_SEPARATORS))

    def _keep(self) -> None:
        """Hold what belongs to the pending object and nothing else."""
        if not self.pending:
            self._text.clear()
            self._scanned = 0
            return
        del self._text[: self._begin]
        self._scanned -= self._begin
        self._begin = 0
        if len(self._text) > MAX_RECORD_BYTES:
            self._complaint = f"longer than {MAX_RECORD_BYTES} bytes"

    def _reset(self) -> None:
        self._text.clear()
        self._begin = self._scanned = self._depth = 0
        self._complaint = ""
