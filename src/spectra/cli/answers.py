"""The few answers of the API that are not a record of their own: lists, maps and the status."""

from __future__ import annotations

from datetime import datetime

import msgspec

from spectra.model.limits import Act, BlockRecord, DoNotScanRequest
from spectra.model.records import ChainReport, KeyRecord, ObservationRecord, WorkflowRecord
from spectra.model.registration import MeshStatus


class WorkflowList(msgspec.Struct, frozen=True):
    """`GET /v0/workflows`, newest first."""

    workflows: tuple[WorkflowRecord, ...]


class ObservationList(msgspec.Struct, frozen=True):
    """`GET /v0/observations`, newest first; `next_cursor` is empty on the last page."""

    observations: tuple[ObservationRecord, ...]
    next_cursor: str = ""


class KeyList(msgspec.Struct, frozen=True):
    """`GET /v0/keys`."""

    keys: tuple[KeyRecord, ...]


class Rotated(msgspec.Struct, frozen=True):
    """`POST /v0/keys/rotate`: the old key, now retiring, and the new one."""

    old: KeyRecord
    new: KeyRecord


class Known(msgspec.Struct, frozen=True):
    """`POST /v0/observations/known`: the outputs already accepted, SHA-256 to observation id."""

    known: dict[str, str]


class Chain(msgspec.Struct, frozen=True):
    """`GET /v0/provenance`: how many entries, and the hash of the newest (hex)."""

    entries: int
    head: str


class Progress(msgspec.Struct, frozen=True):
    """How far a walk of the chain has come."""

    done: int
    total: int


class WalkError(msgspec.Struct, frozen=True):
    """Why a walk of the chain could not be finished."""

    reason: str
    detail: str


class VerifyLine(msgspec.Struct, frozen=True):
    """One line of `POST /v0/provenance/verify`: progress, and at the end the report or an error."""

    progress: Progress | None = None
    report: ChainReport | None = None
    error: WalkError | None = None


class Database(msgspec.Struct, frozen=True):
    """Which PostgreSQL a node uses; `restarts` counts how often the supervisor had to start it again."""

    kind: str
    version: str
    restarts: int = 0


class Totals(msgspec.Struct, frozen=True):
    """How much is in the graph."""

    hosts: int = 0
    endpoints: int = 0
    services: int = 0
    certificates: int = 0
    observations: int = 0


class Status(msgspec.Struct, frozen=True, omit_defaults=True):
    """`GET /v0/status`."""

    version: str
    database: Database
    started: datetime
    counts: Totals
    chain: Chain
    mesh: MeshStatus | None = None


class BlockList(msgspec.Struct, frozen=True):
    """`GET /v0/blocks`: those in force, oldest first."""

    blocks: tuple[BlockRecord, ...]


class RequestList(msgspec.Struct, frozen=True):
    """`GET /v0/do-not-scan/requests`, newest first; `next_cursor` is empty on the last page."""

    requests: tuple[DoNotScanRequest, ...]
    next_cursor: str = ""


class ActList(msgspec.Struct, frozen=True):
    """`GET /v0/audit`, newest first; `next_cursor` is empty on the last page."""

    acts: tuple[Act, ...]
    next_cursor: str = ""


class AuthStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """What `auth status` shows: which credential is sent where, and what the server makes of it."""

    server: str
    by: str
    account: str = ""
    role: str = ""
    scopes: tuple[str, ...] = ()
    session: str = ""
    token_expires: datetime | None = None
    problem: str = ""
