"""CISA's catalogue of known exploited vulnerabilities, as JSON and as CSV.

Schema: https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities_schema.json
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from typing import Final

import msgspec

from spectra.intel.vulns.texts import MAX_TITLE, clean, cve_id, day
from spectra.model.vulns import Kev

_MAX_TEXT: Final = 4000


class _Entry(msgspec.Struct, gc=False, rename="camel"):
    cve_id: str = msgspec.field(name="cveID")
    date_added: str
    due_date: str | None = None
    known_ransomware_campaign_use: str | None = None
    vendor_project: str | None = None
    product: str | None = None
    vulnerability_name: str | None = None
    required_action: str | None = None
    notes: str | None = None


_DECODER: Final = msgspec.json.Decoder(_Entry)


def entry(data: bytes) -> Kev:
    """The entry of an element of `vulnerabilities`. Raises `ValueError` (and `RecursionError`) for what is none."""
    return _entry(_DECODER.decode(data))


def is_header(line: bytes) -> bool:
    """Whether this is the first line of the catalogue's CSV."""
    return b"cveID" in line and b"dateAdded" in line


def row_reader(header: bytes) -> Callable[[bytes], Kev]:
    """A reader of the rows under `header`; it raises `ValueError` for a row that is none."""
    columns = _values(header)

    def read(row: bytes) -> Kev:
        values = _values(row)
        if len(values) != len(columns):
            raise ValueError(f"the row has {len(values)} values, the header {len(columns)}")
        return _entry(msgspec.convert(dict(zip(columns, values, strict=True)), _Entry))

    return read


def _values(row: bytes) -> list[str]:
    try:
        for values in csv.reader([row.decode("utf-8")], strict=True):
            return values
    except csv.Error as error:
        raise ValueError(f"this is no CSV: {error}") from error
    return []


def _entry(given: _Entry) -> Kev:
    added = day(given.date_added)
    if added is None:
        raise ValueError(f"{given.date_added[:40]!r} is no date")
    return Kev(
        cve=cve_id(given.cve_id),
        added=added,
        due=day(given.due_date or ""),
        ransomware=(given.known_ransomware_campaign_use or "").strip().lower() == "known",
        vendor=clean(given.vendor_project or "", MAX_TITLE),
        product=clean(given.product or "", MAX_TITLE),
        name=clean(given.vulnerability_name or "", MAX_TITLE),
        action=clean(given.required_action or "", _MAX_TEXT),
        notes=clean(given.notes or "", _MAX_TEXT),
    )
