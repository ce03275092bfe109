"""The only XML reader: streaming, without entities, external documents or unbounded trees.

libxml2 is fed piece by piece, so every element that was complete before an error or the end of a cut file is known,
and none that was not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, BinaryIO, Protocol, cast

from lxml import etree

from spectra.ingest.parsers.encoding import Utf8Stream
from spectra.ingest.parsers.errors import ParseError
from spectra.ingest.parsers.text import clean
from spectra.model.observation import Problem

_PIECE_BYTES = 64 * 1024
# What may stand between two ends of wanted elements. One host with 65,535 open ports, product and version each, has
# 2 million marks (`<` and `=`) in 30 MB; a node costs libxml2 about 120 bytes, an attribute as much.
_MAX_GAP_MARKS = 4_000_000
_MAX_GAP_BYTES = 64 * 1024 * 1024

_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)
_BEGIN = re.compile(rb"^[ \t]*(?=<!DOCTYPE\s|<!--|<\?|<[A-Za-z])", re.MULTILINE)
_DECLARATION = re.compile(rb"<\?xml\s")
# XML 1.0 2.2: these cannot stand in a document, yet old versions of nmap write what a service sent.
_FORBIDDEN = bytes(code for code in range(32) if code not in b"\t\n\r")
_REFUSED = "The XML declares entities, which no scanner writes and which can blow up; it was not read."


class Element(Protocol):
    """What parsers use of an lxml element (its stubs know neither the attribute types nor the children's)."""

    @property
    def tag(self) -> str: ...
    @property
    def text(self) -> str | None: ...
    @property
    def sourceline(self) -> int | None: ...
    def get(self, key: str, /) -> str | None: ...
    def items(self) -> list[tuple[str, str]]: ...
    def find(self, path: str, /) -> Element | None: ...
    def __iter__(self) -> Iterator[Element]: ...
    def __len__(self) -> int: ...


class _Node(Element, Protocol):
    def getparent(self) -> _Node | None: ...
    def getprevious(self) -> _Node | None: ...
    def getroottree(self) -> Any: ...
    def clear(self) -> None: ...
    def __delitem__(self, index: int, /) -> None: ...


class _LogEntry(Protocol):
    @property
    def message(self) -> str: ...
    @property
    def line(self) -> int: ...


def root_name(head: bytes) -> str:
    """The name of the document element in `head` (UTF-8), or an empty string."""
    found = re.search(rb"<([A-Za-z_][\w.-]*)[\s>/]", _COMMENT.sub(b"", head))
    return found.group(1).decode() if found else ""


def elements(stream: Utf8Stream, root: str, wanted: tuple[str, ...]) -> Iterator[tuple[int, Element] | Problem]:
    """Yield (line, element): first the `root` element with its attributes only, then each `wanted` child of it.

    A child is complete when it comes and is emptied when the caller asks for the next. A document that breaks off or
    breaks the rules ends with a `Problem`; `ParseError` is raised for one that declares entities.
    """
    skipped, lines, stray = _prolog(stream.head(), root)
    stream.read(skipped)
    if stray:
        yield Problem(message=f"{lines} lines before the XML were skipped", line=1)
    reader = _Reader(root, wanted, lines)
    yield from reader.read(stream)


def _prolog(head: bytes, root: str) -> tuple[int, int, bool]:
    """(bytes, lines before the XML, whether they are more than white space and comments); entities are refused."""
    found = _DECLARATION.search(head)
    opening = head.find(b"<" + root.encode())
    if found is None or 0 <= opening < found.start():
        found = _BEGIN.search(head)
    start = found.end() if found and found.re is _BEGIN else found.start() if found else 0
    if b"<!ENTITY" in _COMMENT.sub(b"", head[start : opening if opening > start else len(head)]):
        raise ParseError(_REFUSED, line=head.count(b"\n", 0, head.find(b"<!ENTITY")) + 1, field="DOCTYPE")
    return start, head.count(b"\n", 0, start), bool(_COMMENT.sub(b"", head[:start]).strip())


class _Reader:
    """Feeds libxml2 and hands out what is complete."""

    def __init__(self, root: str, wanted: tuple[str, ...], line_offset: int) -> None:
        self._root = root
        self._offset = line_offset
        self._dropped = 0
        self._gap_marks = 0
        self._gap_bytes = 0
        self._document: _Node | None = None
        self._parser = etree.XMLPullParser(
            events=("start", "end"),
            tag=(root, *wanted),
            encoding="utf-8",
            resolve_entities=False,
            load_dtd=False,
            no_network=True,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
            collect_ids=False,
        )

    def read(self, stream: BinaryIO) -> Iterator[tuple[int, Element] | Problem]:
        """All of `elements` after the lines before the XML."""
        problem: Problem | None = None
        while problem is None and (piece := stream.read(_PIECE_BYTES)):
            problem = self._feed(piece)
            yield from self._complete()
            problem = problem or self._gap()
        problem = problem or self._close()
        yield from self._complete()
        if self._document is None:
            message = problem.message if problem else f"There is no <{self._root}> element."
            raise ParseError(f"The XML cannot be read: {message}", line=problem.line if problem else 0)
        if self._dropped:
            yield Problem(message=f"{self._dropped} control characters that XML forbids were dropped")
        if problem:
            yield problem

    def _feed(self, piece: bytes) -> Problem | None:
        allowed = piece.translate(None, _FORBIDDEN)
        self._dropped += len(piece) - len(allowed)
        self._gap_marks += allowed.count(b"<") + allowed.count(b"=")
        self._gap_bytes += len(allowed)
        try:
            self._parser.feed(allowed)
        except etree.XMLSyntaxError as error:
            return self._problem(error)
        return None

    def _close(self) -> Problem | None:
        try:
            self._parser.close()
        except etree.XMLSyntaxError as error:
            return self._problem(error)
        return None

    def _problem(self, error: etree.XMLSyntaxError) -> Problem:
        message, line = error.msg, error.lineno or 0
        # An entity that is not declared stops libxml2 without an exception; its log has the reason.
        log = cast("list[_LogEntry]", self._parser.feed_error_log)
        if not line and len(log):
            message, line = log[0].message, log[0].line
        return Problem(message=f"the XML ends or breaks here: {clean(message)}", line=line + self._offset)

    def _gap(self) -> Problem | None:
        if self._gap_marks <= _MAX_GAP_MARKS and self._gap_bytes <= _MAX_GAP_BYTES:
            return None
        return Problem(message="one element is larger than any host can be; what follows was not read")

    def _complete(self) -> Iterator[tuple[int, Element]]:
        for event, element in cast("Iterator[tuple[str, _Node]]", self._parser.read_events()):
            parent = element.getparent()
            if event == "start":
                if parent is None:
                    self._document = self._checked(element)
                    yield self._line(element), element
            elif parent is not None and parent is self._document:
                self._gap_marks = self._gap_bytes = 0
                yield self._line(element), element
                element.clear()
                while element.getprevious() is not None:
                    del parent[0]

    def _line(self, element: Element) -> int:
        return (element.sourceline or 0) + self._offset

    def _checked(self, root: _Node) -> _Node:
        dtd = root.getroottree().docinfo.internalDTD
        if dtd is not None and any(True for _ in dtd.iterentities()):
            raise ParseError(_REFUSED, line=1, field="DOCTYPE")
        return root
