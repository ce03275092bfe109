"""A coordinator that stops at a chosen point of a target's workflow and waits to be killed:
`python -m tests.flow.targetvictim JSON`.

It takes in every bundle of a folder and says `here` once a workflow has come to the point.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import msgspec
from cryptography.x509 import Certificate

from spectra.flow.correlation import Correlation
from spectra.flow.law import Law
from spectra.flow.members import Peer
from spectra.flow.results import Next, Results
from spectra.flow.targetflow import TargetJob
from spectra.flow.targets import Targets
from spectra.flow.workflows import Workflows
from spectra.store import observations, results
from spectra.store.blobs import BlobStore
from spectra.store.coordinators import Coordinator
from spectra.store.database import Database
from tests.flow.desk import Clock, make_ingest
from tests.flow.harvest import TERMS, NoSystems
from tests.flow.victim import say

_LONGEST_S = 120
POINTS = ("taking", "taken", "merging", "settled")


class Orders(msgspec.Struct):
    """What the parent wants: where the store is, and the point to stop at."""

    url: str
    folder: str
    node: str
    point: str
    name: str


class Now(Clock):
    """The machine's clock."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)


def stop(*given: object) -> Any:
    """Say that this is the point, and never return."""
    say("here")
    threading.Event().wait()


def then_stop(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, and then nothing more."""
    return lambda *given, **named: stop(function(*given, **named))


def place(point: str, targets: Targets) -> None:
    """Have the workflows stop at `point`."""
    if point == "merging":  # the graph is written, and not committed
        observations.settle = then_stop(observations.settle)
    elif point == "merged":  # committed, and not noted by the engine
        targets.read = then_stop(targets.read)
    elif point == "settled":
        targets.settle = then_stop(targets.settle)


def peer(node: str) -> Peer:
    """The machine of a connection, as far as results are concerned."""
    return Peer(node, "worker", "active", "", "", "", "", cast("Certificate", None))


def main(orders: Orders) -> None:
    """Take everything in, and stop."""
    signal.alarm(_LONGEST_S)  # nobody has killed it: it ends by itself
    folder = Path(orders.folder)
    with Database(orders.url) as database:
        ingest = make_ingest(database, BlobStore.local(folder / "blobs"), Now())
        targets = Targets(ingest, Correlation(database), terms=TERMS)
        job = TargetJob(targets)
        workflows = Workflows(ingest, jobs=[job], own=Coordinator(orders.name, ""))
        workflows.start()
        stored: list[tuple[int, str]] = []

        def keep(target: int, lease: str) -> None:
            stored.append((target, lease))

        after_all = Next(keep, workflows.enqueue, lambda: None)
        taking = Results(ingest, Law(database, NoSystems(), clock=Now()), terms=TERMS, after=after_all)
        if orders.point == "taking":  # everything is written, nothing committed
            results.insert = then_stop(results.insert)
        for bundle in sorted((folder / "bundles").iterdir()):
            taking.take(peer(orders.node), bundle.read_bytes())
        if orders.point == "taken":
            say("here")
            threading.Event().wait()
        place(orders.point, targets)
        for key in stored:
            job.start(*key)
        threading.Event().wait()


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=Orders))
