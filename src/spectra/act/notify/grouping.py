"""What belongs into one alert, and how many alerts a rule may make."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network
from operator import attrgetter
from typing import Final

from msgspec.structs import replace

from spectra.model.alerts import Group, Occurrence

MAX_NEW: Final = 100
"""New alerts that one look of a rule makes at most; the rest of what it found goes into one."""
MAX_OPEN: Final = 1000
"""Alerts that a rule has at once at most, in the same way."""
EVERYTHING: Final = "*"
"""The key of the alert that takes the rest."""


def key_of(group: Group, one: Occurrence) -> str:
    """The key of the alert that `one` belongs to."""
    match group:
        case "rule":
            return EVERYTHING
        case "each":
            return one.key
        case "network" if one.ip:
            return network_of(one.ip)
        case _:
            return one.ip or one.name or one.key


def network_of(ip: str) -> str:
    """The /24 or /48 around an address."""
    return _around(IPv6Address(ip).packed[:6]) if ":" in ip else f"{ip.rpartition('.')[0]}.0/24"


@lru_cache(maxsize=4096)
def _around(first: bytes) -> str:
    """The network whose addresses begin with these six bytes."""
    return str(IPv6Network((first.ljust(16, b"\0"), 48)))


def gathered(
    group: Group, found: Iterable[Occurrence], known: Collection[str] = (), *, most_new: int = MAX_NEW
) -> dict[str, list[Occurrence]]:
    """What was found by the key of its alert, oldest first; once each key of an occurrence, with all its times.

    `known` are the keys that have an alert. Of the others at most `most_new` get one (and `MAX_OPEN` in all): the first
    ones; what is left goes into the alert of `EVERYTHING`.
    """
    left = max(0, min(most_new, MAX_OPEN - len(known)))
    alerts: dict[str, dict[str, Occurrence]] = {}
    for one in sorted(found, key=attrgetter("at")):
        what = one.key
        key = what if group == "each" else key_of(group, one)
        if key not in known and key not in alerts:
            if key != EVERYTHING and left <= 0:
                key = EVERYTHING
            else:
                left -= key != EVERYTHING
        its = alerts.setdefault(key, {})
        its[what] = _again(its[what], one) if what in its else one
    return {key: list(its.values()) for key, its in alerts.items()}


def _again(before: Occurrence, one: Occurrence) -> Occurrence:
    return replace(one, times=before.times + one.times)
