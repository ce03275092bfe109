"""Work: jobs, the targets they are made of, and the orders under which machines scan them.

A *job* is what somebody asked for. A *target* is what one lease carries: a hostname, an address, or a chunk of at most
256 addresses. A *lease* is one attempt of one machine at one target; its *order* says all that the machine has to know.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from spectra.model.presets import Preset, ScanTool

JOB_ID: Final = r"^job-[0-9a-f]{20}\Z"
LEASE_ID: Final = r"^[0-9a-f]{32}\Z"
MAX_KNOWN: Final = 64
"""Endpoints known to be open that an order tells, for measuring how much is lost on the way."""

JobId = Annotated[str, Meta(pattern=JOB_ID)]
LeaseId = Annotated[str, Meta(pattern=LEASE_ID)]
Network = Annotated[str, Meta(max_length=64)]
_Text = Annotated[str, Meta(max_length=2000)]
_Targets = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=300)], ...], Meta(min_length=1, max_length=256)]

TargetState = Literal["waiting", "leased", "submitted", "done", "review", "cancelled"]
"""`waiting` for a machine; `leased` to one; `submitted`: its signed result is stored, its workflow is running; `done`:
in the graph, its findings judged; `review`: all attempts failed, a person has to look; `cancelled` by a person."""

ENDED: Final[frozenset[TargetState]] = frozenset({"done", "review", "cancelled"})

JobState = Literal["running", "paused", "done", "cancelled"]
"""`done`: every target has ended; the counts say how."""

Outcome = Literal["done", "partial", "failed", "refused"]
"""How an attempt ended, as the machine says: `partial` results are kept and the target tried again; `refused`: the
machine may not or cannot do it (scope, tool, time window)."""

AttemptEnd = Literal["", "done", "partial", "failed", "refused", "expired", "rejected", "cancelled", "late"]
"""How an attempt ended, as the coordinator knows it; empty while it lasts. `expired`: nothing was heard of it in time;
`rejected`: its result was not believed; `late`: its result came after the lease had gone to another."""


class Endpoint(msgspec.Struct, frozen=True, array_like=True):
    """An endpoint that was open when it was last looked at."""

    ip: str
    port: Annotated[int, Meta(ge=0, le=65535)]
    protocol: Literal["tcp", "udp"]


class Permission(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a scan is lawful: who agreed, why, until when, and which special-use networks it may enter."""

    by: _Text
    reason: _Text
    granted: datetime
    expires: datetime | None = None
    allow: Annotated[tuple[Network, ...], Meta(max_length=1000)] = ()


