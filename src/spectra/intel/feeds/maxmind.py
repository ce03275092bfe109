"""MaxMind-format files: GeoLite2, GeoIP2 and DB-IP, of cities, countries, AS numbers and providers.

The tree is walked here, because a million networks one at a time take a minute; each distinct record is decoded once
by `maxminddb`, which bounds its depth and size, and both have to agree on the length of its prefix.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final, cast

import maxminddb
import numpy as np
from maxminddb.reader import Metadata

from spectra.intel.feeds import files
from spectra.intel.feeds.addresses import keys6
from spectra.intel.feeds.countries import COUNTRIES
from spectra.intel.feeds.errors import FeedError
from spectra.intel.feeds.intervals import NONE, Axis, Index, axis4, axis6, empty6
from spectra.intel.feeds.table import About, Table, compiled
from spectra.intel.feeds.tree import Leaves, Tree, leaves
from spectra.model.facts import NOWHERE, Place

MARKER: Final = b"\xab\xcd\xefMaxMind.com"
_TAIL: Final = 128 * 1024  # the metadata begins within the last 128 KiB
_SEPARATOR: Final = 16
_CODE: Final = re.compile(r"[A-Z]{2}")
# All that `maxminddb` was seen to raise on corrupt files, and what its kinds of mistake can raise.
_CORRUPT: Final = (
    maxminddb.InvalidDatabaseError,
    ValueError,
    TypeError,
    LookupError,
    OverflowError,
    RecursionError,
    MemoryError,
    AttributeError,
)


def is_database(data: bytes) -> bool:
    """Whether these are the bytes of a MaxMind-format file."""
    return MARKER in data[-_TAIL:]


def read(data: bytes) -> Table:
    """The table of a MaxMind-format file."""
    with _opened(data) as reader:
        meta = _metadata(reader)
        tree = _tree(data, meta)
        ends = data.rfind(MARKER)
        found = leaves(memoryview(data), tree, ends - tree.size - _SEPARATOR)
        index, places = _places(reader, tree, found)
    kind = "geo" if any(place.country or place.city or place.latitude is not None for place in places) else "asn"
    if all(place == NOWHERE for place in places):
        raise FeedError(
            f"The database {files.word(meta.database_type)!r} has neither places nor AS numbers.", reason="feed_unknown"
        )
    name = f"mmdb:{files.word(meta.database_type)}"
    built = _built(meta)
    about = About(kind, name, f"{built:%Y-%m-%dT%H:%M:%SZ}", built, networks=len(found.data))
    known = np.array([place != NOWHERE for place in places], np.bool_)
    index = np.where(known[index], index, np.int32(NONE)) if len(index) else index
    return _compiled(about, tree, found, index, places)


@contextmanager
def _opened(data: bytes) -> Generator[maxminddb.Reader]:
    """A reader of `data`. The quick one reads files alone, so the data stands in one as long as it is read."""
    with NamedTemporaryFile(suffix=".mmdb") as file:
        file.write(data)
        file.flush()
        try:
            reader: maxminddb.Reader = maxminddb.open_database(Path(file.name))  # pyright: ignore[reportUnknownMemberType]
        except _CORRUPT as error:
            raise _bad_metadata(error) from error
        with reader:
            yield reader


def _metadata(reader: maxminddb.Reader) -> Metadata:
    try:
        return reader.metadata()
    except _CORRUPT as error:
        raise _bad_metadata(error) from error


def _bad_metadata(error: BaseException) -> FeedError:
    why = str(error).partition(" in database file")[0].partition(" (/")[0][:200]
    return FeedError(f"The metadata of the MaxMind database is corrupt: {why}.", field="metadata")


def _tree(data: bytes, meta: Metadata) -> Tree:
    tree = Tree(meta.node_count, meta.record_size, meta.ip_version)
    if tree.record_bits not in (24, 28, 32):
        raise FeedError(f"Records of {tree.record_bits} bits are none of the format.", field="metadata.record_size")
    if tree.ip_version not in (4, 6):
        raise FeedError(f"There is no IP version {tree.ip_version}.", field="metadata.ip_version")
    if tree.nodes < 1 or tree.size + _SEPARATOR > data.rfind(MARKER):
        raise FeedError(f"A tree of {tree.nodes} nodes is not in the file.", field="metadata.node_count")
    return tree


def _built(meta: Metadata) -> datetime:
    try:
        return datetime.fromtimestamp(meta.build_epoch, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise FeedError(f"{meta.build_epoch} is no time.", field="metadata.build_epoch") from error


def _places(reader: maxminddb.Reader, tree: Tree, found: Leaves) -> tuple[Index, list[Place]]:
    """The place of each network as an index into the distinct places."""
    _, first, inverse = np.unique(found.data, return_index=True, return_inverse=True)
    numbers: dict[Place, int] = {}
    index: list[int] = []
    for row in first.tolist():
        network, record = _record(reader, tree, found, row)
        index.append(numbers.setdefault(_place(record, network), len(numbers)))
    return np.array(index, np.int32)[inverse], list(numbers)


def _record(reader: maxminddb.Reader, tree: Tree, found: Leaves, row: int) -> tuple[str, Mapping[str, Any]]:
    length = int(found.lengths[row])
    value = int(found.high[row]) << 64 | int(found.low[row])
    address = ipaddress.IPv6Address(value) if tree.ip_version == 6 else ipaddress.IPv4Address(value >> 96)
    network = f"{address}/{length}"
    try:
        record, told = _get(reader, address)
    except _CORRUPT as error:
        raise FeedError(f"The data of {network} is corrupt: {str(error)[:200]}", field=network) from error
    if told != length:
        raise FeedError(f"{network} is found with a prefix length of {told}.", field=network)
    if not isinstance(record, dict):
        raise FeedError(f"The data of {network} is no map.", field=network)
    return network, cast("Mapping[str, Any]", record)


def _get(reader: Any, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> tuple[Any, int]:
    return reader.get_with_prefix_len(address)  # the types of its C form say less than nothing


def _place(record: Mapping[str, Any], network: str) -> Place:
    try:
        country = _map(record, "country")
        code = _code(country)
        traits = _map(record, "traits")
        where = _map(record, "location")
        latitude, longitude = _degrees(where, "latitude", 90), _degrees(where, "longitude", 180)
        asn = _asn(record) or _asn(traits)
        return Place(
            asn=asn,
            org=(_org(record) or _org(traits)) if asn else "",
            country=code,
            country_name=_english(country) or COUNTRIES.get(code, ""),
            region=_region(record),
            city=_english(_map(record, "city")),
            latitude=latitude if longitude is not None else None,
            longitude=longitude if latitude is not None else None,
        )
    except (TypeError, ValueError) as error:
        raise FeedError(f"The data of {network}: {error}.", field=network) from error


def _code(country: Mapping[str, Any]) -> str:
    code = _text(country, "iso_code")
    if code and not _CODE.fullmatch(code):
        raise ValueError(f"{code[:40]!r} is no country code")
    return code


def _map(record: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = record.get(key)
    if value is not None and not isinstance(value, dict):
        raise TypeError(f"{key} is no map")
    return cast("Mapping[str, Any]", value or {})


def _text(record: Mapping[str, Any], key: str) -> str:
    value = record.get(key, "")
    if not isinstance(value, str):
        raise TypeError(f"{key} is no text")
    return files.word(value)


def _english(record: Mapping[str, Any]) -> str:
    return _text(_map(record, "names"), "en")


def _region(record: Mapping[str, Any]) -> str:
    """The largest part of the country that the network is in: the first of its subdivisions."""
    parts: Any = record.get("subdivisions") or [{}]
    if not isinstance(parts, list):
        raise TypeError("subdivisions is no array")
    first = _map({"subdivisions[0]": parts[0]}, "subdivisions[0]")
    return _english(first) or _text(first, "iso_code")


def _degrees(record: Mapping[str, Any], key: str, most: float) -> float | None:
    value = record.get(key)
    if value is None:
        return None
    if not isinstance(value, int | float) or not -most <= value <= most:
        raise ValueError(f"{key} is no number of degrees")
    return round(float(value), 2)


def _asn(record: Mapping[str, Any]) -> int:
    value = record.get("autonomous_system_number", 0)
    if not isinstance(value, int) or not 0 <= value < 1 << 32:
        raise ValueError("autonomous_system_number is no AS number")
    return value


def _org(record: Mapping[str, Any]) -> str:
    return _text(record, "autonomous_system_organization") or _text(record, "isp") or _text(record, "organization")


def _compiled(about: About, tree: Tree, found: Leaves, index: Index, places: list[Place]) -> Table:
    if tree.ip_version == 4:
        v4 = axis4((found.high >> np.uint64(32)).astype(np.uint32), found.lengths, index)
        return compiled(about, v4, empty6(), places)
    return compiled(about, *_split(found, index), places)


def _split(found: Leaves, index: Index) -> tuple[Axis, Axis]:
    """The axes of an IPv6 tree: `::/96` and what is above it are where IPv4 addresses are looked up."""
    wide = (found.high == 0) & (found.low == 0) & (found.lengths <= 96)
    inside = (found.high == 0) & (found.low >> np.uint64(32) == 0) & (found.lengths > 96)
    four = wide | inside
    keys = keys6(found.high, found.low)
    lengths = np.maximum(found.lengths[four], 96) - np.uint8(96)
    v4 = axis4(found.low[four].astype(np.uint32), lengths, index[four])
    return v4, axis6(keys[~inside], found.lengths[~inside], index[~inside])
