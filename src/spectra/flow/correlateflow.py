"""`wf.vuln_correlate`: naming all services and holding them against all CVEs again, when somebody asks for it.

The same steps as the background's (`flow.correlator`), which works beside it: whichever comes first does what is due.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, cast

import msgspec
from dbos import DBOS, SetEnqueueOptions, SetWorkflowID

from spectra.flow import runs
from spectra.flow.correlation import Correlation
from spectra.flow.jobs import Stopped, noted, retryable, stopping
from spectra.flow.runs import Run
from spectra.model.correlation import Correlating
from spectra.model.records import WorkflowRecord, WorkflowStep

NAME: Final = "wf.vuln_correlate"
QUEUE: Final = "spectra-correlation"
_TRIES: Final = 12  # a step waits for about half an hour
_STEP_S: Final = 2.0

# Workflow functions are found by name after a restart, so they are module functions; what they work on is set when the
# engine starts.
_current: Correlation | None = None


def _correlation() -> Correlation:
    if _current is None:
        raise AssertionError("a correlation ran before the engine was started")
    return _current


@DBOS.workflow(name=NAME)
def correlate() -> str:
    """Have everything looked at again, and see to it; what ended midway goes on there."""
    with noted(DBOS.workflow_id or ""):
        total = _begin()["total"]
        while _go_on(total)["left"]:
            if stopping.is_set():
                raise Stopped
        return "done"


@DBOS.step(name="count services", retries_allowed=True, max_attempts=_TRIES, should_retry=retryable)
def _begin() -> dict[str, int]:
    """Everything is to be looked at again."""
    correlation = _correlation()
    correlation.begin()
    correlation.learn()
    correlation.again()
    return {"total": correlation.left()}


@DBOS.step(name="evaluate", retries_allowed=True, max_attempts=_TRIES, should_retry=retryable)
def _go_on(total: int) -> dict[str, int]:
    """A few seconds of it; also what came in meanwhile."""
    correlation = _correlation()
    until = time.monotonic() + _STEP_S
    while (more := correlation.step() is not None) and time.monotonic() < until and not stopping.is_set():
        pass
    left = correlation.left() if more else 0
    return {"done": max(0, total - left), "left": left}


class Correlations:
    """The `Job` of the workflow."""

    names: tuple[str, ...] = (NAME,)
    queue: str = QUEUE
    lost_after: timedelta = timedelta(minutes=2)

    def __init__(self, correlation: Correlation) -> None:
        self._correlation = correlation

    def enter(self) -> None:
        """Workflows work on this from now on."""
        global _current  # noqa: PLW0603
        _current = self._correlation

    def leave(self) -> None:
        """The engine has ended."""
        global _current  # noqa: PLW0603
        _current = None

    def start(self) -> Correlating:
        """Start one, or tell of the one that is under way."""
        left = self._correlation.left()
        mine = f"correlate-{uuid.uuid4().hex}"
        once = SetEnqueueOptions(deduplication_id="correlate", duplication_policy="return-existing")
        with SetWorkflowID(mine), once:
            found = DBOS.enqueue_workflow(QUEUE, correlate).workflow_id
        return Correlating(found, found == mine, left)

    def told(self, run: Run, steps: Sequence[Mapping[str, Any]]) -> WorkflowRecord:
        """The workflow with how many services and software are done."""
        done = total = 0
        errors: dict[str, str] = {}
        for step in steps:
            output = cast("dict[str, int]", step["output"] or {})
            done, total = max(done, output.get("done", 0)), max(total, output.get("total", 0))
            errors[str(step["function_name"])] = str(step["error"] or "")
        told = tuple(WorkflowStep(name, error) for name, error in errors.items())
        return msgspec.structs.replace(runs.record(run, told), done=done, total=total)
