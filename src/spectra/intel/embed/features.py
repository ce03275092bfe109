"""Texts about weaknesses as counted features: stemmed words and pairs of neighbouring words, each a 64-bit hash.

Nothing is learned here and nothing is looked up: equal texts have equal features in every process and release. The
lowest bit of a hash tells pairs (1) from words (0).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from spectra.intel.embed.words import stem

# A word with a point, dash or underscore in it counts whole (`ip_input.c`) and by its parts (`cross-site`).
_WORD: Final = re.compile(r"[a-z0-9]+(?:[._+#-]+[a-z0-9]+)*")
_PART: Final = re.compile(r"[a-z0-9]+")
_LONGEST: Final = 40  # characters of a word: longer ones are hashes, paths and noise
_REMEMBERED: Final = 200_000  # words whose hashes are kept: bounds memory, whatever the texts are
_PAIR: Final = np.uint64(0x9E3779B97F4A7C15)
_SHIFT: Final = np.uint64(29)
_IS_PAIR: Final = np.uint64(1)


class Counted(NamedTuple):
    """Features of some texts, as rows of a sparse matrix: those of text i are at `starts[i]:starts[i + 1]`.

    `ids` are hashes, or columns of a vocabulary; `counts` how often each is in the text. Sorted by id within a row.
    """

    starts: npt.NDArray[np.int64]
    ids: npt.NDArray[np.uint64]
    counts: npt.NDArray[np.float32]

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """The number of the text of each feature."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))


class Reader:
    """Counts features. Keeps the hashes of the words it met. Not to be shared by threads."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, ...]] = {}

    def count(self, texts: Sequence[str]) -> Counted:
        """The features of each of `texts`, in their order."""
        flat: list[int] = []
        ends: list[int] = []
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        for text in texts:
            for word in _WORD.findall(text.lower()):
                hashes = self._known.get(word)
                if hashes is None:
                    hashes = self._known[word] = _hashes(word)
                flat += hashes
            ends.append(len(flat))
        return _counted(np.array(flat, np.uint64), np.array(ends, np.int64))


def _hashes(word: str) -> tuple[int, ...]:
    """The hashes of what a word counts as, in the order of its parts."""
    if len(word) > _LONGEST:
        return ()
    parts = _PART.findall(word)
    if len(parts) == 1 or word.startswith(("cwe-", "cve-")):
        stems: Iterable[str] = [stem(word)]
    else:  # a version is no word
        stems = [word if any(c.isalpha() for c in word) and not word[0].isdigit() else "", *map(stem, parts)]
    return tuple(_hash(one) for one in stems if one)


def _hash(word: str) -> int:
    return int.from_bytes(blake2b(word.encode(), digest_size=8).digest()) & ~1


def _counted(words: npt.NDArray[np.uint64], ends: npt.NDArray[np.int64]) -> Counted:
    """Words of all texts in a row, with where each text ends: counted, with pairs of neighbours."""
    rows = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
    near = rows[1:] == rows[:-1]
    pairs = _paired(words[:-1][near], words[1:][near])
    ids = np.concatenate((words, pairs))
    rows = np.concatenate((rows, rows[1:][near]))
    return _tallied(ids, rows, len(ends))


def _paired(left: npt.NDArray[np.uint64], right: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    mixed = (left * _PAIR) ^ (right + (left << np.uint64(7)))
    return (mixed ^ (mixed >> _SHIFT)) * _PAIR | _IS_PAIR


def are_pairs(ids: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Which of these hashes are those of pairs."""
    return (ids & _IS_PAIR).astype(bool)


def _tallied(ids: npt.NDArray[np.uint64], rows: npt.NDArray[np.int64], size: int) -> Counted:
    """Features of `size` texts in any order, the equal ones of a text put together."""
    order = np.lexsort((ids, rows))
    ids, rows = ids[order], rows[order]
    first = np.ones(len(ids), bool)
    first[1:] = (ids[1:] != ids[:-1]) | (rows[1:] != rows[:-1])
    at = np.flatnonzero(first)
    starts = np.searchsorted(rows[at], np.arange(size + 1)).astype(np.int64)
    return Counted(starts, ids[at], np.diff(at, append=len(ids)).astype(np.float32))
