"""Looking stored hosts up again: to the end, once at a time, beside an ingest, and after kill -9 from where it was."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from spectra.errors import SpectraError
from spectra.flow import audit, jobs
from spectra.flow.feeds import Feeds
from spectra.flow.relocation import Relocation
from spectra.flow.submission import Ingest
from spectra.flow.workflows import Workflows
from spectra.ingest.gate import Policy
from spectra.ingest.rate import RateLimiter
from spectra.intel.enrich.cpe import cpe23
from spectra.model.observation import Service
from spectra.model.records import WorkflowRecord
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from tests.flow.desk import NOON, Clock, Contributor, host, naabu, nmap, port, rows
from tests.flow.feedfiles import cities, make_feeds, places, routes
from tests.flow.test_workflows import TrueClock, accept, done
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine

_MINUTE = timedelta(minutes=1)
BATCH = 3
HOSTS = [f"192.0.2.{n}" for n in range(1, 11)]


@pytest.fixture
def clock() -> Clock:
    """Runs."""
    return TrueClock()


@pytest.fixture
def feeds(database: Database, blobs: BlobStore, tmp_path: Path, clock: Clock) -> Feeds:
    """None are added yet."""
    return make_feeds(database, blobs, tmp_path / "mine", clock)


@pytest.fixture
def ingest(database: Database, blobs: BlobStore, clock: Clock, feeds: Feeds) -> Iterator[Ingest]:
    """Looks hosts up in the feeds."""
    made = Ingest(
        database,
        blobs,
        policy=Policy(max_envelope_bytes=32 << 20, max_age_s=86400, max_ahead_s=300, rate_per_minute=0),
        limiter=RateLimiter(0),
        max_output_bytes=64 << 20,
        clock=clock,
        facts=feeds,
    )
    yield made
    made.close()


@pytest.fixture
def relocation(database: Database, feeds: Feeds) -> Relocation:
    """In batches of three."""
    return Relocation(database, feeds, cpe23, batch=BATCH)


@pytest.fixture
def workflows(ingest: Ingest, relocation: Relocation) -> Iterator[Workflows]:
    """The engine, started."""
    engine = Workflows(ingest, relocation)
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture
def town(ingest: Ingest, alice: Contributor) -> Ingest:
    """Ten hosts with two endpoints each, taken in before there was any feed."""
    ingest.submit(alice.envelope(naabu(*((ip, p) for ip in HOSTS for p in (22, 80)))))
    return ingest


def lying(database: Database) -> dict[str, tuple[int | None, set[str | None]]]:
    """Each host's feed set, and the cities of it and of its endpoints: one, where all is right."""
    found = rows(
        database,
        """SELECT host(h.ip), h.feeds, p.city, array_agg(DISTINCT q.city) FROM host h
           JOIN endpoint e ON e.ip = h.ip LEFT JOIN place p ON p.id = h.place LEFT JOIN place q ON q.id = e.place
           GROUP BY h.ip, h.feeds, p.city""",
    )
    return {ip: (feed_set, {city, *others}) for ip, feed_set, city, others in found}


def relocated(workflows: Workflows) -> WorkflowRecord:
    """The end of a relocation begun now."""
    return done(workflows, workflows.relocate().workflow_id)


def test_batch_by_batch(town: Ingest, relocation: Relocation, feeds: Feeds, tmp_path: Path) -> None:
    """In order; a step that runs twice finds nothing to do; a host that is where it was rests on the new set, too."""
    feeds.upload("cities", cities(tmp_path), by="alice")
    assert relocation.behind() == 10
    assert relocation.hosts("") == (HOSTS[2], BATCH, BATCH)
    assert relocation.hosts("").after == HOSTS[5], "what was done is passed over"
    assert relocation.hosts(HOSTS[5]) == (HOSTS[8], BATCH, BATCH)
    assert relocation.hosts(HOSTS[8]) == (HOSTS[9], 1, 1)
    assert relocation.hosts(HOSTS[9]) == ("", 0, 0)
    assert lying(town.database) == dict.fromkeys(HOSTS, (1, {"Paris"}))
    feeds.upload("routes", routes(tmp_path, ("198.51.100.0/24", 64496)), by="alice")
    assert relocation.hosts("") == (HOSTS[2], BATCH, 0)


def test_without_feeds_there_is_nowhere(town: Ingest, relocation: Relocation, feeds: Feeds, tmp_path: Path) -> None:
    """Before the first feed there is nothing to look up; after the last was removed hosts lie nowhere again."""
    assert relocation.behind() == 0
    assert relocation.hosts("") == ("", 0, 0)
    feeds.upload("cities", cities(tmp_path), by="alice")
    relocation.hosts("")
    feeds.remove("cities", by="alice")
    assert relocation.behind() == 10
    assert relocation.hosts("") == (HOSTS[2], BATCH, BATCH)
    assert lying(town.database)[HOSTS[0]] == (2, {None})


