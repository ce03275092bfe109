"""The load of a bench: signed envelopes over HTTP, and questions."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import httpx

from spectra.bench import hosts
from spectra.bench.server import BenchServer
from spectra.errors import SpectraError
from spectra.identity import dsse, payload
from spectra.identity.keys import SigningKey

_TIMEOUT_S = 120.0

Progress = Callable[[int], None]
"""Told how many of all submissions are done."""


class Spread(NamedTuple):
    """p50 and p95 of some measured milliseconds."""

    p50: float
    p95: float


def envelope(key: SigningKey, contributor: str, first: int, count: int) -> bytes:
    """A signed envelope with an nmap scan of `count` made-up hosts."""
    return signed(key, contributor, hosts.nmap_xml(first, count), hosts.seen_at(first + count) + timedelta(seconds=1))


def signed(key: SigningKey, contributor: str, nmap_xml: bytes, finished: datetime) -> bytes:
    """A signed envelope with an nmap scan."""
    content = payload.build(
        output=nmap_xml,
        tool="nmap",
        tool_version="7.93",
        contributor=contributor,
        finished=finished,
        now=datetime.now(UTC),
    )
    return dsse.sign(key, payload.encode(content))


def prepare(server: BenchServer, folder: Path, n_hosts: int, batch: int) -> list[Path]:
    """Sign the envelopes of `n_hosts` hosts ahead, onto disk, so that the clock counts the server's work alone."""
    folder.mkdir()
    files: list[Path] = []
    for first in range(0, n_hosts, batch):
        file = folder / f"{first:09d}.json"
        file.write_bytes(envelope(server.key, server.contributor, first, min(batch, n_hosts - first)))
        files.append(file)
    return files


def submit_all(server: BenchServer, files: Sequence[Path], *, clients: int, progress: Progress) -> float:
    """Post every file on the fast path from `clients` at once; returns seconds."""
    done = itertools.count(1)

    with client_of(server) as client, ThreadPoolExecutor(clients) as pool:

        def submit(file: Path) -> None:
            checked(client.post("/v0/mesh/ingest", content=file.read_bytes()))
            progress(next(done))

        began = time.perf_counter()
        for _ in pool.map(submit, files):
            pass
        return time.perf_counter() - began


def load_feeds(server: BenchServer, feeds: Mapping[str, bytes]) -> None:
    """Give the server feeds by name, before any host, so that hosts are put in their places as they come."""
    with client_of(server) as client:
        for name, data in feeds.items():
            headers = {"Content-Type": "application/octet-stream"}
            checked(client.put(f"/v0/feeds/{name}", content=data, headers=headers))


def visible_ms(server: BenchServer, first: int, samples: int) -> list[float]:
    """For each sample: milliseconds from posting 100 hosts until search shows the last of them."""
    measured: list[float] = []
    with client_of(server) as client:
        for i in range(samples):
            start = first + 100 * i
            body = envelope(server.key, server.contributor, start, 100)
            last = hosts.address(start + 99)
            began = time.perf_counter()
            checked(client.post("/v0/mesh/ingest", content=body))
            found = checked(client.get("/v0/search", params={"q": f"ip:{last}"})).json()["matches"]
            measured.append((time.perf_counter() - began) * 1000)
            if len(found) != 3:
                raise SpectraError(f"{last} was acknowledged but search shows {len(found)} of its 3 services.")
    return measured


def asked_ms(server: BenchServer, paths: Iterable[tuple[str, dict[str, str]]]) -> list[float]:
    """Milliseconds of each GET, one after the other."""
    measured: list[float] = []
    with client_of(server) as client:
        for path, params in paths:
            began = time.perf_counter()
            checked(client.get(path, params=params))
            measured.append((time.perf_counter() - began) * 1000)
    return measured


def questions(n_hosts: int, rounds: int) -> Iterator[tuple[str, dict[str, str]]]:
    """The fixed mix of searches, from selective to unselective, `rounds` times over."""
    ip = hosts.address(n_hosts // 2)
    net = ip.rsplit(".", 1)[0] + ".0/24"
    mix = (
        f"ip:{ip}",
        f"net:{net}",
        f"net:{net} service:ssh",
        "product:vsftpd version:2.9.9",
        'product:"ISC BIND" version:0.0.1',
        "service:redis",
        "service:redis port:6379 since:3650d",
        "port:2222 product:openssh",
        "port:443",
        "service:http -port:80",
        "product:nginx version:0.*",
        "port:22,80,443",
        "",
    )
    for _ in range(rounds):
        for q in mix:
            yield "/v0/search", {"q": q, "limit": "100"}
        yield "/v0/search", {"q": "service:http", "sort": "ip", "limit": "100"}
        yield "/v0/search", {"q": "port:80", "limit": "5000"}


def spread(measured: Sequence[float]) -> Spread:
    """Percentiles by nearest rank."""
    ordered = sorted(measured)
    return Spread(_rank(ordered, 0.50), _rank(ordered, 0.95))


def client_of(server: BenchServer) -> httpx.Client:
    """An HTTP client that is let in."""
    return httpx.Client(
        base_url=server.url, headers={"Authorization": f"Bearer {server.token}"}, timeout=_TIMEOUT_S, trust_env=False
    )


def _rank(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def checked(response: httpx.Response) -> httpx.Response:
    """`response` if it is an answer; raises `SpectraError` with what the server said if it is an error."""
    if response.is_error:
        raise SpectraError(f"The server answered {response.status_code}: {response.text[:500]}", reason="bench")
    return response
