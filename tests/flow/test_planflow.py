"""`wf.plan_scan`: a schedule's stale endpoints become one job each time it is due."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from spectra.errors import NotFound
from spectra.flow.law import Law
from spectra.flow.orders import Rules
from spectra.flow.planflow import PlanJob, Planner, job_of, workflow_id
from spectra.flow.submission import Ingest
from spectra.flow.work import Bounds, Work
from spectra.flow.workflows import Workflows
from spectra.model.lifetimes import Lifetimes
from spectra.model.records import WorkflowRecord
from spectra.model.work import Schedule
from spectra.store import jobs, schedules
from spectra.store.accounts import Act
from spectra.store.plans import KEEPING
from tests.flow.desk import Clock, Contributor, naabu
from tests.flow.harvest import TERMS, NoSystems
from tests.flow.test_workflows import TrueClock
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine

DAILY = Schedule(
    name="daily", query="net:192.0.2.0/24", every_s=86400, consent="ticket 1", min_age_s=60, allow=("192.0.2.0/24",)
)


@pytest.fixture
def clock() -> Clock:
    """The machine's."""
    return TrueClock()


class Desk:
    """An engine that runs schedules."""

    def __init__(self, ingest: Ingest, clock: Clock) -> None:
        self.database = ingest.database
        self.clock = clock
        law = Law(self.database, NoSystems(), clock=clock)
        self.work = Work(self.database, law, Rules(TERMS, 3600.0, ()), Bounds(), clock=clock)
        self.job = PlanJob(Planner(self.database, self.work, clock, Lifetimes(), KEEPING))
        self.engine = Workflows(ingest, jobs=[self.job])

    @property
    def act(self) -> Act:
        """An admin, now."""
        return Act("alice", self.clock())

    def put(self, schedule: Schedule = DAILY) -> Schedule:
        """A schedule that is due at once."""
        return schedules.put(self.database, schedule, self.act)

    def ended(self, schedule: Schedule) -> WorkflowRecord:
        """The run that is due, once it has ended."""
        self.job.sweep()
        name = workflow_id(schedule)

        def look() -> WorkflowRecord | None:
            with contextlib.suppress(NotFound):
                record = self.engine.get(name)
                return record if record.status in ("done", "failed") else None
            return None

        record = eventually(look)
        assert record is not None
        return record


@contextlib.contextmanager
def running(ingest: Ingest, clock: Clock) -> Generator[Desk]:
    """Started, and stopped at the end."""
    desk = Desk(ingest, clock)
    desk.engine.start()
    try:
        yield desk
    finally:
        desk.engine.stop()


@pytest.fixture
def desk(ingest: Ingest, clock: Clock, tmp_path: Path) -> Iterator[Desk]:
    """An engine."""
    with running(ingest, clock) as made:
        yield made


def seen(ingest: Ingest, who: Contributor, clock: Clock) -> None:
    """Two endpoints that were looked at an hour ago."""
    output = naabu(("192.0.2.1", 80), ("192.0.2.2", 443), at=clock() - timedelta(hours=1))
    ingest.submit(who.envelope(output))


def test_stale_endpoints_become_a_job(desk: Desk, ingest: Ingest, alice: Contributor, clock: Clock) -> None:
    """In the name of who put the schedule, and once, however often it is seen to be due."""
    seen(ingest, alice, clock)
    due = desk.put()
    record = desk.ended(due)
    assert (record.name, record.status, record.error) == ("wf.plan_scan", "done", "")
    assert [step.name for step in record.steps] == ["plan", "ask", "note"]
    ran = schedules.get(desk.database, "daily")
    job = jobs.get(desk.database, job_of(workflow_id(due)))
    assert (ran.last_job, ran.last_error) == (job.job, "")
    assert (job.account, job.schedule, job.total, job.permission.reason) == ("alice", "daily", 2, "ticket 1")
    assert ran.next_run is not None
    assert ran.next_run > clock()
    assert desk.job.sweep() == 0
    clock.advance(timedelta(days=1, seconds=1))
    assert desk.ended(ran).status == "done"
    assert schedules.get(desk.database, "daily").last_job not in ("", job.job)


def test_nothing_stale_is_no_error(desk: Desk) -> None:
    """There is no job, and the next run comes in its time."""
    assert desk.ended(desk.put()).status == "done"
    ran = schedules.get(desk.database, "daily")
    assert (ran.last_job, ran.last_error) == ("", "")
    assert ran.last_run is not None


def test_why_there_is_no_job_is_told(desk: Desk, ingest: Ingest, alice: Contributor, clock: Clock) -> None:
    """As where its preset is gone."""
    seen(ingest, alice, clock)
    due = desk.put(Schedule(name="odd", query="net:192.0.2.0/24", every_s=60, consent="-", preset="gone", min_age_s=60))
    assert desk.ended(due).status == "done"
    assert "gone" in schedules.get(desk.database, "odd").last_error


def test_a_schedule_that_was_removed_meanwhile_makes_nothing(desk: Desk) -> None:
    """Between being due and being run."""
    due = desk.put()
    schedules.remove(desk.database, "daily", desk.act)
    assert desk.job._planner.plan(due.name) == ""
    assert desk.job.sweep() == 0
