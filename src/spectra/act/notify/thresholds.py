"""How often something happened lately: whole seconds and counts, of which few are kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from spectra.model.alerts import Occurrence

MAX_KEPT: Final = 200
"""Seconds that are kept apart. Of more, the oldest are taken for as old as the next: they count a little longer."""

Recent = Sequence[tuple[int, int]]
"""Seconds since 1970 and how often it happened then, in order."""


def added(recent: Recent, found: Iterable[Occurrence]) -> list[tuple[int, int]]:
    """`recent` with what was found."""
    counted = dict(recent)
    for one in found:
        second = int(one.at.timestamp())
        counted[second] = counted.get(second, 0) + one.times
    kept = sorted(counted.items())
    while len(kept) > MAX_KEPT:
        (_, oldest), (second, times) = kept[:2]
        kept[:2] = [(second, oldest + times)]
    return kept


def within(recent: Recent, window_s: int, now: datetime) -> list[tuple[int, int]]:
    """What of `recent` happened in the last `window_s` seconds; also what is dated later than now."""
    since = int(now.timestamp()) - window_s
    return [(second, times) for second, times in recent if second > since]


def total(recent: Recent) -> int:
    """How often in all."""
    return sum(times for _, times in recent)
