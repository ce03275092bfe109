"""`spectra export`: all that matches a query, for other tools."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from spectra.cli.help import FieldsOption, examples
from spectra.cli.local import Machine
from spectra.cli.output import Target, emit, finish, note, opened, plural
from spectra.cli.search import columns, pointing, unguarded
from spectra.errors import BadRequest

if TYPE_CHECKING:
    from spectra.cli.client import Client
    from spectra.cli.paging import Paged
    from spectra.model.records import Match, SearchPage

PAGE: Final = 2000
_WAIT_S: Final = 120.0  # that the server may be silent: it finds a page's weaknesses before it sends any of it
_FORMATS: Final = ("nmap-xml", "csv", "jsonl", "geojson", "stix")
_SYNONYMS: Final = {"xml": "nmap-xml", "nmap": "nmap-xml", "json": "jsonl", "ndjson": "jsonl"}
_BY_SUFFIX: Final = {
    ".xml": "nmap-xml",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".geojson": "geojson",
    ".stix": "stix",
}


def export(
    context: typer.Context,
    *,
    query: Annotated[list[str] | None, typer.Argument(metavar="QUERY...", help="What to export; nothing: all.")] = None,
    format: Annotated[
        str, typer.Option("--format", "-f", "--output", metavar="FORMAT", help="nmap-xml, csv, jsonl, geojson or stix.")
    ] = "",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write there; .xml, .csv ... decide the format.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Most endpoints; 0 exports all.")] = 0,
    fields: FieldsOption = "",
) -> None:
    """Export the endpoints that match, in order of address, while they are read.

    nmap-xml can be imported again and is read by nmap's tools; geojson has a point for each host whose place is known,
    to be drawn on a map; stix is a STIX 2.1 bundle of hosts, their software and its weaknesses. A file appears when it
    is complete.
    """
    chosen = _chosen(format, out)
    if fields and chosen not in ("csv", "jsonl"):
        raise BadRequest(f"{chosen} has fields of its own", field="fields", hint="--fields goes with csv and jsonl.")
    words = " ".join(unguarded(query or []))
    with Machine.of(context).client(notify=note) as client, pointing(words):
        if chosen == "stix":
            _fetch(client, {"q": words, "format": chosen, "limit": limit}, out)
            return
        from spectra.cli.paging import Paged
        from spectra.model.records import SearchPage

        params: dict[str, str | int] = {"q": words, "sort": "ip"}
        pages = Paged(
            client, "/v0/search", SearchPage, lambda page: page.matches, params=params, limit=limit, page=PAGE
        )
        _write(pages, chosen, words, fields, out)


EXPORT_EXAMPLES = examples(
    "spectra export service:ssh -f nmap-xml -o ssh.xml",
    "spectra export country:FR -o france.geojson",
    "spectra export since:7d --format csv --fields ip,port,product,country",
    "spectra export kev:true -f stix -o exploited.stix",
)


def _fetch(client: Client, params: dict[str, str | int], out: Path | None) -> None:
    """A document that the server writes: it alone knows which weaknesses each endpoint has."""
    with client.open("GET", "/v0/export", params=params, wait_s=_WAIT_S) as answer, opened(out) as stream:
        for piece in answer.iter_text():
            stream.write(piece)
    if out:
        note(f"Written to {out}")


def _chosen(format: str, out: Path | None) -> str:
    """The format by name, else by the file's ending, else JSON lines."""
    word = format.strip().lower() or (_BY_SUFFIX.get(out.suffix.lower(), "") if out else "jsonl")
    found = _SYNONYMS.get(word, word)
    if found not in _FORMATS:
        what = f"there is no format {format!r}" if format else f"{out} does not say in which format"
        raise BadRequest(what, field="format", hint=f"Formats: {', '.join(_FORMATS)}.")
    return found


def _write(pages: Paged[SearchPage, Match], format: str, query: str, fields: str, out: Path | None) -> None:
    from spectra.cli.paging import watched
    from spectra.model.formats import GeoJson, nmap_xml

    target = Target.of(csv=format == "csv", json=format != "csv", fields=fields, path=out)
    counted = _Counted(watched(pages, target, "exporting"))
    if format in ("csv", "jsonl"):
        emit(counted, columns(datetime.now(UTC)), target)
    elif format == "nmap-xml":
        _stream(nmap_xml(counted, query, datetime.now(UTC)), out)
    else:
        document = GeoJson(counted)
        _stream(document, out)
        if document.unplaced:
            note(f"{plural(document.unplaced, 'host')} left out, whose coordinates are not known.")
    finish(counted.count, target, more=pages.more, what="endpoint", nothing="Nothing matches.")


class _Counted:
    """Matches on their way, and how many there were."""

    def __init__(self, matches: Iterable[Match]) -> None:
        self._matches = matches
        self.count = 0

    def __iter__(self) -> Iterator[Match]:
        for match in self._matches:
            self.count += 1
            yield match


def _stream(pieces: Iterable[str], path: Path | None) -> None:
    with opened(path) as stream:
        for piece in pieces:
            stream.write(piece)
