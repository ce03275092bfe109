"""Taking a feed of weaknesses in: the steps of `wf.vuln_sync`.

Each step is a transaction of its own and may run twice: what it did once it finds done. A file that turns out to be
damaged ends the sync with an error on record; records that were read before stay, for each stands for itself, while
scores and the catalogue are replaced as a whole or not at all.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

import msgspec

from spectra.errors import BadRequest, SpectraError, Unavailable
from spectra.flow.download import Bounds, fetch
from spectra.flow.jobs import Stopped, stopping
from spectra.flow.nvdapi import Api, ApiError, Window
from spectra.flow.vulnstage import Stage, Staged
from spectra.intel.correlate import rules_of, word
from spectra.intel.priority import risk
from spectra.intel.vulns import merge
from spectra.model.envelope import Problem
from spectra.model.vulnfeeds import MAX_EXAMPLES, Unread
from spectra.model.vulns import Epss, Kev, VulnRecord
from spectra.store import vulnscores, vulnsources
from spectra.store.database import Database
from spectra.store.feeds import Validators
from spectra.store.vulnsources import Source, Taken
from spectra.store.vulnwrite import Knowledge, Writer

_log = logging.getLogger("spectra.vulns")

BATCH: Final = 2000
"""Records of one transaction: others who write weaknesses wait for as long as it takes to write them."""
RESCORED: Final = 5000
"""CVEs whose scores are copied in one transaction."""
SCORES: Final = frozenset({"kev", "epss"})
"""Kinds that are taken as a whole."""

Item = VulnRecord | Kev | Epss | Problem


class Feed(Protocol):
    """A feed that was opened and recognised (`intel.vulns.read`). Reading raises `SpectraError` where it is damaged."""

    @property
    def kind(self) -> str:
        """`nvd`, `cve`, `overrides`, `osv`, `kev` or `epss`."""
        ...

    @property
    def version(self) -> str:
        """Its own word for itself."""
        ...

    @property
    def built(self) -> datetime | None:
        """When it says that it was made."""
        ...

    @property
    def total(self) -> int | None:
        """How many records it says that there are."""
        ...

    def items(self, skip: int = 0) -> Iterator[Item]:
        """What is in it, without the first `skip`; a `Problem` for each record that cannot be read."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


OpenFeed = Callable[[Path | BinaryIO], Feed]
"""Opens and recognises a feed; raises `SpectraError` for what is none."""


