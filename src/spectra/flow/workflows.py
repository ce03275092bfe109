"""The durable workflows, on DBOS: the engine itself, and the workflows of submissions.

A submission accepted by `POST /v0/ingest` is one `wf.scan`: it normalises the tool's output into an asset set in the
blob store and hands that to `wf.enrich`, which adds the facts of its hosts, and what comes of it to `wf.graph`, which
writes it into the graph. Each step is idempotent; that the graph is written exactly once is the store's `claim`, in the
transaction that writes it. `wf.relocate` looks all stored hosts up again after an update of the feeds.

The outbox is the observation table: `sweep` starts the workflow of whatever is accepted and has none, so a process
killed between accepting and starting loses nothing, and runs workflows again that ended because an engine was away.
"""

from __future__ import annotations

import itertools
import logging
import threading
import uuid
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final

import msgspec
from dbos import (
    DBOS,
    DBOSConfig,
    DBOSPortableJSONSerializer,
    SetEnqueueOptions,
    SetWorkflowID,
    WorkflowStatus,
)

from spectra.errors import NotFound
from spectra.flow import runs
from spectra.flow.assets import Asset, pack, unpack
from spectra.flow.jobs import (
    PARTS_QUEUE,
    QUEUE,
    RELOCATION_QUEUE,
    VERSION,
    Job,
    Stopped,
    Sweeping,
    noted,
    retryable,
    stopping,
)
from spectra.flow.recovery import Beats, Recovery
from spectra.flow.relocation import Relocation
from spectra.flow.submission import Ingest, Written, once_more_on_conflict, settled_entry
from spectra.ingest.parsers import ParseError
from spectra.model.facts import HostFacts
from spectra.model.feeds import Relocating
from spectra.model.records import WorkflowRecord, WorkflowStep
from spectra.store import ledger, observations
from spectra.store.coordinators import Coordinator
from spectra.store.database import Connection
from spectra.store.observations import Outcome
from spectra.store.provenance import Entry, commit

_log = logging.getLogger("spectra.flow")

CONCURRENCY: Final = 4
_STEP_TRIES: Final = 6
_RELOCATION_TRIES: Final = 12  # a step of a relocation waits for about half an hour
_PASSES: Final = 5
_SWEEP_S: Final = 5.0

_ALONE: Final = Coordinator("local", "")
_HOSTS_STEP: Final = "look hosts up"
_NAMES: Final = ["wf.scan", "wf.enrich", "wf.graph", "wf.relocate"]

# DBOS finds workflow functions again after a restart by name, so they are module functions; what they work on is set
# when the engine starts, before it recovers anything.
_current: Ingest | None = None
_relocation: Relocation | None = None


def _ingest() -> Ingest:
    if _current is None:
        raise AssertionError("a workflow ran before the engine was started")
    return _current


def _relocating() -> Relocation:
    if _relocation is None:
        raise AssertionError("a relocation ran on a node that has no feeds")
    return _relocation


@DBOS.workflow(name="wf.scan")
def scan(observation_id: str) -> str:
    """Normalise one accepted submission and have it written; returns the observation's final status."""
    with noted(observation_id):
        assets = _normalise(observation_id)
        if not assets["blob"]:
            return assets["status"]
        with SetWorkflowID(runs.enrich_id(observation_id)):
            assets = enrich(observation_id, assets)
        with SetWorkflowID(runs.graph_id(observation_id)):
            return graph(observation_id, assets)


@DBOS.workflow(name="wf.enrich")
def enrich(observation_id: str, assets: dict[str, Any]) -> dict[str, Any]:
    """Add the facts of its hosts to one asset set; returns the set with them."""
    with noted(runs.enrich_id(observation_id)):
        return _enrich(observation_id, assets)


@DBOS.workflow(name="wf.graph")
def graph(observation_id: str, assets: dict[str, Any]) -> str:
    """Write one asset set into the graph; returns the observation's final status."""
    with noted(runs.graph_id(observation_id)):
        return _upsert(observation_id, assets)


@DBOS.workflow(name="wf.relocate")
def relocate() -> str:
    """Look up again every host that rests on older feeds, then name the services; what ended midway goes on there."""
    with noted(DBOS.workflow_id or ""):
        _plan_relocation()
        for _ in range(_PASSES):  # hosts may come in meanwhile by a coordinator that has not heard of the newest feeds
            after, found = "", 0
            while (step := _move_hosts(after))["done"]:
                if stopping.is_set():
                    raise Stopped
                after, found = step["after"], found + step["done"]
            if not found:
                break
        after = ""
        while (step := _name_services(after))["done"]:
            after = step["after"]
        return "done"


