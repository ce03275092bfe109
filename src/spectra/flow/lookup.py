"""Hosts looked up in the current feed set, which is loaded when it is needed and followed when it changes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from spectra.errors import SpectraError, Unavailable
from spectra.flow.tables import Tables
from spectra.model.facts import HostFacts
from spectra.store import feeds
from spectra.store.database import Database

if TYPE_CHECKING:  # numpy takes a while to be imported: not before there is a feed
    from spectra.intel.enrich.locator import Locator
    from spectra.intel.feeds import Table

_log = logging.getLogger("spectra.feeds")

_LOOK_S: Final = 2.0  # how often the database is asked whether another set is current
_PAUSE_S: Final = 20.0  # before tables that could not be loaded are asked for again


class Loaded(NamedTuple):
    """A feed set (0: none) and what looks addresses up in it; None where no feed is in it."""

    feed_set: int
    locator: Locator | None


class Lookup:
    """Looks hosts up. Thread-safe. Without any feed, nothing is looked up and nothing is loaded."""

    def __init__(self, database: Database, tables: Tables) -> None:
        self._database = database
        self._tables = tables
        self._loaded: Loaded | None = None
        self._loading = threading.Lock()
        self._failed = -_PAUSE_S

    def facts(self, ips: Sequence[str]) -> Sequence[HostFacts]:
        """Facts of each of `ips` by the current set; none where there are no feeds, or none that can be loaded."""
        try:
            loaded = self.locator()
        except SpectraError:
            _log.warning("feeds cannot be loaded; hosts are taken in without places", exc_info=True)
            return ()
        if loaded.locator is None:
            return ()
        places = loaded.locator.locate(ips)
        return [HostFacts(ip, loaded.feed_set, place) for ip, place in zip(ips, places, strict=True)]

    def locator(self) -> Loaded:
        """The current feed set and its locator, loaded by the first who asks. Raises `SpectraError` if it cannot be."""
        return self._loaded or self.refresh()

    def refresh(self, *, anew: bool = False) -> Loaded:
        """Ask the database which set is current, and load it if it is another; `anew` also if that just failed."""
        with self._loading:
            with self._database.aside() as connection:  # who asks may hold a connection already
                now = feeds.current(connection)
            if self._loaded is None or self._loaded.feed_set != now.feed_set:
                if time.monotonic() - self._failed < _PAUSE_S and not anew:
                    raise Unavailable("The feeds could not be loaded a moment ago.", reason="feeds_away")
                self._loaded = self._load(now)
            return self._loaded

    def follow(self, stop: threading.Event) -> None:
        """Refresh again and again until `stop` is set."""
        pause = 0.0
        while not stop.wait(pause):
            try:
                self.refresh()
                pause = _LOOK_S
            except Exception:  # noqa: BLE001 - the database is away: what was loaded stays in use
                pause = _PAUSE_S
                _log.warning("feeds could not be loaded; trying again", exc_info=True)

    def _load(self, now: feeds.Current) -> Loaded:
        try:
            tables = [self._tables.get(digest) for digest in now.compiled.values()]
            loaded = Loaded(now.feed_set, _locator(tables) if tables else None)
        except Exception:
            self._failed = time.monotonic()
            raise
        _log.info("feeds loaded", extra={"spectra.feed_set": now.feed_set, "spectra.feeds": len(tables)})
        return loaded


def _locator(tables: Sequence[Table]) -> Locator:
    from spectra.intel.enrich.locator import Locator

    return Locator(tables)
