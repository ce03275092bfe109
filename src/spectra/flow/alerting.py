"""The thread of a coordinator that looks for what rules watch for: at once when something was written, and every few
seconds for what is told by nobody. Any number of coordinators may have one; they take turns.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from spectra.errors import SpectraError
from spectra.flow import alertlook
from spectra.flow.alertlook import Looked
from spectra.flow.waking import Waking
from spectra.store import alertchain
from spectra.store.database import Database
from spectra.store.provenance import commit

_log = logging.getLogger("spectra.alerts")

TICK_S: Final = 1.0
"""How soon what other coordinators wrote is seen."""
LOOK_EVERY_S: Final = 10.0
"""How soon machines that are lost, refusals, and jobs that ended are."""
SLOW_EVERY_S: Final = 30.0
"""How soon what comes with time is, and what is over."""
_WAITING_S: Final = 0.5  # for weaknesses of what was just seen
_PAUSE_S: Final = 5.0  # after trouble


class Alerting(Waking):
    """Looks until it is stopped. `told` is called when messages were written that wait to be sent."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime],
        *,
        told: Callable[[], None] = lambda: None,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._clock = clock
        self._told = told
        self._steady = steady
        self._looked = self._slow = float("-inf")
        super().__init__("spectra-alerts")

    def start(self) -> None:
        """Begin. The very first look, which makes the first rules, is over when it returns; raises `Unavailable`."""
        if not alertchain.begun(self._database):
            self.look()
        super().start()

    def look(self, *, slow: bool = False) -> Looked:
        """Look once at the next of what happened; `slow`: also at what comes with time. Raises `Unavailable`."""
        now = self._clock()
        looked = commit(self._database, lambda connection: alertlook.look(connection, now, slow=slow))
        if looked.deliveries:
            self._told()
        return looked

    def _run(self) -> None:
        waiting = False
        while not self._stop.is_set():
            self._awake.wait(_WAITING_S if waiting else TICK_S)
            self._awake.clear()
            try:
                waiting = self._catch_up()
            except SpectraError as error:
                _log.warning("alerts not looked at: %s", error.message, extra={"error.type": error.reason})
                self._stop.wait(_PAUSE_S)
            except Exception:  # noqa: BLE001 - a later look may work, and nothing is told twice
                _log.exception("alerts not looked at")
                self._stop.wait(_PAUSE_S)

    def _catch_up(self) -> bool:
        """Look until nothing is left to look at; whether weaknesses are waited for."""
        looked = Looked(more=self._is_due() or alertchain.behind(self._database))
        while looked.more and not self._stop.is_set():
            now = self._steady()
            slow = now - self._slow >= SLOW_EVERY_S
            looked = self.look(slow=slow)
            self._looked = now
            self._slow = now if slow else self._slow
        return looked.waiting

    def _is_due(self) -> bool:
        return self._steady() - self._looked >= LOOK_EVERY_S