@DBOS.step(
    name="normalise",
    retries_allowed=True,
    max_attempts=_STEP_TRIES,
    interval_seconds=0.5,
    should_retry=retryable,
)
def _normalise(observation_id: str) -> dict[str, Any]:
    """Parse the raw output into an asset set; a submission that cannot be read is settled as failed, and why."""
    ingest = _ingest()
    with ingest.database.connection() as connection:
        pending = observations.claim(connection, observation_id)
    if pending is None:
        return {"blob": "", "status": observations.get(ingest.database, observation_id).status}
    try:
        content = ingest.normalise(ingest.payload(pending), pending.received)
        blob = ingest.blobs.put(pack(content, bytes.fromhex(observation_id)))
    except ParseError as error:
        ingest.settle_failed(observation_id, error)
        return {"blob": "", "status": "failed"}
    outcome = Outcome("merged", content.format, content.facts, problems=content.problems)
    return {"blob": blob.hex(), "outcome": msgspec.to_builtins(outcome), "problems": content.n_problems}


@DBOS.step(
    name="enrich",
    retries_allowed=True,
    max_attempts=_STEP_TRIES,
    interval_seconds=0.5,
    should_retry=retryable,
)
def _enrich(observation_id: str, assets: dict[str, Any]) -> dict[str, Any]:
    """Write a second asset set with facts in it, unless nothing is known of its hosts."""
    ingest = _ingest()
    told = 0

    def counted() -> Iterator[Asset]:
        nonlocal told
        for asset in ingest.enrich(unpack(ingest.blobs.get(bytes.fromhex(assets["blob"])))):
            told += isinstance(asset, HostFacts)
            yield asset

    try:
        data = pack(counted(), bytes.fromhex(observation_id))
    except NotFound:  # settled meanwhile by a run of this very workflow that was believed to be lost
        if observations.get(ingest.database, observation_id).status == "accepted":
            raise
        return assets
    return assets | {"blob": ingest.blobs.put(data).hex(), "plain": assets["blob"]} if told else assets


