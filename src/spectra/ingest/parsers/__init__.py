"""Tools' output as records. One parser for each format; the format is recognised from the content.

All are streaming, bounded in size and depth, and raise nothing but `ParseError`, whatever the bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from spectra.ingest.parsers import bbot, connect, httpx, masscan, naabu, nmap, nuclei
from spectra.ingest.parsers.context import Context, meta_only
from spectra.ingest.parsers.encoding import HEAD_BYTES, Utf8Stream, utf8_head
from spectra.ingest.parsers.errors import ParseError
from spectra.ingest.parsers.recognition import FORMATS, from_head
from spectra.model.envelope import Privacy
from spectra.model.observation import Problem, Record

__all__ = ["FORMATS", "MAX_PROBLEMS", "Context", "ParseError", "parse", "recognise", "table"]

MAX_PROBLEMS = 1000  # listed for one output; the rest are counted

_PARSERS: dict[str, Callable[[Utf8Stream, Context], Iterator[Record]]] = {
    "nmap-xml": nmap.parse,
    "masscan-xml": nmap.parse,
    "masscan-json": masscan.parse,
    "naabu-jsonl": naabu.parse,
    "bbot-ndjson": bbot.parse,
    "httpx-jsonl": httpx.parse,
    "nuclei-jsonl": nuclei.parse,
    connect.TOOL: connect.parse,
}

_TABLES: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("nmap XML (`nmap-xml`) and masscan XML (`masscan-xml`)", nmap.KEPT),
    ("naabu JSON lines (`naabu-jsonl`)", naabu.KEPT),
    ("masscan JSON and JSON lines (`masscan-json`)", masscan.KEPT),
    ("BBOT events (`bbot-ndjson`)", bbot.KEPT),
    ("httpx JSON lines (`httpx-jsonl`)", httpx.KEPT),
    ("nuclei results (`nuclei-jsonl`)", nuclei.KEPT),
    ("The built-in scanner (`spectra-connect`)", connect.KEPT),
)


def recognise(head: bytes) -> str:
    """The format (one of `FORMATS`) of content that begins with `head`; 64 KiB are enough.

    `ParseError` (`unrecognised_format`) names the formats known and says what the content looks like.
    """
    return from_head(utf8_head(head[:HEAD_BYTES]))


def parse(stream: BinaryIO, context: Context) -> tuple[str, Iterator[Record]]:
    """Recognise the format of `stream` and return it with the records, which are read as they are asked for.

    `ParseError` is raised at once where the format is not known, and while iterating where nothing useful can be read
    or `stream` itself raises it (`open_output`: too large, not what was claimed). Whatever else is wrong is a `Problem`
    among the records. The stream is read to its end, so that what checks it there has checked it.
    """
    text = Utf8Stream(stream)
    name = from_head(text.head())
    records = _bounded(_PARSERS[name](text, context), text)
    if context.privacy is Privacy.META_ONLY:
        records = map(meta_only, records)
    return name, records


def _bounded(records: Iterator[Record], text: Utf8Stream) -> Iterator[Record]:
    problems = 0
    for record in records:
        if isinstance(record, Problem):
            problems += 1
            if problems > MAX_PROBLEMS:
                continue
        yield record
    while text.read(1024 * 1024):
        pass
    if text.replaced:
        message = f"{text.replaced} byte sequences that are no {text.codec} were replaced by U+FFFD"
        yield Problem(message=message, line=text.first_line)
    if problems > MAX_PROBLEMS:
        yield Problem(message=f"{problems - MAX_PROBLEMS} more problems are not listed")


def table() -> str:
    """The markdown of docs/formats.md: for each tool which fields are kept, and where."""
    parts = [_INTRODUCTION]
    for title, kept in _TABLES:
        rows = "\n".join(f"| {field} | {where} |" for field, where in kept)
        parts.append(f"## {title}\n\n| the tool's field | kept as |\n| --- | --- |\n{rows}\n")
    return "\n".join(parts)


_INTRODUCTION = """# What is kept of each tool's output

Written by `spectra.ingest.parsers.table()` from the tables beside each parser; a test compares.

The format is recognised from the content, never from the file's name. The original output is kept as it came in the
blob store, so that what is not listed here is not lost. Text is cut to the lengths given, control characters are made
visible (`\\x00`), and a record that cannot be read is listed with its line while its neighbours are kept. UTF-16 (as
PowerShell's `>` writes it) and the usual 8-bit encodings are converted. With `--privacy meta-only` no banner, title,
script output or other words of a service leave the parser; findings keep their kind, severity and place only.

Bounds: 64 pieces of evidence of 4 KB for each endpoint, host and name; banners 2 KB; JSON records 16 MiB and 100
levels; 1,000 problems listed for each output.
"""
