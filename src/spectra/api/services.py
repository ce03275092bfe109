"""What the routes work with; the composition root builds one and the app carries it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from spectra.api.issuing import Issuer
from spectra.api.metrics import Metrics
from spectra.api.networks import Networks, NoNetworks
from spectra.api.rates import Limits
from spectra.flow.correlateflow import Correlations
from spectra.flow.feeds import Feeds
from spectra.flow.membership import EarState
from spectra.flow.similar import Similar
from spectra.flow.submission import Ingest
from spectra.flow.vectorjob import VectorJob
from spectra.flow.vulnfeeds import VulnFeeds
from spectra.flow.workflows import Workflows
from spectra.model.joining import AuthorityRecord, Invitation, Invite
from spectra.model.lifetimes import Lifetimes
from spectra.model.limits import Network
from spectra.model.nodes import JoinTokenRecord, NodeRecord
from spectra.model.registration import MeshStatus
from spectra.model.tiers import POLICY
from spectra.model.tiers import Policy as TierPolicy
from spectra.store.accounts import Act
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from spectra.store.plans import KEEPING, Keeping


class Mesh(Protocol):
    """What people decide about the machines of the mesh: stored, on record, and in force at once.

    Each raises what the store's functions do (`store/nodes.py`, `store/jointokens.py`).
    """

    def status(self) -> MeshStatus:
        """What the mesh is called, and where machines reach it."""
        ...

    @property
    def hearing(self) -> Callable[[], EarState | None]:
        """How it stands with hearing the nodes; None where there is no fabric."""
        ...

    def invite(self, asked: Invite, act: Act) -> Invitation:
        """Mint a join token, for a name that is made up where none is asked for."""
        ...

    def revoke_token(self, token_id: str, act: Act) -> JoinTokenRecord:
        """Let nobody in with a token any more."""
        ...

    def quarantine(self, name: str, reason: str, act: Act) -> NodeRecord:
        """Let a node be heard and nothing more."""
        ...

    def release(self, name: str, act: Act) -> NodeRecord:
        """Let a quarantined node work again."""
        ...

    def revoke(self, name: str, reason: str, act: Act) -> NodeRecord:
        """Let a node in nowhere any more; `BadRequest` for this coordinator itself."""
        ...

    def authority(self) -> AuthorityRecord:
        """Who issues the nodes' certificates."""
        ...

    def rotate(self, act: Act) -> AuthorityRecord:
        """Issue under a new root; `BadRequest` with reason `ca_external` or `ca_rotating` where that cannot be."""
        ...

    def retire(self, act: Act) -> AuthorityRecord:
        """Trust the newest root alone; `BadRequest` as `rotate`."""
        ...


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
    mesh: Mesh | None = None
    """None where this coordinator holds no mesh."""