@DBOS.step(
    name="upsert",
    retries_allowed=True,
    max_attempts=_STEP_TRIES,
    interval_seconds=0.5,
    should_retry=retryable,
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
        ledger.count(connection, pending.seq, written.fresh)
        return written, [settled_entry(observation_id, done, written.digest, ingest.clock(), written.fresh)]

    written = once_more_on_conflict(lambda alone: commit(ingest.database, partial(work, alone=alone)))
    if written:
        written.remember()
    for digest in {assets["blob"], assets.get("plain", assets["blob"])}:
        ingest.blobs.discard(bytes.fromhex(digest))
    return observations.get(ingest.database, observation_id).status


@DBOS.step(name="count hosts", retries_allowed=True, max_attempts=_RELOCATION_TRIES, should_retry=retryable)
def _plan_relocation() -> dict[str, int]:
    """How many hosts there are to look up again."""
    return {"total": _relocating().behind()}


@DBOS.step(name=_HOSTS_STEP, retries_allowed=True, max_attempts=_RELOCATION_TRIES, should_retry=retryable)
def _move_hosts(after: str) -> dict[str, Any]:
    return _relocating().hosts(after)._asdict()


@DBOS.step(name="name services", retries_allowed=True, max_attempts=_RELOCATION_TRIES, should_retry=retryable)
def _name_services(after: str) -> dict[str, Any]:
    return _relocating().services(after)._asdict()


class Workflows:
    """The workflow engine of this process: at most one, because DBOS is one per process."""

    def __init__(
        self,
        ingest: Ingest,
        relocation: Relocation | None = None,
        *,
        jobs: Sequence[Job] = (),
        own: Coordinator = _ALONE,
        concurrency: int = CONCURRENCY,
    ) -> None:
        """`own` is this coordinator among all on its database."""
        self._ingest = ingest
        self._relocation = relocation
        self._jobs = tuple(jobs)
        self._names = [*_NAMES, *(name for job in self._jobs for name in job.names)]
        self._concurrency = concurrency
        self._beats = Beats(ingest.database, own, ingest.clock)
        self._recovery = Recovery(ingest, self._jobs, self._beats, self.enqueue)
        self._stop = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep_forever, name="sweep", daemon=True)

    def start(self) -> None:
        """Start the engine; it recovers what an earlier process left unfinished."""
        global _current, _relocation
        _current, _relocation = self._ingest, self._relocation
        for job in self._jobs:
            job.enter()
        stopping.clear()
        # Its log tells each start of a queue; ours tells what matters. The pickle serializer would execute what the
        # database holds, so JSON is used.
        config = DBOSConfig(
            name="spectra",
            system_database_url=self._ingest.database.url.replace("postgresql://", "postgresql+psycopg://", 1),
            application_version=VERSION,
            executor_id=self._beats.name,
            serializer=DBOSPortableJSONSerializer(),
            sys_db_pool_size=8,
            max_executor_threads=16,
            log_level="ERROR",
            enable_otlp=False,
            notification_coalesce_sec=0.1,  # nobody here waits for its events, and its 10 ms wake an idle node as often
        )
        self._beats.beat()  # before anything is begun: the others would take it away
        DBOS(config=config)
        DBOS.launch()
        self._beats.start()
        # Each look at a queue is two transactions, of an idle node too: somebody waits for an import, nobody for a job,
        # nor for parts, which are there only where a coordinator was lost.
        self._look(QUEUE, self._concurrency, 0.2)
        self._look(PARTS_QUEUE, self._concurrency, 1.0)
        for queue in (RELOCATION_QUEUE, *(job.queue for job in self._jobs if job.queue)):
            self._look(queue, 1, 1.0)
        self._sweeper.start()

    @staticmethod
    def _look(queue: str, at_once: int, every_s: float) -> None:
        DBOS.register_queue(
            queue, worker_concurrency=at_once, polling_interval_sec=every_s, on_conflict="always_update"
        )

    def stop(self) -> None:
        """Let running steps end for a moment, then stop; what is left is recovered by the next start."""
        global _current, _relocation  # noqa: PLW0603
        self._stop.set()
        stopping.set()
        self._sweeper.join(timeout=10)
        for job in self._jobs:
            if isinstance(job, Sweeping):
                job.halt()
        DBOS.destroy(workflow_completion_timeout_sec=5)
        self._beats.end()
        for job in self._jobs:
            job.leave()
        _current = _relocation = None

    def enqueue(self, observation_id: str) -> None:
        """Start `wf.scan` for an accepted submission; doing so twice starts it once."""
        try:
            with SetWorkflowID(observation_id):
                DBOS.enqueue_workflow(QUEUE, scan, observation_id)
        except Exception:  # noqa: BLE001 - the submission is accepted: the sweep starts what this could not
            _log.warning("workflow could not be started yet", extra={"observation_id": observation_id}, exc_info=True)

    def relocate(self) -> Relocating:
        """Start `wf.relocate`, or tell of the one that is under way."""
        behind = _relocating().behind()
        mine = f"{runs.RELOCATION}{uuid.uuid4().hex}"
        once = SetEnqueueOptions(deduplication_id="relocate", duplication_policy="return-existing")
        with SetWorkflowID(mine), once:
            found = DBOS.enqueue_workflow(RELOCATION_QUEUE, relocate).workflow_id
        return Relocating(found, found == mine, behind)

    def get(self, workflow_id: str) -> WorkflowRecord:
        """A workflow with its finished steps; raises `NotFound`."""
        found = DBOS.list_workflows(workflow_ids=[workflow_id], load_output=True)
        if not found:
            raise NotFound(f"There is no workflow {workflow_id[:80]}.", hint="`spectra workflows list` shows all.")
        if found[0].name == "wf.relocate":
            return runs.relocation(found[0], DBOS.list_workflow_steps(workflow_id), _HOSTS_STEP)
        for job in self._jobs:
            if found[0].name in job.names:
                return job.told(found[0], DBOS.list_workflow_steps(workflow_id))
        return runs.record(found[0], _steps(workflow_id))

    def newest(self, *, limit: int = 100, status: str = "") -> list[WorkflowRecord]:
        """The newest workflows, without their steps; of one `status` if that is asked for."""
        if status == "failed":
            return self._newest_failed(limit)
        wanted = [name for name, ours in runs.STATUS.items() if ours == status] or None
        found: list[WorkflowRecord] = []
        for offset in itertools.count(0, limit):
            page = self._list(status=wanted, limit=limit, offset=offset)
            found += [r for r in page if status in ("", r.status)]
            if len(page) < limit or len(found) >= limit:
                return found[:limit]
        raise AssertionError

    def _list(self, **wanted: Any) -> list[WorkflowRecord]:
        found = DBOS.list_workflows(sort_desc=True, name=self._names, load_input=False, **wanted)
        return [self._told(workflow) for workflow in found]

    def _told(self, workflow: WorkflowStatus) -> WorkflowRecord:
        """Without its steps; what is under way tells how far it is by them."""
        for job in self._jobs:
            if workflow.name in job.names:
                under_way = workflow.status == "PENDING"
                steps = DBOS.list_workflow_steps(workflow.workflow_id) if under_way else ()
                return msgspec.structs.replace(job.told(workflow, steps), steps=())
        return runs.record(workflow, ())

    def _newest_failed(self, limit: int) -> list[WorkflowRecord]:
        """Those that ended by an error, and those that ended well by finding that nothing can be read."""
        told = observations.failed_workflows(self._ingest.database, limit)
        found = {r.workflow_id: r for r in self._list(status=list(runs.ENDED_BADLY), limit=limit)}
        if told:
            found |= {r.workflow_id: r for r in self._list(workflow_ids=told) if r.status == "failed"}
        return sorted(found.values(), key=lambda r: r.created, reverse=True)[:limit]

    def sweep(self) -> int:
        """Start, or run again, what nobody runs; returns how many (`flow.recovery`)."""
        return self._recovery.sweep()

    def _sweep_forever(self) -> None:
        while not self._stop.wait(_SWEEP_S):
            try:
                self.sweep()
            except Exception:  # noqa: BLE001 - the database is away: the next round finds what this one did not
                _log.warning("sweep failed; it runs again", exc_info=True)


def _steps(workflow_id: str) -> tuple[WorkflowStep, ...]:
    steps: list[WorkflowStep] = []
    for step in DBOS.list_workflow_steps(workflow_id):
        error = step["error"]
        steps.append(WorkflowStep(step["function_name"], str(error) if error else ""))
        if child := step["child_workflow_id"]:
            steps += _steps(child) if step["function_name"] in _NAMES else ()
    return tuple(steps)
