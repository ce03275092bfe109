"""Durable workflows: what is accepted is merged exactly once, whatever dies in between."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Generator, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dbos import DBOS, SetWorkflowID

from spectra.errors import NotFound, SpectraError, Unavailable
from spectra.flow import audit
from spectra.flow.assets import Asset
from spectra.flow.submission import Ingest, Normaliser
from spectra.flow.workflows import Workflows
from spectra.flow.workflows import graph as graph_workflow
from spectra.flow.workflows import scan as scan_workflow
from spectra.model.envelope import Counts, Payload
from spectra.model.records import WorkflowRecord
from spectra.store import observations
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from tests.flow.desk import Clock, Contributor, graph, make_ingest, naabu, rows, samples, settled
from tests.support.databases import another_database
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine

SEEN = datetime(2026, 1, 1, tzinfo=UTC)


class TrueClock(Clock):
    """The machine's clock, which a test may put ahead: workflows are dated by the database's."""

    def __init__(self) -> None:
        super().__init__(datetime.now(UTC))
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def advance(self, by: timedelta) -> None:
        self._ahead += by


@pytest.fixture
def clock() -> Clock:
    """Runs."""
    return TrueClock()


@pytest.fixture
def workflows(ingest: Ingest) -> Iterator[Workflows]:
    """The engine, started."""
    with running(ingest) as engine:
        yield engine


@contextlib.contextmanager
def running(ingest: Ingest) -> Generator[Workflows]:
    """A workflow engine on `ingest`, stopped at the end."""
    engine = Workflows(ingest)
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()


def accept(ingest: Ingest, who: Contributor, engine: Workflows, number: int) -> str:
    """Accept a small scan and start its workflow; returns the observation's id."""
    receipt = ingest.accept(who.envelope(scan(number)))
    engine.enqueue(receipt.observation_id)
    return receipt.observation_id


def scan(number: int) -> bytes:
    """A scan of a host that others share and one of its own."""
    return naabu(("192.0.2.1", 80), (f"198.51.100.{number}", 443), at=SEEN)


def done(engine: Workflows, workflow_id: str) -> WorkflowRecord:
    """The workflow once it has ended."""

    def ended() -> WorkflowRecord | None:
        record = engine.get(workflow_id)
        return record if record.status in ("done", "failed") else None

    record = eventually(ended)
    assert record is not None
    return record


def all_merged(ingest: Ingest) -> bool:
    """Whether nothing is left to do."""
    return not observations.pending(ingest.database)


def assert_exactly_once(ingest: Ingest, ids: list[str]) -> None:
    """Each is merged with its counts, has one acceptance and one outcome on record, and the store is sound."""
    for observation_id in ids:
        record = observations.get(ingest.database, observation_id)
        assert (record.status, record.counts) == ("merged", Counts(hosts=2, endpoints=2)), record
    assert sorted(settled(ingest.database)) == sorted((observation_id, 1) for observation_id in ids)
    assert rows(ingest.database, "SELECT count(*) FROM sighting") == [(2 * len(ids),)]
    report = audit.verify(ingest.database, ingest.blobs, deep=True)
    assert report.ok, report
    assert report.observations == len(ids)


def test_an_accepted_submission_is_merged(ingest: Ingest, alice: Contributor, workflows: Workflows) -> None:
    """Its workflow has the observation's id, tells its steps, and leaves no asset set behind."""
    found = accept(ingest, alice, workflows, 7)
    record = done(workflows, found)
    assert (record.name, record.status, record.observation_id, record.error) == ("wf.scan", "done", found, "")
    own = ("normalise", "enrich", "upsert")
    assert tuple(step.name for step in record.steps if step.name in own) == own
    assert workflows.get(f"{found}-graph").observation_id == found
    assert observations.receipt(ingest.database, found).status == "merged"
    assert rows(ingest.database, "SELECT host(ip) FROM host ORDER BY ip") == [("192.0.2.1",), ("198.51.100.7",)]
    assert_exactly_once(ingest, [found])


def test_both_paths_leave_the_same_graph(
    ingest: Ingest, alice: Contributor, clock: Clock, tmp_path: Path, shared_data: Path, second: Database
) -> None:
    """The same real scans, signed once, by the fast path into one store and by workflows into another: every table of
    the graph, the log, and all that is kept of the submissions are equal.
    """
    envelopes = [alice.envelope(file.read_bytes()) for file in samples(shared_data)[::3]]
    alice.register(second)
    other = make_ingest(second, BlobStore.local(tmp_path / "other"), clock)
    for envelope in envelopes:
        ingest.submit(envelope)
    with running(other) as engine:
        for envelope in envelopes:
            receipt = other.accept(envelope)
            engine.enqueue(receipt.observation_id)
            done(engine, receipt.observation_id)
    ours, theirs = graph(ingest.database), graph(second)
    for table in ours:
        assert ours[table] == theirs[table], table
    for one in (ingest, other):
        assert audit.verify(one.database, one.blobs, deep=True).ok
    other.close()


