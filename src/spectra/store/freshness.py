"""Which looks of an observation make an endpoint fresh: what the ledger counts, decided while the graph is written.

An endpoint is made fresh by an open look at it that is itself fresh when it arrives, where the endpoint was unknown or
had been seen open no later than one lifetime before. The lifetime is that of the service the look names. So neither old
output nor looking again before there is need counts, and no row is read for it: a new endpoint says so by being new, a
known one is updated anyway.

What only an untrusted contributor claims does not count, now or later; where it confirms what others saw, it does.
Nothing late counts either: whoever was first, or looked last, was there before.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from spectra.model.lifetimes import Lifetimes

_DEFAULT: Final = Lifetimes()


class Freshness:
    """The lifetimes that hold for one observation, which was received at `received` (None: nothing counts)."""

    def __init__(self, lifetimes: Lifetimes | None, received: datetime | None) -> None:
        self._lifetimes = lifetimes or _DEFAULT
        self._received = received
        self._known: dict[str, int] = {}

    def age_s(self, at: datetime) -> float:
        """How old a look of the moment `at` was when it arrived, in seconds."""
        return (self._received - at).total_seconds() if self._received else float("inf")

    def life(self, service: str, age_s: float) -> int:
        """The seconds that an endpoint with this service (empty: not said) stays fresh after an open look; 0 where a
        look of this age is stale already.
        """
        life = self._known.get(service)
        if life is None:
            life = self._known[service] = self._lifetimes.seconds(service)
        return life if age_s < life else 0
