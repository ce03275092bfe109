"""`wf.vuln_sync` on the real engine: whole feeds, in any order, through failures, ends of the engine and kill -9."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from spectra.errors import Unavailable
from spectra.flow import jobs
from spectra.flow.nvdapi import Api
from spectra.flow.submission import Ingest
from spectra.flow.vulnfeeds import VulnFeeds
from spectra.flow.vulnflow import Order, VulnJob, begin
from spectra.flow.vulnsync import Step, VulnSync
from spectra.flow.workflows import Workflows
from spectra.model.records import WorkflowRecord
from spectra.model.vulnfeeds import VulnFeedRecord, VulnFeedSource
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from tests.flow.desk import Clock, rows
from tests.flow.test_download import say, site
from tests.flow.test_workflows import TrueClock, done
from tests.flow.vulndesk import BATCH, BOUNDS, Nvd, cve, epss, kev, lines, make_feeds, make_sync, nvd, real
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine


@pytest.fixture
def clock() -> Clock:
    """Runs."""
    return TrueClock()


@pytest.fixture
def feeds(database: Database, blobs: BlobStore, tmp_path: Path, clock: Clock) -> VulnFeeds:
    """None are added yet."""
    return make_feeds(database, blobs, tmp_path, clock)


class Stopping(VulnSync):
    """Lets a test look between two batches: waits at the third until it is let go."""

    def gate(self) -> None:
        """Closed at first."""
        self.here, self.go = threading.Event(), threading.Event()

    def write(self, items: object) -> Step:
        """A batch, or a page."""
        third = f"CVE-2026-{2 * BATCH + 1:04}"
        if isinstance(items, list) and any(getattr(item, "cve", "") == third for item in items):
            self.here.set()
            assert self.go.wait(60)
        return super().write(items)  # type: ignore[arg-type]


class Woken:
    """Counts the calls of `after_sync`."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


@pytest.fixture
def woken() -> Woken:
    """Nobody was woken yet."""
    return Woken()


@contextmanager
def running(ingest: Ingest, sync: VulnSync) -> Generator[Workflows]:
    """The engine with these steps."""
    engine = Workflows(ingest, jobs=[VulnJob(sync)])
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()


@pytest.fixture
def sync(database: Database, blobs: BlobStore, tmp_path: Path, clock: Clock, woken: Woken) -> VulnSync:
    """The steps."""
    return make_sync(database, blobs, tmp_path, clock, after_sync=woken)


@pytest.fixture
def workflows(ingest: Ingest, sync: VulnSync) -> Iterator[Workflows]:
    """The engine, started."""
    with running(ingest, sync) as engine:
        yield engine


def blob_files(tmp_path: Path) -> int:
    """How many blobs there are."""
    return sum(path.is_file() for path in (tmp_path / "blobs").rglob("*"))


def status(feeds: VulnFeeds, name: str) -> VulnFeedRecord:
    """One feed."""
    (found,) = [feed for feed in feeds.status().feeds if feed.name == name]
    return found


def ended(workflows: Workflows, feeds: VulnFeeds, name: str, file: Path, *, force: bool = False) -> WorkflowRecord:
    """How taking a file ended."""
    begun = feeds.upload(name, file, by="alice", force=force)
    assert begun.outcome == "started"
    return done(workflows, begun.workflow_id)


