"""What machines tried and were refused: counted in the store and told in the log, without making anybody wait.

A stranger can cause as many refusals as they like; what that costs is one row and one line a second for each kind of
thing and each sender, and a bounded number of those.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple

from spectra.errors import SpectraError
from spectra.flow.waking import Waking
from spectra.store import refusals
from spectra.store.database import Database
from spectra.store.refusals import Refused

_log = logging.getLogger("spectra.mesh")

EVERY_S: Final = 1.0
MOST: Final = 500
"""Different senders and kinds that are kept apart until the next round."""
OTHERS: Final = "others"
_MOST_WHO: Final = 80
_MOST_DETAIL: Final = 300


class _Noted(NamedTuple):
    detail: str
    at: datetime
    times: int


class RefusalLog(Waking):
    """Takes notes on any thread and writes them on its own; what is left when it is stopped, too."""

    def __init__(self, database: Database, clock: Callable[[], datetime], *, every_s: float = EVERY_S) -> None:
        self._database = database
        self._clock = clock
        self._every_s = every_s
        self._lock = threading.Lock()
        self._noted: dict[tuple[str, str], _Noted] = {}
        super().__init__("spectra-refusals")

    def note(self, kind: str, who: str, detail: str = "", times: int = 1) -> None:
        """Something of this kind was refused to `who`: a node's name, or an address. Never waits."""
        now = self._clock()
        key = (kind, _plain(who, _MOST_WHO))
        with self._lock:
            if key not in self._noted and len(self._noted) >= MOST:
                key = (kind, OTHERS)
            before = self._noted.get(key)
            self._noted[key] = _Noted(_plain(detail, _MOST_DETAIL), now, times + (before.times if before else 0))
        self._awake.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._awake.wait()
            self._awake.clear()
            self._stop.wait(self._every_s)  # what comes meanwhile is the same write
            self._write()
        self._write()

    def _write(self) -> None:
        with self._lock:
            noted, self._noted = self._noted, {}
        if not noted:
            return
        for (kind, who), (detail, _, times) in noted.items():
            _log.warning(
                "refused: %s", kind, extra={"source.address": who, "event.reason": detail, "spectra.times": times}
            )
        try:
            refusals.count_many(self._database, [Refused(*key, n.detail, n.at, n.times) for key, n in noted.items()])
        except SpectraError as error:
            _log.warning("refusals could not be counted", extra={"error.message": error.message})
        except Exception:  # noqa: BLE001 - the log has them; the next round may be counted again
            _log.exception("refusals could not be counted")


def _plain(text: str, most: int) -> str:
    """On one line, and bounded: a stranger may have written it."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:most])
