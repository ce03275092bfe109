"""A coordinator that stops at a chosen point and waits to be killed: `python -m tests.flow.victim JSON`.

It takes in every envelope of a folder, says so, lets one past the point, and prints `here` once `held` more have come
to it.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from spectra.flow.assets import Asset
from spectra.flow.submission import Ingest, Normaliser, Written
from spectra.flow.workflows import Workflows
from spectra.ingest.gate import Policy
from spectra.ingest.rate import RateLimiter
from spectra.model.envelope import Payload
from spectra.store.blobs import BlobStore
from spectra.store.database import Connection, Database

_LONGEST_S = 120


class Orders(msgspec.Struct):
    """What the parent wants: where the store is, which path to take, and the point to stop at."""

    url: str
    blobs: str
    envelopes: str
    path: str  # `submit` or `accept`
    stop: str  # `accepted`, `parsing`, `packed`, `writing`, `committed`
    held: int = 1


class Stop:
    """All but the first to come to the point stay there; `here` is said when `held` have."""

    def __init__(self, point: str, held: int) -> None:
        self._point = point
        self._came = 0
        self._held = held
        self._lock = threading.Lock()

    def at(self, point: str) -> None:
        """Say that this is the point, and never return if it is."""
        if point != self._point:
            return
        with self._lock:
            self._came += 1
            came = self._came
        if came == self._held + 1:
            say("here")
        if came > 1:
            threading.Event().wait()


def say(word: str) -> None:
    """Tell the parent."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


class Blobs(BlobStore):
    """Stops with an asset set stored, or with one about to be removed."""

    stop: Stop

    def put(self, data: bytes) -> bytes:
        digest = super().put(data)
        if threading.current_thread() is not threading.main_thread():
            self.stop.at("packed")
        return digest

    def discard(self, digest: bytes) -> None:
        self.stop.at("committed")
        super().discard(digest)


class StoppingIngest(Ingest):
    """Stops before parsing, or with a graph written and not committed."""

    stop: Stop

    def normalise(self, payload: Payload, received: datetime) -> Normaliser:
        self.stop.at("parsing")
        return super().normalise(payload, received)

    def write(self, connection: Connection, seq: int, assets: Iterator[Asset], *, alone: bool) -> Written:
        written = super().write(connection, seq, assets, alone=alone)
        self.stop.at("writing")
        return written


def main(orders: Orders) -> None:
    """Take everything in, and stop."""
    signal.alarm(_LONGEST_S)  # nobody has killed it: it ends by itself
    stop = Stop(orders.stop, orders.held)
    local = BlobStore.local(Path(orders.blobs))
    blobs = Blobs(local._store, Path(orders.blobs))
    blobs.stop = stop
    with Database(orders.url) as database:
        ingest = StoppingIngest(
            database,
            blobs,
            policy=Policy(max_envelope_bytes=1 << 24, max_age_s=3600, max_ahead_s=300, rate_per_minute=0),
            limiter=RateLimiter(0),
            max_output_bytes=1 << 24,
            clock=lambda: datetime.now(UTC),
        )
        ingest.stop = stop
        workflows = Workflows(ingest)
        if orders.path == "accept" and orders.stop != "accepted":
            workflows.start()
        for file in sorted(Path(orders.envelopes).iterdir()):
            if orders.path == "submit":
                ingest.submit(file.read_bytes())
            else:
                receipt = ingest.accept(file.read_bytes())
                if orders.stop != "accepted":
                    workflows.enqueue(receipt.observation_id)
            say(file.name)
        if orders.stop == "accepted":
            say("here")
        threading.Event().wait()


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=Orders))