def test_a_file_is_taken_in(
    workflows: Workflows, feeds: VulnFeeds, woken: Woken, tmp_path: Path, database: Database
) -> None:
    """Told with its progress; the feed's record says what it was; nothing of the file stays; the same again is none."""
    file = nvd(tmp_path / "feed", *range(1, 11))
    record = ended(workflows, feeds, "nvd", file)
    assert (record.status, record.name, record.done, record.total) == ("done", "wf.vuln_sync", 10, 10)
    assert [s.name for s in record.steps] == ["begin", "recognise", "store records", "finish", "discard file"]
    assert record.workflow_id.startswith("vulnsync-")
    assert record.observation_id == ""
    assert woken.times == 1
    found = status(feeds, "nvd")
    assert (found.kind, found.source, found.records, found.cves, found.configured) == ("nvd", "upload", 10, 10, 10)
    assert (found.taken_by, found.error, found.running, found.size) == ("alice", "", "", file.stat().st_size)
    assert blob_files(tmp_path) == 0
    assert not list((tmp_path / "stage").iterdir())
    assert feeds.upload("nvd", file, by="alice").outcome == "unchanged"
    again = ended(workflows, feeds, "nvd", file, force=True)
    assert again.done == 10
    assert rows(database, "SELECT count(DISTINCT xmin::text) FROM vuln") == [(3,)], "each batch was written once"
    listed = [w for w in workflows.newest() if w.name == "wf.vuln_sync"]
    assert [(w.status, w.done, w.total) for w in listed] == [("done", 10, 10)] * 2


def test_scores_follow(workflows: Workflows, feeds: VulnFeeds, tmp_path: Path, database: Database) -> None:
    """The catalogue and EPSS, before and after the CVEs they are about; an older one is refused, and that is told."""
    assert ended(workflows, feeds, "kev", kev(tmp_path / "kev", 1, 2, day=5)).done == 2
    ended(workflows, feeds, "nvd", nvd(tmp_path / "feed", 1, 2, 3))
    ended(workflows, feeds, "epss", epss(tmp_path / "epss", 1, 2, 3, day=5))
    found = rows(database, "SELECT count(*) FROM vuln WHERE epss = 0.5 AND ransomware = (kev IS NOT NULL)")
    assert found == [(3,)]
    old = ended(workflows, feeds, "kev", kev(tmp_path / "old", 1, 2, 3, day=4))
    assert old.status == "failed"
    assert "It is of 2026-05-05, and what is held is of 2026-05-06" in old.error
    assert status(feeds, "kev").error == old.error
    assert [w.workflow_id for w in workflows.newest(status="failed")] == [old.workflow_id]
    assert (status(feeds, "kev").records, status(feeds, "kev").version) == (2, "2026.05.05")
    forced = ended(workflows, feeds, "kev", tmp_path / "old", force=True)
    assert (forced.status, status(feeds, "kev").error, status(feeds, "kev").cves) == ("done", "", 3)
    assert rows(database, "SELECT count(*) FROM vuln WHERE kev IS NOT NULL") == [(3,)]


def test_from_a_url(workflows: Workflows, feeds: VulnFeeds, tmp_path: Path) -> None:
    """Fetched, fetched again where there is something new, and kept where the server is away or says nonsense."""
    body = [nvd(tmp_path / "feed", 1, 2).read_bytes()]
    with site(lambda h: say(h, 304) if h.headers.get("if-none-match") else say(h, 200, body[0], ETag='"7"')) as url:
        first = feeds.add("nvd", VulnFeedSource(f"{url}/feed?token=secret"), by="alice")
        assert done(workflows, first.workflow_id).done == 2
        assert status(feeds, "nvd").source.endswith("/feed?token=...")
        again = done(workflows, feeds.update("nvd", by="bob").workflow_id)
        assert (again.status, again.done, status(feeds, "nvd").taken_by) == ("done", 0, "alice")
        body[0] = b"<html>404</html>"
        nonsense = done(workflows, feeds.update("nvd", by="bob", force=True).workflow_id)
        assert (nonsense.status, "web page" in nonsense.error) == ("failed", True)
    away = done(workflows, feeds.update("nvd", by="bob").workflow_id)
    assert "cannot be reached" in away.error
    found = status(feeds, "nvd")
    assert (found.error, found.records, found.cves) == (away.error, 2, 2)
    assert "secret" not in f"{away} {found}"


