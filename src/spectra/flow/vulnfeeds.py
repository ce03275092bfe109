"""The feeds of weaknesses as a service of a coordinator: told of, added, updated when they are due, and taken back.

What takes long is a workflow (`flow.vulnflow`); what can be refused at once is refused here.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from spectra.errors import BadRequest, SpectraError
from spectra.flow.download import checked_url
from spectra.flow.schedule import due
from spectra.flow.vulnflow import Order, begin
from spectra.flow.vulnstage import Stage
from spectra.flow.vulnsync import SCORES, OpenFeed, VulnSync
from spectra.model.feeds import UPLOAD, public_source
from spectra.model.vulnfeeds import NVD_API, VulnFeedPage, VulnFeedRecord, VulnFeedSource
from spectra.model.vulnfeeds import VulnSync as Begun
from spectra.store import vulnsources
from spectra.store.database import Database
from spectra.store.vulnsources import Coverage, Source

_log = logging.getLogger("spectra.vulns")

_LOOK_S: Final = 30.0
_LEASE: Final = timedelta(minutes=30)
_API_PATH: Final = "/rest/json/cves/2.0"
SCHEDULE: Final = "schedule"
"""Who updates feeds that are due."""


class VulnFeeds:
    """The feeds of weaknesses of one coordinator. Thread-safe; syncs begin only while the workflow engine runs."""

    def __init__(
        self,
        database: Database,
        stage: Stage,
        *,
        open_feed: OpenFeed,
        clock: Callable[[], datetime],
        max_bytes: int,
        update_every: timedelta = timedelta(),
    ) -> None:
        self._database = database
        self._stage = stage
        self._open = open_feed
        self._clock = clock
        self.max_bytes = max_bytes
        self._update_every = update_every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._update_forever, name="vulns-update", daemon=True)

    def start(self) -> None:
        """Update feeds that are due in the background."""
        if self._update_every:
            self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    # --- telling ---

    def status(self) -> VulnFeedPage:
        """Every feed, and how much of the corpus its kind covers."""
        covered = vulnsources.coverage(self._database)
        records = tuple(
            _record(source, covered.get(source.tells, Coverage())) for source in vulnsources.every(self._database)
        )
        return VulnFeedPage(records, vulnsources.totals(self._database))

    # --- changing ---

    def incoming(self) -> AbstractContextManager[Path]:
        """Where to put a file that is coming in; gone at the end of the block."""
        return self._stage.incoming()

    def upload(self, name: str, file: Path, *, by: str, force: bool = False) -> Begun:
        """Take the file as feed `name`; raises `SpectraError` for what is no feed, or of another kind."""
        sha256 = _sha256(file)
        with self._database.connection() as connection:
            held = vulnsources.find(connection, name)
        try:
            with closing(self._open(file)) as feed:
                kind = feed.kind
            VulnSync.check_kind(held, kind, force)
        except SpectraError as error:
            if held is not None and not error.retryable:
                with self._database.connection() as connection:
                    vulnsources.refuse(connection, name, self._clock(), str(error))
            raise
        if held is not None and not force and not held.error and held.sha256 == sha256:
            return Begun(name, "unchanged")
        return self._begin(name, UPLOAD, Order(by=by, kind=kind, staged=self._stage.keep(file), force=force))

    def add(self, name: str, source: VulnFeedSource, *, by: str, force: bool = False) -> Begun:
        """Fetch feed `name` from a URL, now and at every update."""
        url = checked_url(source.url)
        api = source.kind == NVD_API or url.path.rstrip("/").endswith(_API_PATH)
        with self._database.connection() as connection:
            held = vulnsources.find(connection, name)
        if api:
            VulnSync.check_kind(held, NVD_API, force or (held is not None and held.tells == "nvd"))
        return self._begin(name, source.url, Order(by=by, kind=NVD_API if api else "", force=force))

    def update(self, name: str, *, by: str, force: bool = False) -> Begun:
        """Fetch feed `name` again; `force` also takes what is older or much smaller, and the whole of an API's."""
        with self._database.connection() as connection:
            held = vulnsources.get(connection, name)
        if held.source == UPLOAD:
            raise BadRequest(
                f"Feed {name} came as a file: there is no URL to update it from.",
                reason="feed_no_source",
                hint=f"spectra feeds vulns add {name} FILE takes another.",
            )
        kind = held.kind if held.kind == NVD_API else ""
        return self._begin(name, held.source, Order(by=by, kind=kind, force=force))

    def remove(self, name: str, *, by: str) -> Begun:
        """Do without feed `name`: what only it told of is taken back."""
        with self._database.transaction() as connection:
            held = vulnsources.get(connection, name)
            shared = vulnsources.others_of(connection, held)
            vulnsources.remove(connection, name)
        _log.info("feed of weaknesses removed", extra={"spectra.feed": name, "user.name": by})
        if shared or not held.kind:
            return Begun(name, "unchanged")
        workflow_id, mine = begin(name, Order("remove", by=by, kind=held.kind))
        return Begun(name, "started" if mine else "running", workflow_id)

    def _begin(self, name: str, source: str, order: Order) -> Begun:
        with self._database.transaction() as connection:
            vulnsources.expect(connection, name, order.kind if order.kind == NVD_API else "", source, self._clock())
        workflow_id, mine = begin(name, order)
        return Begun(name, "started" if mine else "running", workflow_id)

    # --- updating ---

    def _update_forever(self) -> None:
        while not self._stop.wait(_LOOK_S):
            try:
                self.update_due()
            except Exception:  # noqa: BLE001 - the database is away: the next round finds what this one did not
                _log.warning("feeds of weaknesses could not be updated; trying again later", exc_info=True)

    def update_due(self) -> list[str]:
        """Update the feeds whose time has come and that no other coordinator is at; returns their names."""
        done: list[str] = []
        for source in vulnsources.every(self._database):
            now = self._clock()
            if self._stop.is_set() or now < self._due(source):
                continue
            if not vulnsources.claim(self._database, source, now, now + _LEASE):
                continue
            done.append(source.name)
            try:
                self.update(source.name, by=SCHEDULE)
            except SpectraError as error:
                extra = {"spectra.feed": source.name, "error.message": str(error)}
                _log.warning("feed of weaknesses not updated", extra=extra)
        return done

    def _due(self, source: Source) -> datetime:
        failed = bool(source.error)
        return due(source.name, source.source, source.checked, failed=failed, every=self._update_every)


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _record(source: Source, covered: Coverage) -> VulnFeedRecord:
    scored = SCORES & {source.kind}
    return VulnFeedRecord(
        name=source.name,
        kind=source.kind,
        source=public_source(source.source),
        checked=source.checked,
        version=source.version,
        built=source.built,
        sha256=source.sha256,
        size=source.size,
        records=source.records,
        unread=source.unread,
        updated=source.updated,
        taken_by=source.taken_by,
        error=source.error,
        since=source.since,
        running=source.running,
        cves=covered.cves,
        configured=0 if scored else covered.configured,
        scored=0 if scored else covered.scored,
    )