@pytest.fixture
def second(store_server: str, migrated_template: str) -> Iterator[Database]:
    """Another empty store."""
    with another_database(store_server, migrated_template) as database:
        yield database


def test_what_cannot_be_read_is_settled_as_failed(ingest: Ingest, alice: Contributor, workflows: Workflows) -> None:
    """With the reason, once; the workflow itself has ended and is listed as failed."""
    receipt = ingest.accept(alice.envelope(b"what is this?"))
    workflows.enqueue(receipt.observation_id)
    assert done(workflows, receipt.observation_id).status == "failed"
    failed = observations.receipt(ingest.database, receipt.observation_id)
    assert failed.status == "failed"
    assert failed.error.startswith("unrecognised_format: ")
    assert settled(ingest.database) == [(receipt.observation_id, 1)]
    assert audit.verify(ingest.database, ingest.blobs, deep=True).ok


def test_workflows_are_listed_newest_first(ingest: Ingest, alice: Contributor, workflows: Workflows) -> None:
    """All, or those of one status; a failed one is one that could not read its submission, too."""
    good = [accept(ingest, alice, workflows, n) for n in range(3)]
    bad = ingest.accept(alice.envelope(b"what is this?")).observation_id
    workflows.enqueue(bad)
    for found in [*good, bad]:
        done(workflows, found)
    listed = [w.workflow_id for w in workflows.newest() if w.name == "wf.scan"]
    assert listed == [bad, *reversed(good)]
    assert [w.workflow_id for w in workflows.newest(status="failed")] == [bad]
    done_ones = workflows.newest(status="done")
    assert {w.workflow_id for w in done_ones} == {
        f"{found}{part}" for found in good for part in ("", "-enrich", "-graph")
    }
    # By time, for parts of two submissions may begin in the same millisecond: either is the newest then.
    assert [w.created for w in done_ones] == sorted((w.created for w in done_ones), reverse=True)
    assert workflows.newest(status="done", limit=1)[0].created == done_ones[0].created
    assert workflows.newest(status="pending") == workflows.newest(status="running") == []
    assert len(workflows.newest(limit=2)) == 2


def test_a_workflow_that_is_not_there_is_not_found(workflows: Workflows) -> None:
    """The message repeats no more than 80 characters of what was asked for."""
    with pytest.raises(NotFound) as caught:
        workflows.get("x" * 500)
    assert len(caught.value.message) < 120


def test_a_workflow_is_started_once(ingest: Ingest, alice: Contributor, workflows: Workflows) -> None:
    """However often it is enqueued, also after it has ended."""
    found = ingest.accept(alice.envelope(scan(7))).observation_id
    for _ in range(3):
        workflows.enqueue(found)
    done(workflows, found)
    workflows.enqueue(found)
    assert workflows.sweep() == 0
    assert_exactly_once(ingest, [found])


def test_what_has_no_workflow_is_swept_up(
    ingest: Ingest, alice: Contributor, workflows: Workflows, clock: Clock
) -> None:
    """A process that dies between accepting and starting leaves a submission without workflow: after a moment's grace
    one is started.
    """
    found = ingest.accept(alice.envelope(scan(7))).observation_id
    assert workflows.sweep() == 0  # its own process may be about to start it
    clock.advance(timedelta(seconds=10))
    assert workflows.sweep() == 1 or not all_merged(ingest)  # or the engine's own sweep came first
    eventually(lambda: all_merged(ingest))
    done(workflows, found)
    assert_exactly_once(ingest, [found])


@pytest.mark.parametrize("who", ["scan", "graph"])
def test_a_workflow_that_lost_its_thread_is_run(
    ingest: Ingest, alice: Contributor, workflows: Workflows, clock: Clock, who: str
) -> None:
    """When the database dies at the wrong moment the engine forgets a workflow that it had marked as running: nothing
    of this process runs it, so the sweep starts it again. Shown by marking one so that nobody ever began.
    """
    found = ingest.accept(alice.envelope(scan(7))).observation_id
    with SetWorkflowID(found):
        DBOS.enqueue_workflow("nobody-listens", scan_workflow, found)
    if who == "graph":  # the parent waits for a child that nobody runs
        with SetWorkflowID(f"{found}-graph"):
            DBOS.enqueue_workflow("nobody-listens", graph_workflow, found, {"blob": "", "outcome": [], "problems": 0})
    with ingest.database.connection() as connection:
        connection.execute("UPDATE dbos.workflow_status SET status = 'PENDING' WHERE queue_name = 'nobody-listens'")
    assert workflows.sweep() == 0  # somebody may be about to begin
    clock.advance(timedelta(minutes=1))
    assert workflows.sweep() == (2 if who == "graph" else 1)
    if who == "graph":  # its made-up asset set cannot be read: both end, and run again from the first step
        assert done(workflows, found).error
        clock.advance(timedelta(hours=1))
        eventually(lambda: workflows.sweep() or all_merged(ingest))
    eventually(lambda: all_merged(ingest))
    assert_exactly_once(ingest, [found])


