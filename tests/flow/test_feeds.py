"""Feeds of a coordinator: the last good one stays in use whatever comes, and all coordinators answer by one set."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from spectra.errors import BadRequest, NotFound, SpectraError, Unavailable
from spectra.flow import audit
from spectra.flow.download import FetchError
from spectra.flow.feeds import SCHEDULE, Feeds
from spectra.flow.lookup import Loaded
from spectra.intel.feeds import FeedError
from spectra.model.facts import HostFacts
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from tests.flow.desk import Clock, rows
from tests.flow.feedfiles import PARIS, cities, city_of, located, make_feeds, places, routes
from tests.flow.test_download import say, site
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine

HOUR = timedelta(hours=1)


@pytest.fixture
def feeds(database: Database, blobs: BlobStore, tmp_path: Path, clock: Clock) -> Feeds:
    """Of one coordinator."""
    return make_feeds(database, blobs, tmp_path / "mine", clock)


@pytest.fixture
def other(database: Database, blobs: BlobStore, tmp_path: Path, clock: Clock) -> Feeds:
    """Of another coordinator on the same database, with a folder of its own."""
    return make_feeds(database, blobs, tmp_path / "theirs", clock)


def chain(database: Database) -> list[tuple[str, str]]:
    """Kind and subject of every entry about feeds."""
    query = "SELECT kind, subject FROM provenance WHERE kind LIKE 'feed.%' ORDER BY seq"
    return [(kind, subject) for kind, subject in rows(database, query)]


def tables(database: Database, blobs: BlobStore) -> int:
    """How many tables lie in the blob store."""
    return len([p for p in (blobs._folder or Path()).rglob("*") if p.is_file()])


def test_without_feeds_nothing_is_known(feeds: Feeds) -> None:
    """No facts, no set, nothing loaded."""
    assert feeds.facts([PARIS]) == ()
    assert feeds.locator() == Loaded(0, None)
    page = feeds.status()
    assert (page.feeds, page.feed_set, page.hosts, page.hosts_behind) == ((), 0, 0, 0)
    with pytest.raises(NotFound):
        feeds.one("cities")
    with pytest.raises(NotFound):
        feeds.feed_set(1)


def test_a_feed_is_in_use_at_once(feeds: Feeds, tmp_path: Path, database: Database, blobs: BlobStore) -> None:
    """Recognised, counted, on record with who added it, and facts rest on its set."""
    change = feeds.upload("cities", cities(tmp_path), by="alice")
    assert (change.outcome, change.feed_set) == ("added", 1)
    assert change.feed is not None
    assert (change.feed.kind, change.feed.networks, change.feed.source) == ("geo", 10, "upload")
    assert (change.feed.taken_by, change.feed.previous, change.feed.error) == ("alice", None, "")
    feeds.upload("routes", routes(tmp_path, ("192.0.2.0/24", 64496)), by="alice")
    (facts,) = feeds.facts([PARIS])
    assert isinstance(facts, HostFacts)
    assert (facts.feeds, facts.place.city, facts.place.asn) == (2, "Paris", 64496)
    assert set(feeds.feed_set(2).feeds) == {"cities", "routes"}
    assert set(feeds.feed_set(1).feeds) == {"cities"}
    assert chain(database) == [("feed.updated", "feed:cities"), ("feed.updated", "feed:routes")]
    assert audit.verify(database, blobs, deep=True).ok


def test_another_coordinator_follows(feeds: Feeds, other: Feeds, tmp_path: Path) -> None:
    """It fetches the compiled table, and the next version as soon as it asks the database again."""
    feeds.upload("cities", cities(tmp_path), by="alice")
    assert city_of(other) == "Paris"
    feeds.upload("cities", cities(tmp_path, "Lyon"), by="alice")
    assert city_of(feeds) == "Lyon"
    assert city_of(other) == "Paris"
    assert other.refresh().feed_set == 2
    assert city_of(other) == "Lyon"


def test_coordinators_follow_by_themselves(feeds: Feeds, other: Feeds, tmp_path: Path) -> None:
    """Once they are started; stopping ends that."""
    other.start()
    feeds.upload("cities", cities(tmp_path), by="alice")
    eventually(lambda: city_of(other) == "Paris")
    other.stop()
    assert not [t for t in threading.enumerate() if t.name.startswith("feeds")]


def test_the_same_again_changes_nothing(feeds: Feeds, tmp_path: Path, clock: Clock, database: Database) -> None:
    """No new set, no entry; that it was looked at is noted, and an earlier failure is over."""
    feeds.upload("cities", cities(tmp_path), by="alice")
    with pytest.raises(FeedError):
        feeds.upload("cities", places(tmp_path, "what is this?", name="x.csv"), by="alice")
    clock.advance(HOUR)
    change = feeds.upload("cities", cities(tmp_path), by="bob")
    assert (change.outcome, change.feed_set) == ("unchanged", 1)
    assert change.feed is not None
    assert (change.feed.taken_by, change.feed.checked, change.feed.error) == ("alice", clock(), "")
    assert len(chain(database)) == 1


BAD: dict[str, tuple[tuple[str, ...], str]] = {
    "corrupt": (("192.0.2.0/27,FR,FR-IDF,Lyon,", "192.0.2.0/99,FR,,,"), "feed_corrupt"),
    "empty": ((), "feed_corrupt"),
    "shrunken": (("192.0.2.0/27,FR,FR-IDF,Lyon,",), "feed_shrunk"),
    "a web page": (("<html>Log in</html>",), "feed_corrupt"),
    "something else": (("hello",), "feed_unknown"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_one_leaves_the_last_good_one_in_use(feeds: Feeds, tmp_path: Path, clock: Clock, name: str) -> None:
    """Refused with the reason, which stands with the feed, as does the time."""
    feeds.upload("cities", cities(tmp_path), by="alice")
    clock.advance(HOUR)
    content, reason = BAD[name]
    with pytest.raises(SpectraError) as caught:
        feeds.upload("cities", places(tmp_path, *content, name="bad.csv"), by="alice")
    assert caught.value.reason == reason
    record = feeds.one("cities")
    assert record.error == caught.value.message
    assert (record.checked, record.updated) == (clock(), clock() - HOUR)
    assert city_of(feeds) == "Paris"
    assert feeds.locator().feed_set == 1


def test_a_bad_first_one_leaves_nothing(feeds: Feeds, tmp_path: Path, database: Database) -> None:
    """No feed, no set, no entry."""
    with pytest.raises(FeedError):
        feeds.upload("cities", places(tmp_path, "hello"), by="alice")
    assert feeds.status().feeds == ()
    assert chain(database) == []


def test_the_corrupt_databases_of_maxmind(feeds: Feeds, tmp_path: Path, shared_data: Path) -> None:
    """None of those of its own test set takes the place of a good one."""
    good = shared_data / "geoip" / "maxmind" / "test-data"
    feeds.upload("city", good / "GeoLite2-City-Test.mmdb", by="alice")
    where = located(feeds, ["81.2.69.142"])
    assert where[0].city == "London"
    for name in ("GeoIP2-City-Test-Broken-Double-Format", "MaxMind-DB-test-broken-search-tree-24"):
        with pytest.raises(SpectraError):
            feeds.upload("city", good / f"{name}.mmdb", by="alice")
        assert feeds.one("city").error
    assert located(feeds, ["81.2.69.142"]) == where


def test_force_takes_what_is_suspicious(feeds: Feeds, tmp_path: Path) -> None:
    """A feed that shrank, or that is of another kind; never one that is corrupt."""
    feeds.upload("cities", cities(tmp_path), by="alice")
    one = places(tmp_path, "192.0.2.0/27,FR,FR-IDF,Lyon,")
    assert feeds.upload("cities", one, by="alice", force=True).networks_before == 10
    assert city_of(feeds) == "Lyon"
    other_kind = routes(tmp_path, ("192.0.2.0/24", 64496))
    with pytest.raises(BadRequest) as caught:
        feeds.upload("cities", other_kind, by="alice")
    assert caught.value.reason == "feed_other_kind"
    assert feeds.upload("cities", other_kind, by="alice", force=True).outcome == "updated"
    with pytest.raises(FeedError):
        feeds.upload("cities", places(tmp_path, "hello"), by="alice", force=True)


def test_rolling_back(feeds: Feeds, tmp_path: Path, database: Database, blobs: BlobStore) -> None:
    """The version before is in use again, as a newer set; twice undoes it; without one before nothing can be done."""
    feeds.upload("cities", cities(tmp_path), by="alice")
    with pytest.raises(BadRequest) as caught:
        feeds.rollback("cities", by="alice")
    assert caught.value.reason == "feed_no_previous"
    feeds.upload("cities", cities(tmp_path, "Lyon"), by="alice")
    change = feeds.rollback("cities", by="bob")
    assert (change.outcome, change.feed_set) == ("rolled_back", 3)
    assert change.feed is not None
    assert change.feed.taken_by == "bob"
    assert city_of(feeds) == "Paris"
    feeds.rollback("cities", by="bob")
    assert city_of(feeds) == "Lyon"
    assert [kind for kind, _ in chain(database)] == ["feed.updated"] * 2 + ["feed.rolled_back"] * 2
    assert audit.verify(database, blobs, deep=True).ok


def test_removing(feeds: Feeds, other: Feeds, tmp_path: Path, database: Database, blobs: BlobStore) -> None:
    """From the next host on nothing is known; its tables go."""
    feeds.upload("cities", cities(tmp_path), by="alice")
    feeds.upload("cities", cities(tmp_path, "Lyon"), by="alice")
    assert city_of(other) == "Lyon"
    change = feeds.remove("cities", by="alice")
    assert (change.outcome, change.feed, change.feed_set) == ("removed", None, 3)
    assert feeds.facts([PARIS]) == ()
    other.refresh()
    assert other.facts([PARIS]) == ()
    assert tables(database, blobs) == 0
    assert not list((tmp_path / "mine").iterdir())
    with pytest.raises(NotFound):
        feeds.remove("cities", by="alice")
    assert audit.verify(database, blobs, deep=True).ok


def test_old_tables_are_discarded(feeds: Feeds, tmp_path: Path, database: Database, blobs: BlobStore) -> None:
    """Two are kept: the one in use and the one before. One that another feed has as well stays."""
    for city in ("Paris", "Lyon", "Nice", "Metz"):
        feeds.upload("cities", cities(tmp_path, city), by="alice")
    assert tables(database, blobs) == 2
    feeds.upload("same", cities(tmp_path, "Metz"), by="alice")
    assert tables(database, blobs) == 2
    feeds.remove("cities", by="alice")
    assert tables(database, blobs) == 1
    assert city_of(feeds) == "Metz"


class Server:
    """Serves one file, its version as ETag."""

    def __init__(self) -> None:
        self.body = b""
        self.etag = ""
        self.status = 200
        self.asked = 0

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked += 1
        if self.etag and handler.headers.get("If-None-Match") == self.etag:
            say(handler, 304)
        else:
            say(handler, self.status, self.body, **({"ETag": self.etag} if self.etag else {}))

    def serve(self, path: Path, etag: str = "") -> None:
        """What it serves from now on."""
        self.body, self.etag = path.read_bytes(), etag


@pytest.fixture
def server() -> Server:
    """Serves nothing yet."""
    return Server()


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    """Where it serves a geofeed."""
    with site(server) as found:
        yield f"{found}/places.csv?key=secret"


def test_a_feed_from_a_url(feeds: Feeds, server: Server, url: str, tmp_path: Path) -> None:
    """Fetched, and at an update only if there is something new; what may be secret in the URL is not shown."""
    server.serve(cities(tmp_path), '"1"')
    change = feeds.add("cities", url, by="alice")
    assert change.feed is not None
    assert change.feed.source.endswith("/places.csv?key=...")
    assert feeds.update("cities", by="alice").outcome == "unchanged"
    server.serve(cities(tmp_path, "Lyon"), '"2"')
    assert feeds.update("cities", by="alice").outcome == "updated"
    assert city_of(feeds) == "Lyon"
    assert server.asked == 3


def test_what_was_rolled_back_is_not_fetched_again(feeds: Feeds, server: Server, url: str, tmp_path: Path) -> None:
    """Whether the server knows validators or not, until there is another version or somebody insists."""
    for bad, etag in (("Atlantis", '"1"'), ("Utopia", "")):
        server.serve(cities(tmp_path), etag)
        feeds.add("cities", url, by="alice")
        server.serve(cities(tmp_path, bad), etag and '"2"')
        feeds.update("cities", by="alice")
        feeds.rollback("cities", by="alice")
        assert feeds.update("cities", by=SCHEDULE).outcome == "unchanged"
        assert city_of(feeds) == "Paris"
        assert feeds.update("cities", by="alice", force=True).outcome == "updated"
        assert city_of(feeds) == bad


def test_a_source_that_fails_leaves_the_last_good_one(feeds: Feeds, server: Server, url: str, tmp_path: Path) -> None:
    """Away, or with a login page in the feed's place."""
    server.serve(cities(tmp_path))
    feeds.add("cities", url, by="alice")
    server.status = 503
    with pytest.raises(FetchError):
        feeds.update("cities", by="alice")
    assert "503" in feeds.one("cities").error
    server.status, server.body = 200, b"<html>Log in</html>"
    with pytest.raises(FeedError):
        feeds.update("cities", by="alice")
    assert "web page" in feeds.one("cities").error
    assert city_of(feeds) == "Paris"
    with pytest.raises(BadRequest):
        feeds.add("cities", "cities.csv", by="alice")


