"""What enrichment finds out about a host: the stage after observation."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec


class Place(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where an address is, and whose network it is in. Empty or 0 means unknown.

    `country` is ISO 3166-1 alpha-2 in upper case, `region` and `city` are English names, coordinates are degrees
    (WGS 84) rounded to two decimals: those of the city, not of the host. `org` is the name behind `asn`. `cloud` is
    the provider (`aws`, `gcp`, `azure`, `oracle`, `cloudflare` ...) in lower case, with its own names of service and
    region.
    """

    asn: int = 0
    org: str = ""
    country: str = ""
    country_name: str = ""
    region: str = ""
    city: str = ""
    cloud: str = ""
    cloud_service: str = ""
    cloud_region: str = ""
    latitude: float | None = None
    longitude: float | None = None

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 over every field: equal places are one."""
        return hashlib.sha256(msgspec.json.encode(msgspec.structs.astuple(self))).digest()

    @property
    def known(self) -> bool:
        """Whether anything is known."""
        return self != NOWHERE


NOWHERE: Final = Place()


class HostFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the feeds of `feeds` (the number of a feed set, see `store.feeds`) say of the host `ip`."""

    ip: str
    feeds: int
    place: Place = NOWHERE
