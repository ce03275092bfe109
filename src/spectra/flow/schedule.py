"""When feeds are fetched again: each in its own time, and sooner after a failure."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Final

from spectra.model.feeds import UPLOAD

RETRY: Final = timedelta(hours=1)
"""After an update that failed."""
_JITTER: Final = 0.1  # of the interval between updates


def due(name: str, source: str, checked: datetime, *, failed: bool, every: timedelta) -> datetime:
    """When to fetch a feed again that was asked for at `checked`; never what came as a file.

    Each has a jitter of its own, or all would be fetched at once.
    """
    if source == UPLOAD:
        return datetime.max.replace(tzinfo=checked.tzinfo)
    if failed:
        return checked + min(every, RETRY)
    share = hashlib.sha256(f"{name} {checked}".encode()).digest()[0] / 255
    return checked + every * (1 + _JITTER * share)
