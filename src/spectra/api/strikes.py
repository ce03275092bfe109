"""Networks from which too much is wrong are not listened to for a while: guessing, flooding and broken machines alike.

In memory: it protects this process, and is asked before the database is.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from spectra.ingest.rate import RateLimiter
from spectra.model.limits import Address, source_network

_MOST: Final = 10_000


class Strikes:
    """`per_minute` things may be wrong from one network; 0: any number. Thread-safe."""

    def __init__(self, per_minute: int, clock: Callable[[], datetime]) -> None:
        self._limiter = RateLimiter(per_minute, max_contributors=_MOST)
        self._clock = clock
        self._lock = threading.Lock()
        self._until: OrderedDict[str, datetime] = OrderedDict()

    def wait(self, address: Address) -> float:
        """Seconds for which nothing from the network of `address` is listened to; 0.0 mostly."""
        network = str(source_network(address))
        with self._lock:
            until = self._until.get(network)
        return max(0.0, (until - self._clock()).total_seconds()) if until else 0.0

    def strike(self, address: Address) -> None:
        """Something from the network of `address` was wrong."""
        network, now = str(source_network(address)), self._clock()
        if not (wait := self._limiter.admit(network, "", now)):
            return
        with self._lock:
            self._until[network] = now + timedelta(seconds=wait)
            self._until.move_to_end(network)
            if len(self._until) > _MOST:
                self._until.popitem(last=False)
