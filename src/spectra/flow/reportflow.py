"""`wf.ai_engine`: makes a report. Its steps are those of `ai.reports.reporter`: the facts are collected once, every
attempt at the sections is a step of its own, and the document is kept in one transaction.

The outbox is the report's row: what waits or is under way and has no workflow is given one by the sweep of any
coordinator. It is run by threads of its own and not by a queue of the engine, whose looks cost an idle node more than
all else. A process that is killed goes on at the step it was at; a model is asked again for the one attempt whose
answer nobody had noted.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import msgspec
from dbos import DBOS, WorkflowStatus

from spectra.ai.reports.reporter import Outcome, Reporter
from spectra.errors import BadRequest, NotFound, SpectraError
from spectra.flow import runs
from spectra.flow.jobs import VERSION, Stopped, noted, retryable, stopping
from spectra.flow.recovery import begin_once, is_passing
from spectra.flow.runner import Runner
from spectra.flow.runs import Run
from spectra.model.records import WorkflowRecord, WorkflowStep
from spectra.model.reports import ReportRecord
from spectra.model.summaries import Target
from spectra.store import reports
from spectra.store.accounts import Act

_log = logging.getLogger("spectra.reports")

NAME: Final = "wf.ai_engine"
THREADS: Final = 2
"""Reports that are made at once: most of the time each waits for a model."""
_TRIES: Final = 8
_GRACE: Final = timedelta(seconds=5)  # whoever asked for it is about to begin
_AGAIN: Final = timedelta(seconds=30)
_GIVEN_UP: Final = timedelta(minutes=10)  # that something fails in a way that only happens again
_FIRST_PAUSE_S: Final = 1.0
_ENDING_S: Final = 0.3
"""How long after the gateway this engine is told that the node ends."""
_ASK: Final = "ask a model"

# Workflow functions are found by name after a restart, so they are module functions; what they work on is set when the
# engine starts.
_current: Reporter | None = None
_pause_s = _FIRST_PAUSE_S


def _reporter() -> Reporter:
    if _current is None:
        raise AssertionError("a report was to be made before the engine was started")
    return _current


@DBOS.workflow(name=NAME)
def make_report(report: str) -> str:
    """Collect the facts, ask for the sections until they hold, and keep the document; the state of the report then."""
    with noted(report):
        found = _gather(report)
        if found["failed"]:
            return _fail(report, found["failed"])
        outcomes: list[dict[str, Any]] = []
        left_s = found["deadline_s"]
        before: list[str] = []
        for number in range(1, found["attempts"] + 1):
            if stopping.is_set():
                raise Stopped
            plain = any(one["kind"] == "away" for one in outcomes)
            outcome = _attempt(report, number, found["facts"], before, {"left_s": left_s, "plain": plain})
            outcomes.append(outcome)
            left_s -= outcome["took_s"]
            if outcome["kind"] not in ("wrong", "away") or left_s <= 0:
                break
            before = outcome["reasons"] if outcome["kind"] == "wrong" else before
            if outcome["kind"] == "away" and number < found["attempts"]:
                stopping.wait(min(_pause_s * 2 ** (number - 1), left_s))
        return _write(report, found["facts"], outcomes)


@DBOS.step(
    name="collect facts", retries_allowed=True, max_attempts=_TRIES, interval_seconds=0.5, should_retry=retryable
)
def _gather(report: str) -> dict[str, Any]:
    reporter = _reporter()
    bounds = reporter.bounds
    told = {"attempts": bounds.attempts, "deadline_s": bounds.deadline_s, "facts": "", "failed": ""}
    try:
        return told | {"facts": reporter.gather(report)}
    except (NotFound, BadRequest) as error:
        return told | {"failed": error.message}


@DBOS.step(name=_ASK, retries_allowed=True, max_attempts=_TRIES, interval_seconds=0.5, should_retry=retryable)
def _attempt(report: str, number: int, found: str, before: list[str], how: dict[str, Any]) -> dict[str, Any]:
    outcome = _reporter().attempt(report, number, found, before, **how)
    if outcome.kind == "away" and stopping.wait(_ENDING_S):
        raise Stopped  # the gateway ended, not the model: the next start makes this attempt anew
    return msgspec.to_builtins(outcome)


@DBOS.step(name="write it", retries_allowed=True, max_attempts=_TRIES, interval_seconds=0.5, should_retry=retryable)
def _write(report: str, found: str, outcomes: list[dict[str, Any]]) -> str:
    return _reporter().write(report, found, [msgspec.convert(one, Outcome) for one in outcomes])


@DBOS.step(name="say why not", retries_allowed=True, max_attempts=_TRIES, interval_seconds=0.5, should_retry=retryable)
def _fail(report: str, why: str) -> str:
    return _reporter().fail(report, why)


class ReportJob:
    """The `Job` of the workflow. `start` begins one, `sweep` those that nobody did. `pause_s` is waited after a first
    attempt that reached no model; then twice as long each time.
    """

    names: tuple[str, ...] = (NAME,)
    queue: str = ""
    lost_after: timedelta = timedelta(minutes=12)  # an attempt may take ten

    def __init__(self, reporter: Reporter, *, pause_s: float = _FIRST_PAUSE_S) -> None:
        self.reporter = reporter
        self._pause_s = pause_s
        self._runner = Runner[str]("spectra-report", _begin, threads=THREADS, waiting=reports.MAX_OPEN)

    def enter(self) -> None:
        """Workflows work on this from now on."""
        global _current, _pause_s
        _current, _pause_s = self.reporter, self._pause_s
        self._runner.start()

    def leave(self) -> None:
        """The engine has ended."""
        global _current  # noqa: PLW0603
        _current = None

    def halt(self) -> None:
        """The engine is about to end."""
        self._runner.stop()

    def ask(
        self, target: Target, pattern: str, question: str, act: Act, *, rules: bool = False, report: str = ""
    ) -> ReportRecord:
        """Ask for a report, and have it begun; where `report` names one that there is already, that one as it stands.
        Raises as `Reporter.pattern` does, and `Unavailable` where too many wait.
        """
        chosen = self.reporter.pattern(pattern, target)
        record = reports.ask(self.reporter.database, target, chosen.name, question, act, rules=rules, report=report)
        self._runner.put(record.id)
        return record

    def sweep(self) -> int:
        """Begin the workflows of reports that were asked for by a process that did not live to begin them, or that
        ended badly; returns how many.
        """
        now = self.reporter.clock()
        left = reports.open_ones(self.reporter.database, now - _GRACE)
        if not left:
            return 0
        found = {w.workflow_id: w for w in DBOS.list_workflows(workflow_ids=list(left), load_input=False)}
        return sum(self._again(found[one]) if one in found else self._runner.put(one) for one in left)

    def told(self, run: Run, steps: Sequence[Mapping[str, Any]]) -> WorkflowRecord:
        """The workflow with the attempts it made."""
        errors = {str(step["function_name"]): str(step["error"] or "") for step in steps}
        record = runs.record(run, tuple(WorkflowStep(name, error) for name, error in errors.items()))
        asked = sum(step["function_name"] == _ASK for step in steps)
        return msgspec.structs.replace(record, done=asked, total=asked)

    def _again(self, run: WorkflowStatus) -> bool:
        """One that ended although its report did not. Others are looked after by `flow.recovery`."""
        now = self.reporter.clock()
        if run.status not in runs.ENDED_BADLY or now - runs.time_of(run.updated_at) < _AGAIN:
            return False
        if not is_passing(run.error) and now - runs.time_of(run.created_at) > _GIVEN_UP:
            try:
                self.reporter.fail(run.workflow_id, f"Its workflow ended without result: {run.error}")
            except SpectraError as error:
                _log.warning("a report could not be ended: %s", error.message, extra={"report": run.workflow_id})
            return False
        DBOS.rewind_workflow(run.workflow_id, application_version=VERSION)
        return True


def _begin(report: str) -> None:
    """Run the workflow on this thread, unless some process began it."""
    with contextlib.suppress(Stopped):  # the next start goes on with it
        begin_once(report, lambda: make_report(report))
