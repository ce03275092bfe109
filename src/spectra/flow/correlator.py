"""The thread of a coordinator that keeps findings up to date: it looks twice a second, and at once when it is woken."""

from __future__ import annotations

import logging
import threading
from typing import Final, Protocol

from spectra.errors import SpectraError

_log = logging.getLogger("spectra.flow")

EVERY_S: Final = 0.5
_PAUSE_S: Final = 5.0  # after trouble


class Steps(Protocol):
    """What is done: `flow.correlation.Correlation`."""

    def step(self, *, gently: bool = False) -> object | None:
        """Do what is most urgent; None when there is nothing to do."""
        ...


class Correlator:
    """Takes steps on a thread of its own until stopped. Any number of coordinators may have one."""

    def __init__(self, steps: Steps, *, every_s: float = EVERY_S, pause_s: float = _PAUSE_S) -> None:
        self._steps = steps
        self._every_s = every_s
        self._pause_s = pause_s
        self._awake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spectra-correlation", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the step that is under way; what is left is as good there."""
        self._stop.set()
        self._awake.set()
        self._thread.join(30)

    def wake(self) -> None:
        """There may be something to do. Never waits."""
        self._awake.set()

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
