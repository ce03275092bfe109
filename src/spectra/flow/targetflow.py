"""`wf.target`: what becomes of a target whose signed result is stored, one workflow each.

Until then a target is a row and no workflow (docs/decisions/0021). A workflow is told of with what went before it: the
plan, the lease and the result are its first steps. The outbox is the target's row: what is `submitted` and has no
workflow is given one by the sweep of any coordinator. It is run by threads of its own and not by a queue of the engine,
whose looks cost an idle node more than all else; its id tells the engine's other processes that it is begun.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from dbos import DBOS, WorkflowStatus

from spectra.errors import NotFound
from spectra.flow import runs
from spectra.flow.jobs import VERSION, noted, retryable
from spectra.flow.recovery import begin_once, is_passing
from spectra.flow.runner import Runner
from spectra.flow.runs import Run
from spectra.flow.targets import Read, Targets
from spectra.model.records import WorkflowRecord, WorkflowStep
from spectra.store import jobs, results

NAME: Final = "wf.target"
THREADS: Final = 6
"""Targets that are read at once: most of the time each waits for the disk."""
_WAITING: Final = 2000
_TRIES: Final = 6
_GRACE: Final = timedelta(seconds=5)  # whoever stored a result is about to begin
_AGAIN: Final = timedelta(seconds=30)
_GIVEN_UP: Final = timedelta(minutes=10)  # that something fails in a way that only happens again
_SWEPT: Final = 500
_ID: Final = re.compile(r"target-([0-9]{1,16})-([0-9a-f]{32})")

# Workflow functions are found by name after a restart, so they are module functions; what they work on is set when the
# engine starts.
_current: Targets | None = None


def _targets() -> Targets:
    if _current is None:
        raise AssertionError("a target was read before the engine was started")
    return _current


def workflow_id(target: int, lease: str) -> str:
    """The id of the workflow of a target's result."""
    return f"target-{target}-{lease}"


@DBOS.workflow(name=NAME)
def settle_target(target: int, lease: str) -> str:
    """Read the result of a lease; returns what the target is then."""
    with noted(workflow_id(target, lease)):
        return _end(target, lease, _ingest(lease))


@DBOS.step(name="ingest", retries_allowed=True, max_attempts=_TRIES, interval_seconds=0.5, should_retry=retryable)
def _ingest(lease: str) -> dict[str, Any]:
    return _targets().read(lease)._asdict()


@DBOS.step(name="findings", retries_allowed=True, max_attempts=_TRIES, interval_seconds=0.5, should_retry=retryable)
def _end(target: int, lease: str, said: dict[str, Any]) -> str:
    """Have the findings judged, and settle the target: one step, since each costs as much as what is done in it."""
    read = Read(said["found"], said["failed"], tuple(said["observations"]))
    return _targets().settle(target, lease, read, _targets().judge(read))


class TargetJob:
    """The `Job` of the workflow. `start` has one begun at once, `sweep` begins those that nobody did."""

    names: tuple[str, ...] = (NAME,)
    queue: str = ""
    lost_after: timedelta = timedelta(minutes=2)

    def __init__(self, targets: Targets, *, threads: int = THREADS) -> None:
        self._targets = targets
        self._database = targets.ingest.database
        self._runner = Runner[tuple[int, str]]("spectra-target", _begin, threads=threads, waiting=_WAITING)

    def enter(self) -> None:
        """Workflows work on this from now on."""
        global _current  # noqa: PLW0603
        _current = self._targets
        self._runner.start()

    def leave(self) -> None:
        """The engine has ended."""
        global _current  # noqa: PLW0603
        _current = None

    def start(self, target: int, lease: str) -> None:
        """The result of this lease is stored. Never waits."""
        self._runner.put((target, lease))

    def sweep(self) -> int:
        """Begin the workflows of results that were stored by a process that did not live to begin them, or that ended
        badly; returns how many.
        """
        now = self._targets.ingest.clock()
        left = results.submitted(self._database, now - _GRACE, _SWEPT)
        if not left:
            return 0
        ids = {workflow_id(one.target, one.lease): one for one in left}
        found = {w.workflow_id: w for w in DBOS.list_workflows(workflow_ids=list(ids), load_input=False)}
        return sum(
            self._again(found[name], now) if name in found else self._runner.put((one.target, one.lease))
            for name, one in ids.items()
        )

    def halt(self) -> None:
        """The engine is about to end."""
        self._runner.stop()

    def told(self, run: Run, steps: Sequence[Mapping[str, Any]]) -> WorkflowRecord:
        """The workflow, and what went before it."""
        own = tuple(WorkflowStep(str(s["function_name"]), str(s["error"] or "")) for s in steps)
        target, lease = _named(run.workflow_id)
        before = self._before(target, lease) if own or run.status == "PENDING" else ()
        settled = (WorkflowStep("settle"),) if own and run.status == "SUCCESS" else ()
        record = runs.record(run, (*before, *own, *settled))
        return msgspec.structs.replace(record, status="failed") if run.output == "review" else record

    def _before(self, target: int, lease: str) -> tuple[WorkflowStep, ...]:
        try:
            attempts = jobs.target(self._database, target).history
        except NotFound:
            return ()
        told = [attempt for attempt in attempts if attempt.lease == lease]
        return (WorkflowStep("plan"), *(WorkflowStep(name) for name in ("lease", "result") if told))

    def _again(self, run: WorkflowStatus, now: datetime) -> bool:
        """One that ended although its target did not. Others are looked after by `flow.recovery`."""
        if run.status not in runs.ENDED_BADLY or now - runs.time_of(run.updated_at) < _AGAIN:
            return False
        if not is_passing(run.error) and now - runs.time_of(run.created_at) > _GIVEN_UP:
            target, lease = _named(run.workflow_id)
            self._targets.settle(target, lease, Read(0, f"its workflow ended without result: {run.error}"), 0)
            return False
        DBOS.rewind_workflow(run.workflow_id, application_version=VERSION)
        return True


def _begin(key: tuple[int, str]) -> None:
    """Run the workflow on this thread, unless some process began it."""
    target, lease = key
    begin_once(workflow_id(target, lease), lambda: settle_target(target, lease))


def _named(name: str) -> tuple[int, str]:
    """The target and the lease that a workflow is of."""
    found = _ID.fullmatch(name)
    return (int(found[1]), found[2]) if found else (0, "")
