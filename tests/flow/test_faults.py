"""Kill -9: of the process at every stage of a submission, and of PostgreSQL under load. Accepted work is done once."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from spectra.errors import Unavailable
from spectra.flow.submission import Ingest
from spectra.flow.workflows import CONCURRENCY, Workflows
from spectra.model.envelope import Receipt
from spectra.store import observations
from spectra.store.blobs import BlobStore
from spectra.store.database import Database, migrate
from tests.flow.desk import Clock, Contributor, make_ingest, naabu, rows
from tests.flow.test_workflows import SEEN, TrueClock, all_merged, assert_exactly_once, running, scan
from tests.flow.victim import Orders
from tests.support.own_server import OwnServer, own_server
from tests.support.waiting import eventually

pytestmark = [pytest.mark.engine, pytest.mark.fault]

N = 6
HOUR = timedelta(hours=1)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def clock() -> Clock:
    """The machine's: the victim has no other."""
    return TrueClock()


@pytest.fixture
def envelopes(tmp_path: Path, alice: Contributor) -> list[bytes]:
    """Signed submissions that all know one host, in a folder for the victim."""
    return laid_out(tmp_path, [alice.envelope(scan(number)) for number in range(N)])


def laid_out(tmp_path: Path, envelopes: list[bytes]) -> list[bytes]:
    """The envelopes, put into the folder that the victim reads."""
    folder = tmp_path / "envelopes"
    folder.mkdir()
    for number, envelope in enumerate(envelopes):
        (folder / str(number)).write_bytes(envelope)
    return envelopes


@contextlib.contextmanager
def victim(
    database: Database, tmp_path: Path, path: str, stop: str, *, held: int = 1, machine: str = ""
) -> Generator[list[str]]:
    """A coordinator with `held` submissions at its point; gives the names of what it took in. Killed at the end."""
    orders = Orders(database.url, str(tmp_path / "blobs"), str(tmp_path / "envelopes"), path, stop, held)
    command = [sys.executable, "-m", "tests.flow.victim", msgspec.json.encode(orders).decode()]
    environment = os.environ | {"DBOS__VMID": machine}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as process:
        try:
            assert process.stdout is not None
            told = iter(process.stdout.readline, "")
            yield list(until_here(told))
        finally:
            process.kill()
    assert process.returncode == -signal.SIGKILL


def until_here(lines: Iterator[str]) -> Iterator[str]:
    """The words before `here`, which has to come."""
    for line in lines:
        if line == "here\n":
            return
        yield line.strip()
    pytest.fail("the victim ended before it came to its point")


@pytest.mark.parametrize("stop", ["accepted", "parsing", "packed", "writing", "committed"])
def test_a_killed_process_leaves_work_that_is_done_once(
    ingest: Ingest, envelopes: list[bytes], tmp_path: Path, clock: Clock, stop: str
) -> None:
    """Between accepting and starting, while parsing, with assets stored, inside the graph's transaction, and after it
    before anybody knew: the next process finishes everything that was accepted, and nothing twice.
    """
    with victim(ingest.database, tmp_path, "accept", stop) as told:
        if stop == "accepted":
            assert len(told) == N
    before = [p.observation_id for p in observations.pending(ingest.database)]
    assert before
    ids = [ingest.accept(envelope).observation_id for envelope in envelopes]  # clients ask again for what they missed
    clock.advance(HOUR)
    with running(ingest) as engine:
        eventually(lambda: swept(engine, ingest), every_s=0.2)
        for observation_id in ids:
            eventually(lambda found=observation_id: engine.get(found).status == "done")
    assert_exactly_once(ingest, ids)


def test_work_of_a_coordinator_that_never_comes_back_is_taken_over(
    ingest: Ingest, alice: Contributor, tmp_path: Path, clock: Clock
) -> None:
    """As many submissions as may run at once were in the graph's transaction on a machine that is gone: another takes
    them and their parts over, and none waits for a part that waits for its turn.
    """
    outputs = [naabu((f"192.0.2.{n}", 80), (f"198.51.100.{n}", 443), at=SEEN) for n in range(N)]  # no host in common
    envelopes = laid_out(tmp_path, [alice.envelope(output) for output in outputs])
    with victim(ingest.database, tmp_path, "accept", "writing", held=CONCURRENCY, machine="gone"):
        pass
    ids = [ingest.accept(envelope).observation_id for envelope in envelopes]
    clock.advance(HOUR)
    with running(ingest) as engine:
        eventually(lambda: swept(engine, ingest), every_s=0.2)
    assert_exactly_once(ingest, ids)


def swept(engine: Workflows, ingest: Ingest) -> bool:
    """Sweep as the engine does by itself, only sooner; whether nothing is left to do."""
    with contextlib.suppress(Unavailable):
        engine.sweep()
        return all_merged(ingest)
    return False


@pytest.mark.parametrize("stop", ["parsing", "writing"])
def test_a_killed_fast_path_took_all_or_nothing(
    ingest: Ingest, envelopes: list[bytes], tmp_path: Path, stop: str
) -> None:
    """What was answered is there, what was not is not, and sending everything again brings what is missing."""
    with victim(ingest.database, tmp_path, "submit", stop) as told:
        pass
    assert told == ["0"]
    eventually(lambda: rows(ingest.database, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)])
    receipts = [ingest.submit(envelope) for envelope in envelopes]
    assert [receipt.duplicate for receipt in receipts] == [True] + [False] * (N - 1)
    assert_exactly_once(ingest, [receipt.observation_id for receipt in receipts])


@pytest.fixture
def own() -> Iterator[OwnServer]:
    """A PostgreSQL to be killed, with its supervisor."""
    with own_server() as server:
        yield server


def until_taken(send: Callable[[bytes], Receipt], envelope: bytes) -> Receipt:
    """As a client does: again until it is answered."""

    def attempt() -> Receipt | None:
        try:
            return send(envelope)
        except Unavailable:
            return None

    receipt = eventually(attempt, within_s=120)
    assert receipt is not None
    return receipt


@pytest.mark.slow
def test_a_killed_postgresql_loses_nothing_that_was_acknowledged(own: OwnServer, tmp_path: Path) -> None:
    """SIGKILL of the server again and again while clients submit on both paths: every receipt given stands, everything
    accepted is merged once, and the whole store, content included, is what the chain says.
    """
    clock = TrueClock()
    with Database(own.url, timeout_s=5.0) as database:
        migrate(database)
        alice = Contributor("alice", clock).register(database)
        ingest = make_ingest(database, BlobStore.local(tmp_path / "blobs"), clock)
        envelopes = [alice.envelope(scan(number)) for number in range(40)]
        with running(ingest) as engine, ThreadPoolExecutor(4) as pool:

            def send(number: int) -> str:
                receipt = until_taken(ingest.submit if number % 2 else ingest.accept, envelopes[number])
                if receipt.workflow_id:
                    engine.enqueue(receipt.observation_id)
                return receipt.observation_id

            given = [pool.submit(send, number) for number in range(len(envelopes))]
            for count in (4, 12, 24):
                eventually(lambda least=count: sum(future.done() for future in given) >= least, within_s=120)
                before = own.server.restarts
                own.kill()
                eventually(lambda last=before: own.server.restarts > last, within_s=120)
            ids = [future.result(240) for future in given]
            clock.advance(HOUR)
            eventually(lambda: swept(engine, ingest), within_s=240, every_s=0.5)
        assert_exactly_once(ingest, ids)
        ingest.close()