def test_a_file_has_no_url_to_update_from(feeds: Feeds, tmp_path: Path) -> None:
    """The hint says how it is replaced."""
    feeds.upload("cities", cities(tmp_path), by="alice")
    with pytest.raises(BadRequest) as caught:
        feeds.update("cities", by="alice")
    assert caught.value.reason == "feed_no_source"
    with pytest.raises(NotFound):
        feeds.update("nothing", by="alice")


def test_feeds_are_updated_when_they_are_due(
    feeds: Feeds, other: Feeds, server: Server, url: str, tmp_path: Path, clock: Clock
) -> None:
    """A day after the last time and at most a tenth later, by one coordinator; one that failed after an hour."""
    server.serve(cities(tmp_path))
    feeds.add("cities", url, by="alice")
    feeds.upload("file", cities(tmp_path, "Nice"), by="alice")
    assert feeds.update_due() == []
    clock.advance(27 * HOUR)
    server.serve(cities(tmp_path, "Lyon"))
    assert feeds.update_due() == ["cities"]
    assert feeds.one("cities").taken_by == SCHEDULE
    assert other.update_due() == []
    clock.advance(27 * HOUR)
    server.status = 500
    assert other.update_due() == ["cities"]
    assert feeds.update_due() == []
    server.status = 200
    clock.advance(HOUR)
    assert feeds.update_due() == ["cities"]
    assert feeds.one("cities").error == ""