def test_services_get_their_names(ingest: Ingest, alice: Contributor, relocation: Relocation) -> None:
    """CPE 2.3, for services stored before anybody named them; a second time there is nothing to do."""
    scan = nmap(*(host(f"192.0.2.{n}", port(80, f"nginx{n}" if n else "nginx")) for n in range(5)))
    ingest.submit(alice.envelope(scan))
    stored = rows(ingest.database, "SELECT product, cpe23 FROM service")
    assert [names for _, names in stored] == [[]] * 5
    step = relocation.services("")
    assert step.done == BATCH
    last = relocation.services(step.after)
    assert last.done == 2
    assert step.changed + last.changed == 1
    assert relocation.services(last.after) == ("", 0, 0)
    assert relocation.services("").changed == 0
    named = dict(rows(ingest.database, "SELECT product, cpe23 FROM service"))
    assert named["nginx"] == list(cpe23(Service(name="http", product="nginx")))


def test_the_workflow_goes_over_all(
    town: Ingest, workflows: Workflows, feeds: Feeds, tmp_path: Path, blobs: BlobStore
) -> None:
    """Told with its progress; the graph's history is untouched, and the auditor finds nothing wrong with places."""
    feeds.upload("cities", cities(tmp_path), by="alice")
    record = relocated(workflows)
    assert (record.status, record.name, record.done, record.total) == ("done", "wf.relocate", 10, 10)
    assert [step.name for step in record.steps] == ["count hosts", "look hosts up", "name services"]
    assert record.observation_id == ""
    assert lying(town.database) == dict.fromkeys(HOSTS, (1, {"Paris"}))
    assert feeds.status().hosts_behind == 0
    assert [w.workflow_id for w in workflows.newest() if w.name == "wf.relocate"] == [record.workflow_id]
    assert audit.verify(town.database, blobs, deep=True).ok
    again = relocated(workflows)
    assert (again.workflow_id != record.workflow_id, again.total) == (True, 0)


def test_one_at_a_time(town: Ingest, workflows: Workflows, feeds: Feeds, tmp_path: Path) -> None:
    """Asking again while one runs tells of that one; how far it is can be seen."""
    feeds.upload("cities", cities(tmp_path), by="alice")
    with town.database.connection() as holder, holder.transaction():
        holder.execute("SELECT FROM host WHERE ip = %s FOR UPDATE", [HOSTS[4]])
        first = workflows.relocate()
        assert first.started
        assert first.hosts_behind == 10
        eventually(lambda: workflows.get(first.workflow_id).done == BATCH)
        second = workflows.relocate()
        assert (second.workflow_id, second.started) == (first.workflow_id, False)
        assert workflows.get(first.workflow_id).total == 10
    assert done(workflows, first.workflow_id).done == 10


def test_feeds_that_change_meanwhile(town: Ingest, workflows: Workflows, feeds: Feeds, tmp_path: Path) -> None:
    """Every host rests on the newest set in the end, also those that were looked up before it came."""
    feeds.upload("cities", cities(tmp_path), by="alice")
    with town.database.connection() as holder, holder.transaction():
        holder.execute("SELECT FROM host WHERE ip = %s FOR UPDATE", [HOSTS[4]])
        begun = workflows.relocate()
        eventually(lambda: workflows.get(begun.workflow_id).done == BATCH)
        feeds.upload("cities", cities(tmp_path, "Lyon"), by="alice")
    assert done(workflows, begun.workflow_id).status == "done"
    assert lying(town.database) == dict.fromkeys(HOSTS, (2, {"Lyon"}))


def test_an_ingest_meanwhile_is_not_set_back(
    town: Ingest, relocation: Relocation, feeds: Feeds, alice: Contributor, tmp_path: Path, blobs: BlobStore
) -> None:
    """A coordinator that still relocates by older feeds leaves alone what was taken in with newer ones; and one that
    still takes in with older feeds neither sets a host back nor adds endpoints that lie elsewhere.
    """
    feeds.upload("cities", cities(tmp_path), by="alice")
    behind = make_feeds(town.database, blobs, tmp_path / "behind", TrueClock())
    old = behind.locator()
    late = Relocation(town.database, _Stuck(behind, old), cpe23, batch=100)
    feeds.upload("cities", cities(tmp_path, "Lyon"), by="alice")
    town.submit(alice.envelope(naabu((HOSTS[0], 443), at=NOON)))
    assert lying(town.database)[HOSTS[0]] == (2, {"Lyon"})
    late.hosts("")
    assert lying(town.database) == {HOSTS[0]: (2, {"Lyon"})} | dict.fromkeys(HOSTS[1:], (1, {"Paris"}))
    while relocation.hosts("").done:
        pass
    town._facts = behind
    town.submit(alice.envelope(naabu((HOSTS[1], 8443), at=NOON)))
    assert lying(town.database) == dict.fromkeys(HOSTS, (2, {"Lyon"}))


