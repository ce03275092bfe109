"""What the routes work with; the composition root builds one and the app carries it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from spectra.api.metrics import Metrics
from spectra.flow.submission import Ingest
from spectra.flow.workflows import Workflows
from spectra.store.blobs import BlobStore
from spectra.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The engines of one coordinator and the bounds of its API."""

    database: Database
    blobs: BlobStore
    ingest: Ingest
    workflows: Workflows
    clock: Callable[[], datetime]
    started: datetime
    max_envelope_bytes: int
    max_concurrent_ingests: int
    body_timeout_s: float
    key_grace_s: int
    database_kind: str
    database_restarts: Callable[[], int]
    metrics: Metrics = field(default_factory=Metrics)