def test_one_coordinator_fetches(
    feeds: Feeds, other: Feeds, server: Server, url: str, tmp_path: Path, clock: Clock
) -> None:
    """While one is at it, another leaves it alone."""
    server.serve(cities(tmp_path))
    feeds.add("cities", url, by="alice")
    clock.advance(27 * HOUR)
    inner: list[list[str]] = []
    fetch_again = feeds.update

    def update(name: str, *, by: str) -> object:
        inner.append(other.update_due())
        return fetch_again(name, by=by)

    feeds.update = update  # type: ignore[method-assign, assignment]
    assert feeds.update_due() == ["cities"]
    assert inner == [[]]


def test_hosts_that_rest_on_older_feeds_are_counted(feeds: Feeds, tmp_path: Path, database: Database) -> None:
    """In all, and for each feed those that rest on another version of it, or on none."""
    feeds.upload("cities", cities(tmp_path), by="alice")
    feeds.upload("routes", routes(tmp_path, ("192.0.2.0/24", 64496)), by="alice")
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO host (ip, first_seen, last_seen, feeds) VALUES ('192.0.2.1', now(), now(), 2),"
            " ('192.0.2.2', now(), now(), 1), ('192.0.2.3', now(), now(), NULL)"
        )
    page = feeds.status()
    assert (page.hosts, page.hosts_behind) == (3, 2)
    assert {feed.name: feed.hosts_behind for feed in page.feeds} == {"cities": 1, "routes": 2}
    feeds.upload("cities", cities(tmp_path, "Lyon"), by="alice")
    page = feeds.status()
    assert page.hosts_behind == 3
    assert {feed.name: feed.hosts_behind for feed in page.feeds} == {"cities": 3, "routes": 2}
    assert feeds.one("routes").hosts_behind == 2