class Order(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One attempt at one target, as a machine is told of it.

    `rate`: most probes a second, the share of the target's network taken into account; `deadline_s`: longest the scan
    may take; `lease_s`: how soon the machine has to tell of it again and again; `not_after`: the end of the time
    window; `law`: the version of the do-not-scan list that the machine must have read.
    """

    version: Literal[1] = 1
    lease: LeaseId
    job: JobId
    target: Annotated[int, Meta(ge=1, le=2**53)]
    attempt: Annotated[int, Meta(ge=1, le=1000)]
    scan_id: Annotated[str, Meta(max_length=200)]
    targets: _Targets
    ports: Annotated[str, Meta(max_length=65536)]
    preset: Preset
    permission: Permission
    rate: Annotated[int, Meta(ge=1, le=1_000_000)]
    deadline_s: Annotated[float, Meta(gt=0, le=7 * 86400)]
    lease_s: Annotated[float, Meta(gt=0, le=3600)]
    law: Annotated[int, Meta(ge=0, le=2**53)] = 0
    not_after: datetime | None = None
    known: Annotated[tuple[Endpoint, ...], Meta(max_length=MAX_KNOWN)] = ()


class Loss(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was lost on the way, measured by asking again from a second vantage point.

    Of `compared` endpoints that did not answer by `via`, `answered` did by `vantage`: those were dropped on the way.
    `dropping` names the networks that are dropped; `rotated`: how often another relay was taken for that.
    """

    via: str = ""
    vantage: str = ""
    compared: int = 0
    answered: int = 0
    dropping: Annotated[tuple[Network, ...], Meta(max_length=64)] = ()
    rotated: int = 0


class Stats(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an attempt took. `found`: open endpoints; `probes`: what was sent, as far as the tool tells; times in s."""

    found: int = 0
    probes: int = 0
    cpu_s: float = 0.0
    memory_mb: int = 0
    output_bytes: int = 0
    loss: Loss | None = None


class AttemptRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One attempt at a target."""

    lease: str
    node: str
    attempt: int
    leased: datetime
    heard: datetime
    end: AttemptEnd = ""
    ended: datetime | None = None
    fraction: float = 0.0
    found: int = 0
    note: str = ""
    reason: str = ""
    message: str = ""
    tool: str = ""
    tool_version: str = ""
    stats: Stats | None = None
    observations: tuple[str, ...] = ()


class ArtefactRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file that belongs to an attempt: `log`, `raw` (a tool's original output) or `capture`. `sha256` in hex."""

    id: int
    kind: Literal["log", "raw", "capture"]
    name: str
    media_type: str
    sha256: str
    size: int
    job: str
    target: int
    lease: str
    node: str
    created: datetime
    scan_id: str = ""
    observation_id: str = ""


class TargetRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One target of a job. `workflow_id`: its `wf.target`; `not_before`: it waits until then after a failure."""

    target: int
    job: str
    targets: tuple[str, ...]
    network: str
    state: TargetState
    created: datetime
    attempts: int = 0
    node: str = ""
    fraction: float = 0.0
    found: int = 0
    findings: int = 0
    reason: str = ""
    not_before: datetime | None = None
    ended: datetime | None = None
    workflow_id: str = ""
    history: tuple[AttemptRecord, ...] = ()
    """Every attempt, oldest first; only where one target is asked for."""


class TargetCounts(msgspec.Struct, frozen=True, omit_defaults=True):
    """How many targets are in which state."""

    waiting: int = 0
    leased: int = 0
    submitted: int = 0
    done: int = 0
    review: int = 0
    cancelled: int = 0


class Constraints(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Which machines may take a job's targets; empty: any that can."""

    node: Annotated[str, Meta(pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?\Z")] = ""
    region: Annotated[str, Meta(max_length=100)] = ""
    relay: bool = False


class JobRecord(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A job. `what` is what was asked for, shortened; `left_out`: parts that may not be scanned, with the reason.

    `waits_for`: why nothing of it moves at the moment, in words, where that is known.
    """

    job: str
    account: str
    created: datetime
    state: JobState
    what: str
    preset: str
    ports: str
    priority: int
    scan_id: str
    permission: Permission
    addresses: int
    total: int
    counts: TargetCounts
    constraints: Constraints = Constraints()
    windows: tuple[str, ...] = ()
    schedule: str = ""
    found: int = 0
    findings: int = 0
    left_out: tuple[str, ...] = ()
    ended: datetime | None = None
    reason: str = ""
    waits_for: str = ""


class JobRequest(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody asks to have scanned.

    `targets` as the command line takes them; or `plan`, the id of a plan whose stale endpoints are scanned. `consent`
    says who agreed and why: it is recorded. `skip`: leave out what may not be scanned instead of refusing the job.
    """

    targets: Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=300)], ...], Meta(max_length=10_000)] = ()
    plan: Annotated[str, Meta(max_length=100)] = ""
    preset: Annotated[str, Meta(max_length=41)] = "services"
    ports: Annotated[str, Meta(max_length=65536)] = ""
    rate: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    priority: Annotated[int, Meta(ge=-100, le=100)] = 0
    consent: Annotated[str, Meta(max_length=2000)] = ""
    consent_until: datetime | None = None
    allow: Annotated[tuple[Network, ...], Meta(max_length=1000)] = ()
    skip: bool = False
    constraints: Constraints = Constraints()
    windows: Annotated[tuple[Annotated[str, Meta(max_length=200)], ...], Meta(max_length=20)] = ()
    scan_id: Annotated[str, Meta(max_length=200)] = ""
    max_targets: Annotated[int, Meta(ge=0, le=10_000_000)] = 0


class WorkerRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A machine as far as work goes. `free` and `spooled` as it said last; `draining`: it gets nothing new."""

    node: str
    slots: int
    free: int
    running: int
    spooled: int = 0
    spooled_bytes: int = 0
    spool_full: bool = False
    draining: bool = False
    done: int = 0
    failed: int = 0
    last_asked: datetime | None = None
    tools: tuple[ScanTool, ...] = ()


class WorkStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether work is handed out at the moment, and if not, why: `paused` by hand, or `holds` for reasons of its own
    (`database`, `fabric`, `window`, `settling`).
    """

    paused: bool
    counts: TargetCounts
    paused_by: str = ""
    paused_reason: str = ""
    holds: tuple[str, ...] = ()
    workers: tuple[WorkerRecord, ...] = ()


class Scheduled(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a schedule has scanned, how often and by which word. Times in seconds."""

    query: Annotated[str, Meta(max_length=4096)]
    every_s: Annotated[float, Meta(ge=60, le=366 * 86400)]
    consent: Annotated[str, Meta(min_length=1, max_length=2000)]
    preset: Annotated[str, Meta(max_length=41)] = "services"
    min_age_s: Annotated[int, Meta(ge=0, le=10 * 365 * 86400)] = 0
    max_endpoints: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000
    priority: Annotated[int, Meta(ge=-100, le=100)] = -10
    allow: Annotated[tuple[Network, ...], Meta(max_length=1000)] = ()
    constraints: Constraints = Constraints()
    windows: Annotated[tuple[Annotated[str, Meta(max_length=200)], ...], Meta(max_length=20)] = ()
    paused: bool = False


class Schedule(Scheduled, frozen=True, omit_defaults=True, kw_only=True):
    """Stale endpoints of a selection, turned into a job again and again (`wf.plan_scan`), and how that goes.

    Times in seconds.
    """

    name: Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9-]{0,39}[a-z0-9])?\Z")]
    account: str = ""
    created: datetime | None = None
    last_run: datetime | None = None
    last_job: str = ""
    last_error: str = ""
    next_run: datetime | None = None