class Head(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a feed says of itself, all of it once it was read to its end; `error` where it is not taken."""

    kind: str = ""
    version: str = ""
    built: datetime | None = None
    error: str = ""


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a step did: of `done` items some `added` CVEs, `changed` what is known of them, or were `older` than that;
    `news` CVEs have other rules now. `total` items are to be done, if that is known. `end`: nothing is left.
    """

    done: int = 0
    total: int = 0
    added: int = 0
    changed: int = 0
    older: int = 0
    news: int = 0
    unread: Unread = Unread()
    end: bool = False
    after: int = 0
    error: str = ""
    passing: bool = False
    head: Head = Head()


def knowledge() -> Knowledge:
    """What this release makes of records."""
    return Knowledge(merge, rules_of, word, risk)


class _Reading:
    """A feed that is being read: where the next step goes on, if it is one of this process.

    The next batch is read while the one before is written, for that is mostly waiting for the database.
    """

    def __init__(self, path: Path, open_feed: OpenFeed, position: int, batch: int) -> None:
        self.position = self._read = position
        self._batch = batch
        self._size = path.stat().st_size
        self._file = path.open("rb")
        self.feed = open_feed(self._file)
        self._items = self.feed.items(position)
        self._pool = ThreadPoolExecutor(1, "feed")
        self._ahead = self._pool.submit(self._next)

    def take(self) -> tuple[list[Item], str]:
        """The next batch, and why nothing comes after it if that is an error. One that is not full is the last."""
        items, error = self._ahead.result()
        self.position += len(items)
        if len(items) == self._batch and not error:
            self._ahead = self._pool.submit(self._next)
        return items, error

    def _next(self) -> tuple[list[Item], str]:
        items, error = _taken(itertools.islice(self._items, self._batch))
        self._read += len(items)
        return items, error

    @property
    def total(self) -> int:
        """How many items there are: as the feed says, or by how much of the file the ones so far took."""
        return max(self.position, self.feed.total or int(self._read * self._size / max(self._file.tell(), 1)))

    def close(self) -> None:
        """Put it down."""
        self._pool.shutdown(cancel_futures=True)
        self.feed.close()


class VulnSync:
    """The steps, on the stores of this coordinator."""

    def __init__(
        self,
        database: Database,
        stage: Stage,
        intel: Knowledge,
        *,
        open_feed: OpenFeed,
        clock: Callable[[], datetime],
        bounds: Bounds,
        api: Api,
        after_sync: Callable[[], None] = lambda: None,
        batch: int = BATCH,
    ) -> None:
        self._database = database
        self._stage = stage
        self._intel = intel
        self._open = open_feed
        self._clock = clock
        self._bounds = bounds
        self._api = api
        self._after_sync = after_sync
        self._batch = batch
        self._readings: dict[str, _Reading] = {}  # each used by the thread of its workflow alone

    def begin(self, name: str, workflow_id: str) -> None:
        """A workflow is at this feed."""
        with self._database.connection() as connection:
            vulnsources.begin(connection, name, workflow_id)

    # --- files ---

    def fetch(self, name: str, force: bool) -> dict[str, Any]:
        """Download a feed from its URL and stage it; `unchanged` where the server says so, `error` where it fails."""
        source = self._source(name)
        known = Validators() if force else Validators(source.etag, source.modified)
        with self._stage.incoming() as path:
            try:
                with path.open("wb") as file:
                    now = fetch(source.source, file, self._bounds, known=known, stopped=stopping.is_set)
            except SpectraError as error:
                if stopping.is_set():
                    raise Stopped from error
                return {"error": str(error)}
            if now is None:
                return {"unchanged": True}
            staged = self._stage.keep(path)
        if not force and not source.error and staged.sha256 == source.sha256:
            self._stage.discard(staged)
            return {"unchanged": True}
        return {"staged": msgspec.to_builtins(staged), "validators": list(now)}

    def head(self, name: str, staged: Staged, force: bool) -> Head:
        """What the feed says of itself, and whether it may be taken as feed `name`."""
        try:
            with closing(self._open(self._stage.file(staged))) as feed:
                self.check_kind(self._source(name), feed.kind, force)
                return _head(feed)
        except Unavailable:
            raise
        except SpectraError as error:
            return Head(error=str(error))

    @staticmethod
    def check_kind(source: Source | None, kind: str, force: bool) -> None:
        """Raises `BadRequest` where a feed is of another kind than its last file."""
        if source is not None and source.kind not in ("", kind) and not force:
            raise BadRequest(
                f"It is a feed of kind {kind}; {source.name} is of kind {source.kind}.",
                reason="feed_other_kind",
                field="feed",
                hint="The last good one stays in use; --force takes it.",
            )

    # --- records ---

    def records(self, workflow_id: str, staged: Staged, skip: int) -> Step:
        """Store the next records after the first `skip` items of the file."""
        reading = self._readings.get(workflow_id)
        if reading is None or reading.position != skip:
            self._put_down(workflow_id)
            reading = self._readings[workflow_id] = _Reading(self._stage.file(staged), self._open, skip, self._batch)
        try:
            items, error = reading.take()
            step = self.write(items)
        except BaseException:  # what was read of it is not stored
            self._put_down(workflow_id)
            raise
        if error or len(items) < self._batch:
            self._put_down(workflow_id)
            return msgspec.structs.replace(step, end=True, error=error, head=_head(reading.feed))
        return msgspec.structs.replace(step, total=reading.total)

    def _put_down(self, workflow_id: str) -> None:
        if reading := self._readings.pop(workflow_id, None):
            reading.close()

    def write(self, items: Sequence[Item]) -> Step:
        """Store these records in one transaction."""
        records = [item for item in items if isinstance(item, VulnRecord)]
        with self._database.transaction() as connection:
            done = Writer(connection, self._intel, self._clock()).write(records)
        return Step(
            len(items),
            added=done.added,
            changed=done.changed,
            older=done.older,
            news=done.news,
            unread=unread([item for item in items if isinstance(item, Problem)]),
        )

    # --- scores and the catalogue ---

    def scores(self, name: str, staged: Staged, kind: str, force: bool) -> Step:
        """Replace the scores or the catalogue by those of the file: all of them, or none if anything is wrong."""
        problems = _Problems()
        try:
            with closing(self._open(self._stage.file(staged))) as feed, self._database.transaction() as connection:
                held = vulnsources.built(connection, kind), vulnscores.count(connection, kind)
                day = vulnscores.newest(connection)
                count = vulnscores.replace(connection, kind, problems.without(feed.items()))
                head = _head(feed)
                if kind == "kev" and head.built is None:  # a table has no date; entries are never added for the past
                    head = msgspec.structs.replace(head, built=_midnight(vulnscores.newest(connection)))
                    held = _midnight(day), held[1]
                if not force:
                    _check(held, head, count, problems.count)
                vulnsources.date(connection, name, kind, head.built)
        except Unavailable:
            raise
        except SpectraError as error:
            return Step(error=str(error), unread=problems.unread)
        return Step(count, unread=problems.unread, head=head)

    def rescore(self, after: int) -> Step:
        """Copy scores to the next CVEs after the number `after`, and weigh those anew."""
        done = vulnscores.rescore(self._database, after, RESCORED, self._intel.risk, self._clock())
        return Step(done.done, changed=done.changed, after=done.after, end=done.done < RESCORED)

    # --- the NVD's API ---

    def since(self, name: str) -> tuple[datetime | None, datetime]:
        """Up to when changes were asked for, and the time of now."""
        return self._source(name).since, self._clock()

    def pause_s(self, failures: int) -> float | None:
        """How long to wait before the next page after so many failures; None: give up."""
        return self._api.pause_s(failures)

    def page(self, name: str, window: Window, first: int) -> Step:
        """Store the page of changes from result `first` on. `end`: it was the last."""
        source = self._source(name)
        with self._stage.incoming() as path:
            try:
                total = self._api.page(source.source, window, first, path)
            except ApiError as error:
                if stopping.is_set():
                    raise Stopped from error
                return Step(error=str(error), passing=error.passing)
            items, error = self._read(path) if total > first else ([], "")
        if error:
            return Step(error=error, passing=True)
        step = self.write(items)
        return msgspec.structs.replace(step, total=total, end=first + len(items) >= total or not items)

    # --- the end ---

    def forget(self, kind: str, after: int) -> Step:
        """Take back what a feed of this kind told of the next CVEs after the number `after`."""
        if kind in SCORES:
            with self._database.transaction() as connection:
                vulnscores.replace(connection, kind, ())
            return Step(end=True)  # their weights follow
        with self._database.transaction() as connection:
            source = vulnsources.record_source(kind)
            writer = Writer(connection, self._intel, self._clock())
            last, done = writer.forget(source, after, self._batch)
        if not done:
            self._after_sync()
        return Step(done, after=last, end=not done)

    def finish(self, name: str, taken: Taken, unread: Unread) -> None:
        """The feed was taken in whole."""
        with self._database.transaction() as connection:
            vulnsources.finish(connection, name, taken, unread, self._clock())
        _log.info("feed of weaknesses taken", extra={"spectra.feed": name, "user.name": taken.by})
        self._after_sync()

    def attempted(self, name: str, error: str, unread: Unread | None) -> None:
        """There was nothing new, or the feed could not be taken in whole."""
        with self._database.transaction() as connection:
            vulnsources.attempted(connection, name, self._clock(), error, unread)
        if error:
            _log.warning("feed of weaknesses not taken", extra={"spectra.feed": name, "error.message": error})
        self._after_sync()

    def close(self, workflow_id: str, staged: Staged | None) -> None:
        """The file is not needed any more."""
        self._put_down(workflow_id)
        if staged is not None:
            self._stage.discard(staged)

    def stop(self) -> None:
        """No step comes any more in this process."""
        for workflow_id in list(self._readings):
            self._put_down(workflow_id)

    def _read(self, path: Path) -> tuple[list[Item], str]:
        try:
            with closing(self._open(path)) as feed:
                return _taken(feed.items())
        except SpectraError as error:
            return [], str(error)

    def _source(self, name: str) -> Source:
        with self._database.connection() as connection:
            return vulnsources.get(connection, name)


def _taken(items: Iterable[Item]) -> tuple[list[Item], str]:
    """What can be read, and why it ended before its time."""
    found: list[Item] = []
    try:
        found.extend(items)
    except Unavailable:
        raise
    except SpectraError as error:
        return found, str(error)
    return found, ""


def unread(problems: Sequence[Problem]) -> Unread:
    """How many records could not be read, and the first of them."""
    return Unread(len(problems), tuple(problems[:MAX_EXAMPLES]))


def together(first: Unread, second: Unread) -> Unread:
    """Both."""
    return Unread(first.count + second.count, (*first.examples, *second.examples)[:MAX_EXAMPLES])


class _Problems:
    """What could not be read of a stream of items."""

    def __init__(self) -> None:
        self.count = 0
        self._first: list[Problem] = []

    def without(self, items: Iterable[Item]) -> Iterator[Any]:
        """The items that are none."""
        for item in items:
            if isinstance(item, Problem):
                self.count += 1
                if len(self._first) < MAX_EXAMPLES:
                    self._first.append(item)
            else:
                yield item

    @property
    def unread(self) -> Unread:
        """All of them."""
        return Unread(self.count, tuple(self._first))


def _head(feed: Feed) -> Head:
    return Head(feed.kind, feed.version[:200], feed.built)


def _midnight(day: date | None) -> datetime | None:
    return datetime.combine(day, time.min, UTC) if day else None


def _check(held: tuple[datetime | None, int], head: Head, count: int, problems: int) -> None:
    """Raises `BadRequest` for scores or a catalogue from before what is held, or that are not whole."""
    built, before = held
    if built is not None and head.built is not None and head.built < built:
        reason, message = "feed_older", f"It is of {head.built:%Y-%m-%d}, and what is held is of {built:%Y-%m-%d}."
    elif not count:
        reason, message = "feed_empty", "It holds no entry at all."
    elif count < before / 2:
        reason, message = "feed_shrunk", f"It has {count} entries where there were {before}: less than half."
    elif problems > count:
        reason, message = "feed_corrupt", f"{problems} of its records cannot be read, and only {count} can."
    else:
        return
    hint = "What is held stays in use; --force takes this one."
    raise BadRequest(message, reason=reason, field="feed", hint=hint)
