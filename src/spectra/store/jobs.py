"""Jobs: what somebody asked to have scanned, and the targets that it was cut into.

What a person decides about a job is an entry of the provenance chain, with the job as it is then. How targets come and
go with machines is not: see `store/leases.py` and `store/results.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from spectra.model.presets import Preset
from spectra.model.work import Constraints, JobRecord, JobState, Permission, TargetRecord, TargetState
from spectra.store.accounts import Act
from spectra.store.database import Database


class NewTarget(NamedTuple):
    """What one lease will carry. `network` is what limits are kept by; empty: none. `ports`: empty: the job's."""

    targets: tuple[str, ...]
    network: str
    addresses: int
    ports: str = ""


class NewJob(NamedTuple):
    """A job to be kept. `rate`: most probes a second, 0: what preset and settings say; `what` is shortened for people.

    `addresses`: how many it is about, 0: those of its targets.
    """

    account: str
    what: str
    preset: Preset
    ports: str
    scan_id: str
    permission: Permission
    priority: int = 0
    rate: int = 0
    constraints: Constraints = Constraints()
    windows: tuple[str, ...] = ()
    schedule: str = ""
    left_out: tuple[str, ...] = ()
    addresses: int = 0


class Held(NamedTuple):
    """A lease that a node holds, or held until now."""

    node: str
    lease: str
    leased: datetime


class Windowed(NamedTuple):
    """A running job and when it may run."""

    job: str
    windows: tuple[str, ...]


def create(
    database: Database, new: NewJob, targets: Iterable[NewTarget], act: Act, *, max_waiting: int, job: str = ""
) -> JobRecord:
    """Keep a job and its targets in one transaction. The same id `job` again gives the job there is, unchanged.

    Raises `BadRequest`: `too_much_work` where more than `max_waiting` targets would wait, `nothing_to_scan`.
    """
    raise NotImplementedError


def find(database: Database, job: str) -> JobRecord | None:
    """The job of this id."""
    raise NotImplementedError


def get(database: Database, job: str) -> JobRecord:
    """The job of this id; raises `NotFound("unknown_job")`."""
    raise NotImplementedError


def page(
    database: Database, *, state: JobState | Literal[""] = "", account: str = "", limit: int = 100, cursor: str = ""
) -> tuple[list[JobRecord], str]:
    """Jobs, newest first, and the cursor of the next page (empty: none); of one state or account where that is given.

    Raises `BadRequest` naming `cursor`.
    """
    raise NotImplementedError


def preset(database: Database, job: str) -> Preset:
    """The preset as it was when the job was made; raises `NotFound("unknown_job")`."""
    raise NotImplementedError


def windows(database: Database) -> list[Windowed]:
    """The running jobs that have time windows."""
    raise NotImplementedError


def cancel(database: Database, job: str, act: Act, reason: str) -> list[Held]:
    """End a job: what waits or is being scanned is cancelled; results that are stored are still read.

    Returns the leases that ended by it. A job that has ended stays as it is. Raises `NotFound("unknown_job")`.
    """
    raise NotImplementedError


def pause(database: Database, job: str, act: Act) -> JobRecord:
    """Hand out nothing more of a job. Raises `NotFound`, or `BadRequest("job_ended")`."""
    raise NotImplementedError


def resume(database: Database, job: str, act: Act) -> JobRecord:
    """Hand its targets out again. Raises `NotFound`, or `BadRequest("job_ended")`."""
    raise NotImplementedError


def prioritise(database: Database, job: str, priority: int, act: Act) -> JobRecord:
    """Give a job another priority (-100..100). Raises `NotFound`, or `BadRequest("job_ended")`."""
    raise NotImplementedError


def retry(database: Database, job: str, act: Act, targets: Sequence[int] = ()) -> int:
    """Let targets in review and cancelled ones wait again, with all attempts: all of the job's, or those named.

    Returns how many; the job runs again if it had ended. Raises `NotFound("unknown_job")`.
    """
    raise NotImplementedError


def finish(database: Database, now: datetime) -> list[str]:
    """The jobs that have nothing open any more end now. Returns which."""
    raise NotImplementedError


def targets(
    database: Database, job: str, *, state: TargetState | Literal[""] = "", limit: int = 100, cursor: str = ""
) -> tuple[list[TargetRecord], str]:
    """The targets of a job in order, without their history, and the cursor of the next page.

    Raises `NotFound("unknown_job")`, or `BadRequest` naming `cursor`.
    """
    raise NotImplementedError


def target(database: Database, number: int) -> TargetRecord:
    """One target with every attempt; raises `NotFound("unknown_target")`."""
    raise NotImplementedError


def in_review(database: Database, *, limit: int = 100, cursor: str = "") -> tuple[list[TargetRecord], str]:
    """Targets of all jobs that a person has to look at, newest first, with every attempt."""
    raise NotImplementedError
