"""Having everything evaluated again on request: to the end, once at a time, and further after the engine ended."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from spectra.flow import jobs
from spectra.flow.correlateflow import Correlations
from spectra.flow.correlation import Bounds, Correlation
from spectra.flow.submission import Ingest
from spectra.flow.workflows import Workflows
from spectra.store import software
from spectra.store.database import Database
from tests.flow.desk import Clock, rows
from tests.flow.test_workflows import TrueClock, done
from tests.flow.weaknesses import APACHE, OPENSSH, below, open_findings, service, store, tell, vuln
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine

SERVICES = [service(OPENSSH, "8.9p1"), *(service(APACHE, f"2.4.{n}") for n in range(9))]


@pytest.fixture
def clock() -> Clock:
    """Runs."""
    return TrueClock()


@pytest.fixture
def correlations(database: Database) -> Correlations:
    """In small batches; CVEs and services are stored, and nobody looked at them yet."""
    tell(database, vuln("CVE-2024-6387", below(OPENSSH, "9.8p1")), vuln("CVE-2021-0001", below(APACHE, "2.4.4")))
    store(database, SERVICES)
    return Correlations(Correlation(database, bounds=Bounds(services=3, software=2)))


@pytest.fixture
def workflows(ingest: Ingest, correlations: Correlations) -> Iterator[Workflows]:
    """The engine, started."""
    engine = Workflows(ingest, jobs=(correlations,))
    engine.start()
    yield engine
    engine.stop()


def test_the_workflow_evaluates_everything(
    database: Database, workflows: Workflows, correlations: Correlations
) -> None:
    """Told with its progress, and listed; a second one finds the same again and opens nothing."""
    begun = correlations.start()
    assert (begun.started, begun.left) == (True, 10)
    record = done(workflows, begun.workflow_id)
    assert (record.name, record.status, record.observation_id) == ("wf.vuln_correlate", "done", "")
    assert record.done == record.total == 10
    assert [step.name for step in record.steps] == ["count services", "evaluate"]
    assert len(open_findings(database)) == 1 + 4
    before = rows(database, "SELECT software, vuln, since, until FROM affected ORDER BY 1, 2")
    again = done(workflows, correlations.start().workflow_id)
    assert (again.workflow_id != record.workflow_id, again.total) == (True, 20)
    assert rows(database, "SELECT software, vuln, since, until FROM affected ORDER BY 1, 2") == before
    assert [w.name for w in workflows.newest()] == ["wf.vuln_correlate"] * 2


def test_one_at_a_time(database: Database, workflows: Workflows, correlations: Correlations) -> None:
    """Asking again while one runs tells of that one."""
    with software.alone(database):
        first = correlations.start()
        second = correlations.start()
        assert (first.started, second.started) == (True, False)
        assert second.workflow_id == first.workflow_id
    assert done(workflows, first.workflow_id).status == "done"


def test_an_engine_that_ends_leaves_the_rest_to_the_next(
    database: Database, ingest: Ingest, correlations: Correlations
) -> None:
    """It ends after the step it is at, and the next start goes on by itself."""
    first = Workflows(ingest, jobs=(correlations,))
    first.start()
    with ThreadPoolExecutor(1) as pool:
        with software.alone(database):
            begun = correlations.start()
            eventually(lambda: first.get(begun.workflow_id).status == "running")
            ended = pool.submit(first.stop)
            eventually(jobs.stopping.is_set)
        ended.result(60)
    second = Workflows(ingest, jobs=(correlations,))
    second.start()
    try:
        assert done(second, begun.workflow_id).status == "done"
        assert len(open_findings(database)) == 1 + 4
    finally:
        second.stop()


def test_an_engine_that_was_not_started_runs_none(correlations: Correlations) -> None:
    """What a workflow function works on is set by the engine."""
    from spectra.flow import correlateflow

    with pytest.raises(AssertionError):
        correlateflow._correlation()
