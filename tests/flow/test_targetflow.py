"""`wf.target`: what a machine's signed result becomes, once, whatever dies meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from dbos import DBOS, SetWorkflowID

from spectra.errors import NotFound, SpectraError, Unavailable
from spectra.flow.correlation import Correlation
from spectra.flow.results import Next, Results
from spectra.flow.submission import Ingest
from spectra.flow.targetflow import TargetJob, settle_target, workflow_id
from spectra.flow.targets import Targets
from spectra.flow.workflows import Workflows
from spectra.model.records import ObservationRecord, WorkflowRecord
from spectra.model.work import TargetRecord
from spectra.store import jobs, observations
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from tests.flow.desk import Clock, make_ingest, naabu, rows, settled
from tests.flow.harvest import TERMS, Harvest, Worker
from tests.flow.test_workflows import TrueClock
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine


@pytest.fixture
def clock() -> Clock:
    """The machine's: the engine dates workflows by it."""
    return TrueClock()


class Desk:
    """An engine that reads results, and a machine that has leases."""

    def __init__(self, harvest: Harvest, job: TargetJob, engine: Workflows, results: Results) -> None:
        self.harvest = harvest
        self.job = job
        self.engine = engine
        self.results = results
        self.worker = harvest.worker()

    def sent(self, output: bytes = b"", **said: Any) -> tuple[int, str]:
        """A result that was taken in: its target and lease."""
        leased = self.harvest.given(self.worker)
        observations = [self.harvest.observation(self.worker, output)] if output else None
        self.results.take(self.worker.peer, self.harvest.bundle(self.worker, leased, observations, **said))
        return leased.target, leased.lease

    def ended(self, target: int, lease: str) -> WorkflowRecord:
        """The workflow once it has ended."""

        def look() -> WorkflowRecord | None:
            with contextlib.suppress(NotFound):
                record = self.engine.get(workflow_id(target, lease))
                return record if record.status in ("done", "failed") else None
            return None

        record = eventually(look)
        assert record is not None
        return record

    def target(self, number: int) -> TargetRecord:
        """A target as it stands."""
        return jobs.target(self.harvest.database, number)


@contextlib.contextmanager
def running(folder: Path, ingest: Ingest, clock: Clock, *, started: bool = True) -> Generator[Desk]:
    """An engine; without `started`, nobody begins the workflows of results, as where a process died before it could."""
    harvest = Harvest(folder, ingest, clock)
    job = TargetJob(Targets(ingest, Correlation(ingest.database), terms=TERMS, woken=harvest.begun.wake))
    engine = Workflows(ingest, jobs=[job])
    start = job.start if started else harvest.results._next.target
    results = harvest.taking(Next(start, engine.enqueue, harvest.begun.wake))
    engine.start()
    try:
        yield Desk(harvest, job, engine, results)
    finally:
        engine.stop()


def test_a_result_becomes_part_of_the_graph(tmp_path: Path, ingest: Ingest, clock: Clock) -> None:
    """Its workflow tells every step of the target's way, and the target is done with what was found."""
    with running(tmp_path, ingest, clock) as desk:
        target, lease = desk.sent()
        record = desk.ended(target, lease)
        assert (record.name, record.status, record.error) == ("wf.target", "done", "")
        assert [step.name for step in record.steps] == ["plan", "lease", "result", "ingest", "findings", "settle"]
        done = desk.target(target)
        assert (done.state, done.found, done.findings, done.workflow_id) == ("done", 1, 0, workflow_id(target, lease))
        assert rows(ingest.database, "SELECT host(ip) FROM host") == [("192.0.2.1",)]
        assert rows(ingest.database, "SELECT count(*) FROM service WHERE software IS NULL") == [(0,)]  # judged
        assert [w.name for w in desk.engine.newest()] == ["wf.target"]
        desk.job.start(target, lease)  # once more is no news
        assert desk.engine.sweep() == 0


def test_what_nobody_began_is_swept_up(tmp_path: Path, ingest: Ingest, clock: Clock) -> None:
    """A process that dies between storing a result and reading it leaves a row: any sweep begins its workflow, once."""
    with running(tmp_path, ingest, clock, started=False) as desk:
        target, lease = desk.sent()
        assert desk.job.sweep() == 0  # its own process may be about to begin
        clock.advance(timedelta(minutes=1))
        eventually(lambda: desk.job.sweep() or desk.target(target).state == "done")
        desk.ended(target, lease)
        assert desk.job.sweep() == 0
        assert [count for _, count in settled(ingest.database)] == [1]


