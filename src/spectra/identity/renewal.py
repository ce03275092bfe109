"""When a node renews its certificate: at two thirds of its life, give or take, and how soon again where that fails.

The moment is computed, not waited for: a machine that slept through it finds that it is due, and renews at once.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Final

BACKDATE: Final = timedelta(minutes=1)
"""How long before it was issued a certificate begins (ours and step-ca's), for clocks that are behind."""

_AT: Final = 2 / 3  # what step and most others use: a day's certificate survives eight hours without its CA
_JITTER: Final = 0.05  # of the life, either way: nodes that joined together do not renew together
_FIRST_RETRY: Final = timedelta(seconds=5)
_LAST_RETRY: Final = timedelta(minutes=15)
_MAX_DOUBLINGS: Final = 12


def due(not_before: datetime, not_after: datetime, seed: str) -> datetime:
    """When to renew a certificate of these dates; `seed` (the serial number, say) settles the jitter of 5 % each way.

    The same seed gives the same moment, so a restart neither hastens nor delays it. The life begins when the
    certificate was issued: one of a minute would else be due before anybody had it.
    """
    begin = not_before + BACKDATE if not_after - not_before > BACKDATE else not_before
    return begin + (not_after - begin) * (_AT + _JITTER * (2 * _fraction(seed) - 1))


def needs_renewal(not_before: datetime, not_after: datetime, seed: str, now: datetime) -> bool:
    """Whether that moment has come, or passed while the machine slept."""
    return now >= due(not_before, not_after, seed)


def next_attempt(failures: int, now: datetime, not_after: datetime, seed: str = "") -> datetime:
    """When to try again after so many failures in a row (at least 1): 5 s, doubled each time, at most 15 minutes.

    But never later than after a third of the life that is left, down to 5 s: the last hours are not slept through.
    After `not_after` there is the grace period, which has hours left, so the 15 minutes hold again. The jitter by
    `seed` takes off up to a fifth, as all nodes fail at once when the CA is away.
    """
    wait = min(_FIRST_RETRY * 2 ** min(max(failures - 1, 0), _MAX_DOUBLINGS), _LAST_RETRY)
    left = not_after - now
    if left > timedelta(0):
        wait = max(min(wait, left / 3), _FIRST_RETRY)
    return now + wait * (1 - _fraction(f"{seed}/{failures}") / 5)


def _fraction(seed: str) -> float:
    """From 0 to below 1, evenly over seeds."""
    return int.from_bytes(hashlib.sha256(seed.encode("utf-8", "replace")).digest()[:6]) / 2**48
