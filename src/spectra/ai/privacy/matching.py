"""Many known strings found in a text at once, whatever their case, in time that grows with the text alone.

Positions whose next three characters begin none of the strings are ruled out by one look at all of them together; the
others cost a look into a dictionary for each length that strings with this beginning have.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from enum import IntEnum
from functools import cache
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")

SHORTEST: Final = 3
"""Characters of the shortest string that can be found."""
BEHIND: Final = 12
"""How many characters before a string, and at most two after it, say whether it stands for itself."""
AHEAD: Final = 2
_SLOTS: Final = 1 << 16
_WORD: Final = 0xFFFFFFFF
_FACTORS: Final = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D)
# What ends an escape: the letter after it does not go on with a word that ended before.
_ESCAPE: Final = re.compile(r"(?:\\(?:[nrtbfv0]|x[0-9a-f]{2}|u[0-9a-f]{4})|%[0-9a-f]{2}|\[[0-9;]{0,8}m)$")
_HEX: Final = frozenset("0123456789abcdef")
_DIGITS: Final = frozenset("0123456789")


class Edge(IntEnum):
    """What may not stand beside a string, since it would be a part of it."""

    SOLID = 0
    """Anything may: nobody writes such a string by accident."""
    DIGIT = 1
    HEX = 2
    NAME = 3
    """No letter or digit."""


class Hit(NamedTuple, Generic[T]):
    """`text[start:end]` is a known string."""

    start: int
    end: int
    item: T


def lowered(text: str) -> str:
    """`text` in lower case, character by character: as long as it was."""
    low = text.lower()
    return low if len(low) == len(text) else "".join(c if len(c.lower()) != 1 else c.lower() for c in text)


def stands(low: str, start: int, end: int, edge: Edge) -> bool:
    """Whether `low[start:end]` stands for itself there. `low` is in lower case."""
    if edge is Edge.SOLID:
        return True
    before = low[start - 1] if start else ""
    after = low[end] if end < len(low) else ""
    if edge is Edge.DIGIT:
        return after not in _DIGITS and (before not in _DIGITS or _escaped(low, start))
    if edge is Edge.HEX:
        if after in _HEX or (after in (":", "-") and low[end + 1 : end + 2] in _HEX and low[end - 1] != after):
            return False
        return before not in _HEX or _escaped(low, start)
    return not after.isalnum() and (not before.isalnum() or _escaped(low, start))


def _escaped(low: str, start: int) -> bool:
    return _ESCAPE.search(low[max(0, start - BEHIND) : start]) is not None


class Index(Generic[T]):
    """Known strings and what each stands for."""

    def __init__(self) -> None:
        self._items: dict[str, tuple[Edge, T]] = {}
        self._lengths: dict[str, list[int]] = {}
        self._marks: NDArray[np.bool_] | None = None
        self._sorted: list[str] = []
        self.longest = 0

    def __contains__(self, key: str) -> bool:
        return key in self._items

    def get(self, key: str) -> T | None:
        """What `key` stands for, if it is known."""
        found = self._items.get(key)
        return found[1] if found else None

    def put(self, key: str, edge: Edge, item: T) -> None:
        """Make `key` known, unless it is known or too short; it is in lower case."""
        if len(key) < SHORTEST or key in self._items:
            return
        self._items[key] = edge, item
        lengths = self._lengths.setdefault(key[:SHORTEST], [])
        if len(key) not in lengths:
            lengths.append(len(key))
            lengths.sort(reverse=True)
        self.longest = max(self.longest, len(key))
        if self._marks is not None:
            self._marks[_slot(key)] = True

    def at(self, low: str, start: int) -> Hit[T] | None:
        """The longest known string that begins at `start`."""
        for length in self._lengths.get(low[start : start + SHORTEST], ()):
            found = self._items.get(low[start : start + length])
            if found and start + length <= len(low) and stands(low, start, start + length, found[0]):
                return Hit(start, start + length, found[1])
        return None

    def may_end(self, low: str, start: int, after: int) -> bool:
        """Whether a known string begins at `start` and ends after `after`, whatever stands beside it."""
        lengths = self._lengths.get(low[start : start + SHORTEST], ())
        return any(start + n > after and low[start : start + n] in self._items for n in lengths)

    def hits(self, low: str) -> Iterator[Hit[T]]:
        """Every known string of `low`, in order, the first and longest of those that lie over each other."""
        free = 0
        for start in self._candidates(low):
            if start >= free and (hit := self.at(low, start)) is not None:
                free = hit.end
                yield hit

    def begins(self, low: str) -> bool:
        """Whether some known string begins with `low`, or is it."""
        if len(self._sorted) != len(self._items):
            self._sorted = sorted(self._items)
        place = bisect_left(self._sorted, low)
        return place < len(self._sorted) and self._sorted[place].startswith(low)

    def _candidates(self, low: str) -> list[int]:
        if not self._items or len(low) < SHORTEST:
            return []
        import numpy as np

        if self._marks is None:
            self._marks = np.zeros(_SLOTS, np.bool_)
            self._marks[[_slot(key) for key in self._lengths]] = True
        codes = np.frombuffer(low.encode("utf-32-le", "surrogatepass"), "<u4")
        a, b, c = (np.uint32(factor) for factor in _FACTORS)
        mixed = (codes[:-2] * a) ^ (codes[1:-1] * b) ^ (codes[2:] * c)
        found: list[int] = np.flatnonzero(self._marks[mixed >> np.uint32(16)]).tolist()
        return found


def _slot(key: str) -> int:
    return _slot_of(key[:SHORTEST])


@cache
def _slot_of(gram: str) -> int:
    mixed = 0
    for char, factor in zip(gram, _FACTORS, strict=True):
        mixed ^= (ord(char) * factor) & _WORD
    return mixed >> 16
