"""Between the coordinator's ear and its database: who belongs to the mesh, and what was heard and is not written yet.

Everything is bounded by the number of nodes, however long the database is away: of each node, only the newest counts.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from spectra.errors import SpectraError
from spectra.flow.waking import Waking
from spectra.store import nodes, presence
from spectra.store.database import Database
from spectra.store.presence import Beat, Known, Seen

_log = logging.getLogger("spectra.mesh")

FLUSH_S: Final = 2.0
"""How often heartbeats are written. Changes of presence are written at once."""
READ_S: Final = 2.0
"""How often the store is asked whether members changed: other coordinators change them too."""
_READ_AGAIN_S: Final = 0.5  # at the soonest, whoever asks however often
_PAUSE_S: Final = 1.0  # after trouble


@dataclass(frozen=True)
class Roll:
    """Everybody who joined, as it was read at `read`, a time of the steady clock."""

    read: float
    version: int
    known: Mapping[str, Known]


class Pending:
    """The newest of each node that is to be written. Filled on one thread, written on another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._beats: dict[str, Beat] = {}
        self._seen: dict[str, Seen] = {}

    def __len__(self) -> int:
        return len(self._beats) + len(self._seen)

    @property
    def urgent(self) -> bool:
        """Whether there is a change of presence."""
        return bool(self._seen)

    def beat(self, beat: Beat) -> None:
        """A heartbeat; what it does not tell again is kept from those before it."""
        with self._lock:
            before = self._beats.get(beat.name)
            if before is not None and beat.capabilities is None:
                beat = beat._replace(capabilities=before.capabilities)
            self._beats[beat.name] = beat

    def turned(self, seen: Seen) -> None:
        """A change of presence."""
        with self._lock:
            self._seen[seen.name] = seen

    def take(self) -> tuple[list[Beat], list[Seen]]:
        """All of it."""
        with self._lock:
            beats, self._beats = self._beats, {}
            seen, self._seen = self._seen, {}
        return list(beats.values()), list(seen.values())

    def give_back(self, beats: Iterable[Beat], seen: Iterable[Seen]) -> None:
        """What could not be written, where nothing newer came."""
        with self._lock:
            for beat in beats:
                newer = self._beats.setdefault(beat.name, beat)
                if newer.capabilities is None and beat.capabilities is not None:
                    self._beats[beat.name] = newer._replace(capabilities=beat.capabilities)
            for one in seen:
                self._seen.setdefault(one.name, one)


class Desk(Waking):
    """The thread that talks to the database, so that the ear never waits for it; what is left at the end, too."""

    def __init__(self, database: Database, steady: Callable[[], float]) -> None:
        self._database = database
        self._steady = steady
        super().__init__("spectra-presence-writer")
        self._asked = True
        self._read = self._written = float("-inf")
        self._troubled = False
        self.pending = Pending()
        self.roll: Roll | None = None
        self.vouched: deque[Seen] = deque(maxlen=100_000)
        """Nodes that another coordinator heard later than we, as the store has them."""

    def ask(self) -> None:
        """Read the roll again soon: somebody may have joined or gone."""
        self._asked = True
        self._awake.set()

    def hurry(self) -> None:
        """Write soon, if there is a change."""
        if self.pending.urgent:
            self._awake.set()

    def work(self) -> None:
        """Read and write what is due. Raises `SpectraError`; nothing is lost by that."""
        now = self._steady()
        since = now - self._read
        if since >= READ_S or (self._asked and since >= _READ_AGAIN_S):
            self._asked = False
            self._read = now
            self.read(now)
        if self.pending.urgent or now - self._written >= FLUSH_S:
            self._written = now
            self.write()

    def read(self, now: float) -> None:
        """Read the roll, where anything changed."""
        version = nodes.version(self._database)
        before = self.roll
        if before is not None and before.version == version:
            self.roll = Roll(now, version, before.known)
            return
        self.roll = Roll(now, version, {known.name: known for known in presence.every(self._database)})

    def write(self) -> None:
        """Write what is pending, heartbeats first: a change of presence is judged by when the node was heard."""
        beats, seen = self.pending.take()
        try:
            presence.heartbeats(self._database, beats)
            beats = []
            self.vouched.extend(presence.set_presence(self._database, seen))
        except BaseException:
            self.pending.give_back(beats, seen)
            raise

    def _run(self) -> None:
        while not self._stop.is_set():
            self._awake.wait(_READ_AGAIN_S)
            self._awake.clear()
            if not self._guarded(self.work):
                self._stop.wait(_PAUSE_S)
        self._guarded(self.write)

    def _guarded(self, work: Callable[[], None]) -> bool:
        """Do it; trouble is told when it begins, and its end too."""
        try:
            work()
        except SpectraError as error:
            if not self._troubled:
                _log.warning("presence cannot be stored: %s", error.message, extra={"error.type": error.reason})
            self._troubled = True
            return False
        except Exception:  # noqa: BLE001 - whatever it is, nodes are heard on, and written when it passes
            _log.exception("presence cannot be stored")
            self._troubled = True
            return False
        if self._troubled:
            _log.info("presence is stored again")
            self._troubled = False
        return True
