"""How long what is known of an endpoint stays fresh: lifetimes by service name, and the moment each becomes stale.

Pure, and the definition: `store/staleness.py` says the same in SQL, and a test holds both against each other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

from spectra.errors import BadRequest

HOUR: Final = 3600
DAY: Final = 24 * HOUR
MAX_LIFETIME_S: Final = 3650 * DAY
DEFAULT_S: Final = DAY

BUILT_IN: Final[Mapping[str, int]] = MappingProxyType(
    {
        # What changes with a deployment, or is a door when it appears.
        "http": 6 * HOUR,
        "docker": 6 * HOUR,
        "kubernetes": 6 * HOUR,
        "elasticsearch": 6 * HOUR,
        "memcached": 6 * HOUR,
        "memcache": 6 * HOUR,
        "mongodb": 6 * HOUR,
        "redis": 6 * HOUR,
        "telnet": 12 * HOUR,
        "ms-wbt-server": 12 * HOUR,  # remote desktop, as nmap calls it
        "rdp": 12 * HOUR,
        "vnc": 12 * HOUR,
        "microsoft-ds": 12 * HOUR,  # SMB
        "netbios-ssn": 12 * HOUR,
        "smb": 12 * HOUR,
        "mysql": 12 * HOUR,
        "postgresql": 12 * HOUR,
        "ms-sql-s": 12 * HOUR,
        "oracle-tns": 12 * HOUR,
        # What is set up once.
        "ssh": DAY,
        "ftp": DAY,
        "smtp": DAY,
        "imap": DAY,
        "pop3": DAY,
        "ldap": DAY,
        "domain": 2 * DAY,  # DNS
        "snmp": 2 * DAY,
        "ntp": 7 * DAY,
    }
)
"""Seconds by service name, where the settings say nothing else."""


class Lifetimes:
    """Seconds that a service stays fresh, by name; `default_s` where neither name nor its first part is known.

    `https` and `http-proxy` live as long as `http`: a name counts without the `s` of TLS, and its part before the
    first `-` counts where the whole is unknown. Names are compared in lower case.
    """

    def __init__(self, services: Mapping[str, int] | None = None, default_s: int = DEFAULT_S) -> None:
        given = {name.strip().lower(): seconds for name, seconds in (services or {}).items()}
        named = {**BUILT_IN, **given}
        for name, seconds in (*named.items(), ("default", default_s)):
            if not 0 < seconds <= MAX_LIFETIME_S:
                raise BadRequest(f"a lifetime of {seconds} s for {name!r} is not above 0 and at most ten years")
        self.default_s = default_s
        self.given = given
        self._named = {f"{name}s": seconds for name, seconds in named.items()} | named

    def seconds(self, service: str) -> int:
        """How long an endpoint with this service (empty: unknown) stays fresh."""
        name = service.lower()
        found = self._named.get(name) or self._named.get(name.partition("-")[0])
        return found or self.default_s

    @property
    def by_length(self) -> dict[int, list[str]]:
        """Every known name by its seconds, shortest first: what a query needs to say the same."""
        lengths: dict[int, list[str]] = {}
        for name, seconds in sorted(self._named.items(), key=lambda item: (item[1], item[0])):
            lengths.setdefault(seconds, []).append(name)
        return lengths

    @property
    def shortest_s(self) -> int:
        """The least seconds of any service."""
        return min(self.default_s, *self._named.values())

    @property
    def longest_s(self) -> int:
        """The most seconds of any service."""
        return max(self.default_s, *self._named.values())


def stale_at(service: str, last_seen: datetime, lifetimes: Lifetimes) -> datetime:
    """The moment from which an endpoint last seen open at `last_seen` (aware) counts as stale."""
    return later(last_seen, lifetimes.seconds(service))


def later(moment: datetime, seconds: int) -> datetime:
    """`moment` and `seconds`; the end of the calendar where that lies beyond it."""
    try:
        return moment + timedelta(seconds=seconds)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


_AGE: Final = re.compile(r"(\d{1,9})([smhdw])", re.ASCII)
_UNITS: Final = {"s": 1, "m": 60, "h": HOUR, "d": DAY, "w": 7 * DAY}


def parse_age(text: str, field: str = "min_age") -> int:
    """`5m`, `24h`, `7d` or `1d12h` as seconds; raises `BadRequest` naming `field`."""
    parts = _AGE.findall(text)
    seconds = sum(int(count) * _UNITS[unit] for count, unit in parts)
    if not parts or "".join(count + unit for count, unit in parts) != text or seconds > MAX_LIFETIME_S:
        raise BadRequest(
            f"{text[:40]!r} is not a span of time of at most ten years.", field=field, hint="Write 5m, 24h or 7d."
        )
    return seconds
