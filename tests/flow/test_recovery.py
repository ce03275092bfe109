"""Coordinators on one database: who lives says so; what a dead one began is gone on with, and only that."""

from __future__ import annotations

from datetime import timedelta

import pytest
from dbos import DBOS, SetWorkflowID

from spectra.errors import Unavailable
from spectra.flow.jobs import QUEUE
from spectra.flow.recovery import Beats, pause
from spectra.flow.submission import Ingest
from spectra.flow.workflows import Workflows
from spectra.flow.workflows import scan as scan_workflow
from spectra.store import coordinators
from spectra.store.coordinators import Coordinator
from spectra.store.database import Database
from tests.flow.desk import Clock, Contributor, rows
from tests.flow.test_workflows import TrueClock, all_merged, assert_exactly_once, scan
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine


@pytest.fixture
def clock() -> Clock:
    """The machine's."""
    return TrueClock()


def test_a_coordinator_says_that_it_lives_until_it_ends(ingest: Ingest, clock: Clock) -> None:
    """Before it begins anything, with where it is reached; ended in good order it is gone at once."""
    engine = Workflows(ingest, own=Coordinator("c1", "https://c1:1"))
    engine.start()
    try:
        assert coordinators.alive(ingest.database, clock(), 30) == [Coordinator("c1", "https://c1:1")]
        assert DBOS.executor_id == "c1"
    finally:
        engine.stop()
    assert coordinators.alive(ingest.database, clock(), 30) == []


def test_beats_go_on_without_the_database(database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong with one, the next is tried."""
    tried: list[str] = []

    def away(*given: object) -> None:
        tried.append("beat")
        raise (Unavailable("away") if len(tried) == 1 else ValueError("odd"))

    monkeypatch.setattr(coordinators, "beat", away)
    monkeypatch.setattr("spectra.flow.recovery.BEAT_S", 0.01)
    beats = Beats(database, Coordinator("c1", ""), clock)
    beats.start()
    eventually(lambda: len(tried) > 2)
    beats.end()


@pytest.mark.parametrize("silent", [True, False])
def test_workflows_of_a_silent_coordinator_are_taken_over(
    ingest: Ingest, alice: Contributor, clock: Clock, silent: bool
) -> None:
    """One that another holds for running: it is left to it as long as that says that it lives."""
    engine = Workflows(ingest, own=Coordinator("c2", ""))
    engine.start()
    try:
        found = ingest.accept(alice.envelope(scan(7))).observation_id
        with SetWorkflowID(found):
            DBOS.enqueue_workflow("nobody-listens", scan_workflow, found)
        with ingest.database.connection() as connection:
            connection.execute("UPDATE dbos.workflow_status SET status = 'PENDING', executor_id = 'c1'")
        clock.advance(timedelta(minutes=1))
        if not silent:
            coordinators.beat(ingest.database, "c1", "", clock())
            assert engine.sweep() == 0
            query = "SELECT status, executor_id, queue_name FROM dbos.workflow_status"
            assert rows(ingest.database, query) == [("PENDING", "c1", "nobody-listens")]
            clock.advance(timedelta(minutes=1))
        eventually(lambda: engine.sweep() or all_merged(ingest))
        eventually(lambda: all_merged(ingest))
        eventually(lambda: engine.get(found).status == "done")
        assert_exactly_once(ingest, [found])
        query = "SELECT executor_id, queue_name FROM dbos.workflow_status WHERE name = 'wf.scan'"
        assert rows(ingest.database, query) == [("c2", QUEUE)]
    finally:
        engine.stop()


def test_what_ended_badly_runs_again_ever_later() -> None:
    """After 5 s, 10 s, 20 s, and never more than 10 minutes."""
    assert [pause(n).total_seconds() for n in (0, 1, 2, 6, 7, 1000)] == [5, 10, 20, 320, 600, 600]
