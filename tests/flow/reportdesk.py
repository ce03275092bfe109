"""A coordinator that makes reports, for tests and as a process that is killed: `python -m tests.flow.reportdesk JSON`.

It prints `here` once it has asked for a report.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from spectra.ai.gateway.gateway import Gateway
from spectra.ai.patterns import loading
from spectra.ai.reports.reporter import Bounds, Reporter
from spectra.ai.retrieval.context import Sources
from spectra.flow.judging import JUDGE
from spectra.flow.reportflow import ReportJob
from spectra.flow.workflows import Workflows
from spectra.intel.explain import explain
from spectra.model.summaries import Target
from spectra.settings import Settings
from spectra.settings.ai import AiSettings, ProviderSettings
from spectra.store.accounts import Act
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from tests.flow.desk import Clock, make_ingest

_LONGEST_S: Final = 120
TARGET: Final = Target("ip", "192.0.2.7")
PATTERNS: Final = loading.load()


class Orders(msgspec.Struct):
    """Where the store and the model are, and the folder of the node."""

    url: str
    folder: str
    model: str


def gateway_of(database: Database, folder: Path, model: str, clock: Callable[[], datetime]) -> Gateway:
    """The gateway of a coordinator whose local model is at `model`; empty: there is none."""
    local = ProviderSettings(residency="machine", opt_in=True, url=model, model="faulty")
    settings = Settings(data_dir=folder, ai=AiSettings(local=local if model else ProviderSettings()))
    return Gateway.from_settings(settings, database, clock)


def job_of(
    database: Database, blobs: BlobStore, gateway: Gateway | None, clock: Callable[[], datetime], **bounds: Any
) -> ReportJob:
    """The job, which waits for nothing between attempts."""
    sources = Sources(database, None, JUDGE)
    reporter = Reporter(
        gateway, sources, blobs=blobs, patterns=PATTERNS, rules=explain, clock=clock, bounds=Bounds(**bounds)
    )
    return ReportJob(reporter, pause_s=0.0)


def answer(*, cites: str = "F1", pattern: str = "full") -> str:
    """An answer that holds, if there is a fact of this reference."""
    said: dict[str, Any] = {"text": "What was seen is told.", "cites": [cites]}
    risk = said | {"title": "A risk", "weight": "high"}
    sections = {plan.id: [risk if plan.form == "risks" else said] for plan in PATTERNS[pattern].sections}
    return msgspec.json.encode(sections).decode()


def main(orders: Orders) -> None:
    """Ask for a report, and make it until killed."""
    signal.alarm(_LONGEST_S)  # nobody has killed it: it ends by itself
    folder = Path(orders.folder)

    def clock() -> datetime:
        return datetime.now(UTC)

    with Database(orders.url) as database:
        blobs = BlobStore.local(folder / "blobs")
        job = job_of(database, blobs, gateway_of(database, folder, orders.model, clock), clock)
        Workflows(make_ingest(database, blobs, Clock()), jobs=[job]).start()
        job.ask(TARGET, "full", "", Act("alice", clock()))
        sys.stdout.write("here\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=Orders))
