"""The search tree of a MaxMind-format file, walked a level at a time by array operations.

https://maxmind.github.io/MaxMind-DB/: a binary trie whose nodes are pairs of records, each the number of a node, the
number of nodes ("nothing here"), or beyond that a place in the data section.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from spectra.intel.feeds.errors import FeedError
from spectra.intel.feeds.files import many

_SEPARATOR: Final = 16  # zero bytes between tree and data
_BITS_BEFORE_V4: Final = 96

Words = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]


class Tree(NamedTuple):
    """What a file's metadata says of its tree."""

    nodes: int
    record_bits: int
    ip_version: int

    @property
    def size(self) -> int:
        """Bytes of the tree."""
        return self.nodes * self.record_bits // 4


class Leaves(NamedTuple):
    """The networks with data: first addresses (upper and lower 64 of 128 bits), prefix lengths, places in the data.

    In an IPv4 tree the address is the upper 32 of the 128 bits.
    """

    high: Words
    low: Words
    lengths: npt.NDArray[np.uint8]
    data: Numbers


def leaves(file: memoryview, tree: Tree, data_size: int) -> Leaves:
    """Every network of the tree once; what only aliases the IPv4 part (6to4, Teredo) is left out.

    Raises `FeedError` where a record leads nowhere and where the tree is none: no node has two parents.
    """
    pairs = _records(file, tree)
    alias = _v4_root(pairs, tree)
    walk = _Walk(pairs, tree.nodes, alias)
    found: list[Leaves] = []
    for depth in range(128 if tree.ip_version == 6 else 32):
        part = walk.down(depth)
        if part is None:
            break
        found.append(part)
        many(sum(len(one.data) for one in found))
    if walk.left:
        raise FeedError("The search tree is deeper than an address.", field="search tree")
    merged = Leaves(*(np.concatenate(column) for column in zip(*found, strict=True)))
    if len(merged.data) and (int(merged.data.max()) >= data_size or int(merged.data.min()) < 0):
        raise FeedError("The search tree leads outside of the data.", field="search tree")
    return merged


class _Walk:
    """The nodes of one level, and the way to the next."""

    def __init__(self, pairs: Numbers, nodes: int, alias: int) -> None:
        self._pairs = pairs
        self._nodes = nodes
        self._alias = alias
        self._seen = 1
        self._here = np.zeros(1, np.int64)
        self._high = np.zeros(1, np.uint64)
        self._low = np.zeros(1, np.uint64)

    @property
    def left(self) -> int:
        """How many nodes are still to be gone through."""
        return len(self._here)

    def down(self, depth: int) -> Leaves | None:
        """The networks of `depth + 1` bits; None where there are no more nodes."""
        if not self.left:
            return None
        bit = np.uint64(1) << np.uint64(63 - depth % 64)
        upper, lower = (bit, np.uint64(0)) if depth < 64 else (np.uint64(0), bit)
        target = self._pairs[self._here].ravel()
        high = np.stack((self._high, self._high | upper), axis=1).ravel()
        low = np.stack((self._low, self._low | lower), axis=1).ravel()
        self._step(depth, target, high, low)
        data = target > self._nodes
        lengths = np.full(int(data.sum()), depth + 1, np.uint8)
        return Leaves(high[data], low[data], lengths, target[data] - self._nodes - _SEPARATOR)

    def _step(self, depth: int, target: Numbers, high: Words, low: Words) -> None:
        inner = target < self._nodes
        if self._alias >= 0:
            at_home = (high == 0) & (low == 0) & (depth + 1 == _BITS_BEFORE_V4)
            inner &= (target != self._alias) | at_home
        self._here, self._high, self._low = target[inner], high[inner], low[inner]
        self._seen += len(self._here)
        if self._seen > self._nodes:
            raise FeedError("The search tree has a loop.", field="search tree")


def _v4_root(pairs: Numbers, tree: Tree) -> int:
    """The node that the IPv4 addresses of an IPv6 tree are below, -1 where there is none."""
    if tree.ip_version != 6:
        return -1
    node = 0
    for _ in range(_BITS_BEFORE_V4):
        if node >= tree.nodes:
            return -1
        node = int(pairs[node, 0])
    return node if node < tree.nodes else -1


def _records(file: memoryview, tree: Tree) -> Numbers:
    """Both records of every node. 24 and 32 bits are plain big-endian; 28 share a byte in the middle."""
    raw: npt.NDArray[Any] = np.frombuffer(file, np.uint8, tree.size).reshape(tree.nodes, -1)
    if tree.record_bits == 32:
        return raw.view(">u4").astype(np.int64)
    wide = raw.astype(np.int64)
    if tree.record_bits == 24:
        return _joined(wide, 0, 3)
    middle = wide[:, 3]
    both = np.stack((_big(wide[:, 0:3]), _big(wide[:, 4:7])), axis=1)
    both[:, 0] |= (middle >> 4) << 24
    both[:, 1] |= (middle & 0x0F) << 24
    return both


def _joined(wide: Numbers, left: int, right: int) -> Numbers:
    return np.stack((_big(wide[:, left : left + 3]), _big(wide[:, right : right + 3])), axis=1)


def _big(three: Numbers) -> Numbers:
    return three[:, 0] << 16 | three[:, 1] << 8 | three[:, 2]
