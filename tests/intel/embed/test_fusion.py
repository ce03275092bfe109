"""Reciprocal rank fusion against the formula, written down a second time."""

from __future__ import annotations

import itertools
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from spectra.intel.embed.fusion import Fused, fuse

RANKING = st.lists(st.integers(1, 30), unique=True, max_size=20)


def naive(rankings: list[list[int]], k: int) -> list[tuple[int, Fraction]]:
    """Each item's score, exactly."""
    scores: dict[int, Fraction] = {}
    for ranking in rankings:
        for place, item in enumerate(ranking):
            scores[item] = scores.get(item, Fraction(0)) + Fraction(1, k + place + 1)
    return sorted(scores.items(), key=lambda one: (-one[1], one[0]))


@given(st.lists(RANKING, max_size=4), st.integers(0, 100))
def test_scores_are_sums_of_reciprocal_ranks(rankings: list[list[int]], k: int) -> None:
    """The same items with the same scores, the best first, and each knows its places."""
    found = fuse(*rankings, k=k)
    exact = dict(naive(rankings, k))
    assert {f.item for f in found} == set(exact)
    for one in found:
        assert abs(one.score - float(exact[one.item])) < 1e-12
        assert one.ranks == tuple(r.index(one.item) + 1 if one.item in r else None for r in rankings)
    assert all(a.score >= b.score for a, b in itertools.pairwise(found))


def test_ties_are_decided() -> None:
    """Two firsts of two rankings: the lower item; what both have beats what one has first."""
    assert [f.item for f in fuse([2, 3], [1, 3])] == [3, 1, 2]
    assert fuse([5]) == [Fused(5, 1 / 61, (1,))]
    assert fuse() == []
