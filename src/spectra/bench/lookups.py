"""How fast addresses are looked up in all tables together, against `maxminddb` with one of them."""

from __future__ import annotations

import io
import ipaddress
import json
import random
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import maxminddb

from spectra.bench import mmdb
from spectra.intel.enrich.locator import Locator
from spectra.intel.feeds import Table, read

_ASKED_OF_BASELINE: Final = 100_000
_LENGTHS: Final = (24, 24, 24, 24, 24, 23, 22, 22, 21, 20, 19, 18, 16)  # of prefixes, about as often as they are routed
_CLOUDS: Final = ("cloudflare", "akamai", "fastly", "linode", "digitalocean", "vultr", "hetzner", "ovh", "scaleway")


class Lookups(NamedTuple):
    """Addresses a second of one core, by its processor time: other work may run beside.

    `baseline` is `maxminddb`'s own `get` of a city, of the random ones.
    """

    random: float
    clustered: float
    baseline: float


def enrich_lookups_per_s(addresses: int = 1_000_000, prefixes: int = 512_000) -> Lookups:
    """Locate `addresses` over a city database, `prefixes` routes, names of systems and the ranges of eleven clouds.

    The feeds are made up, read, saved and loaded first, which is not counted. The random addresses are from anywhere,
    the clustered ones from networks of a scan.
    """
    with tempfile.TemporaryDirectory(prefix="spectra-bench-") as name:
        folder = Path(name)
        tables = list(_tables(folder, prefixes))
        anywhere, near = _anywhere(addresses), _near(addresses)
        rates = [_rate(Locator(tables), ips) for ips in (anywhere, near)]
        return Lookups(rates[0], rates[1], _baseline_rate(folder / "cities", anywhere[:_ASKED_OF_BASELINE]))


def _rate(locator: Locator, ips: Sequence[str]) -> float:
    began = time.thread_time()
    found = locator.locate(ips)
    seconds = time.thread_time() - began
    assert len(found) == len(ips)
    return len(ips) / seconds


def _baseline_rate(path: Path, ips: Sequence[str]) -> float:
    with _opened(path) as reader:
        began = time.thread_time()
        for ip in ips:
            reader.get(ip)
        return len(ips) / (time.thread_time() - began)


@contextmanager
def _opened(path: Path) -> Generator[Any]:
    with maxminddb.open_database(path) as reader:  # pyright: ignore[reportUnknownMemberType]
        yield reader


def _tables(folder: Path, prefixes: int) -> Iterator[Table]:
    for name, data in _feeds(prefixes):
        path = folder / name
        path.write_bytes(data)
        read(path).save(path.with_suffix(".table"))
        yield Table.load(path.with_suffix(".table"))


def _feeds(prefixes: int) -> Iterator[tuple[str, bytes]]:
    """Feeds by file name: about as many networks of each kind as the real ones have."""
    rng = random.Random(1)  # noqa: S311 - repeatable, not secret
    cities = {net: _city(int(30_000 * rng.random() ** 2)) for net in _disjoint(rng, min(prefixes, 100_000))}
    yield "cities", mmdb.database(cities, kind="Made-up-City", version=4)
    yield "routes", "\n".join(_routes(rng, prefixes)).encode()
    yield "systems", json.dumps({n: f"AS-{n} Network {n}, ZZ" for n in range(1, 50_000)}).encode()
    yield "aws", json.dumps(_aws(rng, prefixes // 50)).encode()
    yield "azure", json.dumps(_azure(rng, prefixes // 10)).encode()
    for provider in _CLOUDS:
        yield f"{provider}.txt", "\n".join({_network(rng) for _ in range(max(1, prefixes // 2000))}).encode()


def _routes(rng: random.Random, count: int) -> Iterator[str]:
    for _ in range(count):
        net = _network(rng)
        first, second, _ = net.split(".", 2)
        # Neighbours are mostly of one system, and few systems share a neighbourhood.
        yield f"{net}\t{1 + (int(first) << 8 | int(second)) * 3 // 4 + rng.randrange(3)}"


@cache
def _city(number: int) -> dict[str, Any]:
    return {
        "city": {"geoname_id": number, "names": {"de": f"Stadt {number}", "en": f"City {number}"}},
        "country": {"iso_code": "FR", "names": {"de": "Frankreich", "en": "France"}},
        "location": {"latitude": number % 90 + 0.25, "longitude": number % 180 + 0.5, "time_zone": "Europe/Paris"},
        "subdivisions": [{"iso_code": "IDF", "names": {"en": f"Region {number % 50}"}}],
    }


def _disjoint(rng: random.Random, count: int) -> list[str]:
    blocks = rng.sample(range(1 << 17), count)
    return [f"{ipaddress.IPv4Address(block << 15)}/17" for block in blocks]


def _network(rng: random.Random) -> str:
    length = rng.choice(_LENGTHS)
    return f"{ipaddress.IPv4Address(rng.getrandbits(length) << (32 - length))}/{length}"


def _aws(rng: random.Random, count: int) -> dict[str, Any]:
    prefixes = [
        {"ip_prefix": _network(rng), "region": f"region-{n % 30}", "service": ("AMAZON", "EC2", "S3")[n % 3]}
        for n in range(max(1, count))
    ]
    return {"syncToken": "1", "createDate": "2026-01-01-00-00-00", "prefixes": prefixes}


def _azure(rng: random.Random, count: int) -> dict[str, Any]:
    tags = [
        {"name": f"Service{n}", "properties": {"region": "", "addressPrefixes": [_network(rng) for _ in range(20)]}}
        for n in range(max(1, count // 20))
    ]
    return {"changeNumber": 1, "cloud": "Public", "values": tags}


def _anywhere(count: int) -> list[str]:
    rng = random.Random(2)  # noqa: S311 - repeatable, not secret
    return _written(rng.getrandbits(32) for _ in range(count))


def _near(count: int) -> list[str]:
    """Addresses of a few thousand /24, one network after the other, as the hosts of a scan come."""
    rng = random.Random(3)  # noqa: S311 - repeatable, not secret
    blocks = [rng.getrandbits(24) << 8 for _ in range(-(-count // 250))]
    return _written(block | n for block in blocks for n in range(250))[:count]


def _written(numbers: Iterator[int]) -> list[str]:
    out = io.StringIO()
    for number in numbers:
        out.write(f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}\n")
    return out.getvalue().split()
