"""What was begun is finished, whatever died: which workflows no coordinator runs any more, and what becomes of them.

A coordinator says every few seconds that it lives. Workflows that the engine holds for running are lost where their
coordinator has not said so for a while, or where it is this one and no thread of it is at them. Whoever sweeps has
them run again from the step they were at; two that sweep at once do no harm, since the engine lets one execution of a
workflow write, and each step is idempotent.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from dbos import DBOS, PortableWorkflowError, SetWorkflowID, WorkflowStatus
from dbos import error as engine_errors

from spectra.errors import SpectraError, Unavailable
from spectra.flow import runs
from spectra.flow.jobs import PARTS_QUEUE, QUEUE, RELOCATION_QUEUE, VERSION, Job, Sweeping, running
from spectra.flow.submission import Ingest
from spectra.flow.waking import Waking
from spectra.store import coordinators, observations
from spectra.store.coordinators import Coordinator
from spectra.store.database import Database
from spectra.store.observations import Pending

_log = logging.getLogger("spectra.flow")

BEAT_S: Final = 5.0
"""How often a coordinator says that it lives."""
DEAD_AFTER_S: Final = 30.0
"""A coordinator that has not said so for so long has lost its workflows to the others."""

# A workflow that ended by an error is run again after 5 s, 10 s, ... 10 min: for about a week where its steps could not
# reach an engine, a few times where the error is of a kind that only happens again.
_WORKFLOW_TRIES: Final = 5
_PASSING_TRIES: Final = 1000
_FIRST_PAUSE: Final = timedelta(seconds=5)
_LONGEST_PAUSE: Final = timedelta(minutes=10)
# One that the engine holds for running, though nothing of this process runs it, lost its thread with the database.
_LOST: Final = timedelta(seconds=30)
_GRACE: Final = timedelta(seconds=5)
_PATIENCE: Final = {"wf.relocate": timedelta(minutes=2)}  # longer than a step takes
# Where what was lost is to wait. A part does not wait in line with whole submissions: those in front would wait for it.
_QUEUES: Final = {
    "wf.scan": QUEUE,
    "wf.enrich": PARTS_QUEUE,
    "wf.graph": PARTS_QUEUE,
    "wf.relocate": RELOCATION_QUEUE,
}


class Beats(Waking):
    """Says on a thread of its own that this coordinator lives."""

    def __init__(self, database: Database, own: Coordinator, clock: Callable[[], datetime]) -> None:
        self.name: Final = own.name
        self._database = database
        self._clock = clock
        self._api_url = own.api_url
        super().__init__("spectra-beats")

    def beat(self) -> None:
        """Say so once. Raises `Unavailable` where the database is away."""
        coordinators.beat(self._database, self.name, self._api_url, self._clock())

    def end(self) -> None:
        """Say that this coordinator has ended: what it left is anybody's."""
        self.stop()
        with contextlib.suppress(SpectraError):
            coordinators.gone(self._database, self.name)

    def alive(self) -> set[str]:
        """The coordinators that said so of late, and this one."""
        found = coordinators.alive(self._database, self._clock(), DEAD_AFTER_S)
        return {name for name, *_ in found} | {self.name}

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.beat()
            except SpectraError as error:
                _log.debug("no beat: %s", error.message)
            except Exception:  # noqa: BLE001 - silence would have this coordinator's work taken away for good
                _log.exception("no beat")
            self._stop.wait(BEAT_S)


