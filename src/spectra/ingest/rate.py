"""How often a contributor may submit: one token bucket each, in memory.

A limit protects this process from load, so unlike nonces it need not survive a restart.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import datetime
from typing import NamedTuple

_UNLIMITED_ROLE = "admin"

# Threads may ask a little out of order; further back than this, the clock was set, and waiting for it to come round
# again would lock the contributor out.
_CLOCK_WAS_SET_S = 60.0


class _Bucket(NamedTuple):
    tokens: float
    at: datetime  # when `tokens` was right


class RateLimiter:
    """Token buckets of `burst` submissions that refill at `rate_per_minute`; 0 means no limit. Thread-safe.

    At most `max_contributors` buckets are kept and the one unused for longest is forgotten first. A forgotten
    contributor starts with a full bucket, which is what an idle one has after `burst / rate_per_minute` minutes.
    """

    def __init__(self, rate_per_minute: int, burst: int | None = None, *, max_contributors: int = 10_000) -> None:
        self._per_second = rate_per_minute / 60
        self._burst = float(max(1, rate_per_minute if burst is None else burst))
        self._max = max_contributors
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def admit(self, contributor: str, role: str, now: datetime) -> float:
        """0.0 when admitted (which takes a token), else the seconds until there is one (which takes none)."""
        if self._per_second <= 0 or role == _UNLIMITED_ROLE:
            return 0.0
        with self._lock:
            tokens, at = self._refilled(contributor, now)
            admitted = tokens >= 1
            self._keep(contributor, _Bucket(tokens - 1 if admitted else tokens, at))
        behind = (at - now).total_seconds()  # above 0 only where `now` lies before an earlier call's
        return 0.0 if admitted else behind + (1 - tokens) / self._per_second

    def __len__(self) -> int:
        """How many contributors are tracked."""
        return len(self._buckets)

    def _refilled(self, contributor: str, now: datetime) -> _Bucket:
        bucket = self._buckets.get(contributor)
        if bucket is None:
            return _Bucket(self._burst, now)
        elapsed = (now - bucket.at).total_seconds()
        if elapsed < -_CLOCK_WAS_SET_S:
            return _Bucket(bucket.tokens, now)
        if elapsed <= 0:  # refilling starts where it left off, so that no second is counted twice
            return bucket
        return _Bucket(min(self._burst, bucket.tokens + elapsed * self._per_second), now)

    def _keep(self, contributor: str, bucket: _Bucket) -> None:
        self._buckets[contributor] = bucket
        self._buckets.move_to_end(contributor)
        if len(self._buckets) > self._max:
            self._buckets.popitem(last=False)
