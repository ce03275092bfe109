"""What is kept of language models does not grow for ever: answers, requests and holds that are over are removed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Final

import psycopg

from spectra.errors import Unavailable
from spectra.store import aibudgets, aicache, aicalls
from spectra.store.database import Database

_log = logging.getLogger("spectra.store")

EVERY_S: Final = 60.0


def sweep(database: Database, now: datetime) -> int:
    """Remove what is over; returns how many rows that was. Any number of coordinators may do so at once."""
    return aibudgets.expire(database, now) + aicache.purge(database, now) + aicalls.purge(database, now)


class Sweeper:
    """Sweeps every `every_s` seconds on a thread of its own, until stopped."""

    def __init__(self, database: Database, clock: Callable[[], datetime], *, every_s: float = EVERY_S) -> None:
        self._database = database
        self._clock = clock
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spectra-ai-sweep", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the sweep that is under way."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(30)

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                sweep(self._database, self._clock())
            except Unavailable as error:
                _log.warning("answers of models not swept: %s", error.message, extra={"error.type": error.reason})
            except psycopg.Error:  # a later round may work
                _log.exception("answers of models not swept")
