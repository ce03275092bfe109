"""Who originates a prefix in the routing table (RouteViews as pyasn writes it), and the names of the AS numbers."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

import msgspec
import numpy as np

from spectra.intel.feeds import files
from spectra.intel.feeds.build import Rows, bad_line, table
from spectra.intel.feeds.errors import FeedError
from spectra.intel.feeds.intervals import NONE, Axis, empty6
from spectra.intel.feeds.table import About, Table, compiled
from spectra.model.facts import Place

MAX_ASN: Final = (1 << 32) - 1
LINE: Final = re.compile(r"[0-9A-Fa-f.:]+/\d{1,3}[ \t]+\{?[0-9][0-9{},_ ]*\}?\s*")
"""A line of a prefix table."""

_ORIGINS: Final = re.compile(r"[{},_ ]+")
_RIB: Final = re.compile(r"rib[\w-]*\.(\d{8})\.(\d{4})")


def prefixes(data: bytes) -> Table:
    """Lines `prefix<TAB>origin` after comments that begin with `;` or `#`.

    A prefix with several origins (`{64500,64501}`, `64500_64501`) is taken as the first's: a host is one network's.
    """
    text = files.text(data)
    rows, lines = Rows([], []), list[int]()
    places: dict[str, Place] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line or line[0] in ";#":
            continue
        prefix, _, origin = line.replace(" ", "\t", 1).partition("\t") if "\t" not in line else line.partition("\t")
        place = places.get(origin)
        if place is None:
            place = places[origin] = Place(asn=_origin(origin, number))
        rows.texts.append(prefix.strip())
        rows.places.append(place)
        lines.append(number)
    version, built = _dated(text[:4096])
    return table(About("asn", "routeviews", version, built), rows, bad_line(lines))


def _origin(text: str, line: int) -> int:
    first = next((part for part in _ORIGINS.split(text.strip()) if part), "")
    if not (first.isascii() and first.isdigit()) or int(first[:12]) > MAX_ASN:
        raise FeedError(f"{text.strip()[:40]!r} is no AS number.", line=line, field="asn")
    return int(first)


def _dated(head: str) -> tuple[str, datetime | None]:
    """Version and time of the dump, by the name of the RIB file in the comments."""
    found = _RIB.search(head)
    if found is None:
        return "", None
    try:
        return f"{found[1]}.{found[2]}", datetime.strptime(found[1] + found[2], "%Y%m%d%H%M").replace(tzinfo=UTC)
    except ValueError:
        return f"{found[1]}.{found[2]}", None


def names(data: bytes) -> Table:
    """A JSON object from AS number to `HANDLE Name, CC`, as the RIRs' list of AS names has them."""
    feed = files.json(data, dict[str, str])
    files.many(len(feed))
    numbers: dict[int, str] = {}
    for key, name in feed.items():
        if not (key.isascii() and key.isdigit()) or int(key[:12]) > MAX_ASN:
            raise FeedError(f"{key[:40]!r} is no AS number.", field=key[:40])
        numbers[int(key)] = organisation(name)
    return names_table(About("as-names", "asnames", networks=len(numbers)), numbers)


def names_table(about: About, numbers: dict[int, str]) -> Table:
    """The table of names: each AS number is an interval of one on the axis of IPv4."""
    given = np.array(sorted(numbers), np.int64)
    # Each number holds its name, the number behind it nothing, unless that has a name of its own.
    starts = np.unique(np.concatenate((np.zeros(1, np.int64), given, given + 1)))
    starts = starts[starts <= MAX_ASN]
    places: dict[str, int] = {}
    held = {asn: places.setdefault(name, len(places)) for asn, name in numbers.items() if name}
    index = np.array([held.get(start, NONE) for start in starts.tolist()], np.int32)
    axis = Axis(starts.astype(np.uint32), index, np.zeros(len(starts), np.uint8))
    return compiled(about, axis, empty6(), [Place(org=name) for name in places])


_COUNTRY: Final = re.compile(r",\s*[A-Z]{2}$")


def organisation(text: str) -> str:
    """The name in `GOOGLE - Google LLC, US` or `FITL-IE Fort Technologies, GB`: without handle and country."""
    name = _COUNTRY.sub("", text.strip())
    handle, _, rest = name.partition(" ")
    return files.word(rest.removeprefix("- ").strip() or handle)


def is_names(fields: dict[str, msgspec.Raw]) -> bool:
    """Whether a JSON object has AS numbers for its names."""
    return bool(fields) and all(key.isascii() and key.isdigit() for key in fields)
