"""Longest prefix, flattened: networks that nest become intervals that do not.

Each family has an axis: the sorted keys at which something changes, from the first address on, and for each what holds
from there to the next. Finding the longest prefix of an address is then one binary search.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from spectra.intel.feeds.addresses import Keys4, Keys6, Lengths, Networks, after6

Keys = npt.NDArray[Any]
Index = npt.NDArray[np.int32]
Rank = npt.NDArray[np.int64]
NONE: Final = -1
"""The index of nothing known."""

_PAINT_AT_ONCE: Final = 1 << 22  # elementary intervals held in memory while painting


class Axis(NamedTuple):
    """One family: `starts[0]` is the family's first address; `lengths` are of the prefix behind each interval."""

    starts: Keys
    index: Index  # pyright: ignore[reportIncompatibleMethodOverride]
    lengths: Lengths

    def find(self, keys: Keys) -> Index:
        """The index that holds at each of `keys`."""
        return self.index[np.searchsorted(self.starts, keys, "right") - 1]


def empty4() -> Axis:
    """The IPv4 axis of no network."""
    return Axis(np.zeros(1, np.uint32), np.full(1, NONE, np.int32), np.zeros(1, np.uint8))


def empty6() -> Axis:
    """The IPv6 axis of no network."""
    return Axis(np.zeros(1, "S16"), np.full(1, NONE, np.int32), np.zeros(1, np.uint8))


class _Spans(NamedTuple):
    keys: Keys
    ends: Keys  # the first key behind each
    over: npt.NDArray[np.bool_]  # where there is none
    lengths: Lengths


def axis4(keys: Keys4, lengths: Lengths, index: Index, rank: Rank | None = None) -> Axis:
    """IPv4 networks to an axis. Of those that share an address the one of highest rank holds, at a tie the later one.

    The rank is the prefix length unless it is given.
    """
    ends = keys.astype(np.uint64) + (np.uint64(1) << (np.uint64(32) - lengths))
    over = ends > np.uint64(0xFFFF_FFFF)
    spans = _Spans(keys, ends.astype(np.uint32), over, lengths)
    return _axis(spans, index, rank) if len(keys) else empty4()


def axis6(keys: Keys6, lengths: Lengths, index: Index, rank: Rank | None = None) -> Axis:
    """As `axis4`."""
    return _axis(_Spans(keys, *after6(keys, lengths), lengths), index, rank) if len(keys) else empty6()


def axes(nets: Networks, index: Index, rank: Rank | None = None) -> tuple[Axis, Axis]:
    """Both axes of a column of networks; `index` and `rank` are of the column's rows."""
    ranks = (None, None) if rank is None else (rank[nets.at4], rank[nets.at6])
    return (
        axis4(nets.keys4, nets.lengths4, index[nets.at4], ranks[0]),
        axis6(nets.keys6, nets.lengths6, index[nets.at6], ranks[1]),
    )


def _axis(spans: _Spans, index: Index, rank: Rank | None) -> Axis:
    keys, ends, over, lengths = spans
    bounds = np.unique(np.concatenate((np.zeros(1, keys.dtype), keys, ends[~over])))
    low, high = np.searchsorted(bounds, keys), np.searchsorted(bounds, ends)
    high[over] = len(bounds)
    order = np.argsort(lengths if rank is None else rank, kind="stable")
    owner = np.full(len(bounds), -1, np.int32)
    _paint(owner, low[order], high[order], order.astype(np.int32))
    known = owner >= 0
    held = np.where(known, index[owner], np.int32(NONE))
    return merged(Axis(bounds, held, np.where(known, lengths[owner], np.uint8(0))))


def _paint(owner: Index, low: npt.NDArray[np.intp], high: npt.NDArray[np.intp], colours: Index) -> None:
    """Put `colours[i]` on `owner[low[i]:high[i]]`, one after the other."""
    widths = high - low
    upto = np.cumsum(widths)
    at = 0
    while at < len(low):
        done = int(upto[at - 1]) if at else 0
        to = max(at + 1, int(np.searchsorted(upto, done + _PAINT_AT_ONCE, "right")))
        part = widths[at:to]
        # Positions of all ranges of this part, one after the other: numpy assigns repeated ones in order.
        spots = np.arange(int(part.sum())) - np.repeat(np.cumsum(part) - part - low[at:to], part)
        owner[spots] = np.repeat(colours[at:to], part)
        at = to


def merged(axis: Axis) -> Axis:
    """The same with neighbours that hold the same thing as one interval."""
    new = np.ones(len(axis.starts), np.bool_)
    new[1:] = (axis.index[1:] != axis.index[:-1]) | (axis.lengths[1:] != axis.lengths[:-1])
    return Axis(axis.starts[new], axis.index[new], axis.lengths[new])


def without_lengths(axis: Axis) -> Axis:
    """The same where nobody asks how long the prefixes were: fewer intervals."""
    return merged(axis._replace(lengths=np.zeros(len(axis.starts), np.uint8)))


def overlaid(parts: Sequence[Axis]) -> tuple[Axis, npt.NDArray[np.int16]]:
    """Several axes as one, the longest prefix winning, the earlier part at a tie; and which part won (-1: none)."""
    starts = np.unique(np.concatenate([part.starts for part in parts]))
    index = np.full(len(starts), NONE, np.int32)
    lengths = np.zeros(len(starts), np.int16)
    winner = np.full(len(starts), -1, np.int16)
    best = np.full(len(starts), -1, np.int16)
    for number, part in enumerate(parts):
        at = np.searchsorted(part.starts, starts, "right") - 1
        length = np.where(part.index[at] >= 0, part.lengths[at].astype(np.int16), np.int16(-1))
        wins = length > best
        best = np.where(wins, length, best)
        index = np.where(wins, part.index[at], index)
        lengths = np.where(wins, length, lengths)
        winner = np.where(wins, np.int16(number), winner)
    return Axis(starts, index.astype(np.int32), lengths.astype(np.uint8)), winner.astype(np.int16)
