"""Looking stored hosts up again after an update of the feeds, and naming stored services: the steps of `wf.relocate`.

Each step is a transaction of its own and may run twice: what it did once it finds done. A host that an ingest looked up
in newer feeds meanwhile is left as it is, so neither has to wait for the other.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from spectra.flow.feeds import Feeds
from spectra.store import relocate
from spectra.store.content import Content, Known, NameCpe
from spectra.store.database import Database

BATCH: Final = 1000
"""Hosts, or services, of one step: their rows are locked for as long as it takes to write them."""


class Step(NamedTuple):
    """What one step did: `done` hosts or services, of which `changed` were not as they should be, up to `after`."""

    after: str = ""
    done: int = 0
    changed: int = 0


class Relocation:
    """The steps, on the feeds of this coordinator."""

    def __init__(self, database: Database, feeds: Feeds, cpe: NameCpe, *, batch: int = BATCH) -> None:
        self._database = database
        self._feeds = feeds
        self._cpe = cpe
        self._batch = batch
        self._known = Known()

    def behind(self) -> int:
        """How many hosts do not rest on the current feed set; none where there never was a feed."""
        feed_set = self._feeds.refresh().feed_set
        return relocate.behind(self._database, feed_set) if feed_set else 0

    def hosts(self, after: str) -> Step:
        """Look up the next hosts after the address `after` ("": from the first) that rest on an older set."""
        loaded = self._feeds.refresh()
        if not loaded.feed_set:
            return Step()
        stale = relocate.next_hosts(self._database, after, loaded.feed_set, self._batch)
        if not stale:
            return Step()
        ips = [host.ip for host in stale]
        content = Content(self._known)
        places = dict.fromkeys(ips, None)
        if loaded.locator is not None:
            found = zip(ips, loaded.locator.locate(ips), strict=True)
            places |= {ip: content.place(place) if place.known else None for ip, place in found}
        content.write(self._database)
        with self._database.transaction() as connection:
            moved = relocate.move(connection, places, loaded.feed_set)
        content.remember()
        return Step(ips[-1], len(ips), moved)

    def services(self, after: str) -> Step:
        """Name the next services after the id `after` ("": from the first)."""
        found = relocate.next_services(self._database, after, self._batch)
        if not found:
            return Step()
        names = [(key, self._cpe(service), known) for key, service, known in found]
        renamed = [(key, now) for key, now, known in names if now != known]
        if renamed:
            relocate.rename(self._database, renamed)
        return Step(found[-1][0], len(found), len(renamed))
