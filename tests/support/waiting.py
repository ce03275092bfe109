"""Waiting for something that another process or thread does: until it holds, never for a length of time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(check: Callable[[], T], within_s: float = 60.0, every_s: float = 0.02) -> T:
    """The first true answer of `check`; fails when there is none within `within_s`, a bound on a broken machine."""
    pause = threading.Event()
    deadline = time.monotonic() + within_s
    while not (answer := check()):
        assert time.monotonic() < deadline, f"still {answer!r} after {within_s:.0f} s"
        pause.wait(every_s)
    return answer
