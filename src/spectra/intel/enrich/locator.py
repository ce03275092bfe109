"""Addresses to places, many at once, over all tables together.

Which feed is believed, where several know an address:

- place: a feed of cities before one of countries alone, MaxMind-format before a geofeed of nobody in particular; the
  first that knows the address is taken whole. A cloud's own geofeed fills in what is still unknown after that, the
  country, or the city in that country, and goes before tables of countries, which say where a network is registered;
- AS number: MaxMind-format before RouteViews prefixes, as the former names the organisation with it; then the newer;
- a feed `OUTDATED` older than the newest of its kind comes after all others of it;
- name of an AS: from the feed that told the number, else from any that knows the number, else from the AS names;
- cloud: the longest prefix over all providers. GitHub's, most of which are in another's network, lose a tie.
"""

from __future__ import annotations

import ipaddress
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from threading import Lock
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from spectra.intel.feeds.addresses import column, folded
from spectra.intel.feeds.intervals import NONE, Axis, Index, Keys, merged, overlaid
from spectra.intel.feeds.table import Table
from spectra.model.facts import NOWHERE, Place

OUTDATED: Final = timedelta(days=180)

_AT_ONCE: Final = 1 << 16  # addresses whose arrays are in memory together
_CACHED: Final = 1 << 18  # places remembered by their records; they are forgotten all at once
_REGISTRIES: Final = frozenset({"countries"})
"""Formats that tell where a network is registered, which need not be where it is used."""


