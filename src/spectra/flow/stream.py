"""What happens, told to those who listen, as it happens: one thread reads the chain for all of them.

Nothing is queued for anybody. What happened lately is kept once for all; a listener has a cursor into it, and who is
so slow, or comes back so late, that it is not kept any more reads it from the database. So a listener costs the same
however much happens, and misses nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

from spectra.errors import SpectraError, Unavailable
from spectra.flow.waking import Waking
from spectra.model.activity import Activity, Progress, Topic
from spectra.store import activity
from spectra.store.activity import Wanted
from spectra.store.database import Database
from spectra.store.provenance import flush

_log = logging.getLogger("spectra.flow")

EVERY_S: Final = 1.0
"""How often the chain is looked at while somebody listens: other coordinators write to it as well."""
KEPT: Final = 2000
"""Entries that are kept in memory."""
PAGE: Final = 200
"""Entries that a listener takes at once."""
MOST: Final = 1000
PER_ACCOUNT: Final = 32
_BREATH_S: Final = 0.05  # between two looks, however often something is written
_PAUSE_S: Final = 5.0  # after trouble


class TooManyListeners(Unavailable):
    """As many listen as this node has room for, or as one account may have."""

    reason = "too_many_streams"
    retry_after_s = 30.0


class Batch(NamedTuple):
    """What a listener has not heard yet: entries, progress of jobs, and topics of which something else changed."""

    entries: tuple[Activity, ...] = ()
    progress: tuple[Progress, ...] = ()
    changed: frozenset[Topic] = frozenset()


class Listener:
    """One who listens, from `cursor` on. `take` what there is whenever `notify` was called, which never blocks and is
    called from another thread; `close` in the end. Not to be shared between threads.
    """

    def __init__(self, stream: Stream, account: str, wanted: Wanted, notify: Callable[[], None], cursor: int) -> None:
        self._stream = stream
        self._heard: dict[str, Progress] = {}
        self._marks: dict[Topic, object] = stream.marks()
        self.account = account
        self.wanted = wanted
        self.notify = notify
        self.cursor = cursor

    @property
    def behind(self) -> bool:
        """Whether `take` has to ask the database, and so may block."""
        return self._stream.kept(self.cursor) is None

    def take(self) -> Batch:
        """What is new, at most `PAGE` entries; an empty batch where nothing is."""
        entries = self._entries()
        progress = self._progress() if "job" in self.wanted.topics else ()
        marks = self._stream.marks()
        before, self._marks = self._marks, marks
        changed: frozenset[Topic] = frozenset(
            t for t in self.wanted.topics if before.get(t, marks.get(t)) != marks.get(t)
        )
        return Batch(entries, progress, changed)

    def close(self) -> None:
        """Listen no more."""
        self._stream.leave(self)

    def _entries(self) -> tuple[Activity, ...]:
        kept = self._stream.kept(self.cursor)
        if kept is None:
            page = activity.page(self._stream.database, self.wanted, after=self.cursor, limit=PAGE, whole=True)
            self.cursor = page.next_cursor or max(page.head, self.cursor)
            return page.activity
        found: list[Activity] = []
        for one in kept:
            self.cursor = one.cursor
            if self.wanted.holds(one):
                found.append(one)
            if len(found) == PAGE:
                break
        return tuple(found)

    def _progress(self) -> tuple[Progress, ...]:
        now = self._stream.progress()
        news = tuple(one for job, one in now.items() if self._heard.get(job) != one)
        self._heard = dict(now)
        return news


class Stream(Waking):
    """The thread, and who listens. Any number of coordinators may have one each.

    `marks` are further topics whose changes are in no entry: each answers something that is another value after any.
    """

    def __init__(
        self,
        database: Database,
        *,
        most: int = MOST,
        per_account: int = PER_ACCOUNT,
        every_s: float = EVERY_S,
        marks: Mapping[Topic, Callable[[], object]] | None = None,
    ) -> None:
        self.database = database
        self._most = most
        self._per_account = per_account
        self._every_s = every_s
        self._asked = dict(marks or {})
        self._lock = threading.Lock()
        self._listeners: dict[Listener, None] = {}
        self._accounts: Counter[str] = Counter()
        self._kept: deque[Activity] = deque(maxlen=KEPT)
        self._low = self._head = -1  # all after `low` is kept; -1: nothing was looked at yet
        self._progress: dict[str, Progress] = {}
        self._marks: dict[Topic, object] = {}
        self._due = 0.0
        self._closed = False
        super().__init__("spectra-stream")

    def listen(
        self, account: str, wanted: Wanted, notify: Callable[[], None], *, cursor: int | None = None
    ) -> Listener:
        """Listen from `cursor` on, or to what comes from now on; asks the database. Raises `TooManyListeners`."""
        newest = activity.head(self.database)
        begin = newest if cursor is None else min(max(cursor, 0), newest)
        flush(self.database)  # it goes on from there, whatever breaks down
        listener = Listener(self, account, wanted, notify, begin)
        with self._lock:
            if self._closed or len(self._listeners) >= self._most:
                raise TooManyListeners("As many listen as this node has room for.")
            if self._accounts[account] >= self._per_account:
                raise TooManyListeners(
                    f"This account listens {self._per_account} times already.", hint="Close a page or a `spectra tail`."
                )
            self._listeners[listener] = None
            self._accounts[account] += 1
        self.wake()
        return listener

    def leave(self, listener: Listener) -> None:
        """`listener` listens no more."""
        with self._lock:
            if listener not in self._listeners:
                return
            del self._listeners[listener]
            self._accounts[listener.account] -= 1
            if not self._accounts[listener.account]:
                del self._accounts[listener.account]

    def hang_up(self) -> None:
        """Nobody can listen any more, and those who do are told to look at `closed`: the node ends."""
        with self._lock:
            self._closed = True
        self._tell()

    def newest(self) -> int:
        """The cursor of now; asks the database."""
        return activity.head(self.database)

    @property
    def closed(self) -> bool:
        """Whether the node ends."""
        return self._closed

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def kept(self, cursor: int) -> Sequence[Activity] | None:
        """What is kept of what came after `cursor`; None where not all of that is."""
        with self._lock:
            if cursor < self._low or self._low < 0:
                return None
            if not self._kept or cursor >= self._kept[-1].cursor:
                return ()
            missed = self._kept[-1].cursor - cursor  # numbers have no gaps
            return tuple(islice(reversed(self._kept), missed))[::-1]

    def progress(self) -> Mapping[str, Progress]:
        """How far the jobs are, by id, as of the last look."""
        return self._progress

    def marks(self) -> dict[Topic, object]:
        """What stands for the topics that are not in the chain, as of the last look."""
        return self._marks

    def _run(self) -> None:
        while not self._stop.is_set():
            self._awake.wait(self._every_s if self._listeners else None)
            self._awake.clear()
            if self._stop.is_set() or not self._listeners:
                continue
            try:
                self._look()
                self._stop.wait(_BREATH_S)
            except SpectraError as error:
                _log.warning("activity not read: %s", error.message, extra={"error.type": error.reason})
                self._stop.wait(_PAUSE_S)
            except Exception:  # noqa: BLE001 - who listens reads it again by its cursor
                _log.exception("activity not read")
                self._stop.wait(_PAUSE_S)
        self.hang_up()

    def _look(self) -> None:
        news = self._read()
        if time.monotonic() >= self._due:
            news |= self._look_aside()
        if news:
            self._tell()

    def _look_aside(self) -> bool:
        """Look at what is in no entry; whether anything changed."""
        began = time.monotonic()
        progress = {one.job: one for one in activity.progress(self.database)}
        marks = activity.marks(self.database)
        marks.update({topic: ask() for topic, ask in self._asked.items()})
        changed = progress != self._progress or marks != self._marks
        self._progress, self._marks = progress, marks
        # Progress of large jobs takes long to count: nine tenths of the time the database is left alone.
        self._due = began + max(self._every_s, 10 * (time.monotonic() - began))
        return changed

    def _read(self) -> bool:
        """Keep what came since the last look; whether there was anything."""
        newest = activity.head(self.database)
        with self._lock:
            if self._head < 0 or newest < self._head or newest - self._head > KEPT:
                # Nobody listened for long, or the database was restored: begin anew.
                self._kept.clear()
                self._low = self._head = newest
                return True
            after = self._head
        if newest == after:
            return False
        entries = activity.following(self.database, after, KEPT)
        with self._lock:
            self._kept.extend(entries)
            if entries:
                self._head = entries[-1].cursor
                self._low = max(self._low, self._kept[0].cursor - 1)
        return bool(entries)

    def _tell(self) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for one in listeners:
            one.notify()
