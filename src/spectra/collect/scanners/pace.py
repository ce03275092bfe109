"""How fast to probe: a rate limit, and the network's own say in it. Pure; time is a parameter."""

from __future__ import annotations

from enum import Enum


class Outcome(Enum):
    """What became of one connection attempt."""

    OPEN = "open"
    CLOSED = "closed"  # refused: the host said no
    FILTERED = "filtered"  # nothing came back, or a router said no
    LOCAL = "local"  # this machine could not send: out of descriptors, ports or routes


class Bucket:
    """Spaces out attempts: a token bucket kept as the time of the next token (the generic cell rate algorithm)."""

    def __init__(self, burst: int = 10) -> None:
        self._burst = burst
        self._next = 0.0

    def take(self, now: float, rate: float) -> float:
        """Take a token at `now` (seconds of a monotonic clock) at `rate` tokens a second: the seconds to wait."""
        gap = 1.0 / rate
        self._next = max(self._next, now - self._burst * gap) + gap
        return max(0.0, self._next - now)


class Pace:
    """The share of the allowed rate and concurrency that the network takes: additive increase, multiplicative decrease.

    Outcomes are judged a window at a time. A window with local failures, or with clearly more timeouts than those
    before it, halves the share; others add a twentieth. A firewall that drops everything soon looks normal: only a rise
    of timeouts means that the probing itself is too fast.
    """

    FLOOR = 1 / 64
    RISE = 0.2

    def __init__(self, rate: int, concurrency: int, *, window: int = 64) -> None:
        self._rate, self._concurrency, self._window = rate, concurrency, window
        self._share = 1.0
        self._usual = 0.0  # moving average of the timeouts' share
        self._counts = dict.fromkeys(Outcome, 0)

    @property
    def rate(self) -> float:
        """Attempts a second, now."""
        return max(1.0, self._rate * self._share)

    @property
    def concurrency(self) -> int:
        """Connections at once, now."""
        return max(1, int(self._concurrency * self._share))

    def tell(self, outcome: Outcome) -> None:
        """Count one outcome; at the end of a window, adapt."""
        self._counts[outcome] += 1
        if sum(self._counts.values()) >= self._window:
            self._adapt()

    def _adapt(self) -> None:
        timeouts = self._counts[Outcome.FILTERED] / self._window
        if self._counts[Outcome.LOCAL] or timeouts > self._usual + self.RISE:
            self._share = max(self.FLOOR, self._share / 2)
        else:
            self._share = min(1.0, self._share + 0.05)
        self._usual += (timeouts - self._usual) / 2
        self._counts = dict.fromkeys(Outcome, 0)
