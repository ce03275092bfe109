"""How regularly a node is heard, and how far its clock is from ours: two estimates of constant size.

`Arrivals` is the idea of adaptive failure detectors (Chen, Toueg and Aguilera 2002; Hayashibara et al. 2004): how long
a silence may last follows from the node's own past, so that a board that is late by habit is not taken for a dead one.
`Offset` is the clock filter of NTP (RFC 5905 section 10) with its one idea: of many samples, the one with the least
delay is the truest.
"""

from __future__ import annotations

import math
from typing import Final

_FORGETS: Final = 1 / 16  # the weight of a new gap once there are that many: a change of habit is learned in a minute
_LEAST_SAMPLES: Final = 4
_WINDOW: Final = 8  # samples of a clock before the oldest begin to be forgotten


class Arrivals:
    """Mean and variance of the gaps between a node's heartbeats, of which the newer ones weigh more."""

    __slots__ = ("_count", "_mean", "_variance")

    def __init__(self) -> None:
        self._count = 0
        self._mean = 0.0
        self._variance = 0.0

    @property
    def mean(self) -> float:
        """The mean gap in seconds; 0 before the first."""
        return self._mean

    @property
    def deviation(self) -> float:
        """The standard deviation of the gaps in seconds."""
        return math.sqrt(self._variance)

    def add(self, gap: float) -> None:
        """Take a gap of so many seconds in: the plain mean of the first sixteen, a fading one from then on."""
        self._count += 1
        weight = max(_FORGETS, 1 / self._count)
        off = gap - self._mean
        self._mean += weight * off
        self._variance = (1 - weight) * (self._variance + weight * off * off)

    def patience(self, least: float, most: float, deviations: float) -> float:
        """How many seconds of silence are ordinary: mean and so many standard deviations, within `least` and `most`."""
        if self._count < _LEAST_SAMPLES:
            return least
        return min(most, max(least, self._mean + deviations * self.deviation))


class Offset:
    """A node's clock less ours. Each sample is that offset less the delay of a message, so the largest is the truest.

    The maximum of the last eight to sixteen samples, in two numbers: a clock that was set back is noticed after that.
    """

    __slots__ = ("_before", "_count", "_latest")

    def __init__(self) -> None:
        self._before = -math.inf
        self._latest = -math.inf
        self._count = 0

    def add(self, sample: float) -> None:
        """Take in when a message was sent, by the node's clock, less when it came, by ours, in seconds."""
        if self._count == _WINDOW:
            self._before, self._latest, self._count = self._latest, -math.inf, 0
        self._latest = max(self._latest, sample)
        self._count += 1

    @property
    def seconds(self) -> float | None:
        """The estimate, or None before the first sample."""
        best = max(self._before, self._latest)
        return None if best == -math.inf else best