class Locator:
    """Looks addresses up in `tables`. Safe to share between threads; equal places are one object."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self._geo = _Layers(_ordered([t for t in tables if t.kind == "geo"], _geo_rank))
        self._asn = _Layers(_ordered([t for t in tables if t.kind == "asn"], _asn_rank))
        self._cloud = _Clouds(sorted((t for t in tables if t.kind == "cloud"), key=lambda t: t.provider == "github"))
        self._names = _Names([t for t in tables if t.kind == "as-names"], self._asn.tables)
        self._places: dict[int, Place] = {}
        self._same: dict[Place, Place] = {}
        self._lock = Lock()

    def locate(self, ips: Sequence[str]) -> list[Place]:
        """The place of each of `ips` in their order; `NOWHERE` for what is unknown or no address."""
        if len(ips) <= _AT_ONCE:
            return self._located(ips)
        found: list[Place] = []
        for at in range(0, len(ips), _AT_ONCE):
            found.extend(self._located(ips[at : at + _AT_ONCE]))
        return found

    def prefixes(self, asn: int) -> list[str]:
        """The networks of an AS in CIDR form, IPv4 first, in order, as few as possible."""
        found: list[str] = []
        for family in (4, 6):
            spans = sorted(self._asn.spans(asn, family))
            found.extend(str(net) for first, last in _joined(spans) for net in _networks(first, last, family))
        return found

    def _located(self, ips: Sequence[str]) -> list[Place]:
        addresses = folded(column(ips))
        numbers = np.full(len(ips), 0, np.int64)
        numbers[addresses.at4] = self._combinations(addresses.keys4, 4)
        numbers[addresses.at6] = self._combinations(addresses.keys6, 6)
        distinct, inverse = np.unique(numbers, return_inverse=True)
        wanted: list[int] = distinct.tolist()
        places = np.empty(len(wanted), object)
        with self._lock:
            places[:] = [self._place(number) for number in wanted]
        found: list[Place] = places[inverse].tolist()
        return found

    def _combinations(self, keys: Keys, family: int) -> npt.NDArray[np.int64]:
        """One number for what all tables say of an address; 0 where they say nothing."""
        number = self._geo.find(keys, family).astype(np.int64) + 1
        number = number * (self._asn.records + 1) + self._asn.find(keys, family) + 1
        return number * (self._cloud.records + 1) + self._cloud.find(keys, family) + 1

    def _place(self, number: int) -> Place:
        place = self._places.get(number)
        if place is None:
            if len(self._places) >= _CACHED:
                self._places.clear()
                self._same.clear()
            made = self._made(number)
            place = self._places[number] = self._same.setdefault(made, made)
        return place

    def _made(self, number: int) -> Place:
        rest, cloud = divmod(number, self._cloud.records + 1)
        geo, asn = divmod(rest, self._asn.records + 1)
        if not number:
            return NOWHERE
        where = self._geo.record(geo - 1) if geo else NOWHERE
        network = self._asn.record(asn - 1) if asn else where
        place = msgspec.structs.replace(where, asn=network.asn, org=network.org or self._names.of(network.asn))
        if not cloud:
            return place
        registered = geo > 0 and self._geo.table(geo - 1).format in _REGISTRIES
        return _hosted(place, self._cloud.record(cloud - 1), registered=registered)


def _hosted(place: Place, cloud: Place, *, registered: bool) -> Place:
    """`place` with what a provider says of its network; `registered`: its country is but that of a registry."""
    there = place
    same = place.country == cloud.country
    if cloud.country and (registered or not place.country or (same and not place.city)):
        there = msgspec.structs.replace(cloud, region=cloud.region or (place.region if same else ""))
    return msgspec.structs.replace(
        place,
        country=there.country,
        country_name=there.country_name,
        region=there.region,
        city=there.city,
        cloud=cloud.cloud,
        cloud_service=cloud.cloud_service,
        cloud_region=cloud.cloud_region,
    )


class _Layers:
    """Tables of which the first that knows an address holds. Their records are numbered one table after the other."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self.tables = list(tables)
        self._offsets = [0, *accumulate(table.records for table in self.tables)]
        self._asns: dict[int, npt.NDArray[np.uint32]] = {}

    @property
    def records(self) -> int:
        """How many records all tables have."""
        return self._offsets[-1]

    def table(self, number: int) -> Table:
        """The table of a record."""
        return self.tables[bisect_right(self._offsets, number) - 1]

    def record(self, number: int) -> Place:
        """A record by its number over all tables."""
        at = bisect_right(self._offsets, number) - 1
        return self.tables[at].record(number - self._offsets[at])

    def find(self, keys: Keys, family: int) -> Index:
        """The number of the record that holds at each of `keys`."""
        found = np.full(len(keys), NONE, np.int32)
        for table, offset in zip(self.tables, self._offsets, strict=False):
            rest = np.flatnonzero(found == NONE)
            if not len(rest):
                break
            held = _axis(table, family).find(keys[rest])
            found[rest] = np.where(held == NONE, np.int32(NONE), held + np.int32(offset))
        return found

    def spans(self, asn: int, family: int) -> Iterator[tuple[int, int]]:
        """First and last address of every stretch in which the AS number holds."""
        above: list[Axis] = []
        for number, table in enumerate(self.tables):
            axis = _axis(table, family)
            wanted = np.flatnonzero(self._asns_of(number) == asn)
            for at in np.flatnonzero(np.isin(axis.index, wanted)).tolist():
                first, last = _bounds(axis, at, family)
                yield from _uncovered(first, last, above, family)
            above.append(axis)

    def _asns_of(self, number: int) -> npt.NDArray[np.uint32]:
        """The AS number of each record of a table."""
        if number not in self._asns:
            table = self.tables[number]
            self._asns[number] = np.fromiter((table.record(i).asn for i in range(table.records)), np.uint32)
        return self._asns[number]


def _uncovered(first: int, last: int, above: Sequence[Axis], family: int) -> Iterator[tuple[int, int]]:
    """The parts of a stretch of which no table above knows anything."""
    if not above:
        yield first, last
        return
    axis = above[0]
    at = int(np.searchsorted(axis.starts, _key(first, family), "right")) - 1
    while at < len(axis.starts):
        begin, end = _bounds(axis, at, family)
        if begin > last:
            break
        if axis.index[at] == NONE:
            yield from _uncovered(max(first, begin), min(last, end), above[1:], family)
        at += 1


def _bounds(axis: Axis, at: int, family: int) -> tuple[int, int]:
    """First and last address of an interval."""
    end = _number(axis.starts[at + 1]) if at + 1 < len(axis.starts) else 1 << (32 if family == 4 else 128)
    return _number(axis.starts[at]), end - 1


def _number(key: np.uint32 | np.bytes_) -> int:
    # numpy cuts zero bytes off the end of the bytes it hands out.
    return int.from_bytes(key.ljust(16, b"\0")) if isinstance(key, bytes) else int(key)


