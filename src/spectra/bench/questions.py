"""What a bench asks: the same questions in every run, from those that one host answers to those that all do."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Final, NamedTuple

import httpx

from spectra.bench import hosts, networks
from spectra.bench.load import Spread, checked, client_of, spread
from spectra.bench.server import BenchServer

FACETS: Final = (
    "country:10,product:10",
    "port:10,service:10",
    "asn:10,city:10",
    "cloud:10,version:-10",
    "product:10,last_seen:day",
)
"""Facets asked along with the queries, in turn."""

_SMALL_CITY, _RARE_CITY = networks.city(150), networks.city(1500)


class Question(NamedTuple):
    """One request: a GET with parameters, or a POST of `body` as JSON."""

    path: str
    params: dict[str, str] | None = None
    body: dict[str, Any] | None = None


def queries(n_hosts: int) -> list[str]:
    """The forty queries. What names a host, a network or a city names one that is there, whatever `n_hosts`."""
    number = n_hosts // 2
    ip = hosts.address(number)
    here, system = networks.city_at(number), networks.asn_at(number)
    net = ip.rsplit(".", 1)[0]
    return [
        f"ip:{ip}",
        f"net:{net}.0/28",
        f"net:{net}.0/24",
        f"net:{net}.0/24 service:ssh",
        f"net:{ip}/20 port:443",
        "product:vsftpd version:2.9.9",
        'product:"ISC BIND" version:0.0.1',
        "cpe:openbsd:openssh:0.0.1",
        f"city:{_RARE_CITY.name}",
        f"city:{_SMALL_CITY.name} service:ssh",
        f'city:"{here.name}" country:{here.country}',
        "city:Paris",
        "city:Paris service:ssh",
        "city:Paris port:443 product:nginx",
        "city:Paris -service:http,https",
        f"country:{_RARE_CITY.country}",
        "country:FR",
        "country:FR,DE,GB service:mysql",
        "country:FR -city:Paris product:nginx",
        "region:FR-IDF port:22",
        f"asn:{networks.asn(1500)}",
        f"asn:{networks.asn(100)} port:22",
        f"asn:{system}",
        f"asn:{networks.asn(0)}",
        'org:"Made-up Network 7"',
        "cloud:aws/made-up-3",
        "cloud:aws service:redis",
        "cloud:aws",
        "service:redis",
        "service:redis port:6379 since:3650d",
        "port:2222 product:openssh",
        "port:443",
        "service:http -port:80",
        "product:nginx version:0.*",
        "product:/^(nginx|lighttpd)/ port:8000-8999",
        "service:ssh,ftp,smtp",
        "first_seen:2026-01-01",
        "port:22,80,443",
        "-country:FR",
        "",
    ]


def facets(n_hosts: int) -> list[Question]:
    """Every query as a search of a hundred matches with facets, and as a count."""
    asked = queries(n_hosts)
    with_facets = [
        Question("/v0/search", {"q": q, "limit": "100", "facets": FACETS[i % len(FACETS)]}) for i, q in enumerate(asked)
    ]
    return [*with_facets, *(Question("/v0/count", {"q": q}) for q in asked)]


def plans(n_hosts: int) -> list[Question]:
    """Plans of a city above all; of systems, countries, the cloud and services too, of a thousand targets each."""
    selectors: list[dict[str, Any]] = [
        {"city": "Paris"},
        {"city": "Paris", "service": "ssh"},
        {"city": _SMALL_CITY.name},
        {"city": _RARE_CITY.name, "country": _RARE_CITY.country},
        {"city": networks.city_at(n_hosts // 2).name},
        {"city": "Paris", "common_port": "ssh"},
        {"asn": networks.asn(100)},
        {"country": "FR", "port": 443},
        {"cloud": "aws/made-up-3"},
        {"net": f"{hosts.address(n_hosts // 2)}/20", "min_age": "1h"},
        {"q": "product:vsftpd version:2.9.9"},
        {"service": "redis"},
    ]
    return [Question("/v0/plan", body={**one, "limit": 1000}) for one in selectors]


def coverage(n_hosts: int) -> list[Question]:
    """Freshness and gaps of selections of all sizes."""
    selectors = [
        {"q": "city:Paris"},
        {"city": _SMALL_CITY.name},
        {"country": "FR"},
        {"country": _RARE_CITY.country, "service": "http"},
        {"asn": str(networks.asn_at(n_hosts // 2))},
        {"asn": str(networks.asn(0))},
        {"cloud": "aws"},
        {"net": f"{hosts.address(n_hosts // 2)}/20"},
        {"service": "ssh"},
        {},
    ]
    return [Question("/v0/coverage", one) for one in selectors]


def diffs(n_hosts: int) -> list[Question]:
    """What came within an hour, of everything and of selections, from the middle of the scan and at its end."""
    windows = [(hosts.seen_at(n) - timedelta(hours=1), hosts.seen_at(n)) for n in (n_hosts // 2, n_hosts)]
    asked = ["", "city:Paris", "service:ssh", f"net:{hosts.address(n_hosts // 2)}/20", "country:FR port:443"]
    return [
        Question("/v0/diff", {"from": _text(start), "to": _text(end), "q": q, "limit": "100"})
        for start, end in windows
        for q in asked
    ]


def _text(at: Any) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def asked(server: BenchServer, questions: Sequence[Question], *, clients: int = 1, rounds: int = 3) -> Spread:
    """Ask all questions `rounds` times over from `clients` at once; milliseconds of each, first bytes to last.

    Raises `SpectraError` where one of them is not answered: a refusal is quick, and no answer.
    """
    with client_of(server) as client, ThreadPoolExecutor(clients) as pool:

        def timed(one: Question) -> float:
            began = time.perf_counter()
            answer(client, one)
            return (time.perf_counter() - began) * 1000

        return spread(list(pool.map(timed, [one for _ in range(rounds) for one in questions])))


def answer(client: httpx.Client, one: Question) -> Any:
    """What the server answers, decoded; raises `SpectraError` where it refuses."""
    if one.body is not None:
        return checked(client.post(one.path, json=one.body)).json()
    return checked(client.get(one.path, params=one.params)).json()
