"""The durable workflows `wf.scan` and `wf.graph`, on DBOS: the only module that imports the workflow engine.

A submission accepted by `POST /v0/ingest` is one `wf.scan`: it normalises the tool's output into an asset set in the
blob store and hands that to `wf.graph`, which writes it into the graph. Enrichment will stand between the two. Each
step is idempotent; that the graph is written exactly once is the store's `claim`, in the transaction that writes it.

The outbox is the observation table: `sweep` starts the workflow of whatever is accepted and has none, so a process
killed between accepting and starting loses nothing, and runs workflows again that ended because an engine was away.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, Literal, cast

import msgspec
from dbos import (
    DBOS,
    DBOSConfig,
    DBOSPortableJSONSerializer,
    PortableWorkflowError,
    SetWorkflowID,
    WorkflowStatus,
)

from spectra.errors import NotFound, SpectraError, Unavailable
from spectra.flow.assets import pack, unpack
from spectra.flow.submission import Ingest, Written, failed, once_more_on_conflict, settled_entry
from spectra.ingest.parsers import ParseError
from spectra.model.envelope import Payload
from spectra.model.records import WorkflowRecord, WorkflowStep
from spectra.store import observations
from spectra.store.database import Connection
from spectra.store.observations import Outcome, Pending
from spectra.store.provenance import Entry, commit

_log = logging.getLogger("spectra.flow")

QUEUE: Final = "spectra-ingest"
# Workflows are recovered by the version they were started under. It changes when a step changes meaning, not with
# every release, so that an upgrade picks up what the release before it left.
VERSION: Final = "1"
_STEP_TRIES: Final = 6
# A workflow that ended by an error is run again after 5 s, 10 s, ... 10 min: for about a week where its steps could not
# reach an engine, a few times where the error is of a kind that only happens again.
_WORKFLOW_TRIES: Final = 5
_PASSING_TRIES: Final = 1000
_FIRST_PAUSE: Final = timedelta(seconds=5)
_LONGEST_PAUSE: Final = timedelta(minutes=10)
# One that the engine holds for running, though nothing of this process runs it, lost its thread with the database.
_LOST: Final = timedelta(seconds=30)
_SWEEP_S: Final = 5.0
_GRACE: Final = timedelta(seconds=5)

_STATUS: Final[dict[str, Literal["pending", "running", "done", "failed"]]] = {
    "ENQUEUED": "pending",
    "DELAYED": "pending",
    "PENDING": "running",
    "SUCCESS": "done",
}

_FAILED: Final = ["ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]

# DBOS finds workflow functions again after a restart by name, so they are module functions; what they work on is set
# when the engine starts, before it recovers anything.
_current: Ingest | None = None


# What this process is running: the engine's own record says so of everything that it ever began.
_running: set[str] = set()


@contextlib.contextmanager
def _noted(workflow_id: str) -> Generator[None]:
    _running.add(workflow_id)
    try:
        yield
    finally:
        _running.discard(workflow_id)


def _ingest() -> Ingest:
    if _current is None:
        raise AssertionError("a workflow ran before the engine was started")
    return _current


def _retryable(error: BaseException) -> bool:
    return isinstance(error, SpectraError) and error.retryable


@DBOS.workflow(name="wf.scan")
def scan(observation_id: str) -> str:
    """Normalise one accepted submission and have it written; returns the observation's final status."""
    with _noted(observation_id):
        assets = _normalise(observation_id)
        if not assets["blob"]:
            return assets["status"]
        with SetWorkflowID(_graph_id(observation_id)):
            return graph(observation_id, assets)


@DBOS.workflow(name="wf.graph")
def graph(observation_id: str, assets: dict[str, Any]) -> str:
    """Write one asset set into the graph; returns the observation's final status."""
    with _noted(_graph_id(observation_id)):
        return _upsert(observation_id, assets)


def _graph_id(observation_id: str) -> str:
    return f"{observation_id}-graph"


@DBOS.step(
    name="normalise",
    retries_allowed=True,
    max_attempts=_STEP_TRIES,
    interval_seconds=0.5,
    should_retry=_retryable,
)
def _normalise(observation_id: str) -> dict[str, Any]:
    """Parse the raw output into an asset set; a submission that cannot be read is settled as failed, and why."""
    ingest = _ingest()
    with ingest.database.connection() as connection:
        pending = observations.claim(connection, observation_id)
    if pending is None:
        return {"blob": "", "status": observations.get(ingest.database, observation_id).status}
    try:
        content = ingest.normalise(_payload(ingest, pending), pending.received)
        blob = ingest.blobs.put(pack(content, bytes.fromhex(observation_id)))
    except ParseError as error:
        _settle_failed(ingest, observation_id, error)
        return {"blob": "", "status": "failed"}
    outcome = Outcome("merged", content.format, content.facts, problems=content.problems)
    return {"blob": blob.hex(), "outcome": msgspec.to_builtins(outcome), "problems": content.n_problems}