def _key(number: int, family: int) -> np.uint32 | np.bytes_:
    return np.uint32(number) if family == 4 else np.bytes_(number.to_bytes(16))


def _joined(spans: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Sorted stretches with those that touch as one."""
    rest = iter(spans)
    held = next(rest, None)
    if held is None:
        return
    for first, last in rest:
        if first <= held[1] + 1:
            held = held[0], max(held[1], last)
        else:
            yield held
            held = first, last
    yield held


def _networks(first: int, last: int, family: int) -> Iterator[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    if family == 4:
        yield from ipaddress.summarize_address_range(ipaddress.IPv4Address(first), ipaddress.IPv4Address(last))
    else:
        yield from ipaddress.summarize_address_range(ipaddress.IPv6Address(first), ipaddress.IPv6Address(last))


class _Clouds:
    """The tables of all providers as one, by longest prefix."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self._layers = _Layers(tables)
        self._axes: dict[int, Axis] = {}
        if tables:
            self._axes = {family: self._overlaid(tables, family) for family in (4, 6)}

    def _overlaid(self, tables: Sequence[Table], family: int) -> Axis:
        axis, winner = overlaid([_axis(table, family) for table in tables])
        offsets = np.cumsum([0, *(table.records for table in tables[:-1])]).astype(np.int32)
        index = np.where(winner < 0, np.int32(NONE), axis.index + offsets[winner])
        return merged(axis._replace(index=index, lengths=np.zeros(len(index), np.uint8)))

    @property
    def records(self) -> int:
        """How many records all tables have."""
        return self._layers.records

    def record(self, number: int) -> Place:
        """A record by its number over all tables."""
        return self._layers.record(number)

    def find(self, keys: Keys, family: int) -> Index:
        """The number of the record that holds at each of `keys`."""
        axis = self._axes.get(family)
        return axis.find(keys) if axis is not None else np.full(len(keys), NONE, np.int32)


class _Names:
    """Names of AS numbers, for networks whose own feed has none."""

    def __init__(self, tables: Sequence[Table], feeds: Sequence[Table]) -> None:
        self._tables = tables
        self._feeds = feeds
        self._from_feeds: dict[int, str] | None = None
        self._known: dict[int, str] = {0: ""}

    def of(self, asn: int) -> str:
        """The name behind an AS number, "" where nobody knows it."""
        name = self._known.get(asn)
        if name is None:
            name = self._known[asn] = self._feed_names().get(asn, "") or self._listed(asn)
        return name

    def _feed_names(self) -> dict[int, str]:
        if self._from_feeds is None:
            named = [t for t in reversed(self._feeds) if t.format != "routeviews"]
            places = (table.record(i) for table in named for i in range(table.records))
            self._from_feeds = {place.asn: place.org for place in places if place.org}
        return self._from_feeds

    def _listed(self, asn: int) -> str:
        for table in self._tables:
            at = int(np.searchsorted(table.v4.starts, np.uint32(asn), "right")) - 1
            held = int(table.v4.index[at])
            if held != NONE:
                return table.record(held).org
        return ""


def _axis(table: Table, family: int) -> Axis:
    return table.v4 if family == 4 else table.v6


def _geo_rank(table: Table) -> int:
    if not table.format.startswith("mmdb:"):
        return 3 if table.format in _REGISTRIES else 1
    return 2 if "country" in table.format.lower() else 0


def _asn_rank(table: Table) -> int:
    return 0 if table.format.startswith("mmdb:") else 1


def _ordered(tables: Sequence[Table], rank: Callable[[Table], int]) -> list[Table]:
    """The most believed first. Tables that tell no date count as up to date, and as the oldest of those."""
    dated = [table.built for table in tables if table.built]
    newest = max(dated, default=None)

    def key(table: Table) -> tuple[bool, int, float, str]:
        outdated = table.built is not None and newest is not None and newest - table.built > OUTDATED
        return outdated, rank(table), -_seconds(table.built), table.format

    return sorted(tables, key=key)


def _seconds(at: datetime | None) -> float:
    return at.timestamp() if at else 0.0
