"""Rows of text to a table: what the readers of text and JSON feeds share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from spectra.intel.feeds.addresses import Bad, networks
from spectra.intel.feeds.errors import FeedError
from spectra.intel.feeds.files import many
from spectra.intel.feeds.intervals import Axis, Rank, axes
from spectra.intel.feeds.table import About, Table, compiled
from spectra.model.facts import Place

GLOBAL: Final = frozenset({"", "global"})
"""Regions that say "no region in particular"."""


class Rows(msgspec.Struct):
    """A column of networks and the place of each. `ranks`, if any: higher covers lower whatever its prefix length."""

    texts: list[str] = []
    places: list[Place] = []
    ranks: list[int] = []


def table(about: About, rows: Rows, bad: Bad) -> Table:
    """The table of `rows` by longest prefix; `bad` makes the error for a row."""
    _checked(rows)
    nets = networks(rows.texts, bad)
    index, records = _interned(rows.places)
    v4, v6 = axes(nets, np.array(index, np.int32))
    return compiled(msgspec.structs.replace(about, networks=len(set(rows.texts))), v4, v6, records)


def cloud_table(about: About, rows: Rows, bad: Bad) -> Table:
    """The table of a provider that lists a network several times: of the most specific service, with its region.

    A service of a higher rank covers one of a lower; then the longer prefix, then the service with fewer networks: a
    part has fewer than the whole it is part of. The region is that of the longest prefix that tells one, since what
    says the service often says no region.
    """
    _checked(rows)
    nets = networks(rows.texts, bad)
    lengths = np.zeros(len(rows.texts), np.int64)
    lengths[nets.at4], lengths[nets.at6] = nets.lengths4, nets.lengths6
    everything = np.arange(len(rows.texts), dtype=np.int32)
    services = axes(nets, everything, _service_ranks(rows, lengths))
    regions = axes(nets, everything, lengths + 1000 * _tells_region(rows))
    return _joined(about, rows, services, regions)


def _service_ranks(rows: Rows, lengths: Rank) -> Rank:
    names = [place.cloud_service for place in rows.places]
    sizes: dict[str, int] = {}
    for name in names:
        sizes[name] = sizes.get(name, 0) + 1
    by_size = sorted(sizes, key=lambda name: (-sizes[name], name))
    order = {name: i for i, name in enumerate(by_size)}
    own = np.array([order[name] for name in names], np.int64)
    return np.array(rows.ranks, np.int64) << 40 | lengths << 32 | own


def _tells_region(rows: Rows) -> Rank:
    return np.array([place.cloud_region.lower() not in GLOBAL for place in rows.places], np.int64)


def _joined(about: About, rows: Rows, services: tuple[Axis, Axis], regions: tuple[Axis, Axis]) -> Table:
    """The service of one pair of axes with the region of another, which have the same networks."""
    count = len(rows.texts)
    numbers: dict[int, int] = {}
    places: list[Place] = []
    done: list[Axis] = []
    for service, region in zip(services, regions, strict=True):
        starts = np.unique(np.concatenate((service.starts, region.starts)))
        of_service, of_region = service.find(starts), region.find(starts)
        pairs = np.where(of_service < 0, np.int64(-1), of_service.astype(np.int64) * count + of_region)
        distinct, inverse = np.unique(pairs, return_inverse=True)
        index: list[int] = []
        wanted: list[int] = distinct.tolist()
        for pair in wanted:
            if pair >= 0 and pair not in numbers:
                numbers[pair] = len(places)
                region_name = rows.places[pair % count].cloud_region
                places.append(msgspec.structs.replace(rows.places[pair // count], cloud_region=region_name))
            index.append(numbers.get(pair, -1))
        at = [np.searchsorted(axis.starts, starts, "right") - 1 for axis in (service, region)]
        lengths = np.maximum(service.lengths[at[0]], region.lengths[at[1]])
        done.append(Axis(starts, np.array(index, np.int32)[inverse], lengths))
    again, records = _interned(places)
    renumbered = np.array([*again, -1], np.int32)
    v4, v6 = (axis._replace(index=renumbered[axis.index]) for axis in done)
    return compiled(msgspec.structs.replace(about, networks=len(set(rows.texts))), v4, v6, records)


def _interned(places: Sequence[Place]) -> tuple[list[int], list[Place]]:
    """Each place's number among the distinct ones, and those."""
    numbers: dict[Place, int] = {}
    return [numbers.setdefault(place, len(numbers)) for place in places], list(numbers)


def _checked(rows: Rows) -> None:
    if not rows.texts:
        raise FeedError("The feed has no network.")
    many(len(rows.texts))


def bad_line(lines: Sequence[int]) -> Bad:
    """Errors of rows that stand on `lines` (1-based)."""
    return lambda row, why: FeedError(f"{why}.", line=lines[row])


def bad_field(name: str) -> Bad:
    """Errors of the rows of a JSON array, `name` being such as `prefixes[{}].ip_prefix`."""

    def bad(row: int, why: str) -> FeedError:
        field = name.format(row)
        return FeedError(f"{field}: {why}.", field=field)

    return bad
