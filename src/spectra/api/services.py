"""What the routes work with; the composition root builds one and the app carries it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from spectra.ai.enrich.service import Enricher
from spectra.ai.explain.summary import Explainer
from spectra.ai.gateway.gateway import Gateway
from spectra.api.issuing import Issuer
from spectra.api.metrics import Metrics
from spectra.api.networks import Networks, NoNetworks
from spectra.api.rates import Limits
from spectra.flow.agents import Agents
from spectra.flow.correlateflow import Correlations
from spectra.flow.feeds import Feeds
from spectra.flow.insights import Insights
from spectra.flow.membership import EarState
from spectra.flow.notifyflow import NotifyJob
from spectra.flow.reportflow import ReportJob
from spectra.flow.results import Results
from spectra.flow.similar import Similar
from spectra.flow.stream import Stream
from spectra.flow.submission import Ingest
from spectra.flow.vectorjob import VectorJob
from spectra.flow.vulnfeeds import VulnFeeds
from spectra.flow.workflows import Workflows
from spectra.model.joining import AuthorityRecord, Invitation, Invite
from spectra.model.lawbook import LawBook
from spectra.model.lifetimes import Lifetimes
from spectra.model.limits import Network
from spectra.model.logrecords import LogRecord
from spectra.model.nodes import JoinTokenRecord, NodeRecord
from spectra.model.presets import Preset
from spectra.model.registration import MeshStatus
from spectra.model.tiers import POLICY
from spectra.model.tiers import Policy as TierPolicy
from spectra.model.work import JobRecord, JobRequest, Schedule, WorkerRecord, WorkStatus
from spectra.settings import WebSettings
from spectra.settings.inforce import Setting
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


class Work(Protocol):
    """What people ask to have scanned by machines, and how they steer it: stored, on record, and in force at once.

    Each raises `NotFound` (`unknown_job`, `unknown_schedule`, `unknown_node`) and `BadRequest` with the field's name.
    """

    def ask(self, wanted: JobRequest, act: Act, *, job: str = "") -> JobRecord:
        """A new job; where `job` names one that there is already, that one as it stands."""
        ...

    def job(self, job: str) -> JobRecord:
        """A job as it stands, with what it waits for."""
        ...

    def cancel(self, job: str, reason: str, act: Act) -> JobRecord:
        """No target of it is scanned any more; machines that are at one are told to stop."""
        ...

    def pause(self, job: str, act: Act) -> JobRecord:
        """Hand out no more of it; what machines scan already goes on."""
        ...

    def resume(self, job: str, act: Act) -> JobRecord:
        """Hand it out again."""
        ...

    def prioritise(self, job: str, priority: int, act: Act) -> JobRecord:
        """Give its targets their turn sooner or later than others'."""
        ...

    def retry(self, job: str, targets: Sequence[int], act: Act) -> int:
        """Let targets that failed or were cancelled wait again, all where none is named; how many those are."""
        ...

    def status(self) -> WorkStatus:
        """Whether work is handed out, and to whom."""
        ...

    def pause_all(self, reason: str, act: Act) -> WorkStatus:
        """Hand out nothing."""
        ...

    def resume_all(self, act: Act) -> WorkStatus:
        """Hand out again."""
        ...

    def drain(self, node: str, on: bool, act: Act) -> WorkerRecord:
        """Give a machine nothing new, or something again. What it scans already goes on."""
        ...

    def presets(self) -> list[Preset]:
        """The ways of scanning, by name."""
        ...

    def schedule(self, wanted: Schedule, act: Act) -> Schedule:
        """Put a schedule in the place of the one of its name, if any. What it tells of its runs is not taken over."""
        ...

    def law_for_machines(self) -> LawBook:
        """The do-not-scan list as machines are told of it."""
        ...

    def unschedule(self, name: str, act: Act) -> Schedule:
        """Remove a schedule; its jobs go on."""
        ...

    def pause_schedule(self, name: str, on: bool, act: Act) -> Schedule:
        """Let a schedule rest, or go on."""
        ...

    def run_schedule(self, name: str, act: Act) -> Schedule:
        """Run a schedule as soon as can be; its next turn is counted from now."""
        ...


class Alerts(Protocol):
    """Who looks for what rules watch for. Nothing here waits or raises."""

    def wake(self) -> None:
        """Something was written that rules may watch for."""
        ...

    def refused(self, kind: str, who: str, detail: str) -> None:
        """The gate refused a submission that came from `who`, an address."""
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
    web: WebSettings = field(default_factory=WebSettings)
    settings: tuple[Setting, ...] = ()
    """Those that this process started with."""
    data_dir: Path | None = None
    mesh: Mesh | None = None
    """None where this coordinator holds no mesh."""
    work: Work | None = None
    """None where this coordinator hands out no scans."""
    results: Results | None = None
    """Where machines' results go; None as `work`."""
    ai: Gateway | None = None
    """The gateway to language models; None in tests that have none."""
    explainer: Explainer | None = None
    """Makes summaries; None in tests that have none."""
    enrich: Enricher | None = None
    """Looks CVEs up elsewhere; None in tests that have none."""
    reports: ReportJob | None = None
    """Makes reports; None in tests that have none."""
    agents: Agents | None = None
    """Runs agents; None in tests that have none."""
    stream: Stream | None = None
    """Tells of what happens; None in tests that have none."""
    log: Callable[[int | None], Iterator[LogRecord]] = lambda before: iter(())
    """The log of this process, newest first, before a number of it."""
    alerts: Alerts | None = None
    """Looks for what rules watch for; None in tests that have none."""
    notify: NotifyJob | None = None
    """Sends messages of alerts; None in tests that have none."""
    insights: Insights | None = None
    """Keeps what agents conclude; None in tests that have none."""
