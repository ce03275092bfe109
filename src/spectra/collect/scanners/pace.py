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


class Patience:
    """How often one host is asked again, and how fast, learnt from what comes of it. One round asks all that is silent.

    What answers only when asked again was dropped: the host, or something before it, takes so much and no more. Then
    it is asked in more rounds, each at half the rate if the last one was still mostly dropped. A firewall looks
    otherwise: nothing answers, neither to a sample of a round nor to the whole of it.
    """

    RATE = 20.0  # attempts a second in the first round of asking again
    SAMPLE = 12  # so many without any answer: the others are not kept waiting for it
    ROUNDS = 10
    SLOWEST_S = 1.0

    def __init__(self) -> None:
        self._rounds = 0
        self._gap = 1 / self.RATE
        self._asked = self._answered = 0
        self._hurried = self.lossy = False
        self._empty = 0  # rounds without an answer, one after the other

    def again(self, *, silent: bool) -> bool:
        """Whether to begin another round; `silent`: the host has never answered at all."""
        if self._rounds:
            self._empty = 0 if self._answered else self._empty + 1
            if self._rounds >= self.ROUNDS or self._empty > (1 if self.lossy else 0):
                return False
            if 2 * self._answered < self._asked:
                self._gap = min(self.SLOWEST_S, 2 * self._gap)
        self._rounds += 1
        self._asked = self._answered = 0
        self._hurried = silent
        return True

    def tell(self, *, answered: bool) -> None:
        """Count one attempt of the round."""
        self._asked += 1
        self._answered += answered
        if answered:
            self.lossy, self._hurried = True, False
        elif self._asked >= self.SAMPLE and not self._answered:
            self._hurried = True

    @property
    def gap_s(self) -> float:
        """Seconds between two attempts at the host."""
        return 0.0 if self._hurried else self._gap


class Timing:
    """How long to wait for one host's answer: RFC 6298's estimate from those it gave, once there are a few.

    Not `steady`: what is between may change at any time (relays), so that the past tells nothing.
    """

    LEAST_S = 0.8  # below a second the kernel sends no SYN again by itself
    ENOUGH = 3

    def __init__(self, timeout_s: float, *, steady: bool = True) -> None:
        self._most, self._steady = timeout_s, steady
        self._count = 0
        self._mean = self._spread = 0.0

    def tell(self, seconds: float) -> None:
        """An answer took so long."""
        if self._count:
            self._spread += (abs(seconds - self._mean) - self._spread) / 4
            self._mean += (seconds - self._mean) / 8
        else:
            self._mean, self._spread = seconds, seconds / 2
        self._count += 1

    @property
    def timeout_s(self) -> float:
        """The longest wait for the next answer."""
        if not self._steady or self._count < self.ENOUGH:
            return self._most
        return min(self._most, max(self.LEAST_S, self._mean + 4 * self._spread))