class Troubled(BlobStore):
    """A blob store that is away the first `times` times that something is read."""

    times = 0
    error: SpectraError = Unavailable("away")

    def get(self, digest: bytes) -> bytes:
        if self.times:
            self.times -= 1
            raise self.error
        return super().get(digest)


@pytest.fixture
def troubled(tmp_path: Path) -> Troubled:
    """On a folder of its own."""
    return Troubled(BlobStore.local(tmp_path / "troubled")._store, tmp_path / "troubled")


def test_passing_trouble_is_waited_out(
    database: Database, troubled: Troubled, alice: Contributor, clock: Clock
) -> None:
    """A step whose engine is away runs again by itself."""
    ingest = make_ingest(database, troubled, clock)
    troubled.times = 2
    with running(ingest) as engine:
        found = accept(ingest, alice, engine, 7)
        assert done(engine, found).status == "done"
    assert_exactly_once(ingest, [found])
    ingest.close()


def test_a_workflow_that_ended_badly_is_resumed(
    database: Database, troubled: Troubled, alice: Contributor, clock: Clock
) -> None:
    """Trouble that no retry of a step would end ends the workflow; the sweep resumes it, and then it is gone."""
    ingest = make_ingest(database, troubled, clock)
    troubled.error = NotFound("gone for a moment")
    troubled.times = 1
    with running(ingest) as engine:
        found = accept(ingest, alice, engine, 7)
        assert done(engine, found).error
        assert [w.workflow_id for w in engine.newest(status="failed")] == [found]
        clock.advance(timedelta(seconds=10))
        eventually(engine.sweep)
        eventually(lambda: engine.get(found).status == "done")
    assert_exactly_once(ingest, [found])
    ingest.close()


@pytest.mark.slow
def test_an_outage_longer_than_a_steps_patience(
    database: Database, troubled: Troubled, alice: Contributor, clock: Clock
) -> None:
    """A step tries six times in 15 s and its workflow ends; that is run again until the engine is back."""
    ingest = make_ingest(database, troubled, clock)
    troubled.times = 1000
    with running(ingest) as engine:
        found = accept(ingest, alice, engine, 7)
        assert "maximum of 6 retries" in done(engine, found).error
        with database.connection() as connection:
            connection.execute("UPDATE observation SET attempts = 50")  # as after some hours of this
        troubled.times = 0
        clock.advance(timedelta(hours=1))
        eventually(lambda: engine.sweep() or all_merged(ingest))
        eventually(lambda: engine.get(found).status == "done")
    assert_exactly_once(ingest, [found])
    ingest.close()


@pytest.mark.parametrize("part", ["enrich", "graph"])
def test_a_child_is_resumed_too(
    database: Database, troubled: Troubled, alice: Contributor, clock: Clock, part: str
) -> None:
    """It keeps its own record of having failed."""
    troubled.error = NotFound("gone for a moment")
    chances = [1]

    class Once(Ingest):
        """Loses sight of the asset set once, after the raw output was read or after facts were added."""

        def normalise(self, payload: Payload, received: datetime) -> Normaliser:
            self.trouble("enrich")
            return super().normalise(payload, received)

        def enrich(self, assets: Iterable[Asset]) -> Iterator[Asset]:
            yield from super().enrich(assets)
            self.trouble("graph")

        def trouble(self, before: str) -> None:
            if before == part:
                troubled.times = chances.pop() if chances else 0

    ingest = make_ingest(database, troubled, clock, Once)
    with running(ingest) as engine:
        found = accept(ingest, alice, engine, 7)
        assert done(engine, found).error
        assert {w.workflow_id for w in engine.newest(status="failed")} == {found, f"{found}-{part}"}
        clock.advance(timedelta(seconds=10))
        eventually(engine.sweep)
        eventually(lambda: engine.get(found).status == "done")
    assert_exactly_once(ingest, [found])
    ingest.close()


def test_what_never_works_is_given_up(database: Database, troubled: Troubled, alice: Contributor, clock: Clock) -> None:
    """After a few resumptions the submission is settled as failed, with the reason; its raw bytes stay."""
    ingest = make_ingest(database, troubled, clock)
    troubled.error = NotFound("gone for good")
    troubled.times = 1000
    with running(ingest) as engine:
        found = accept(ingest, alice, engine, 7)
        clock.advance(timedelta(hours=1))
        eventually(lambda: not engine.sweep() and all_merged(ingest))
    troubled.times = 0
    failed = observations.receipt(database, found)
    assert failed.status == "failed"
    assert "gone for good" in failed.error
    assert settled(database) == [(found, 1)]
    assert audit.verify(database, troubled, deep=True).ok
    ingest.close()


def test_an_engine_that_is_not_there_is_logged(
    ingest: Ingest, alice: Contributor, caplog: pytest.LogCaptureFixture
) -> None:
    """The submission is accepted all the same: a later sweep starts its workflow."""
    found = ingest.accept(alice.envelope(scan(7))).observation_id
    with caplog.at_level(logging.WARNING, logger="spectra.flow"):
        Workflows(ingest).enqueue(found)
    assert "could not be started yet" in caplog.text
    assert [p.observation_id for p in observations.pending(ingest.database)] == [found]
