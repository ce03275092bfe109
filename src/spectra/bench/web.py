"""`spectra bench --web`: pages of the dashboard as a browser that is signed in fetches them, alerts, and live clients.

A page's time ends with its last byte, compressed as browsers take it; over loopback that is a fraction of a
millisecond after the first. Alerts go to a web server of this process.
"""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Iterable, Iterator
from typing import Final

import httpx
import msgspec

from spectra.bench import hosts, load, networks, questions
from spectra.bench.alerts import alert_latency
from spectra.bench.load import Spread, client_of, spread
from spectra.bench.main import settle
from spectra.bench.saying import Say, silent
from spectra.bench.server import BenchServer, running
from spectra.bench.stream import clients_held

_CLIENTS: Final = 4
_TIMES: Final = 40
_ALERTS: Final = 30
_LIVE: Final = 500
_MOST_PAGES: Final = 400


class Result(msgspec.Struct, kw_only=True):
    """The keys of the JSON object. Times are milliseconds; `page_kb_max` is the largest page before it is compressed,
    without styles and scripts, and `page_kb_sent_max` as it was sent.
    """

    hosts: int
    overview_ms_p50: float
    overview_ms_p95: float
    search_page_ms_p50: float
    search_page_ms_p95: float
    host_page_ms_p50: float
    host_page_ms_p95: float
    space_page_ms_p95: float
    api_search_ms_p95: float
    page_kb_max: float
    page_kb_sent_max: float
    alert_latency_ms_p50: float
    alert_latency_ms_p95: float
    sse_clients: int
    rss_mb: float


class _Visitor:
    """Somebody who is signed in, and how large pages were."""

    def __init__(self, server: BenchServer) -> None:
        self._client = httpx.Client(base_url=server.url, timeout=60, trust_env=False, headers={"accept": "text/html"})
        self.largest = self.largest_sent = 0
        _sign_in(server, self._client)

    def times(self, paths: Iterable[str]) -> Spread:
        """How long each page took; the first is not counted."""
        measured: list[float] = []
        for path in paths:
            began = time.perf_counter()
            response = self._client.get(path)
            measured.append((time.perf_counter() - began) * 1000)
            load.checked(response)
            self.largest = max(self.largest, len(response.content))
            self.largest_sent = max(self.largest_sent, response.num_bytes_downloaded)
        return spread(measured[1:])

    def close(self) -> None:
        """Leave."""
        self._client.close()


def _sign_in(server: BenchServer, client: httpx.Client) -> None:
    """By a password, through the form."""
    name, password = "bench-visitor", secrets.token_urlsafe(24)
    with client_of(server) as admin:
        load.checked(admin.post("/v0/accounts", json={"name": name, "role": "admin", "password": password}))
    response = client.post("/login", data={"name": name, "password": password})
    if response.status_code != 303:
        raise RuntimeError(f"signing in answered {response.status_code}")


def run(n_hosts: int = 10_000, *, batch: int = 1000, say: Say | None = None) -> Result:
    """Measure with `n_hosts` made-up hosts of three services, in a scratch database."""
    tell = say or silent
    tell("starting the server")
    with running() as server:
        tell(f"signing {n_hosts} hosts")
        files = load.prepare(server, server.data_dir / "envelopes", n_hosts, batch)
        load.load_feeds(server, networks.feeds(n_hosts))
        tell("ingest over HTTP")
        load.submit_all(server, files, clients=_CLIENTS, progress=lambda _: None)
        settle(server)
        visitor = _Visitor(server)
        try:
            pages = _pages(visitor, server, n_hosts, tell)
        finally:
            visitor.close()
        tell("alerts")
        alerts = alert_latency(server, first=n_hosts, samples=_ALERTS)
        tell(f"{_LIVE} live clients")
        held = clients_held(server, _LIVE)
        return Result(
            hosts=n_hosts,
            **pages,
            page_kb_max=round(visitor.largest / 1024, 1),
            page_kb_sent_max=round(visitor.largest_sent / 1024, 1),
            alert_latency_ms_p50=round(alerts.p50, 1),
            alert_latency_ms_p95=round(alerts.p95, 1),
            sse_clients=held,
            rss_mb=round(server.rss_mb()),
        )


def _pages(visitor: _Visitor, server: BenchServer, n_hosts: int, tell: Say) -> dict[str, float]:
    """Every kind of page, one after the other: key of the result to milliseconds."""
    told: dict[str, float] = {}
    for name, paths in (
        ("overview", itertools.repeat("/", _TIMES)),
        ("search_page", _searches(n_hosts)),
        ("host_page", _hosts(n_hosts)),
        ("space_page", itertools.repeat("/space", _TIMES)),
    ):
        tell(f"{name.replace('_', ' ')}s")
        measured = visitor.times(paths)
        told[f"{name}_ms_p50"] = round(measured.p50, 1)
        told[f"{name}_ms_p95"] = round(measured.p95, 1)
    told["api_search_ms_p95"] = round(spread(load.asked_ms(server, load.questions(n_hosts, 10))).p95, 1)
    del told["space_page_ms_p50"]
    return told


def _searches(n_hosts: int) -> Iterator[str]:
    """The queries of the other benchmark, as pages with facets."""
    for _ in range(3):
        for q in questions.queries(n_hosts):
            yield f"/search?{httpx.QueryParams(q=q)}"


def _hosts(n_hosts: int) -> Iterator[str]:
    for number in range(0, n_hosts, max(1, n_hosts // _MOST_PAGES)):
        yield f"/hosts/{hosts.address(number)}"