def test_pages_of_the_api(
    ingest: Ingest, database: Database, blobs: BlobStore, tmp_path: Path, clock: Clock, feeds: VulnFeeds,
    shared_data: Path,
) -> None:  # fmt: skip
    """All real CVEs the first time, through refusals that pass; then what changed since, within a window."""
    objects = real(shared_data, 23)
    with Nvd(objects).serving() as server:
        sync = make_sync(database, blobs, tmp_path, clock, api=Api(BOUNDS, pause_s=0.0))
        with running(ingest, sync) as workflows:
            server.failing = [403, 0, 429, 503, 0]
            first = done(workflows, feeds.add("nvd", VulnFeedSource(server.url), by="alice").workflow_id)
            assert (first.status, first.done, first.total) == ("done", 23, 23)
            assert rows(database, "SELECT count(*) FROM vuln") == [(23,)]
            found = status(feeds, "nvd")
            assert (found.kind, found.records, found.error) == ("nvd-api", 23, "")
            assert found.since
            asked = len(server.asked)
            at = (found.since - timedelta(minutes=1)).isoformat(timespec="milliseconds").removesuffix("+00:00")
            objects[3] = {**objects[3], "lastModified": at}
            second = done(workflows, feeds.update("nvd", by="alice").workflow_id)
            assert (second.status, second.done, len(server.asked) - asked) == ("done", 1, 1)
            server.failing = [404]
            third = done(workflows, feeds.update("nvd", by="alice").workflow_id)
            assert "answered 404" in third.error
            server.failing = [503] * 20
            gave_up = done(workflows, feeds.update("nvd", by="alice").workflow_id)
            assert "answered 503" in gave_up.error
            assert len(server.failing) == 12, "eight times, and not for ever"
            late = status(feeds, "nvd").since
            assert late is not None
            assert late >= found.since


def test_an_end_of_the_engine_leaves_the_rest_to_the_next(
    ingest: Ingest, database: Database, blobs: BlobStore, tmp_path: Path, clock: Clock, feeds: VulnFeeds
) -> None:
    """After the batch that it is at, without an error; the next start goes on by itself, and no batch is lost."""
    file = nvd(tmp_path / "feed", *range(1, 21))
    first = make_sync(database, blobs, tmp_path, clock)
    slow = Stopping.__new__(Stopping)
    slow.__dict__.update(first.__dict__)
    slow.gate()
    engine = Workflows(ingest, jobs=[VulnJob(slow)])
    engine.start()
    begun = feeds.upload("nvd", file, by="alice")
    assert slow.here.wait(60)
    record = engine.get(begun.workflow_id)
    assert (record.status, record.done) == ("running", 2 * BATCH)
    assert status(feeds, "nvd").running == begun.workflow_id
    (listed,) = [w for w in engine.newest() if w.name == "wf.vuln_sync"]
    assert (listed.done, listed.total >= listed.done) == (2 * BATCH, True)
    ending = threading.Thread(target=engine.stop)
    ending.start()
    eventually(jobs.stopping.is_set)
    slow.go.set()
    ending.join(60)
    assert 0 < rows(database, "SELECT count(*) FROM vuln")[0][0] < 20
    with running(ingest, make_sync(database, blobs, tmp_path / "next", clock)) as workflows:
        record = done(workflows, begun.workflow_id)
        assert (record.status, record.done) == ("done", 20)
    assert rows(database, "SELECT count(*) FROM vuln") == [(20,)]
    assert blob_files(tmp_path) == 0


def test_a_lost_sync_is_found(
    workflows: Workflows, feeds: VulnFeeds, tmp_path: Path, database: Database, clock: Clock
) -> None:
    """One that lost its thread with the database is run again by the sweep, from where it was."""
    first = ended(workflows, feeds, "nvd", nvd(tmp_path / "feed", *range(1, 11)))
    with psycopg.connect(database.url, autocommit=True) as admin:
        admin.execute(
            "UPDATE dbos.workflow_status SET status = 'PENDING', output = NULL WHERE workflow_uuid = %s",
            [first.workflow_id],
        )
    assert workflows.sweep() == 0
    clock.advance(timedelta(hours=1))
    assert workflows.sweep() == 1
    assert done(workflows, first.workflow_id).done == 10


