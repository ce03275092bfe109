"""What a machine's worker has to do with coordinators: bring its results, in order, and read the law anew.

All of it is HTTPS, which may take minutes, so it has a thread of its own. It never gives up: while no coordinator
answers it tries again with a pause that grows to half a minute.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Final

from spectra.collect.coordinators import Coordinators, is_final
from spectra.collect.lawbook import Lawbook, LawUnknown
from spectra.collect.spool import HEAD_BYTES, Damaged, Entry, Spool
from spectra.errors import SpectraError
from spectra.fabric.errors import MeshError
from spectra.fabric.link import pause

LAW_EVERY_S: Final = 900.0
LONGEST_WAIT_S: Final = 60.0
STOP_WITHIN_S: Final = 3.0
_RANDOM = random.SystemRandom()
_log = logging.getLogger("spectra.node")

Brought = Callable[[str, str], None]
"""Hears that the result of a lease has left the spool; with the reason where it was refused."""


class Errands:
    """One thread that brings and asks, from `start` to `stop`."""

    def __init__(
        self,
        spool: Spool,
        coordinators: Coordinators,
        lawbook: Lawbook,
        brought: Brought,
        news: Callable[[], None],
    ) -> None:
        self._spool = spool
        self._coordinators = coordinators
        self._lawbook = lawbook
        self._brought = brought
        self._news = news
        self._wake = threading.Event()
        self._stopping = False
        self._failures = 0
        self._bring_at = 0.0
        self._law_at = 0.0
        self.problem = ""
        """The newest thing that failed; it goes with the next success."""

        self._thread = threading.Thread(target=self._run, name="worker-errands", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def hurry(self) -> None:
        """There is something to bring, or coordinators may answer again."""
        self._bring_at = 0.0
        self._wake.set()

    def note(self, problem: str) -> None:
        """Something failed; told once."""
        if problem != self.problem:
            if problem:
                _log.warning("work: %s", problem)
            self.problem = problem
            self._news()

    def stop(self, timeout_s: float = STOP_WITHIN_S) -> None:
        """End, with one more attempt to bring what waits. What is not brought stays in the spool."""
        self._stopping = True
        self.hurry()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            self._wake.clear()
            stopping = self._stopping
            try:
                self._step()
            except (SpectraError, OSError) as error:
                self._later(str(error))
            except Exception:  # noqa: BLE001 - what waits is brought some day
                _log.exception("bringing results failed and is tried again")
                self._later("bringing results failed")
            if stopping:
                return
            due = min(self._law_at, self._bring_at if len(self._spool) else float("inf"))
            self._wake.wait(min(max(due - time.monotonic(), 0.0), LONGEST_WAIT_S))

    def _step(self) -> None:
        """Do what is due."""
        if time.monotonic() >= self._law_at and not self._stopping:
            self._renew_law()
        while time.monotonic() >= self._bring_at:
            entry = self._spool.first()
            if entry is None or not self._bring(entry):
                return

    def _bring(self, entry: Entry) -> bool:
        """Bring the oldest result; False where it has to wait."""
        try:
            with self._spool.open(entry) as file:
                self._coordinators.submit(entry.lease, file, entry.size - HEAD_BYTES)
        except (Damaged, FileNotFoundError) as error:
            self._set_aside(entry, str(error))
        except MeshError as error:
            if not is_final(error):
                self._later(f"bringing results: {error.message}")
                return False
            self._set_aside(entry, f"{error.reason}: {error.message}")
        else:
            self._spool.sent(entry)
            self._brought(entry.lease, "")
        self._failures = 0
        self.note("")
        return True

    def _set_aside(self, entry: Entry, why: str) -> None:
        _log.warning("the result of lease %s is set aside: %s", entry.lease, why)
        self._spool.refuse(entry, why)
        self._brought(entry.lease, why)

    def _later(self, problem: str) -> None:
        self._failures += 1
        self._bring_at = time.monotonic() + pause(self._failures - 1)
        self.note(problem)

    def _renew_law(self) -> None:
        before = self._lawbook.version
        try:
            self._lawbook.renew()
        except LawUnknown as error:
            self._law_at = time.monotonic() + min(LONGEST_WAIT_S, LAW_EVERY_S) * _RANDOM.uniform(0.5, 1.0)
            self.note(error.message)
            return
        self._law_at = time.monotonic() + LAW_EVERY_S * _RANDOM.uniform(0.8, 1.2)
        if self._lawbook.version != before:
            self._news()