class _Stuck(Feeds):
    """Has not heard of newer feeds."""

    def __init__(self, feeds: Feeds, loaded: object) -> None:
        self.__dict__.update(feeds.__dict__)
        self.refresh = lambda: loaded  # type: ignore[method-assign, assignment]


def test_both_paths_look_hosts_up(
    ingest: Ingest, workflows: Workflows, feeds: Feeds, alice: Contributor, tmp_path: Path, blobs: BlobStore
) -> None:
    """The durable path by wf.enrich, which leaves no asset set behind; the fast path on its way."""
    feeds.upload("cities", cities(tmp_path), by="alice")
    files = len([p for p in (tmp_path / "blobs").rglob("*") if p.is_file()])
    fast = ingest.submit(alice.envelope(naabu((HOSTS[0], 80))))
    durable = accept(ingest, alice, workflows, 7)
    assert [s.name for s in done(workflows, durable).steps if s.name == "enrich"] == ["enrich"]
    assert fast.status == "merged"
    assert lying(ingest.database)[HOSTS[0]] == (1, {"Paris"})
    assert lying(ingest.database)["198.51.100.7"] == (1, {"Berlin"})
    left = len([p for p in (tmp_path / "blobs").rglob("*") if p.is_file()]) - files
    assert left == 2, "the two originals"
    assert audit.verify(ingest.database, blobs, deep=True).ok


def test_a_lost_relocation_is_found(
    town: Ingest, workflows: Workflows, feeds: Feeds, tmp_path: Path, clock: Clock
) -> None:
    """One that lost its thread with the database is run again by the sweep, where it was."""
    feeds.upload("cities", cities(tmp_path), by="alice")
    first = relocated(workflows)
    with psycopg.connect(town.database.url, autocommit=True) as admin:
        admin.execute(
            "UPDATE dbos.workflow_status SET status = 'PENDING', output = NULL WHERE workflow_uuid = %s",
            [first.workflow_id],
        )
    assert workflows.sweep() == 0
    clock.advance(10 * _MINUTE)
    assert workflows.sweep() == 1
    assert done(workflows, first.workflow_id).done == 10


def test_an_engine_that_ends_leaves_the_rest_to_the_next(
    town: Ingest, relocation: Relocation, feeds: Feeds, tmp_path: Path
) -> None:
    """It ends after the step it is at, without an error, and the next start goes on there by itself."""
    feeds.upload("cities", cities(tmp_path), by="alice")
    first = Workflows(town, relocation)
    first.start()
    with ThreadPoolExecutor(1) as pool:
        with town.database.connection() as holder, holder.transaction():
            holder.execute("SELECT FROM host WHERE ip = %s FOR UPDATE", [HOSTS[4]])
            begun = first.relocate()
            eventually(lambda: first.get(begun.workflow_id).done == BATCH)
            ended = pool.submit(first.stop)
            eventually(jobs.stopping.is_set)
        ended.result(60)
    assert lying(town.database)[HOSTS[9]] == (None, {None})
    second = Workflows(town, relocation)
    second.start()
    try:
        record = done(second, begun.workflow_id)
        assert (record.status, record.done, record.total) == ("done", 10, 10)
    finally:
        second.stop()


def test_a_node_without_feeds_cannot(ingest: Ingest) -> None:
    """It says so rather than to do nothing."""
    with pytest.raises((AssertionError, SpectraError)):
        Workflows(ingest).relocate()


def test_what_an_older_release_left_is_begun_anew(
    ingest: Ingest, workflows: Workflows, alice: Contributor, clock: Clock
) -> None:
    """Its workflows had other steps: no engine of this release would go on with them."""
    receipt = ingest.accept(alice.envelope(naabu((HOSTS[0], 80))))
    with psycopg.connect(ingest.database.url, autocommit=True) as admin:
        workflows.enqueue(receipt.observation_id)
        done(workflows, receipt.observation_id)
        admin.execute("UPDATE observation SET status = 'accepted'")
        admin.execute("DELETE FROM sighting; DELETE FROM host; DELETE FROM endpoint;")
        admin.execute(
            "UPDATE dbos.workflow_status SET status = 'PENDING', application_version = '1' WHERE workflow_uuid = %s",
            [receipt.observation_id],
        )
    clock.advance(10 * _MINUTE)
    eventually(lambda: workflows.sweep() or _merged(ingest))
    eventually(lambda: _merged(ingest))
    assert lying(ingest.database) == {HOSTS[0]: (None, {None})}


def _merged(ingest: Ingest) -> bool:
    return rows(ingest.database, "SELECT status FROM observation") == [("merged",)]


def test_places_of_hosts_that_nobody_knows(town: Ingest, relocation: Relocation, feeds: Feeds, tmp_path: Path) -> None:
    """They rest on the set, too: it said nothing of them."""
    feeds.upload("cities", places(tmp_path, "198.51.100.0/24,DE,DE-BE,Berlin,"), by="alice")
    relocation.hosts("")
    assert lying(town.database)[HOSTS[0]] == (1, {None})
    assert relocation.behind() == 7
