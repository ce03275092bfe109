"""How often, and after which pauses, a dead child is started again."""

from __future__ import annotations

import random
from collections import deque

_RANDOM = random.SystemRandom()


class RestartBudget:
    """At most `limit` attempts in any `window_s` seconds; pauses double from `first_s` to `longest_s`, +-50 %."""

    def __init__(
        self, *, limit: int = 10, window_s: float = 300.0, first_s: float = 0.1, longest_s: float = 30.0
    ) -> None:
        self.limit = limit
        self.window_s = window_s
        self._first_s = first_s
        self._longest_s = longest_s
        self._attempts: deque[float] = deque()

    def next_pause(self, now: float) -> float | None:
        """Seconds to wait before the attempt this call books; None when the budget is spent. `now` is monotonic."""
        while self._attempts and now - self._attempts[0] > self.window_s:
            self._attempts.popleft()
        if len(self._attempts) >= self.limit:
            return None
        pause = min(self._longest_s, self._first_s * 2.0 ** len(self._attempts))
        self._attempts.append(now)
        return pause * _RANDOM.uniform(0.5, 1.5)
