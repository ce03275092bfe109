"""Reciprocal rank fusion (Cormack, Clarke and Büttcher, 2009): several rankings as one, whatever their scores mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

K: Final = 60
"""The constant of the paper: how little the first places count more than the next ones."""


class Fused(NamedTuple):
    """An item, its score, and its place (1 is best) in each ranking, None where that has it not."""

    item: int
    score: float
    ranks: tuple[int | None, ...]


def fuse(*rankings: Sequence[int], k: int = K) -> list[Fused]:
    """The items of all rankings (each the best first, without doubles), the best first.

    The score is the sum of `1 / (k + rank)`; of equal ones the one with the best single place, then the lower item.
    """
    places = [{item: rank for rank, item in enumerate(ranking, 1)} for ranking in rankings]
    items = {item for place in places for item in place}
    found = [_fused(item, tuple(place.get(item) for place in places), k) for item in items]
    return sorted(found, key=lambda one: (-one.score, min(rank for rank in one.ranks if rank), one.item))


def _fused(item: int, ranks: tuple[int | None, ...], k: int) -> Fused:
    return Fused(item, sum(1 / (k + rank) for rank in ranks if rank), ranks)
