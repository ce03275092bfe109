"""A coordinator that makes vectors, stops at a chosen point and waits to be killed: `python -m tests.flow.vectorvictim
JSON`. It prints `here` when it is there.
"""

from __future__ import annotations

import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from spectra.flow.embedservice import Place, Service
from spectra.flow.vectorflow import Plan, Step, Vectors
from spectra.flow.vectorjob import VectorJob
from spectra.flow.workflows import Workflows
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from tests.flow.desk import Clock, make_ingest

_LONGEST_S = 240


class Orders(msgspec.Struct):
    """Where the store and the service are, and the point to stop at: `planned`, `making`, `written`, `indexed`,
    `switched` (none of them noted by the engine yet) or `none`.
    """

    url: str
    blobs: str
    stop: str
    service: str = ""


def at(point: str, stop: str) -> None:
    """Say that this is the point, and never return if it is."""
    if point == stop:
        sys.stdout.write("here\n")
        sys.stdout.flush()
        threading.Event().wait()


class StoppingVectors(Vectors):
    """Does each step, and stops before that is noted."""

    stop: str
    batches = 0

    def plan(self, *, anew: bool = False) -> Plan:
        found = super().plan(anew=anew)
        at("planned", self.stop)
        return found

    def embed(self, number: int, after: int) -> Step:
        self.batches += 1
        if self.batches == 2:
            at("making", self.stop)
        found = super().embed(number, after)
        if self.batches == 2:
            at("written", self.stop)
        return found

    def index(self, number: int) -> bool:
        found = super().index(number)
        at("indexed", self.stop)
        return found

    def switch(self, number: int, seen: datetime | None) -> None:
        super().switch(number, seen)
        at("switched", self.stop)


def main(orders: Orders) -> None:
    """Make vectors, and stop."""
    signal.alarm(_LONGEST_S)  # nobody has killed it: it ends by itself
    blobs = BlobStore.local(Path(orders.blobs))
    with Database(orders.url) as database:
        service = Service(Place(orders.service, "fake-model")) if orders.service else None
        vectors = StoppingVectors(
            database,
            blobs,
            clock=lambda: datetime.now(UTC),
            service=service,
            batch=100,
            learn_from=300,
            index_from=200,
        )
        vectors.stop = orders.stop
        job = VectorJob(vectors)
        Workflows(make_ingest(database, blobs, Clock()), jobs=[job]).start()
        job.start()
        threading.Event().wait()


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=Orders))
