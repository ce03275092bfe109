"""FIRST's EPSS scores: the daily CSV, its older forms, and the JSON of its API and of mirrors.

https://www.first.org/epss/data_stats
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import msgspec

from spectra.intel.vulns.texts import cve_id
from spectra.model.vulns import Epss

HEADER: Final = b"cve,epss,percentile"
"""The columns of a table that does not name them."""

_ROW: Final = re.compile(rb"CVE-\d{4}-\d{4,9},[0-9.eE-]{1,30}(?:,[0-9.eE-]{1,30})?")
_ABOUT: Final = re.compile(rb"(model_version|score_date):([^,;\s]{1,60})")


class _Entry(msgspec.Struct, gc=False):
    epss: float | str
    cve: str = ""
    id: str = ""
    percentile: float | str | None = None


_DECODER: Final = msgspec.json.Decoder(_Entry)


def entry(data: bytes) -> Epss:
    """The score of an element of `data`. Raises `ValueError` (and `RecursionError`) for what is none."""
    given = _DECODER.decode(data)
    percentile = None if given.percentile in (None, "") else _part(given.percentile or 0)
    return Epss(cve_id(given.cve or given.id), _part(given.epss), percentile)


def about(line: bytes) -> dict[str, str]:
    """What the comment line says: `#model_version:v2025.03.14,score_date:2026-08-16T00:00:00+0000`."""
    found: list[tuple[bytes, bytes]] = _ABOUT.findall(line)
    return {name.decode(): value.decode("utf-8", "replace") for name, value in found}


def is_header(line: bytes) -> bool:
    """Whether this is the line that names the columns."""
    columns = [column.strip(b' "').lower() for column in re.split(rb"[,;]", line)]
    return b"cve" in columns and b"epss" in columns


def is_row(line: bytes) -> bool:
    """Whether this is a row of such a table."""
    return bool(_ROW.fullmatch(line))


def row_reader(header: bytes) -> Callable[[bytes], Epss]:
    """A reader of the rows under `header`; it raises `ValueError` for a row that is none."""
    separator = b";" if b";" in header else b","
    columns = [column.strip(b' "').lower() for column in header.split(separator)]
    cve, score = columns.index(b"cve"), columns.index(b"epss")
    rank = columns.index(b"percentile") if b"percentile" in columns else -1
    least = max(cve, score)

    def read(row: bytes) -> Epss:
        values = row.split(separator)
        if len(values) <= least:
            raise ValueError(f"the row has {len(values)} values, the header {len(columns)}")
        told = values[rank].strip(b' "') if 0 <= rank < len(values) else b""
        name = values[cve].strip(b' "').decode("ascii")
        return Epss(
            cve_id(name),
            _part(values[score].strip(b' "').decode("ascii")),
            _part(told.decode("ascii")) if told else None,
        )

    return read


def _part(value: float | str) -> float:
    """A number between 0 and 1."""
    number = float(value)
    if not 0 <= number <= 1:  # NaN neither
        raise ValueError(f"{str(value)[:40]} is not between 0 and 1")
    return number
