"""What the routes work with; the composition root builds one and the app carries it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from spectra.api.issuing import Issuer
from spectra.api.metrics import Metrics
from spectra.api.networks import Networks, NoNetworks
from spectra.api.rates import Limits
from spectra.flow.correlateflow import Correlations
from spectra.flow.feeds import Feeds
from spectra.flow.similar import Similar
from spectra.flow.submission import Ingest
from spectra.flow.vectorjob import VectorJob
from spectra.flow.vulnfeeds import VulnFeeds
from spectra.flow.workflows import Workflows
from spectra.model.lifetimes import Lifetimes
from spectra.model.limits import Network
from spectra.model.tiers import POLICY
from spectra.model.tiers import Policy as TierPolicy
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from spectra.store.plans import KEEPING, Keeping


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The engines of one coordinator and the bounds of its API."""

    database: Database
    blobs: BlobStore
    ingest: Ingest
    workflows: Workflows
    feeds: Feeds
    vuln_feeds: VulnFeeds
    correlations: Correlations
    vectors: VectorJob
    similar: Similar
    clock: Callable[[], datetime]
    started: datetime
    max_envelope_bytes: int
    max_concurrent_ingests: int
    body_timeout_s: float
    key_grace_s: int
    issuer: Issuer
    database_kind: str
    database_restarts: Callable[[], int]
    metrics: Metrics = field(default_factory=Metrics)
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    keeping: Keeping = KEEPING
    tiers: TierPolicy = POLICY
    limits: Limits = field(default_factory=Limits)
    networks: Networks = field(default_factory=NoNetworks)
    trusted_proxies: tuple[Network, ...] = ()
