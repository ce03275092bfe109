"""Rows of jobs: counted where they go on, and as they were where they have ended."""

from __future__ import annotations

import pytest

from spectra.errors import NotFound
from spectra.model.work import TargetCounts
from spectra.store import jobrows, jobs
from spectra.store.database import Database
from tests.store.toil import ROOT, SECOND, T0, ask, job, settle, submit, workers

pytestmark = pytest.mark.engine


def test_many_jobs_are_counted_at_once(database: Database) -> None:
    """One that has ended has the counts of that moment, the others those of now."""
    workers(database, "attic")
    ended = job(database, 1, priority=1)
    for lease in ask(database, "attic"):
        submit(database, lease)
        settle(database, lease)
    going = job(database, 3)
    ask(database, "attic")
    with database.connection() as connection:
        rows = connection.execute(f"{jobrows.RECORD} ORDER BY num").fetchall()
        found = jobrows.records(connection, rows)
        assert jobrows.records(connection, []) == []
    assert [one.job for one in found] == [ended.job, going.job]
    assert [one.counts for one in found] == [TargetCounts(done=1), TargetCounts(waiting=2, leased=1)]


def test_only_jobs_without_anything_open_end(database: Database) -> None:
    """All of them, or those named; one that has ended does not end again."""
    workers(database, "attic")
    one, two = job(database, 1), job(database, 1)
    with database.transaction() as connection:
        assert jobrows.finish(connection, T0) == []
        connection.execute("UPDATE target SET state = 'done'")
        number = jobrows.number(connection, one.job)
        assert jobrows.finish(connection, T0 + SECOND, [number]) == [one.job]
        assert jobrows.finish(connection, T0 + SECOND * 2) == [two.job]
        assert jobrows.finish(connection, T0 + SECOND * 3) == []
    assert jobs.get(database, one.job).ended == T0 + SECOND


def test_what_is_on_record_reads_back(database: Database) -> None:
    """Every column that people decide, and none that machines change."""
    made = job(database, 2)
    with database.connection() as connection:
        before = jobrows.details(connection)[made.job]
        entry = jobrows.entry(connection, "job.created", made.job, T0)
    assert entry.detail == before
    assert (before["decision"], before["total"], before["by"]) == ("running", 2, ROOT.by)
    workers(database, "attic")
    ask(database, "attic")
    assert jobs.details(database)[made.job] == before


def test_a_job_that_there_is_not(database: Database) -> None:
    """Neither held nor numbered."""
    with database.transaction() as connection:
        for look in (jobrows.hold, jobrows.number):
            with pytest.raises(NotFound) as caught:
                look(connection, "job-x")
            assert caught.value.reason == "unknown_job"
