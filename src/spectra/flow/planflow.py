"""`wf.plan_scan`: what a schedule selects and has become stale is turned into a job, again and again.

A run is one workflow, named after its schedule and the time it was due: however many coordinators see that it is due,
one of them begins it, and it makes one job.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, Protocol

from dbos import DBOS

from spectra.errors import NotFound, SpectraError
from spectra.flow import runs
from spectra.flow.jobs import VERSION, noted, retryable
from spectra.flow.planning import question
from spectra.flow.recovery import begin_once
from spectra.flow.runner import Runner
from spectra.flow.runs import Run
from spectra.model.lifetimes import Lifetimes
from spectra.model.plans import Selectors
from spectra.model.records import WorkflowRecord, WorkflowStep
from spectra.model.work import JobRecord, JobRequest, Schedule
from spectra.store import plans, schedules
from spectra.store.accounts import Act
from spectra.store.database import Database
from spectra.store.plans import Asked, Keeping
from spectra.store.staleness import Ages

NAME: Final = "wf.plan_scan"
_TRIES: Final = 6
_AGAIN: Final = timedelta(seconds=30)
_WAITING: Final = 100
_NOTHING: Final = frozenset({"nothing_to_scan"})
"""Why a run makes no job although nothing is wrong."""


class Asking(Protocol):
    """Who makes jobs: `flow.work.Work`."""

    def ask(self, wanted: JobRequest, act: Act, *, job: str = "", schedule: str = "") -> JobRecord:
        """A new job; where `job` names one that there is already, that one."""
        ...


class Planner(NamedTuple):
    """What a run works with."""

    database: Database
    work: Asking
    clock: Callable[[], datetime]
    lifetimes: Lifetimes
    keeping: Keeping

    def plan(self, name: str) -> str:
        """Plan what a schedule selects now; returns the plan's id, or nothing where the schedule is gone or rests."""
        try:
            schedule = schedules.get(self.database, name)
        except NotFound:
            return ""
        now = self.clock()
        schedules.claim(self.database, name, now)
        if schedule.paused:
            return ""
        selectors = Selectors(q=schedule.query)
        ages = Ages(now, self.lifetimes, schedule.min_age_s or None)
        asked = Asked(schedule.account, selectors, question(selectors, now), ages)
        return plans.create(self.database, asked, limit=1, keeping=self.keeping).plan_id

    def ask(self, name: str, plan: str, job: str) -> dict[str, str]:
        """Make the job `job` of a plan; returns its id, or in words why there is none."""
        try:
            schedule = schedules.get(self.database, name)
            made = self.work.ask(_request(schedule, plan), Act(schedule.account, self.clock()), job=job, schedule=name)
        except SpectraError as error:
            if error.retryable:
                raise
            return {"job": "", "error": "" if error.reason in _NOTHING else error.message}
        return {"job": made.job, "error": ""}

    def note(self, name: str, made: Mapping[str, str]) -> None:
        """Put down what became of a run."""
        schedules.ran(self.database, name, self.clock(), job=made["job"], error=made["error"])


def _request(schedule: Schedule, plan: str) -> JobRequest:
    return JobRequest(
        plan=plan,
        preset=schedule.preset,
        priority=schedule.priority,
        consent=schedule.consent,
        allow=schedule.allow,
        skip=True,
        constraints=schedule.constraints,
        windows=schedule.windows,
        max_targets=schedule.max_endpoints,
    )


# Workflow functions are found by name after a restart, so they are module functions; what they work on is set when the
# engine starts.
_current: Planner | None = None


def _planner() -> Planner:
    if _current is None:
        raise AssertionError("a schedule ran before the engine was started")
    return _current


@DBOS.workflow(name=NAME)
def plan_scan(name: str) -> str:
    """One run of a schedule; returns the job it made, if any."""
    own = DBOS.workflow_id or ""
    with noted(own):
        plan = _plan(name)
        if not plan:
            return ""
        made = _ask(name, plan, job_of(own))
        _note(name, made)
        return made["job"]


@DBOS.step(name="plan", retries_allowed=True, max_attempts=_TRIES, should_retry=retryable)
def _plan(name: str) -> str:
    return _planner().plan(name)


@DBOS.step(name="ask", retries_allowed=True, max_attempts=_TRIES, should_retry=retryable)
def _ask(name: str, plan: str, job: str) -> dict[str, str]:
    return _planner().ask(name, plan, job)


@DBOS.step(name="note", retries_allowed=True, max_attempts=_TRIES, should_retry=retryable)
def _note(name: str, made: dict[str, str]) -> None:
    _planner().note(name, made)


class PlanJob:
    """The `Job` of the workflow. `sweep` begins the runs that are due."""

    names: tuple[str, ...] = (NAME,)
    queue: str = ""
    lost_after: timedelta = timedelta(minutes=10)

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self._runner = Runner[tuple[str, str]]("spectra-plan", _begin, threads=1, waiting=_WAITING)

    def enter(self) -> None:
        """Workflows work on this from now on."""
        global _current  # noqa: PLW0603
        _current = self._planner
        self._runner.start()

    def leave(self) -> None:
        """The engine has ended."""
        global _current  # noqa: PLW0603
        _current = None

    def sweep(self) -> int:
        """Begin what is due, or run it again where it ended badly; returns how many."""
        now = self._planner.clock()
        due = {workflow_id(one): one for one in schedules.due(self._planner.database, now)}
        if not due:
            return 0
        found = {w.workflow_id: w for w in DBOS.list_workflows(workflow_ids=list(due), load_input=False)}
        begun = 0
        for name, schedule in due.items():
            run = found.get(name)
            if run is None:
                begun += self._runner.put((name, schedule.name))
            elif run.status in runs.ENDED_BADLY and now - runs.time_of(run.updated_at) > _AGAIN:
                DBOS.rewind_workflow(name, application_version=VERSION)
                begun += 1
        return begun

    def halt(self) -> None:
        """The engine is about to end."""
        self._runner.stop()

    def told(self, run: Run, steps: Sequence[Mapping[str, Any]]) -> WorkflowRecord:
        """The workflow with its steps."""
        return runs.record(run, tuple(WorkflowStep(str(s["function_name"]), str(s["error"] or "")) for s in steps))


def workflow_id(schedule: Schedule) -> str:
    """The id of the run of a schedule that is due."""
    due = schedule.next_run or schedule.created
    return f"plan-{schedule.name}-{int(due.timestamp() * 1000) if due else 0}"


def job_of(workflow: str) -> str:
    """The id of the job that a run makes: always the same, so that a step that runs twice makes one."""
    return f"job-{hashlib.sha256(workflow.encode()).hexdigest()[:20]}"


def _begin(key: tuple[str, str]) -> None:
    """Run the workflow on this thread, unless some process began it."""
    workflow, schedule = key
    begin_once(workflow, lambda: plan_scan(schedule))