class Recovery:
    """Finds what nobody runs. `start` begins the `wf.scan` of an observation by its id."""

    def __init__(self, ingest: Ingest, jobs: Sequence[Job], beats: Beats, start: Callable[[str], None]) -> None:
        self._ingest = ingest
        self._beats = beats
        self._start = start
        self._sweeping = [job for job in jobs if isinstance(job, Sweeping)]
        self._queues = dict(_QUEUES) | {name: job.queue or None for job in jobs for name in job.names}
        self._patience = dict(_PATIENCE) | {name: job.lost_after for job in jobs for name in job.names}

    def sweep(self) -> int:
        """Start, or run again, the workflows of accepted submissions that have none running, and whatever lost its
        coordinator or its thread; returns how many.
        """
        now = self._ingest.clock()
        left = [p for p in observations.pending(self._ingest.database) if now - p.received > _GRACE]
        ids = [i for p in left for i in (p.observation_id, *runs.children(p.observation_id))]
        listed = DBOS.list_workflows(workflow_ids=ids, load_input=False) if ids else []
        found = {w.workflow_id: w for w in listed}
        revived = sum(self._revive(p, found) for p in left)
        return revived + self._revive_lost() + sum(job.sweep() for job in self._sweeping)

    def _revive(self, pending: Pending, found: Mapping[str, WorkflowStatus]) -> bool:
        status = found.get(pending.observation_id)
        if status is None:
            self._start(pending.observation_id)
            return True
        if status.status not in ("ENQUEUED", "DELAYED", "PENDING"):
            return self._run_again(pending, status)
        return status.app_version not in (None, VERSION) and self._begin_anew(status)

    def _begin_anew(self, status: WorkflowStatus) -> bool:
        """What a release with other steps left behind no engine of this one picks up."""
        if not self._older(status, _LOST):
            return False  # that release may still be running elsewhere
        DBOS.delete_workflow(status.workflow_id, delete_children=True)
        self._start(status.workflow_id)
        return True

    def _run_again(self, pending: Pending, status: WorkflowStatus) -> bool:
        if not self._older(status, pause(pending.attempts)):
            return False
        if not observations.count_attempt(self._ingest.database, pending):  # another coordinator's sweep
            return False
        tries = _PASSING_TRIES if is_passing(status.error) else _WORKFLOW_TRIES
        if pending.attempts >= tries:
            reason = Unavailable(f"its workflow ended {tries} times without result: {status.error}")
            self._ingest.settle_failed(pending.observation_id, reason)
            return False
        # From its first step: a step that failed is on record as failed and would not run again, nor would a child.
        for child in runs.children(pending.observation_id):
            DBOS.delete_workflow(child)
        DBOS.rewind_workflow(pending.observation_id, application_version=VERSION, queue_name=QUEUE)
        return True

    def _revive_lost(self) -> int:
        """All that the engine holds for running and nobody runs; parts of a submission before the whole."""
        held = DBOS.list_workflows(status="PENDING", app_version=VERSION, load_input=False)
        mine = [w for w in held if w.executor_id in (self._beats.name, None)]
        others = [w for w in held if w.executor_id not in (self._beats.name, None) and self._older(w, _LOST)]
        alive = self._beats.alive() if others else set[str]()
        lost = [w for w in others if w.executor_id not in alive] + [w for w in mine if self._lost_its_thread(w)]
        for workflow in sorted(lost, key=lambda w: w.name == "wf.scan"):
            DBOS.resume_workflow(workflow.workflow_id, queue_name=self._queues.get(workflow.name))
        return len(lost)

    def _lost_its_thread(self, workflow: WorkflowStatus) -> bool:
        if workflow.workflow_id in running:
            return False
        after = self._patience.get(workflow.name, _LOST)
        if not self._older(workflow, after):
            return False
        steps = DBOS.list_workflow_steps(workflow.workflow_id, load_output=False)
        heard = [runs.time_of(step["completed_at_epoch_ms"]) for step in steps]
        return self._ingest.clock() - max([runs.time_of(workflow.updated_at), *heard]) > after

    def _older(self, workflow: WorkflowStatus, than: timedelta) -> bool:
        return self._ingest.clock() - runs.time_of(workflow.updated_at) > than


def begin_once(workflow_id: str, work: Callable[[], object]) -> None:
    """Run the workflow `work` on this thread under this id, unless some process began it."""
    with (
        contextlib.suppress(engine_errors.DBOSWorkflowIDInUseError),
        SetWorkflowID(workflow_id, workflow_id_reuse_policy="reject"),
    ):
        work()


def pause(attempts: int) -> timedelta:
    """How long to wait before running a workflow again that was run `attempts` times before."""
    return min(_FIRST_PAUSE * 2 ** min(attempts, 30), _LONGEST_PAUSE)


def is_passing(error: object) -> bool:
    """Whether a workflow ended because a step went on failing in a way that passes: no other step runs again."""
    return isinstance(error, PortableWorkflowError) and error.name == "DBOSMaxStepRetriesExceeded"
