"""The made-up world that the made-up hosts are in: cities, countries, networks and a cloud, as feeds tell of them.

Each block of addresses is in a city, in a network and perhaps in the cloud, drawn by Zipf's law as in reality: few
cities and networks have most hosts, most have few. Paris has one host in a hundred, whatever the number of hosts.
"""

from __future__ import annotations

import ipaddress
import json
import random
from bisect import bisect
from collections.abc import Iterator
from functools import cache
from itertools import accumulate
from typing import Final, NamedTuple

from spectra.intel.feeds.countries import COUNTRIES

BASE: Final = int(ipaddress.IPv4Address("10.0.0.0"))  # used as names only: no packet is ever sent there

CITIES: Final = 3000
COUNTRY_COUNT: Final = 150
SYSTEMS: Final = 2000
REGIONS: Final = 20  # of the cloud
FIRST_ASN: Final = 4_200_000_000  # RFC 6996: for private use
_CITY_BITS, _SYSTEM_BITS, _CLOUD_BITS = 5, 6, 7  # addresses of a block, as a power of two
_CLOUD_SHARE: Final = 0.12
_PARIS: Final = 11  # its rank among the cities, which gives it a share of 1 %
_SYLLABLES: Final = ("ba", "do", "fe", "gu", "ha", "ki", "lo", "mu", "ne", "po", "ra", "si", "to", "vu", "za")
_SERVICES: Final = ("AMAZON", "EC2", "S3", "CLOUDFRONT")


class City(NamedTuple):
    """A made-up city, in a country that exists."""

    name: str
    country: str
    region: str


def city(rank: int) -> City:
    """The city of a rank, 0 being the largest."""
    if rank == _PARIS:
        return City("Paris", "FR", "FR-IDF")
    rng = random.Random(rank)  # noqa: S311 - repeatable, not secret
    n = len(_SYLLABLES)
    name = _SYLLABLES[rank // n // n] + _SYLLABLES[rank // n % n] + _SYLLABLES[rank % n]
    code = _codes()[_drawn(rng, COUNTRY_COUNT)]
    return City(name.capitalize(), code, f"{code}-{rank % 7}")


def asn(rank: int) -> int:
    """The number of the autonomous system of a rank, 0 being the largest."""
    return FIRST_ASN + rank


def city_at(number: int) -> City:
    """Where host `number` is."""
    return city(_drawn(_rng(number, _CITY_BITS), CITIES))


def asn_at(number: int) -> int:
    """Whose network host `number` is in."""
    return asn(_drawn(_rng(number, _SYSTEM_BITS), SYSTEMS))


def cloud_at(number: int) -> tuple[str, str] | None:
    """Service and region of the cloud that host `number` is in."""
    rng = _rng(number, _CLOUD_BITS)
    if rng.random() > _CLOUD_SHARE:
        return None
    return rng.choice(_SERVICES), f"made-up-{1 + rng.randrange(REGIONS)}"


def feeds(count: int) -> dict[str, bytes]:
    """Name to content of the feeds that cover the first `count` hosts: places, routes, names of systems, a cloud."""
    return {
        "places": "\n".join(_places(count)).encode(),
        "routes": "\n".join(_routes(count)).encode(),
        "systems": json.dumps({asn(n): f"MADE-UP-{n} Made-up Network {n}, ZZ" for n in range(SYSTEMS)}).encode(),
        "cloud": json.dumps(_cloud(count)).encode(),
    }


def _places(count: int) -> Iterator[str]:
    yield "# Last modified: 2026-01-01 00:00:00"
    for number, net in _blocks(count, _CITY_BITS):
        here = city_at(number)
        yield f"{net},{here.country},{here.region},{here.name},"


def _routes(count: int) -> Iterator[str]:
    yield "; Original file : made-up/rib.20260101.0000.bz2"
    for number, net in _blocks(count, _SYSTEM_BITS):
        yield f"{net}\t{asn_at(number)}"


def _cloud(count: int) -> dict[str, object]:
    found = ((net, cloud_at(number)) for number, net in _blocks(count, _CLOUD_BITS))
    prefixes = [
        {"ip_prefix": net, "service": held[0], "region": held[1], "network_border_group": held[1]}
        for net, held in found
        if held is not None
    ]
    # So that there is a cloud at all where there are few hosts.
    spare = {"ip_prefix": "10.255.255.0/24", "service": "EC2", "region": "made-up-1", "network_border_group": "x"}
    return {"syncToken": "1", "createDate": "2026-01-01-00-00-00", "prefixes": [*prefixes, spare]}


def _blocks(count: int, bits: int) -> Iterator[tuple[int, str]]:
    """The first host of each block, and the block as a network."""
    for number in range(0, count, 1 << bits):
        yield number, f"{ipaddress.IPv4Address(BASE + number)}/{32 - bits}"


def _rng(number: int, bits: int) -> random.Random:
    """The same for all hosts of a block."""
    return random.Random(f"{bits}/{number >> bits}")  # noqa: S311 - repeatable, not secret


def _drawn(rng: random.Random, count: int) -> int:
    """A rank below `count`, by Zipf's law."""
    shares = _shares(count)
    return min(bisect(shares, rng.random() * shares[-1]), count - 1)


@cache
def _shares(count: int) -> list[float]:
    return list(accumulate(1 / (rank + 1) for rank in range(count)))


@cache
def _codes() -> list[str]:
    """The countries that there are cities in, the one with the most first."""
    codes = [code for code in COUNTRIES if code != "FR"]
    random.Random(1).shuffle(codes)  # noqa: S311 - repeatable, not secret
    return [*codes[:3], "FR", *codes[3 : COUNTRY_COUNT - 1]]