def test_tables_that_cannot_be_loaded_stop_nothing(
    feeds: Feeds, other: Feeds, tmp_path: Path, blobs: BlobStore
) -> None:
    """What was loaded stays in use; who has nothing yet takes hosts in without places."""
    feeds.upload("cities", cities(tmp_path), by="alice")
    late = feeds.locator()
    feeds.upload("cities", cities(tmp_path, "Lyon"), by="alice")
    for file in (blobs._folder or Path()).rglob("*"):
        if file.is_file():
            file.unlink()
    assert late.feed_set == 1
    assert other.facts([PARIS]) == ()
    with pytest.raises(Unavailable):
        other.refresh()
    assert city_of(feeds) == "Lyon"


def test_two_changes_at_once(feeds: Feeds, other: Feeds, tmp_path: Path, database: Database) -> None:
    """Of two coordinators: who comes second to the same feed is told; different feeds make one set after the other."""
    feeds.upload("cities", cities(tmp_path), by="alice")
    old = feeds._get("cities")
    other.upload("cities", cities(tmp_path, "Lyon"), by="bob")
    with pytest.raises(Unavailable) as caught:
        feeds._change("rolled_back", old, "cities", old.held, by="alice")
    assert caught.value.reason == "conflict"
    assert [f"{number}" for (number,) in rows(database, "SELECT id FROM feed_set ORDER BY id")] == ["1", "2"]


TAMPERED = {
    "version": "UPDATE feed SET version = 'another'",
    "table": "UPDATE feed SET compiled = sha256('x')",
    "networks": "UPDATE feed SET networks = networks + 1",
    "source": "UPDATE feed SET source = 'https://example.org/'",
    "row": "DELETE FROM feed",
    "name": "UPDATE feed SET name = 'other'",
}


@pytest.mark.parametrize("what", TAMPERED)
def test_an_altered_feed_is_found_out(
    feeds: Feeds, tmp_path: Path, database: Database, blobs: BlobStore, what: str
) -> None:
    """What the chain says was taken is what has to stand there."""
    feeds.upload("cities", cities(tmp_path), by="alice")
    with database.connection() as connection:
        connection.execute(TAMPERED[what].encode())
    report = audit.verify(database, blobs)
    assert not report.ok
    assert "feed" in report.reason
