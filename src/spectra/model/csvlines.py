"""Rows as CSV (RFC 4180), with cells that no spreadsheet runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import cast

from spectra.model.safe import safe_cell


def lines(names: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """A header, then each record, ended by CRLF; quotes where they are needed."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(names)
    yield buffer.getvalue()
    for row in rows:
        buffer.seek(0)
        buffer.truncate()
        writer.writerow([cell(value) for value in row])
        yield buffer.getvalue()


def cell(value: object) -> object:
    """A value as a cell: numbers as they are, everything else as harmless text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    return safe_cell(plain(value))


def plain(value: object) -> str:
    """A value in words: moments in UTC, lists with commas, nothing for nothing."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(plain(item) for item in cast("tuple[object, ...]", value))
    return str(value)
