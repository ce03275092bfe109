"""`wf.vuln_vectorize`: told with its progress, one at a time, and gone on with after kill -9 wherever it was."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import psycopg
import pytest

from spectra.flow.embedservice import Place, Service
from spectra.flow.similar import Similar
from spectra.flow.submission import Ingest
from spectra.flow.vectorflow import Vectors
from spectra.flow.vectorjob import VectorJob
from spectra.flow.workflows import Workflows
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from tests.flow.desk import Clock, rows
from tests.flow.embeddings import FakeEmbedder, serving
from tests.flow.test_faults import ROOT, until_here
from tests.flow.test_vectorflow import TEXTS, held, ready
from tests.flow.test_workflows import TrueClock, done
from tests.flow.vectorvictim import Orders
from tests.store.wordy import Wordy
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine


@pytest.fixture
def clock() -> Clock:
    """Runs."""
    return TrueClock()


@pytest.fixture
def wordy(database: Database) -> Wordy:
    """Tells of CVEs."""
    return Wordy(database)


def vectors_of(ingest: Ingest, blobs: BlobStore, service: Service | None = None) -> Vectors:
    """With small bounds."""
    return Vectors(
        ingest.database, blobs, clock=ingest.clock, service=service, batch=100, learn_from=300, index_from=200
    )


@contextlib.contextmanager
def engine(ingest: Ingest, vectors: Vectors) -> Generator[tuple[Workflows, VectorJob]]:
    """A workflow engine that makes vectors, stopped at the end."""
    job = VectorJob(vectors)
    workflows = Workflows(ingest, jobs=[job])
    workflows.start()
    try:
        yield workflows, job
    finally:
        workflows.stop()


def test_the_workflow_brings_vectors_up_to_date(ingest: Ingest, blobs: BlobStore, wordy: Wordy) -> None:
    """Told with how many texts it looked at, of how many; there is nothing to do for the next one."""
    wordy.tell_all(TEXTS[:250])
    vectors = vectors_of(ingest, blobs)
    with engine(ingest, vectors) as (workflows, job):
        begun = job.start()
        assert (begun.started, begun.behind) == (True, 250)
        record = done(workflows, begun.workflow_id)
        assert (record.name, record.status, record.done, record.total) == ("wf.vuln_vectorize", "done", 250, 250)
        assert [step.name for step in record.steps] == [
            "choose the embedder",
            "embed texts",
            "build the index",
            "have it answer",
            "remove what is past",
        ]
        assert record.observation_id == ""
        assert held(ingest.database) == {1: 250}
        assert ready(vectors).indexed
        again = job.start(anew=True)
        assert again.behind == 0
        assert done(workflows, again.workflow_id).done == 250
        assert held(ingest.database) == {2: 250}
        assert [w.name for w in workflows.newest()] == ["wf.vuln_vectorize"] * 2


def test_without_a_text_there_is_nothing_to_do(ingest: Ingest, blobs: BlobStore) -> None:
    """It ends well, and makes no embedder."""
    with engine(ingest, vectors_of(ingest, blobs)) as (workflows, job):
        record = done(workflows, job.start().workflow_id)
    assert (record.status, record.total) == ("done", 0)
    assert rows(ingest.database, "SELECT count(*) FROM embedder") == [(0,)]


@pytest.fixture
def fake() -> Iterator[FakeEmbedder]:
    """A fake embedder over HTTP."""
    with serving(FakeEmbedder()) as one:
        yield one


def test_one_at_a_time_and_the_old_answers_meanwhile(
    ingest: Ingest, blobs: BlobStore, wordy: Wordy, fake: FakeEmbedder
) -> None:
    """While a service fills the new vectors, asking again tells of that workflow, and answers are by the old ones."""
    wordy.tell_all(TEXTS[:250])
    vectors_of(ingest, blobs).vectorize()
    vectors = vectors_of(ingest, blobs, Service(Place(fake.url, "fake-model", batch=50)))
    similar = Similar(vectors)
    with engine(ingest, vectors) as (workflows, job):
        with ingest.database.connection() as holder, holder.transaction():
            holder.execute("SELECT FROM vuln WHERE num = 150 FOR UPDATE")  # the second batch has to wait
            begun = job.start()
            eventually(lambda: workflows.get(begun.workflow_id).done == 100)
            second = job.start()
            assert (second.workflow_id, second.started) == (begun.workflow_id, False)
            page = similar.to_text(TEXTS[7][1], 3)
            assert (page.embedder, page.similar[0].cve) == ("hashed-1", TEXTS[7][0])
        assert done(workflows, begun.workflow_id).status == "done"
    page = similar.to_text(TEXTS[7][1], 3)
    assert (page.embedder, page.similar[0].cve) == ("fake-model", TEXTS[7][0])
    assert (page.similar[0].vector_rank, page.similar[0].cosine) == (1, pytest.approx(1, abs=1e-3))


@contextlib.contextmanager
def victim(orders: Orders) -> Generator[None]:
    """A coordinator that has come to its point; killed at the end."""
    command = [sys.executable, "-m", "tests.flow.vectorvictim", msgspec.json.encode(orders).decode()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            list(until_here(iter(process.stdout.readline, "")))
            yield
        finally:
            process.kill()
    assert process.returncode == -signal.SIGKILL


@pytest.mark.fault
@pytest.mark.parametrize("stop", ["planned", "making", "written", "indexed", "switched"])
def test_a_killed_process_is_gone_on_with(
    ingest: Ingest, blobs: BlobStore, wordy: Wordy, tmp_path: Path, stop: str
) -> None:
    """With the embedder learned, between two batches, with a batch written, with the index made, and after the switch:
    the next process goes on by itself, nothing is made twice, and the old vectors answer until the new ones do.
    """
    wordy.tell_all(TEXTS[:250])
    vectors = vectors_of(ingest, blobs)
    vectors.vectorize()
    wordy.tell_all(TEXTS[250:])
    with victim(Orders(ingest.database.url, str(tmp_path / "blobs"), stop)):
        page = Similar(vectors).to_text(TEXTS[7][1], 3)
        assert page.embedder == ("lsa-1" if stop == "switched" else "hashed-1")
        assert page.similar[0].cve == TEXTS[7][0]
    with engine(ingest, vectors) as (workflows, _):
        found = workflows.newest()
        assert len(found) == 1
        record = done(workflows, found[0].workflow_id)
    assert (record.status, record.done, record.total) == ("done", len(TEXTS), len(TEXTS))
    now = ready(vectors)
    assert (now.id, now.kind, now.indexed, now.done) == (2, "learned", True, len(TEXTS))
    assert held(ingest.database) == {2: len(TEXTS)}
    assert not vectors.is_due()


@pytest.mark.fault
def test_a_workflow_that_lost_its_thread_is_found(ingest: Ingest, blobs: BlobStore, wordy: Wordy, clock: Clock) -> None:
    """The sweep runs it again after a while, and it goes on where it was."""
    wordy.tell_all(TEXTS[:50])
    vectors = vectors_of(ingest, blobs)
    with engine(ingest, vectors) as (workflows, job):
        first = done(workflows, job.start().workflow_id)
        with psycopg.connect(ingest.database.url, autocommit=True) as admin:
            admin.execute(
                "UPDATE dbos.workflow_status SET status = 'PENDING', output = NULL WHERE workflow_uuid = %s",
                [first.workflow_id],
            )
        assert workflows.sweep() == 0
        clock.advance(timedelta(hours=1))
        assert workflows.sweep() == 1
        assert done(workflows, first.workflow_id).done == 50


def test_a_service_that_refuses_fails_the_workflow(
    ingest: Ingest, blobs: BlobStore, wordy: Wordy, fake: FakeEmbedder
) -> None:
    """With what it said; what answered before goes on answering."""
    wordy.tell_all(TEXTS[:20])
    vectors_of(ingest, blobs).vectorize()
    fake.fail = lambda number: (401, {}, b"who are you?")
    vectors = vectors_of(ingest, blobs, Service(Place(fake.url, "fake-model")))
    with engine(ingest, vectors) as (workflows, job):
        record = done(workflows, job.start().workflow_id)
        assert record.status == "failed"
        assert "who are you?" in record.error
    assert ready(vectors).kind == "hashed"
