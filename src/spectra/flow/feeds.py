"""Feeds as a service of a coordinator: taken, checked, put in use and taken back; and hosts looked up in them.

A feed is read whole before it replaces the last good one: one that is corrupt, empty, of another kind or suspiciously
small is refused, the last good one stays in use, and the refusal is on record. The compiled tables lie in the blob
store, so that every coordinator on one database answers by the same feed set within seconds.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from spectra.errors import BadRequest, NotFound, SpectraError, Unavailable
from spectra.flow.download import Bounds, checked_url, fetch
from spectra.flow.lookup import Loaded, Lookup
from spectra.flow.schedule import due
from spectra.flow.tables import Tables
from spectra.model.facts import HostFacts
from spectra.model.feeds import UPLOAD, FeedChange, FeedPage, FeedRecord, FeedSet, Outcome, public_source
from spectra.store import feeds
from spectra.store.blobs import BlobStore
from spectra.store.database import Connection, Database
from spectra.store.feeds import Feed, Validators, Version
from spectra.store.provenance import Entry, commit

if TYPE_CHECKING:  # numpy takes a while to be imported: not before there is a feed
    from spectra.intel.feeds import Table

_log = logging.getLogger("spectra.feeds")

_WAIT_S: Final = 60.0  # for another change of this coordinator to end
_UPDATE_LOOK_S: Final = 30.0
_LEASE: Final = timedelta(minutes=30)
SCHEDULE: Final = "schedule"
"""Who updates feeds that are due, in the chain."""


class _Found(NamedTuple):
    """A feed file that came, and where from."""

    file: Path
    source: str
    provider: str
    validators: Validators = Validators()
    again: bool = False  # fetched once more from where it was fetched before


class Feeds:
    """The feeds of one coordinator. Thread-safe. Without any feed, nothing is looked up and nothing is loaded."""

    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        folder: Path,
        *,
        clock: Callable[[], datetime],
        bounds: Bounds,
        update_every: timedelta = timedelta(),
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._tables = Tables(folder, blobs)
        self._clock = clock
        self._bounds = bounds
        self._update_every = update_every
        self._lookup = Lookup(database, self._tables)
        self._changing = threading.Lock()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._lookup.follow, args=[self._stop], name="feeds", daemon=True),
            threading.Thread(target=self._update_forever, name="feeds-update", daemon=True),
        ]

    @property
    def max_bytes(self) -> int:
        """The largest feed that is taken."""
        return self._bounds.max_bytes

    # --- running ---

    def start(self) -> None:
        """Follow the database in the background, and update feeds that are due."""
        self._tables.clean_up()
        for thread in self._threads[: 2 if self._update_every else 1]:
            thread.start()

    def stop(self) -> None:
        """End the threads; an update that is under way is given up."""
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=5)

    # --- looking hosts up ---

    def facts(self, ips: Sequence[str]) -> Sequence[HostFacts]:
        """Facts of each of `ips` by the current set; none where there are no feeds, or none that can be loaded."""
        return self._lookup.facts(ips)

    def locator(self) -> Loaded:
        """The current feed set and its locator, loaded by the first who asks. Raises `SpectraError` if it cannot be."""
        return self._lookup.locator()

    def refresh(self) -> Loaded:
        """The set that the database says is current, now; raises `SpectraError` if it cannot be loaded."""
        return self._lookup.refresh()

    # --- telling ---

    def status(self) -> FeedPage:
        """Every feed, and how many hosts rest on what. Reads every host."""
        return self._page(feeds.every(self._database))

    def one(self, name: str) -> FeedRecord:
        """A feed; raises `NotFound`."""
        return self._page([self._get(name)]).feeds[0]

    def feed_set(self, number: int) -> FeedSet:
        """What the set of this number holds; raises `NotFound`."""
        found = feeds.sets(self._database, [number]).get(number)
        if found is None:
            raise NotFound(f"There is no feed set {number}.")
        return found

    def _get(self, name: str) -> Feed:
        with self._database.connection() as connection:
            return feeds.get(connection, name)

    def _page(self, found: Sequence[Feed]) -> FeedPage:
        with self._database.connection() as connection:
            now = feeds.current(connection)
        hosts = feeds.hosts_by_set(self._database)
        sets = feeds.sets(self._database, hosts)

        def behind(feed: Feed) -> int:
            held = {number for number, one in sets.items() if _rests_on(one, feed)}
            return sum(count for number, count in hosts.items() if number not in held)

        total = sum(hosts.values())
        records = tuple(_record(feed, behind(feed)) for feed in found)
        stale = total - hosts.get(now.feed_set, 0) if now.feed_set else 0
        return FeedPage(records, now.feed_set, total, stale)

    # --- changing ---

    @contextlib.contextmanager
    def incoming(self, filename: str) -> Generator[Path]:
        """Where to put a file that is coming in; gone at the end of the block. Its name may tell whose networks it has,
        so that of the original is kept.
        """
        with self._tables.spare() as folder:
            safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in filename.rpartition("/")[2])
            yield folder / f"feed.{safe[-100:]}"

    def upload(self, name: str, file: Path, *, by: str, provider: str = "", force: bool = False) -> FeedChange:
        """Take the file as feed `name`; raises `FeedError`, or `BadRequest` for one that `force` would take."""
        return self._settled(name, lambda: self._take(name, _Found(file, UPLOAD, provider), by=by, force=force))

    def add(self, name: str, url: str, *, by: str, provider: str = "", force: bool = False) -> FeedChange:
        """Fetch feed `name` from `url`, now and at every update."""
        checked_url(url)
        return self._settled(name, lambda: self._fetch(name, url, provider, None, by=by, force=force))

    def update(self, name: str, *, by: str, force: bool = False) -> FeedChange:
        """Fetch feed `name` again; `force` also takes what is suspicious, or was taken back."""
        feed = self._get(name)
        if feed.held.source == UPLOAD:
            raise BadRequest(
                f"Feed {name} came as a file: there is no URL to update it from.",
                reason="feed_no_source",
                hint=f"spectra feeds add {name} FILE replaces it.",
            )
        held = feed.held
        known = Validators() if force else Validators(feed.etag, feed.modified)
        return self._settled(name, lambda: self._fetch(name, held.source, held.provider, known, by=by, force=force))

    def rollback(self, name: str, *, by: str) -> FeedChange:
        """Put the version before in use again; updates leave alone what was taken back until there is another."""
        with self._exclusive():
            feed = self._get(name)
            if feed.previous is None:
                raise BadRequest(f"Feed {name} has no version before this one.", reason="feed_no_previous")
            self._tables.get(feed.previous.compiled)  # to know that it is still there
            return self._change("rolled_back", feed, name, feed.previous, by=by)

    def remove(self, name: str, *, by: str) -> FeedChange:
        """Do without feed `name` from now on."""
        with self._exclusive():
            return self._change("removed", self._get(name), name, None, by=by)

    def _fetch(
        self, name: str, url: str, provider: str, known: Validators | None, *, by: str, force: bool
    ) -> FeedChange:
        with self.incoming(checked_url(url).path or name) as path:
            with path.open("wb") as file:
                validators = fetch(url, file, self._bounds, known=known or Validators(), stopped=self._stop.is_set)
            if validators is None:
                return self._unchanged(self._get(name))
            return self._take(name, _Found(path, url, provider, validators, known is not None), by=by, force=force)

    def _settled(self, name: str, work: Callable[[], FeedChange]) -> FeedChange:
        """Do `work`; if it fails, that is on record with the feed, where there is one."""
        try:
            return work()
        except Unavailable:  # of ours: it says nothing of the feed
            raise
        except SpectraError as error:
            with contextlib.suppress(Unavailable):
                feeds.note_attempt(self._database, name, self._clock(), error.message)
            raise

    def _take(self, name: str, found: _Found, *, by: str, force: bool) -> FeedChange:
        from spectra.flow.compile import compiled

        with self._exclusive(), self._tables.spare() as folder:
            sha256, size = _digest(found.file)
            with self._database.connection() as connection:
                old = feeds.find(connection, name)
            if old and not force and _is_known(old, sha256, found):
                return self._unchanged(old)
            file = folder / "table"
            table = compiled(found.file, found.provider, file)
            if not force:
                _check(name, table, old)
            new = Version(
                source=found.source,
                kind=table.kind,
                format=table.format,
                provider=table.provider or found.provider,
                version=table.version,
                sha256=sha256,
                size=size,
                networks=table.networks,
                compiled="",
                updated=self._clock(),
                taken_by=by,
                built=table.built,
            )
            outcome: Outcome = "updated" if old else "added"
            return self._change(outcome, old, name, new, by=by, file=file, validators=found.validators)

    def _unchanged(self, feed: Feed) -> FeedChange:
        feeds.note_attempt(self._database, feed.name, self._clock())
        return self._outcome("unchanged", feed.name, feed)

    @contextlib.contextmanager
    def _exclusive(self) -> Generator[None]:
        """One change at a time in this process: each takes memory and a processor."""
        if not self._changing.acquire(timeout=_WAIT_S):
            raise Unavailable("Another feed is being taken in.", reason="busy", hint="Try again in a minute.")
        try:
            yield
        finally:
            self._changing.release()

    def _change(
        self,
        outcome: Outcome,
        old: Feed | None,
        name: str,
        new: Version | None,
        *,
        by: str,
        file: Path | None = None,
        validators: Validators = Validators(),  # noqa: B008 - immutable
    ) -> FeedChange:
        """Put `new` (None: nothing) in use, make that the current set and put it on record, in one transaction."""
        now = self._clock()

        def work(connection: Connection) -> tuple[None, list[Entry]]:
            feeds.lock(connection)
            present = feeds.find(connection, name)
            if (present and present.held) != (old and old.held):
                raise Unavailable(f"Feed {name} was just changed by somebody else.", reason="conflict")
            detail: dict[str, object] = {"name": name, "taken_by": by}
            if new is None:
                feeds.remove(connection, name)
            elif file is None:
                held = msgspec.structs.replace(new, updated=now, taken_by=by)
                feeds.swap(connection, name, held)
                detail = feeds.detail(name, held)
            else:  # while the lock is held, or another coordinator might discard an equal table
                held = msgspec.structs.replace(new, compiled=self._tables.put(file))
                feeds.take(connection, name, held, validators)
                detail = feeds.detail(name, held)
            feeds.new_set(connection, now)
            return None, [Entry(f"feed.{_KINDS[outcome]}", feeds.subject(name), detail, now)]

        commit(self._database, work)
        _log.info("feed %s", outcome, extra={"spectra.feed": name, "user.name": by})
        self._tidy(old)
        return self._outcome(outcome, name, old)

    def _tidy(self, old: Feed | None) -> None:
        """Use what was put in use, and discard the tables that nothing refers to any more."""
        try:
            self._lookup.refresh(anew=True)
            left = [v.compiled for v in (old.held, old.previous) if v] if old else []
            with self._database.transaction() as connection:
                feeds.lock(connection)
                for digest in left:
                    if not feeds.is_used(connection, digest):
                        self._blobs.discard(bytes.fromhex(digest))
            self._tables.keep_only(_in_use(feeds.every(self._database)))
        except SpectraError:  # the change itself is done
            _log.warning("old feed tables could not be removed", exc_info=True)

    def _outcome(self, outcome: Outcome, name: str, old: Feed | None) -> FeedChange:
        with self._database.connection() as connection:
            now = feeds.find(connection, name)
            feed_set = feeds.current(connection).feed_set
        before = old.held if old else None
        return FeedChange(
            name,
            outcome,
            feed_set,
            _record(now, 0) if now else None,
            before.version if before else "",
            before.networks if before else 0,
        )

    # --- updating ---

    def _update_forever(self) -> None:
        while not self._stop.wait(_UPDATE_LOOK_S):
            try:
                self.update_due()
            except Exception:  # noqa: BLE001 - the database is away: the next round finds what this one did not
                _log.warning("feeds could not be updated; trying again later", exc_info=True)

    def update_due(self) -> list[str]:
        """Update the feeds whose time has come and that no other coordinator is at; returns their names."""
        done: list[str] = []
        for feed in feeds.every(self._database):
            now = self._clock()
            if self._stop.is_set() or now < self._due(feed) or not feeds.claim(self._database, feed, now, now + _LEASE):
                continue
            done.append(feed.name)
            try:
                self.update(feed.name, by=SCHEDULE)
            except SpectraError as error:
                _log.warning("feed not updated", extra={"spectra.feed": feed.name, "error.message": str(error)})
        return done

    def _due(self, feed: Feed) -> datetime:
        source, failed = feed.held.source, bool(feed.error)
        return due(feed.name, source, feed.checked, failed=failed, every=self._update_every)


_KINDS: Final = {"added": "updated", "updated": "updated", "rolled_back": "rolled_back", "removed": "removed"}


def _digest(file: Path) -> tuple[str, int]:
    with file.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        return sha256, stream.tell()


def _is_known(old: Feed, sha256: str, found: _Found) -> bool:
    """Whether these bytes of this source are in use already. An update does not take what the source had before either:
    that was rolled back, or one of its mirrors is late.
    """
    before = old.previous if found.again else None
    return any(
        (v.sha256, v.source) == (sha256, found.source) and found.provider in ("", v.provider)
        for v in (old.held, before)
        if v
    )


def _check(name: str, table: Table, old: Feed | None) -> None:
    """Raises `BadRequest` for what is no feed to rely on, unless somebody looked at it and says so."""
    from spectra.intel.feeds import shrunk

    if not table.networks:
        raise _refused("feed_empty", "It holds no network at all.")
    if old is None:
        return
    if table.kind != old.held.kind:
        raise _refused("feed_other_kind", f"It is a feed of kind {table.kind}; {name} is of kind {old.held.kind}.")
    if shrunk(old.held.networks, table.networks):
        raise _refused(
            "feed_shrunk", f"It has {table.networks} networks where there were {old.held.networks}: less than half."
        )


def _refused(reason: str, message: str) -> BadRequest:
    return BadRequest(message, reason=reason, field="feed", hint="The last good one stays in use; --force takes it.")


def _in_use(found: Iterable[Feed]) -> list[str]:
    return [v.compiled for feed in found for v in (feed.held, feed.previous) if v]


def _rests_on(one: FeedSet, feed: Feed) -> bool:
    version = one.feeds.get(feed.name)
    return version is not None and version.sha256 == feed.held.sha256


def _record(feed: Feed, behind: int) -> FeedRecord:
    held = feed.held
    return FeedRecord(
        name=feed.name,
        kind=held.kind,
        format=held.format,
        source=public_source(held.source),
        version=held.version,
        sha256=held.sha256,
        size=held.size,
        networks=held.networks,
        updated=held.updated,
        taken_by=held.taken_by,
        checked=feed.checked,
        provider=held.provider,
        built=held.built,
        error=feed.error,
        previous=feed.previous.version or feed.previous.sha256[:12] if feed.previous else None,
        hosts_behind=behind,
    )
