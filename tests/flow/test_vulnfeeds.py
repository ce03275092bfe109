"""The feeds of weaknesses as a service: what is refused at once, and when more is looked for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from spectra.errors import BadRequest, NotFound, SpectraError
from spectra.flow.submission import Ingest
from spectra.flow.vulnfeeds import SCHEDULE, VulnFeeds
from spectra.flow.vulnflow import VulnJob
from spectra.flow.workflows import Workflows
from spectra.model.vulnfeeds import NVD_API_URL, VulnFeedSource
from spectra.store import vulnsources
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from tests.flow.desk import Clock
from tests.flow.test_download import say, site
from tests.flow.test_workflows import TrueClock, done
from tests.flow.vulndesk import kev, make_feeds, make_sync, nvd
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine
DAY = timedelta(days=1)


@pytest.fixture
def clock() -> Clock:
    """Runs."""
    return TrueClock()


@pytest.fixture
def feeds(database: Database, blobs: BlobStore, tmp_path: Path, clock: Clock) -> VulnFeeds:
    """None are added yet."""
    return make_feeds(database, blobs, tmp_path, clock)


@pytest.fixture
def workflows(
    ingest: Ingest, database: Database, blobs: BlobStore, tmp_path: Path, clock: Clock
) -> Iterator[Workflows]:
    """The engine, started."""
    engine = Workflows(ingest, jobs=[VulnJob(make_sync(database, blobs, tmp_path, clock))])
    engine.start()
    yield engine
    engine.stop()


def test_what_is_refused_at_once(workflows: Workflows, feeds: VulnFeeds, tmp_path: Path, shared_data: Path) -> None:
    """A web page, a feed of another kind, what is no URL, a feed there is not: nothing begins, and a feed that is held
    says so.
    """
    page = shared_data / "nvd/quirks/html_error_page_named_nvdcve-1.1-modified.json.gz"
    with pytest.raises(SpectraError, match="web page"):
        feeds.upload("nvd", page, by="alice")
    assert feeds.status().feeds == ()
    done(workflows, feeds.upload("nvd", nvd(tmp_path / "feed", 1), by="alice").workflow_id)
    with pytest.raises(SpectraError, match="web page"):
        feeds.upload("nvd", page, by="alice")
    (held,) = feeds.status().feeds
    assert "web page" in held.error
    assert (held.records, held.cves, held.running) == (1, 1, "")
    with pytest.raises(BadRequest, match="of kind kev; nvd is of kind nvd"):
        feeds.upload("nvd", kev(tmp_path / "kev", 1), by="alice")
    with pytest.raises(BadRequest, match="not the URL"):
        feeds.add("kev", VulnFeedSource("ftp://example.org/x"), by="alice")
    with pytest.raises(BadRequest, match="came as a file"):
        feeds.update("nvd", by="alice")
    for act in (feeds.update, feeds.remove):
        with pytest.raises(NotFound):
            act("nothing", by="alice")
    assert [w.status for w in workflows.newest()] == ["done"]


def test_an_api_is_recognised(workflows: Workflows, feeds: VulnFeeds, tmp_path: Path) -> None:
    """By its address, or because somebody says so; a catalogue is not asked for pages."""
    begun = feeds.add("nvd", VulnFeedSource(NVD_API_URL.replace("services.nvd.nist.gov", "127.0.0.1:1")), by="alice")
    assert "cannot be reached" in done(workflows, begun.workflow_id).error
    other = feeds.add("mirror", VulnFeedSource("https://127.0.0.1:1/nvd", "nvd-api"), by="alice")
    done(workflows, other.workflow_id)
    assert [(feed.name, feed.kind) for feed in feeds.status().feeds] == [("mirror", "nvd-api"), ("nvd", "nvd-api")]
    done(workflows, feeds.upload("kev", kev(tmp_path / "kev", 1), by="alice").workflow_id)
    with pytest.raises(BadRequest, match="kind nvd-api; kev is of kind kev"):
        feeds.add("kev", VulnFeedSource("https://127.0.0.1:1/nvd", "nvd-api"), by="alice")


def test_updates_when_they_are_due(
    workflows: Workflows, feeds: VulnFeeds, tmp_path: Path, clock: Clock, database: Database, blobs: BlobStore
) -> None:
    """Once a day, by one coordinator; an hour after a failure; a file that came is never looked for."""
    other = make_feeds(database, blobs, tmp_path / "other", clock)
    done(workflows, feeds.upload("file", nvd(tmp_path / "file", 9), by="alice").workflow_id)
    body = nvd(tmp_path / "feed", 1).read_bytes()
    with site(lambda handler: say(handler, 200, body)) as url:
        done(workflows, feeds.add("nvd", VulnFeedSource(f"{url}/feed"), by="alice").workflow_id)
        assert feeds.update_due() == []
        clock.advance(DAY * 1.2)
        body = nvd(tmp_path / "feed", 1, 2).read_bytes()
        assert feeds.update_due() + other.update_due() == ["nvd"]
        done(workflows, workflows.newest(limit=1)[0].workflow_id)  # until it ended, another update would join it
        assert vulnsources.every(database)[1].records == 2
        assert vulnsources.every(database)[1].taken_by == SCHEDULE
        assert feeds.update_due() == []
    clock.advance(DAY * 1.2)
    assert other.update_due() == ["nvd"]
    eventually(lambda: vulnsources.every(database)[1].error)
    assert feeds.update_due() == []
    clock.advance(timedelta(hours=1, minutes=1))
    assert feeds.update_due() == ["nvd"]


def test_the_thread(database: Database, blobs: BlobStore, tmp_path: Path, clock: Clock) -> None:
    """Runs where there is something to look for, and ends at once."""
    for every in (timedelta(), DAY):
        feeds = make_feeds(database, blobs, tmp_path, clock, update_every=every)
        feeds.start()
        assert feeds._thread.is_alive() == bool(every)
        feeds.stop()
        assert not feeds._thread.is_alive()