def test_trouble_that_passes(
    ingest: Ingest, database: Database, blobs: BlobStore, tmp_path: Path, clock: Clock, feeds: VulnFeeds
) -> None:
    """A database that is away for a moment costs a step, not the sync; a defect ends it and is told."""
    fails = [Unavailable("away"), Unavailable("away")]

    class Failing(VulnSync):
        def write(self, items: object) -> Step:
            if fails:
                raise fails.pop()
            return super().write(items)  # type: ignore[arg-type]

    sync = Failing.__new__(Failing)
    sync.__dict__.update(make_sync(database, blobs, tmp_path, clock).__dict__)
    with running(ingest, sync) as workflows:
        assert ended(workflows, feeds, "nvd", nvd(tmp_path / "feed", *range(1, 11))).done == 10
        fails.append(ValueError("a defect"))  # type: ignore[arg-type]
        broken = ended(workflows, feeds, "nvd", nvd(tmp_path / "next", *range(1, 15)))
        assert (broken.status, "a defect" in status(feeds, "nvd").error) == ("failed", True)
        assert blob_files(tmp_path) == 0
        assert status(feeds, "nvd").records == 10, "what was taken last is what is held"


def test_two_at_once(workflows: Workflows, feeds: VulnFeeds, tmp_path: Path, database: Database) -> None:
    """Files wait for each other and all are taken; fetching twice at a time is fetching once."""
    begun = [
        feeds.upload(f"nvd-{n}", nvd(tmp_path / f"feed{n}", *range(1, 11), product=f"p{n}", day=n), by="alice")
        for n in (1, 3, 2)
    ]
    assert {done(workflows, b.workflow_id).status for b in begun} == {"done"}
    assert rows(database, "SELECT product FROM product WHERE vulns > 0") == [("p3",)], "the newest, not the last"
    held, go = threading.Event(), threading.Event()

    def slowly(handler: object) -> None:
        held.set()
        go.wait(60)
        say(handler, 200, nvd(tmp_path / "feed", 1).read_bytes())  # type: ignore[arg-type]

    with site(slowly) as url:
        first = feeds.add("slow", VulnFeedSource(f"{url}/feed"), by="alice")
        assert held.wait(60)
        second = feeds.update("slow", by="bob")
        go.set()
        assert (second.outcome, second.workflow_id) == ("running", first.workflow_id)
        assert done(workflows, first.workflow_id).status == "done"


def test_what_could_not_be_read_is_told(workflows: Workflows, feeds: VulnFeeds, tmp_path: Path) -> None:
    """With the feed, until its next file."""
    odd = lines(tmp_path / "feed", [cve(1), "{broken", cve(2)])
    assert ended(workflows, feeds, "nvd", odd).done == 3
    found = status(feeds, "nvd")
    assert (found.unread.count, found.unread.examples[0].line, found.cves) == (1, 2, 2)
    ended(workflows, feeds, "nvd", nvd(tmp_path / "next", 1, 2))
    assert status(feeds, "nvd").unread.count == 0


def test_taking_a_feed_back(
    workflows: Workflows, feeds: VulnFeeds, tmp_path: Path, database: Database, woken: Woken
) -> None:
    """What only it told of goes; while another feed tells the same, nothing does."""
    ended(workflows, feeds, "one", nvd(tmp_path / "one", *range(1, 11)))
    ended(workflows, feeds, "two", nvd(tmp_path / "two", *range(8, 15)))
    ended(workflows, feeds, "kev", kev(tmp_path / "kev", 1))
    assert feeds.remove("one", by="alice").outcome == "unchanged"
    assert rows(database, "SELECT count(*) FROM vuln") == [(14,)]
    before = woken.times
    for name, left in (("kev", 14), ("two", 0)):
        record = done(workflows, feeds.remove(name, by="alice").workflow_id)
        assert (record.status, rows(database, "SELECT count(*) FROM vuln")) == ("done", [(left,)])
    assert woken.times > before
    assert feeds.status().feeds == ()


def test_a_feed_that_was_removed_meanwhile(workflows: Workflows) -> None:
    """Its sync fails and says why."""
    workflow_id, _ = begin("nothing", Order())
    assert "no feed of weaknesses nothing" in done(workflows, workflow_id).error
