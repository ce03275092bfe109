"""When a provider that failed is asked again. Pure; time is a parameter, in seconds of any clock that only advances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FAILURES: Final = 3
"""So many in a row, and it is spared for a while."""
FIRST_WAIT_S: Final = 5.0
"""Twice as long each further time, up to `LONGEST_WAIT_S`."""
LONGEST_WAIT_S: Final = 300.0
LONGEST_ASKED_S: Final = 3600.0
"""The longest wait that a provider may ask for."""
PROBE_S: Final = 60.0
"""After a wait one request goes first. If nothing is heard of it for so long, the next one may."""


@dataclass(slots=True)
class Breaker:
    """Of one provider. Not thread-safe."""

    failures: int = 0
    waits: int = 0
    until: float = 0.0
    probing_until: float = 0.0
    why: str = ""

    def open(self, now: float) -> bool:
        """Whether it is spared at the moment."""
        return now < self.until

    def allow(self, now: float) -> bool:
        """Whether it may be asked now; after a wait, by one request alone until that succeeds or fails."""
        if self.open(now) or now < self.probing_until:
            return False
        if self.until:
            self.probing_until = now + PROBE_S
        return True

    def good(self) -> None:
        """It answered."""
        self.failures, self.waits, self.until, self.probing_until, self.why = 0, 0, 0.0, 0.0, ""

    def unknown(self) -> None:
        """A request ended without telling anything of it: cancelled, or refused for what it was."""
        self.probing_until = 0.0

    def bad(self, now: float, why: str, wait_s: float | None = None) -> None:
        """It failed; `wait_s`: it is known for how long it is no use asking."""
        self.failures += 1
        self.why = why
        probed = self.until > 0
        self.probing_until = 0.0
        if wait_s is not None:
            self.until = now + min(max(wait_s, 1.0), LONGEST_ASKED_S)
        elif probed or self.failures >= FAILURES:
            self.until = now + min(FIRST_WAIT_S * 2**self.waits, LONGEST_WAIT_S)
            self.waits = min(self.waits + 1, 16)
