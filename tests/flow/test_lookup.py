"""Looking hosts up in the set that is current, and going on with the last one while that cannot be loaded."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from spectra.errors import Unavailable
from spectra.flow import lookup as looking
from spectra.flow.feeds import Feeds
from spectra.flow.lookup import Lookup
from spectra.flow.tables import Tables
from spectra.model.facts import NOWHERE
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from tests.flow.desk import Clock
from tests.flow.feedfiles import PARIS, cities, make_feeds
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine


@pytest.fixture
def feeds(database: Database, blobs: BlobStore, tmp_path: Path, clock: Clock) -> Feeds:
    """Where feeds are changed: another coordinator."""
    return make_feeds(database, blobs, tmp_path / "theirs", clock)


class Troubled(Tables):
    """Tables that cannot be had while there is trouble."""

    trouble = False
    asked = 0

    def get(self, digest: str) -> object:  # type: ignore[override]
        self.asked += 1
        if self.trouble:
            raise Unavailable("away")
        return super().get(digest)


@pytest.fixture
def tables(tmp_path: Path, blobs: BlobStore) -> Troubled:
    """In a folder of this coordinator's own."""
    return Troubled(tmp_path / "mine", blobs)


@pytest.fixture
def lookup(database: Database, tables: Troubled) -> Lookup:
    """Has loaded nothing yet."""
    return Lookup(database, tables)


def test_every_address_has_an_answer(lookup: Lookup, feeds: Feeds, tmp_path: Path) -> None:
    """In the order of asking, with the set it rests on; what is unknown, or no address at all, lies nowhere."""
    assert lookup.facts([PARIS]) == ()
    feeds.upload("cities", cities(tmp_path), by="alice")
    lookup.refresh()
    asked = ["8.8.8.8", PARIS, "2001:db8::1", "no address", PARIS]
    told = lookup.facts(asked)
    assert [(facts.ip, facts.feeds) for facts in told] == [(ip, 1) for ip in asked]
    assert [facts.place.city for facts in told] == ["", "Paris", "", "", "Paris"]
    assert told[0].place == NOWHERE


def test_the_same_set_is_loaded_once(lookup: Lookup, tables: Troubled, feeds: Feeds, tmp_path: Path) -> None:
    """Also when several ask for the first time at once."""
    feeds.upload("cities", cities(tmp_path), by="alice")
    threads = [threading.Thread(target=lookup.facts, args=[[PARIS]]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first = lookup.locator()
    assert lookup.refresh() is first
    assert tables.asked == 1


def test_trouble_keeps_the_last_set_in_use(lookup: Lookup, tables: Troubled, feeds: Feeds, tmp_path: Path) -> None:
    """And is not run into again at once, unless somebody insists; then the newest set is in use."""
    tables.trouble = True
    feeds.upload("cities", cities(tmp_path), by="alice")
    assert lookup.facts([PARIS]) == ()
    tables.trouble = False
    with pytest.raises(Unavailable) as caught:
        lookup.refresh()
    assert caught.value.reason == "feeds_away"
    assert lookup.refresh(anew=True).feed_set == 1
    tables.trouble = True
    feeds.upload("cities", cities(tmp_path, "Lyon"), by="alice")
    with pytest.raises(Unavailable):
        lookup.refresh(anew=True)
    assert [facts.place.city for facts in lookup.facts([PARIS])] == ["Paris"]


def test_following(
    lookup: Lookup, tables: Troubled, feeds: Feeds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through trouble, until it is stopped."""
    monkeypatch.setattr(looking, "_LOOK_S", 0.01)
    monkeypatch.setattr(looking, "_PAUSE_S", 0.01)
    stop = threading.Event()
    thread = threading.Thread(target=lookup.follow, args=[stop])
    thread.start()
    try:
        tables.trouble = True
        feeds.upload("cities", cities(tmp_path), by="alice")
        eventually(lambda: tables.asked > 1)
        tables.trouble = False
        eventually(lambda: lookup.locator().feed_set == 1)
        feeds.remove("cities", by="alice")
        eventually(lambda: lookup.locator().locator is None)
    finally:
        stop.set()
        thread.join(30)
