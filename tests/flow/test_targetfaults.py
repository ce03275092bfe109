"""Kill -9 of a coordinator at every point of a target's way from its result on: another one finishes it, once."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from spectra.errors import Unavailable
from spectra.flow.correlation import Correlation
from spectra.flow.results import Next
from spectra.flow.submission import Ingest
from spectra.flow.targetflow import THREADS, TargetJob
from spectra.flow.targets import Targets
from spectra.flow.workflows import Workflows
from spectra.store import results
from spectra.store.coordinators import Coordinator
from tests.flow.desk import Clock, naabu, rows, settled
from tests.flow.harvest import TERMS, Harvest, Worker
from tests.flow.targetvictim import POINTS, Orders
from tests.flow.test_faults import until_here
from tests.flow.test_workflows import TrueClock
from tests.support.waiting import eventually

pytestmark = [pytest.mark.engine, pytest.mark.fault]

N = 7  # more than are read at once
ROOT = Path(__file__).parents[2]


@pytest.fixture
def clock() -> Clock:
    """The machine's: the victim has no other."""
    return TrueClock()


@pytest.fixture
def harvest(tmp_path: Path, ingest: Ingest, clock: Clock) -> Harvest:
    """A coordinator that handed out work."""
    return Harvest(tmp_path, ingest, clock)


def scanned(harvest: Harvest, worker: Worker, folder: Path) -> list[bytes]:
    """Bundles of as many targets, each with a host of its own, in a folder for the victim."""
    harvest.job(*(f"192.0.2.{n}" for n in range(1, N + 1)))
    made: list[bytes] = []
    (folder / "bundles").mkdir()
    for number, leased in enumerate(harvest.lease(worker, N)):
        seen = harvest.observation(worker, naabu((leased.targets[0], 80), at=harvest.clock()))
        made.append(harvest.bundle(worker, leased, [seen], [("scan.log", b"line")]))
        (folder / "bundles" / str(number)).write_bytes(made[-1])
    return made


@contextlib.contextmanager
def victim(harvest: Harvest, folder: Path, point: str, name: str) -> Generator[None]:
    """A coordinator that came to the point; killed at the end."""
    orders = Orders(harvest.database.url, str(folder), "w1", point, name)
    command = [sys.executable, "-m", "tests.flow.targetvictim", msgspec.json.encode(orders).decode()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ) as process:
        try:
            assert process.stdout is not None
            list(until_here(iter(process.stdout.readline, "")))
            yield
        finally:
            process.kill()
    assert process.returncode == -signal.SIGKILL


@contextlib.contextmanager
def coordinator(harvest: Harvest, name: str) -> Generator[tuple[Workflows, TargetJob]]:
    """An engine of this process."""
    job = TargetJob(Targets(harvest.ingest, Correlation(harvest.database), terms=TERMS))
    engine = Workflows(harvest.ingest, jobs=[job], own=Coordinator(name, ""))
    engine.start()
    try:
        yield engine, job
    finally:
        engine.stop()


def all_done(harvest: Harvest, engine: Workflows) -> bool:
    """Sweep as the engine does by itself, only sooner; whether every target has ended."""
    with contextlib.suppress(Unavailable):
        engine.sweep()
        return rows(harvest.database, "SELECT count(*) FROM target WHERE state = 'done'") == [(N,)]
    return False


def assert_each_once(harvest: Harvest) -> None:
    """Every target has one result, one observation that was merged once, its files, and its host in the graph."""
    database = harvest.database
    assert [count for _, count in settled(database)] == [1] * N
    for table in ("result", "observation", "host", "sighting", "endpoint"):
        assert rows(database, f"SELECT count(*) FROM {table}") == [(N,)], table
    assert rows(database, "SELECT kind, count(*) FROM artefact GROUP BY 1 ORDER BY 1") == [("log", N), ("raw", N)]
    assert rows(database, "SELECT status, count(*) FROM observation GROUP BY 1") == [("merged", N)]
    assert rows(database, "SELECT found, count(*) FROM target GROUP BY 1") == [(1, N)]
    assert not results.submitted(database, harvest.clock())


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_coordinator_leaves_targets_that_another_finishes(
    harvest: Harvest, tmp_path: Path, clock: Clock, point: str
) -> None:
    """Inside the transaction that stores a result, before its workflow begins, with the graph written, and with the
    target settled before the engine heard of it: the machine sends again what had no receipt, and another coordinator,
    once the first was silent for long enough, finishes everything.
    """
    worker = harvest.worker()
    bundles = scanned(harvest, worker, tmp_path)
    with victim(harvest, tmp_path, point, "c1"):
        pass
    eventually(lambda: rows(harvest.database, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)])
    with coordinator(harvest, "c2") as (engine, job):
        taking = harvest.taking(Next(job.start, engine.enqueue, lambda: None))
        receipts = [taking.take(worker.peer, bundle) for bundle in bundles]
        assert {receipt.status for receipt in receipts} == {"accepted"}
        clock.advance(timedelta(minutes=1))
        eventually(lambda: all_done(harvest, engine), every_s=0.2)
    assert_each_once(harvest)


def test_the_work_of_a_living_coordinator_is_left_alone(harvest: Harvest, tmp_path: Path, clock: Clock) -> None:
    """As long as it says that it lives, however long its steps take; killed, it loses them to the other."""
    worker = harvest.worker()
    scanned(harvest, worker, tmp_path)
    query = "SELECT count(*) FROM dbos.workflow_status WHERE status = 'PENDING' AND executor_id = 'c1'"
    with coordinator(harvest, "c2") as (engine, _):
        with victim(harvest, tmp_path, "merged", "c1"):
            eventually(lambda: rows(harvest.database, query) == [(min(N, THREADS),)])
            with harvest.database.connection() as connection:  # as though it had been at it for an hour
                connection.execute("UPDATE dbos.workflow_status SET updated_at = updated_at - 3600000")
            engine.sweep()
            assert rows(harvest.database, query) == [(min(N, THREADS),)]
        clock.advance(timedelta(minutes=1))
        eventually(lambda: all_done(harvest, engine), every_s=0.2)
    assert_each_once(harvest)
