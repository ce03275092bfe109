"""The statistics of the detectors: robust ones, so that what is looked for does not hide itself by its own weight."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from statistics import median
from typing import Final, NamedTuple, TypeVar

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

MAD_TO_SIGMA: Final = 1.4826
"""The median absolute deviation times this is the standard deviation of a normal distribution."""


class Rhythm(NamedTuple):
    """How regular a series of moments is: the median gap in seconds, the median absolute deviation of gaps as a share
    of it, how many gaps, and over how many seconds.
    """

    period: float
    jitter: float
    gaps: int
    span: float


def rhythm(moments: Iterable[datetime], *, together_s: float = 2.0) -> Rhythm | None:
    """The rhythm of moments; those within `together_s` of one another are one (A and AAAA are asked for at once).

    None for fewer than three.
    """
    kept: list[float] = []
    for at in sorted(moment.timestamp() for moment in moments):
        if not kept or at - kept[-1] > together_s:
            kept.append(at)
    if len(kept) < 3:
        return None
    gaps = [after - before for before, after in pairwise(kept)]
    period = median(gaps)
    return Rhythm(period, median(abs(gap - period) for gap in gaps) / period, len(gaps), kept[-1] - kept[0])


def robust_z(value: float, others: Sequence[float], *, least: float = 1.0) -> float:
    """How many robust standard deviations `value` is above the median of `others`; a spread below `least` counts so."""
    middle = median(others)
    spread = median(abs(other - middle) for other in others) * MAD_TO_SIGMA
    return (value - middle) / max(spread, least)


def poisson_tail(count: int, mean: float) -> float:
    """log10 of an upper bound (Chernoff) of the probability of `count` or more events where `mean` are expected.

    0 where that is no surprise. P(X >= k) <= exp(-mean) (e mean / k)^k for k > mean.
    """
    if count <= mean or count <= 0:
        return 0.0
    mean = max(mean, 1e-9)
    return (-mean + count * (1 + math.log(mean / count))) / math.log(10)


def hours(items: Iterable[tuple[datetime | None, T]]) -> Mapping[int, list[T]]:
    """Items by the hour they fall into, twice: hours from the full hour and from the half, so that no half hour is cut
    in two. What has no time is in one hour of its own.
    """
    found: defaultdict[int, list[T]] = defaultdict(list)
    for at, item in items:
        if at is None:
            found[-1].append(item)
            continue
        half = int(at.timestamp()) // 1800
        found[half].append(item)
        found[half - 1].append(item)
    return found


def grouped(pairs: Iterable[tuple[K, T]]) -> dict[K, list[T]]:
    """Values by their key, in order."""
    found: defaultdict[K, list[T]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return dict(found)


def newest(moments: Iterable[datetime | None], otherwise: datetime) -> datetime:
    """The newest of moments that are known."""
    return max((at for at in moments if at is not None), default=otherwise)


def share(part: float, whole: float) -> float:
    """`part` of `whole`, 0 where that is nothing."""
    return part / whole if whole else 0.0
