"""The thread of a coordinator that keeps findings up to date: it looks twice a second, and at once when it is woken."""

from __future__ import annotations

import logging
from typing import Final, Protocol

from spectra.errors import SpectraError
from spectra.flow.waking import Waking

_log = logging.getLogger("spectra.flow")

EVERY_S: Final = 0.5
_PAUSE_S: Final = 5.0  # after trouble


class Steps(Protocol):
    """What is done: `flow.correlation.Correlation`."""

    def step(self, *, gently: bool = False) -> object | None:
        """Do what is most urgent; None when there is nothing to do."""
        ...


class Correlator(Waking):
    """Takes steps on a thread of its own until stopped. Any number of coordinators may have one."""

    def __init__(self, steps: Steps, *, every_s: float = EVERY_S, pause_s: float = _PAUSE_S) -> None:
        self._steps = steps
        self._every_s = every_s
        self._pause_s = pause_s
        super().__init__("spectra-correlation")

    def _run(self) -> None:
        while not self._stop.is_set():
            self._awake.wait(self._every_s)
            self._awake.clear()
            try:
                while not self._stop.is_set() and self._steps.step(gently=True) is not None:
                    pass
            except SpectraError as error:
                _log.warning("findings not brought up to date: %s", error.message, extra={"error.type": error.reason})
                self._stop.wait(self._pause_s)
            except Exception:  # noqa: BLE001 - a later round may work, and what is stored stays right without any
                _log.exception("findings not brought up to date")
                self._stop.wait(self._pause_s)
