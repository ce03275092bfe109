"""How long it takes from a submission to the message about it: to a web server of this process."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

import httpx

from spectra.bench import hosts, load
from spectra.bench.load import Spread, client_of, spread
from spectra.bench.server import BenchServer
from spectra.errors import SpectraError

_NAME: Final = "bench-alerts"
_WITHIN_S: Final = 60.0
_MAX_BYTES: Final = 1_000_000


def alert_latency(server: BenchServer, *, first: int, samples: int) -> Spread:
    """Milliseconds from posting a new host, from number `first` on, to the end of the webhook's request that names it.

    One host at a time, each an alert of its own.
    """
    with _receiver() as (port, arrived), client_of(server) as client:
        outlet: dict[str, object] = {"kind": "webhook", "target": f"http://127.0.0.1:{port}/", "enabled": True}
        load.checked(client.put(f"/v0/outlets/{_NAME}", json=outlet))
        rule = {"name": _NAME, "on": ["host.new"], "group": "each", "outlets": [_NAME]}
        load.checked(client.put(f"/v0/alerts/rules/{_NAME}", json=rule))
        try:
            return spread([_once(server, client, first + n, arrived) for n in range(samples + 1)][1:])
        finally:
            client.delete(f"/v0/alerts/rules/{_NAME}")
            client.delete(f"/v0/outlets/{_NAME}")


def _once(server: BenchServer, client: httpx.Client, number: int, arrived: queue.Queue[tuple[float, str]]) -> float:
    body, ip = load.envelope(server.key, server.contributor, number, 1), hosts.address(number)
    began = time.perf_counter()
    load.checked(client.post("/v0/mesh/ingest", content=body))
    while True:
        try:
            at, text = arrived.get(timeout=_WITHIN_S)
        except queue.Empty as error:
            raise SpectraError(f"No message told of {ip} within {_WITHIN_S:.0f} s.", reason="bench") from error
        if f"{ip} " in text:  # an older one may come again
            return (at - began) * 1000


@contextlib.contextmanager
def _receiver() -> Generator[tuple[int, queue.Queue[tuple[float, str]]]]:
    """A web server on loopback: its port, and what was posted to it, with when."""
    arrived: queue.Queue[tuple[float, str]] = queue.Queue(1000)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = self.rfile.read(min(int(self.headers.get("content-length") or 0), _MAX_BYTES)).decode()
            arrived.put((time.perf_counter(), text))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as receiver:
        thread = threading.Thread(target=receiver.serve_forever, name="bench-webhook", daemon=True)
        thread.start()
        try:
            yield receiver.server_port, arrived
        finally:
            receiver.shutdown()
            thread.join(10)
