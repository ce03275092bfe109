"""What matches, in other tools' formats, as bytes that are sent while the matches are still read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NamedTuple

import msgspec

from spectra.model import csvlines, matchfields
from spectra.model.formats import GeoJson, nmap_xml
from spectra.model.query import Query
from spectra.model.records import Match, SearchPage
from spectra.model.stix import MAX_CVES, Seen, bundle
from spectra.store import matchflaws, search
from spectra.store.database import Database

Format = Literal["csv", "jsonl", "nmap-xml", "geojson", "stix"]

PAGE: Final = 2000
_PIECE: Final = 64 * 1024


class Kind(NamedTuple):
    """How a format is told of: its media type, and how its files end."""

    media_type: str
    ending: str


KINDS: Final[dict[Format, Kind]] = {
    "csv": Kind("text/csv; charset=utf-8", "csv"),
    "jsonl": Kind("application/x-ndjson", "jsonl"),
    "nmap-xml": Kind("application/xml", "xml"),
    "geojson": Kind("application/geo+json", "geojson"),
    "stix": Kind("application/stix+json;version=2.1", "stix.json"),
}


@dataclass(frozen=True)
class Export:
    """What is exported: the query as text and as terms, the most endpoints (0: all), and whether findings are told."""

    text: str
    query: Query
    limit: int
    findings: bool


def pieces(database: Database, export: Export, format: Format, now: datetime) -> Iterator[bytes]:
    """The whole document; its first page is read before this returns, so that what is wrong is told as an error."""
    matches = _matches(database, export)
    first = next(matches, None)
    return _gathered(_WRITERS[format](database, export, _chained(first, matches), now))


def _chained(first: list[Match] | None, rest: Iterator[list[Match]]) -> Iterator[list[Match]]:
    if first is not None:
        yield first
        yield from rest


def _matches(database: Database, export: Export) -> Iterator[list[Match]]:
    """Page by page, in order of address; no connection is held between them."""
    cursor, left = "", export.limit
    while True:
        most = min(left, PAGE) if export.limit else PAGE
        page: SearchPage = search.search(database, export.query, sort="ip", cursor=cursor, limit=most)
        found = list(page.matches)
        if not export.findings:
            found = [msgspec.structs.replace(match, findings=0, worst="") for match in found]
        yield found
        left, cursor = left - len(found), page.next_cursor
        if not cursor or (export.limit and left <= 0):
            return


def _single(pages: Iterator[list[Match]]) -> Iterator[Match]:
    for page in pages:
        yield from page


def _csv(_: Database, export: Export, pages: Iterator[list[Match]], now: datetime) -> Iterator[str]:
    hidden = () if export.findings else ("findings", "worst")
    names = [name for name in matchfields.FIELDS if name not in hidden]
    rows = ([matchfields.FIELDS[name](match) for name in names] for match in _single(pages))
    return csvlines.lines(names, rows)


def _jsonl(_: Database, export: Export, pages: Iterator[list[Match]], now: datetime) -> Iterator[str]:
    encode = msgspec.json.Encoder().encode
    return (encode(match).decode() + "\n" for match in _single(pages))


def _nmap(_: Database, export: Export, pages: Iterator[list[Match]], now: datetime) -> Iterator[str]:
    return nmap_xml(_single(pages), export.text, now)


def _geojson(_: Database, export: Export, pages: Iterator[list[Match]], now: datetime) -> Iterator[str]:
    return iter(GeoJson(_single(pages)))


def _stix(database: Database, export: Export, pages: Iterator[list[Match]], now: datetime) -> Iterator[str]:
    def seen() -> Iterator[Seen]:
        for page in pages:
            known = matchflaws.cves(database, page, MAX_CVES) if export.findings else [()] * len(page)
            yield from (Seen(match, cves) for match, cves in zip(page, known, strict=True))

    return bundle(seen(), export.text, now)


_Writer = Callable[[Database, Export, Iterator[list[Match]], datetime], Iterator[str]]
_WRITERS: Final[dict[Format, _Writer]] = {
    "csv": _csv,
    "jsonl": _jsonl,
    "nmap-xml": _nmap,
    "geojson": _geojson,
    "stix": _stix,
}


def _gathered(texts: Iterator[str]) -> Iterator[bytes]:
    """The same in pieces of some size: each is handed over to the server's own thread."""
    held: list[str] = []
    size = 0
    for text in texts:
        held.append(text)
        size += len(text)
        if size >= _PIECE:
            yield "".join(held).encode()
            held, size = [], 0
    if held:
        yield "".join(held).encode()