def test_a_partial_result_is_kept_and_the_target_waits_again(tmp_path: Path, ingest: Ingest, clock: Clock) -> None:
    """And whoever hands out targets is told."""
    with running(tmp_path, ingest, clock) as desk:
        target, lease = desk.sent(outcome="partial", reason="deadline")
        assert desk.ended(target, lease).status == "done"
        assert desk.target(target).state == "waiting"
        assert desk.harvest.begun.woken >= 1
        assert rows(ingest.database, "SELECT count(*) FROM host") == [(1,)]


def test_a_workflow_that_lost_its_thread_is_run(tmp_path: Path, ingest: Ingest, clock: Clock) -> None:
    """As one of a coordinator that was killed: the engine holds it for running, and nobody runs it."""
    with running(tmp_path, ingest, clock, started=False) as desk:
        target, lease = desk.sent()
        with SetWorkflowID(workflow_id(target, lease)):
            DBOS.enqueue_workflow("nobody-listens", settle_target, target, lease)
        with ingest.database.connection() as connection:
            connection.execute("UPDATE dbos.workflow_status SET status = 'PENDING', executor_id = 'another'")
        assert desk.engine.sweep() == 0
        clock.advance(timedelta(minutes=5))
        eventually(lambda: desk.engine.sweep() or desk.target(target).state == "done")
        assert desk.ended(target, lease).status == "done"


class Troubled(Ingest):
    """Cannot merge the first `times` times."""

    times = 0
    error: SpectraError = Unavailable("away")

    def merge(self, observation_id: str) -> ObservationRecord:
        if self.times:
            self.times -= 1
            raise self.error
        return super().merge(observation_id)


@pytest.fixture
def troubled(database: Database, blobs: BlobStore, clock: Clock) -> Generator[Troubled]:
    """An ingest in trouble."""
    made = make_ingest(database, blobs, clock, Troubled)
    assert isinstance(made, Troubled)
    yield made
    made.close()


def test_passing_trouble_is_waited_out(tmp_path: Path, troubled: Troubled, clock: Clock) -> None:
    """A step whose engine is away runs again by itself."""
    troubled.times = 2
    with running(tmp_path, troubled, clock) as desk:
        target, lease = desk.sent()
        assert desk.ended(target, lease).status == "done"
        assert desk.target(target).state == "done"


def test_a_workflow_that_ended_badly_runs_again(tmp_path: Path, troubled: Troubled, clock: Clock) -> None:
    """Trouble that no retry of a step ends, ends the workflow; the sweep has it run from its first step."""
    troubled.times, troubled.error = 1, NotFound("gone for a moment")
    with running(tmp_path, troubled, clock) as desk:
        target, lease = desk.sent()
        assert "gone for a moment" in desk.ended(target, lease).error
        assert desk.job.sweep() == 0
        clock.advance(timedelta(minutes=1))
        eventually(lambda: desk.job.sweep() or desk.target(target).state == "done")
        assert desk.ended(target, lease).status == "done"


def test_what_never_works_goes_to_review(tmp_path: Path, troubled: Troubled, clock: Clock) -> None:
    """With the reason, for a person to look at; nothing is tried for ever."""
    troubled.times, troubled.error = 1000, NotFound("gone for good")
    with running(tmp_path, troubled, clock) as desk:
        target, lease = desk.sent()
        assert desk.ended(target, lease).error
        clock.advance(timedelta(hours=1))
        desk.engine.sweep()
        found = desk.target(target)
        assert found.state == "review"
        assert "gone for good" in found.reason


def test_many_results_at_once_are_all_read(tmp_path: Path, ingest: Ingest, clock: Clock) -> None:
    """More than there are threads, all of the same host: each ends once."""
    count = 24
    with running(tmp_path, ingest, clock) as desk:
        worker: Worker = desk.worker
        desk.harvest.job(*(f"192.0.2.{n}" for n in range(1, count + 1)))
        for leased in desk.harvest.lease(worker, count):
            output = naabu((leased.targets[0], 80), at=clock())
            observation = desk.harvest.observation(worker, output)
            desk.results.take(worker.peer, desk.harvest.bundle(worker, leased, [observation]))
        eventually(lambda: rows(ingest.database, "SELECT count(*) FROM target WHERE state = 'done'") == [(count,)])
        assert [n for _, n in settled(ingest.database)] == [1] * count
        assert not observations.pending(ingest.database)
