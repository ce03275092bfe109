"""`wf.ai_engine`: a report whose sections hold, are repaired, or wait for a person; and kill -9 in the middle of it."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import msgspec
import pytest

from spectra.errors import NotFound
from spectra.flow.reportflow import ReportJob
from spectra.flow.submission import Ingest
from spectra.flow.workflows import Workflows
from spectra.model.reports import Finish, ReportRecord, Statement
from spectra.model.summaries import Target
from spectra.store import reports
from spectra.store.accounts import Act
from spectra.store.blobs import BlobStore
from tests.ai.retrieval.town import Town
from tests.flow.desk import Clock
from tests.flow.reportdesk import TARGET, Orders, answer, gateway_of, job_of
from tests.flow.test_faults import ROOT, until_here
from tests.flow.test_workflows import TrueClock, done
from tests.support.llms import FaultyModel, Reply
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine

STEPS = ["collect facts", "ask a model", "write it"]


@pytest.fixture
def clock() -> Clock:
    """Runs."""
    return TrueClock()


@pytest.fixture(autouse=True)
def town(ingest: Ingest) -> Town:
    """What reports are on."""
    return Town(ingest.database)


@pytest.fixture
def model() -> Iterator[FaultyModel]:
    """A model that says what it is told to."""
    with FaultyModel("scripted") as one:
        yield one


@contextlib.contextmanager
def engine(ingest: Ingest, blobs: BlobStore, folder: Path, model: str, **bounds: int) -> Generator[ReportJob]:
    """A coordinator that makes reports."""
    gateway = gateway_of(ingest.database, folder, model, ingest.clock)
    job = job_of(ingest.database, blobs, gateway, ingest.clock, **bounds)
    workflows = Workflows(ingest, jobs=[job])
    workflows.start()
    job.workflows = workflows  # type: ignore[attr-defined]
    try:
        yield job
    finally:
        gateway.close()
        workflows.stop()


def made(job: ReportJob, target: Target = TARGET, question: str = "") -> ReportRecord:
    """A report of `target`, when it has ended."""
    report = job.ask(target, "full", question, Act("alice", job.reporter.clock())).id
    return ended(job, report)


def ended(job: ReportJob, report: str) -> ReportRecord:
    """The report, when its workflow has ended."""
    eventually(lambda: reports.get(job.reporter.database, report).state not in ("waiting", "running"))
    done(job.workflows, report)  # type: ignore[attr-defined]
    return reports.get(job.reporter.database, report)


def test_a_model_writes_it(ingest: Ingest, blobs: BlobStore, tmp_path: Path, model: FaultyModel) -> None:
    """Its sections cite records, the tables are facts, and the document hashes to what is on record."""
    model.say(answer())
    with engine(ingest, blobs, tmp_path, model.url) as job:
        report = made(job, question="What about ssh?")
        assert (report.state, report.by, report.attempts, report.version) == ("done", "model", 1, 1)
        assert (report.hosts, report.scans, report.provider) == (1, 1, "local")
        workflow = job.workflows.get(report.id)  # type: ignore[attr-defined]
        assert ([step.name for step in workflow.steps], workflow.done) == (STEPS, 1)
        document = job.reporter.document(report.id)
        assert {section.by for section in document.sections} == {"model"}
        assert document.sections[0].statements[0].cites[0] in {record.id for record in document.records}
        assert {line.port for line in document.tables.services} == {22, 443, 8080}
        assert document.tables.findings[0].kev is not None
    asked = model.requests[0].body.decode()
    assert "What about ssh?" in asked
    assert "[F1]" in asked


def test_what_does_not_hold_is_repaired_with_the_reasons(
    ingest: Ingest, blobs: BlobStore, tmp_path: Path, model: FaultyModel
) -> None:
    """The next attempt is told what did not hold; every attempt is kept with what was said. A model that refuses the
    request itself is not asked again.
    """
    model.say("I cannot do that.")  # the gateway gives nothing back of what is no JSON: it is asked for in words then
    model.say("I cannot do that.")
    model.say(answer(cites="F999"))
    model.say(answer())
    with engine(ingest, blobs, tmp_path, model.url) as job:
        report = made(job)
        assert (report.state, report.by, report.attempts) == ("done", "model", 4)
        detail, tried = reports.detail(ingest.database, report.id)
        assert [bool(attempt.reasons) for attempt in detail.tries] == [True, True, True, False]
        assert tried[0].answer == b""
        assert blobs.get(tried[1].answer) == b"I cannot do that."
        model.mode = "refusing"
        refused = made(job)
        assert (refused.state, refused.attempts) == ("incomplete", 1)
        assert "refuses" in refused.why
    bodies = [request.body.decode() for request in model.requests]
    assert "It is not one JSON object" in bodies[2]
    assert "it cites what is not the reference of a fact" in bodies[3]
    assert not any("I cannot do that." in body for body in bodies)


def test_after_all_attempts_a_person_finishes_it(
    ingest: Ingest, blobs: BlobStore, tmp_path: Path, model: FaultyModel
) -> None:
    """Nothing is lost: rules wrote the sections, and the queue has facts, what was asked, answers and reasons."""
    for number in range(5):
        model.say(answer(cites="F999") if number == 0 else f'{{"No.": {number}}}')
    with engine(ingest, blobs, tmp_path, model.url) as job:
        report = made(job)
        assert (report.state, report.by, report.attempts) == ("incomplete", "rules", 5)
        assert "No answer of 5 held" in report.why
        review = job.reporter.review(report.id)
        assert len(review.report.tries) == 5
        assert review.report.tries[0].answer == answer(cites="F999")
        assert review.report.tries[4].answer == '{"No.": 4}'
        assert all(section.statements for section in review.document.sections if section.id == "summary")
        assert {"summary", "risks"} <= review.schema["properties"].keys()
        assert review.facts[0].ref == "F1"
        assert "443" in " ".join(fact.text for fact in review.facts)
        said = Statement("I looked at it myself.", (review.facts[0].ref,))
        new = job.reporter.finish(
            report.id, f"report-{'0' * 20}", Finish(sections={"summary": (said,)}), Act("bob", ingest.clock())
        )
        assert (new.version, new.by, new.state, new.account) == (2, "person", "done", "bob")
        document = job.reporter.document(new.id)
        assert {section.id: section.by for section in document.sections}["summary"] == "person"
        assert {section.id: section.by for section in document.sections}["risks"] == "rules"
        assert (document.version, document.by, document.complete) == (2, "person", True)
        assert reports.get(ingest.database, report.id).state == "finished"


def test_without_a_model_the_rules_write_it(ingest: Ingest, blobs: BlobStore, tmp_path: Path) -> None:
    """That is a whole report, and says so; one that nothing answers for is incomplete after all attempts."""
    with engine(ingest, blobs, tmp_path, "") as job:
        report = made(job)
        assert (report.state, report.by, report.attempts) == ("done", "rules", 0)
        assert report.why
        document = job.reporter.document(report.id)
        assert (document.complete, {section.by for section in document.sections}) == (True, {"rules"})
    with FaultyModel("broken") as away, engine(ingest, blobs, tmp_path, away.url, attempts=2) as job:
        report = made(job)
        assert (report.state, report.by, report.attempts) == ("incomplete", "rules", 2)
        assert "No model answered in 2 attempts" in report.why


def test_a_target_that_is_gone_fails_the_report(ingest: Ingest, blobs: BlobStore, tmp_path: Path) -> None:
    """An unknown one is refused at once; one that is gone by then has no document, and says why."""
    with engine(ingest, blobs, tmp_path, "") as job:
        with pytest.raises(NotFound):
            made(job, Target("ip", "192.0.2.99"))
        report = reports.ask(
            ingest.database, Target("query", "port:9"), "full", "", Act("alice", ingest.clock())
        ).id  # by a process that died before it had it begun
        eventually(lambda: job.sweep() or reports.get(ingest.database, report).state == "failed", within_s=30)
        record = ended(job, report)
    assert (record.state, record.sha256) == ("failed", "")
    assert "Nothing matches" in record.why


def test_a_node_that_ends_loses_no_attempt(
    ingest: Ingest, blobs: BlobStore, tmp_path: Path, model: FaultyModel
) -> None:
    """The request that was under way is cancelled; the next start makes that attempt anew."""
    model.mode = "slow"
    with engine(ingest, blobs, tmp_path, model.url) as job:
        report = job.ask(TARGET, "full", "", Act("alice", ingest.clock())).id
        assert model.arrived.acquire(timeout=60)
    assert reports.get(ingest.database, report).state == "running"
    with FaultyModel() as other:
        other.say(answer())
        with engine(ingest, blobs, tmp_path, other.url) as job:
            record = ended(job, report)
    assert (record.state, record.by, record.attempts) == ("done", "model", 1)


@pytest.mark.fault
def test_a_killed_process_is_gone_on_with(ingest: Ingest, blobs: BlobStore, tmp_path: Path, model: FaultyModel) -> None:
    """Killed while the second answer is waited for: the next process asks for that one again, and for nothing else."""
    model.say(answer(cites="F999"))
    model.script.append(lambda _: _waits(model))
    orders = Orders(ingest.database.url, str(tmp_path), model.url)
    command = [sys.executable, "-m", "tests.flow.reportdesk", msgspec.json.encode(orders).decode()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            list(until_here(iter(process.stdout.readline, "")))
            assert model.arrived.acquire(timeout=60)
            assert model.arrived.acquire(timeout=60)
        finally:
            process.kill()
    assert process.returncode == -signal.SIGKILL
    report = reports.page(ingest.database)[0][0]
    assert (report.state, report.attempts) == ("running", 1)
    model.free()
    model.say(answer())
    with engine(ingest, blobs, tmp_path, model.url) as job:
        record = ended(job, report.id)
        assert (record.state, record.by, record.attempts) == ("done", "model", 2)
        detail, _ = reports.detail(ingest.database, report.id)
        assert [bool(attempt.reasons) for attempt in detail.tries] == [True, False]
        assert job.reporter.document(report.id).sections
    assert len(model.requests) == 3
    assert "it cites what is not the reference of a fact" in model.requests[2].body.decode()


def _waits(model: FaultyModel) -> Reply:
    """Says nothing until nobody listens any more."""
    model.freed.wait(60)
    return Reply("too late")
