"""Counted features: the same in every process, of words and of neighbours."""

from __future__ import annotations

import itertools
import re
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spectra.intel.embed import features
from spectra.intel.embed.features import Counted, Reader, are_pairs
from spectra.intel.embed.words import stem

TEXT = st.text(st.sampled_from("abcdefg SQL-._1é\n"), max_size=60)


def rows(counted: Counted) -> list[dict[int, float]]:
    """Each text's features with how often they are there."""
    ends = zip(counted.starts[:-1], counted.starts[1:], strict=True)
    return [dict(zip(counted.ids[a:b].tolist(), counted.counts[a:b].tolist(), strict=True)) for a, b in ends]


def naive(text: str) -> list[str]:
    """The stems of a text in order, by a second hand."""
    found: list[str] = []
    for word in re.findall(r"[a-z0-9]+(?:[._+#-]+[a-z0-9]+)*", text.lower()):
        parts = re.findall(r"[a-z0-9]+", word)
        whole = [word] if re.search("[a-z]", word) and not word[0].isdigit() else []
        found += [stem(word)] if len(parts) == 1 else [*whole, *map(stem, parts)]
    return [one for one in found if one]


@given(st.lists(TEXT, max_size=5))
def test_words_and_neighbours_are_counted(texts: list[str]) -> None:
    """As many of each kind as a plain count finds, text by text."""
    for text, row in zip(texts, rows(Reader().count(texts)), strict=True):
        words = naive(text)
        ids = np.array(list(row), np.uint64)
        pairs = are_pairs(ids)
        assert sorted(v for v, p in zip(row.values(), pairs, strict=True) if not p) == sorted(Counter(words).values())
        neighbours = Counter(itertools.pairwise(words))
        assert sorted(v for v, p in zip(row.values(), pairs, strict=True) if p) == sorted(neighbours.values())


@given(st.lists(TEXT, max_size=5), st.integers(0, 5))
def test_a_text_counts_alike_alone_and_among_others(texts: list[str], cut: int) -> None:
    """Neither its place nor what was read before matters."""
    reader = Reader()
    apart = rows(reader.count(texts[:cut])) + rows(reader.count(texts[cut:]))
    assert apart == rows(Reader().count(texts))


def test_hashes_are_the_same_everywhere() -> None:
    """They are part of what is stored: another hash would make all vectors worthless."""
    assert rows(Reader().count(["Heap overflow"])) == [
        {15391521680710739204: 1.0, 6722372297764192280: 1.0, 14240359407946061963: 1.0},
    ]


def test_order_of_neighbours_matters() -> None:
    """`use after` is not `after use`."""
    one, other = rows(Reader().count(["heap buffer", "buffer heap"]))
    assert len(set(one) & set(other)) == 2
    assert len(one) == len(other) == 3


def test_noise_is_left_out() -> None:
    """Words of any length are read; very long ones do not count, and what is kept of words is bounded."""
    assert rows(Reader().count(["a" * 1000, ""])) == [{}, {}]
    reader = Reader()
    reader._known = {str(n): () for n in range(features._REMEMBERED + 1)}
    reader.count(["heap"])
    assert list(reader._known) == ["heap"]