@DBOS.step(
    name="upsert",
    retries_allowed=True,
    max_attempts=_STEP_TRIES,
    interval_seconds=0.5,
    should_retry=_retryable,
)
def _upsert(observation_id: str, assets: dict[str, Any]) -> str:
    """Write the graph and settle the submission in one transaction; a second run finds it settled and does nothing."""
    ingest = _ingest()
    blob = bytes.fromhex(assets["blob"])
    outcome = msgspec.convert(assets["outcome"], Outcome)

    def work(connection: Connection, *, alone: bool) -> tuple[Written | None, list[Entry]]:
        pending = observations.claim(connection, observation_id)
        if pending is None:
            return None, []
        written = ingest.write(connection, pending.seq, unpack(ingest.blobs.get(blob)), alone=alone)
        done = outcome._replace(counts=msgspec.structs.replace(written.counts, problems=assets["problems"]))
        observations.settle(connection, pending.seq, done)
        return written, [settled_entry(observation_id, done, written.digest, ingest.clock())]

    written = once_more_on_conflict(lambda alone: commit(ingest.database, partial(work, alone=alone)))
    if written:
        written.remember()
    ingest.blobs.discard(blob)
    return observations.get(ingest.database, observation_id).status


def _payload(ingest: Ingest, pending: Pending) -> Payload:
    payload = msgspec.json.decode(pending.header, type=Payload)
    output = msgspec.structs.replace(payload.output, data=ingest.blobs.get(pending.blob_sha256))
    return msgspec.structs.replace(payload, output=output)


def _settle_failed(ingest: Ingest, observation_id: str, error: SpectraError) -> None:
    def work(connection: Connection) -> tuple[None, list[Entry]]:
        pending = observations.claim(connection, observation_id)
        if pending is None:
            return None, []
        outcome = failed(error)
        observations.settle(connection, pending.seq, outcome)
        return None, [settled_entry(observation_id, outcome, "", ingest.clock())]

    commit(ingest.database, work)


