"""Results: the signed word of a machine on one lease, kept with what it brought, exactly once."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

from spectra.errors import SpectraError
from spectra.model.results import Result, ResultReceipt
from spectra.model.work import TargetState
from spectra.store.database import Connection, Database
from spectra.store.leases import Terms
from spectra.store.provenance import Entry

Verdict = Literal["accepted", "late"]


class ResultTaken(SpectraError):
    """The result of this lease was committed by someone else meanwhile: look again and answer that."""

    reason = "result_taken"


class ResultRow(NamedTuple):
    """A verified result. `payload` is the canonical JSON that was signed, `signature` base64 as in the envelope."""

    result: Result
    payload: str
    signature: str
    keyid: str
    received: datetime


class Inserted(NamedTuple):
    """What became of a result, and what has to be put on record with it.

    `ingests`: the target is `submitted`, and its workflow has to run.
    """

    verdict: Verdict
    ingests: bool
    entries: list[Entry]


class Lease(NamedTuple):
    """What a result is checked against: whose lease it was, for what. `open`: it has not ended."""

    lease: str
    node: str
    job: str
    target: int
    attempt: int
    targets: tuple[str, ...]
    scan_id: str
    preset: str
    tools: tuple[str, ...]
    strict: bool
    leased: datetime
    open: bool


class Submitted(NamedTuple):
    """A target whose result is stored and not read yet."""

    target: int
    lease: str


def lease(database: Database, lease: str) -> Lease:
    """A lease, whether or not it has ended; raises `NotFound("unknown_lease")`."""
    raise NotImplementedError


def verdict(connection: Connection, lease: str) -> Verdict:
    """What a result of this lease would be now; the target stays as it is until the transaction ends.

    For who has to know before `insert` (whether observations get a workflow of their own). Raises `NotFound`.
    """
    raise NotImplementedError


def insert(connection: Connection, row: ResultRow, terms: Terms, now: datetime) -> Inserted:
    """Keep a result in the transaction that has stored its observations; its lease ends and its target moves on.

    `accepted` also where the lease expired and nobody else has got the target yet: it waits no more. Raises
    `ResultTaken`, `NotFound("unknown_lease")`, or `BadRequest("nonce_replayed")`.
    """
    raise NotImplementedError


def receipt(database: Database, lease: str) -> ResultReceipt | None:
    """The receipt of the result of this lease, once it is on disk, as a duplicate is answered."""
    raise NotImplementedError


def reject(
    database: Database, node: str, lease: str, *, reason: str, message: str, terms: Terms, now: datetime
) -> TargetState | None:
    """End a lease of `node` whose result is not believed; counts as an attempt. None where it holds no such lease."""
    raise NotImplementedError


def submitted(database: Database, older_than: datetime, limit: int = 1000) -> list[Submitted]:
    """Targets that have been `submitted` since before, oldest first: their workflow may have to be started again."""
    raise NotImplementedError


def settle(
    where: Connection | Database,
    target: int,
    lease: str,
    *,
    found: int,
    findings: int,
    terms: Terms,
    now: datetime,
    failed: str = "",
) -> TargetState:
    """The result is read: a target whose attempt was `done` is done, after a `partial` one it waits again (or goes to
    review). `failed` says why its observations could not be read: that goes to review. Harmless to repeat.

    Returns what the target is now. Raises `NotFound("unknown_target")`.
    """
    raise NotImplementedError