class Workflows:
    """The workflow engine of this process: at most one, because DBOS is one per process."""

    def __init__(self, ingest: Ingest, *, concurrency: int = 4) -> None:
        self._ingest = ingest
        self._concurrency = concurrency
        self._stop = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep_forever, name="sweep", daemon=True)

    def start(self) -> None:
        """Start the engine; it recovers what an earlier process left unfinished."""
        global _current  # noqa: PLW0603 - see above: DBOS calls module functions
        _current = self._ingest
        # Its log tells each start of a queue; ours tells what matters. The pickle serializer would execute what the
        # database holds, so JSON is used.
        config = DBOSConfig(
            name="spectra",
            system_database_url=self._ingest.database.url.replace("postgresql://", "postgresql+psycopg://", 1),
            application_version=VERSION,
            serializer=DBOSPortableJSONSerializer(),
            sys_db_pool_size=5,
            max_executor_threads=16,
            log_level="ERROR",
            enable_otlp=False,
        )
        DBOS(config=config)
        DBOS.launch()
        DBOS.register_queue(
            QUEUE, worker_concurrency=self._concurrency, polling_interval_sec=0.1, on_conflict="always_update"
        )
        self._sweeper.start()

    def stop(self) -> None:
        """Let running steps end for a moment, then stop; what is left is recovered by the next start."""
        global _current  # noqa: PLW0603
        self._stop.set()
        self._sweeper.join(timeout=10)
        DBOS.destroy(workflow_completion_timeout_sec=5)
        _current = None

    def enqueue(self, observation_id: str) -> None:
        """Start `wf.scan` for an accepted submission; doing so twice starts it once."""
        try:
            with SetWorkflowID(observation_id):
                DBOS.enqueue_workflow(QUEUE, scan, observation_id)
        except Exception:  # noqa: BLE001 - the submission is accepted: the sweep starts what this could not
            _log.warning("workflow could not be started yet", extra={"observation_id": observation_id}, exc_info=True)

    def get(self, workflow_id: str) -> WorkflowRecord:
        """A workflow with its finished steps; raises `NotFound`."""
        found = DBOS.list_workflows(workflow_ids=[workflow_id], load_output=True)
        if not found:
            raise NotFound(f"There is no workflow {workflow_id[:80]}.", hint="`spectra workflows list` shows all.")
        return _record(found[0], _steps(workflow_id))

    def newest(self, *, limit: int = 100, status: str = "") -> list[WorkflowRecord]:
        """The newest workflows, without their steps; of one `status` if that is asked for."""
        if status == "failed":
            return self._newest_failed(limit)
        wanted = [name for name, ours in _STATUS.items() if ours == status] or None
        found: list[WorkflowRecord] = []
        for offset in itertools.count(0, limit):
            page = _list(status=wanted, limit=limit, offset=offset)
            found += [r for r in page if status in ("", r.status)]
            if len(page) < limit or len(found) >= limit:
                return found[:limit]
        raise AssertionError

    def _newest_failed(self, limit: int) -> list[WorkflowRecord]:
        """Those that ended by an error, and those that ended well by finding that nothing can be read."""
        told = observations.failed_workflows(self._ingest.database, limit)
        found = {r.workflow_id: r for r in _list(status=_FAILED, limit=limit)}
        if told:
            found |= {r.workflow_id: r for r in _list(workflow_ids=told) if r.status == "failed"}
        return sorted(found.values(), key=lambda r: r.created, reverse=True)[:limit]

    def sweep(self) -> int:
        """Start, or run again, the workflows of accepted submissions that have none running; returns how many."""
        now = self._ingest.clock()
        left = [p for p in observations.pending(self._ingest.database) if now - p.received > _GRACE]
        if not left:
            return 0
        ids = [i for p in left for i in (p.observation_id, _graph_id(p.observation_id))]
        found = {w.workflow_id: w for w in DBOS.list_workflows(workflow_ids=ids, load_input=False)}
        return sum(self._revive(p, found.get(p.observation_id), found.get(_graph_id(p.observation_id))) for p in left)

    def _revive(self, pending: Pending, status: WorkflowStatus | None, child: WorkflowStatus | None) -> bool:
        if status is None:
            self.enqueue(pending.observation_id)
            return True
        if status.status in ("ENQUEUED", "DELAYED"):
            return False
        if status.status == "PENDING":
            lost = [w.workflow_id for w in (child, status) if w and self._is_lost(w)]
            for workflow_id in lost:
                DBOS.resume_workflow(workflow_id, queue_name=QUEUE)
            return bool(lost)
        return self._run_again(pending, status)

    def _is_lost(self, workflow: WorkflowStatus) -> bool:
        if workflow.status != "PENDING" or workflow.workflow_id in _running:
            return False
        return self._ingest.clock() - _time(workflow.updated_at) > _LOST

    def _run_again(self, pending: Pending, status: WorkflowStatus) -> bool:
        if self._ingest.clock() - _time(status.updated_at) < _pause(pending.attempts):
            return False
        if not observations.count_attempt(self._ingest.database, pending):  # another coordinator's sweep
            return False
        tries = _PASSING_TRIES if _is_passing(status.error) else _WORKFLOW_TRIES
        if pending.attempts >= tries:
            reason = Unavailable(f"its workflow ended {tries} times without result: {status.error}")
            _settle_failed(self._ingest, pending.observation_id, reason)
            return False
        # From its first step: a step that failed is on record as failed and would not run again, nor would the child.
        DBOS.delete_workflow(_graph_id(pending.observation_id))
        DBOS.rewind_workflow(pending.observation_id, queue_name=QUEUE)
        return True

    def _sweep_forever(self) -> None:
        while not self._stop.wait(_SWEEP_S):
            try:
                self.sweep()
            except Exception:  # noqa: BLE001 - the database is away: the next round finds what this one did not
                _log.warning("sweep failed; it runs again", exc_info=True)


def _is_passing(error: object) -> bool:
    """Whether a workflow ended because a step went on failing in a way that passes: no other step runs again."""
    return isinstance(error, PortableWorkflowError) and error.name == "DBOSMaxStepRetriesExceeded"


def _pause(attempts: int) -> timedelta:
    """How long to wait before running a workflow again that was run `attempts` times before."""
    return min(_FIRST_PAUSE * 2 ** min(attempts, 30), _LONGEST_PAUSE)


def _list(**wanted: Any) -> list[WorkflowRecord]:
    found = DBOS.list_workflows(sort_desc=True, name=["wf.scan", "wf.graph"], load_input=False, **wanted)
    return [_record(workflow, ()) for workflow in found]


def _steps(workflow_id: str) -> tuple[WorkflowStep, ...]:
    steps: list[WorkflowStep] = []
    for step in DBOS.list_workflow_steps(workflow_id):
        error = step["error"]
        steps.append(WorkflowStep(step["function_name"], str(error) if error else ""))
        if child := step["child_workflow_id"]:
            steps += _steps(child) if step["function_name"] == "wf.graph" else ()
    return tuple(steps)


def _record(workflow: WorkflowStatus, steps: tuple[WorkflowStep, ...]) -> WorkflowRecord:
    status = _STATUS.get(workflow.status, "failed")
    output = cast("str | None", workflow.output)
    return WorkflowRecord(
        workflow_id=workflow.workflow_id,
        name=workflow.name,
        status="failed" if output == "failed" else status,
        created=_time(workflow.created_at),
        updated=_time(workflow.updated_at),
        observation_id=workflow.workflow_id.removesuffix("-graph"),
        steps=steps,
        error=str(workflow.error) if workflow.error else "",
    )


def _time(epoch_ms: int | None) -> datetime:
    return datetime.fromtimestamp((epoch_ms or 0) / 1000, UTC)
