"""Asking for CVEs that are alike without waiting for longer than there is time: what makes vectors may be far away."""

from __future__ import annotations

import logging
import threading
from typing import Final

from spectra.ai.retrieval.context import Nearest
from spectra.errors import SpectraError
from spectra.model.similar import SimilarPage

_log = logging.getLogger("spectra.ai")

AT_ONCE: Final = 8
"""Look-ups that may be under way; with more, none is begun: those that nobody waits for any more count too."""
_places = threading.BoundedSemaphore(AT_ONCE)


class _Asking:
    """One look-up in a thread of its own, which ends by the timeouts of what it asks."""

    def __init__(self, nearest: Nearest, text: str, k: int) -> None:
        self.done = threading.Event()
        self.page: SimilarPage | None = None
        self.why = ""
        self._asked = (nearest, text, k)

    def run(self) -> None:
        nearest, text, k = self._asked
        try:
            self.page = nearest.to_text(text, k)
        except SpectraError as error:
            self.why = error.message
        except Exception:  # noqa: BLE001 - whatever it is, who waits goes on without
            self.why = "Looking for CVEs that are alike failed."
            _log.exception("looking for CVEs that are alike failed")
        finally:
            _places.release()
            self.done.set()


def asked(nearest: Nearest, text: str, k: int, patience_s: float) -> tuple[SimilarPage | None, str]:
    """The CVEs most like `text`; None, and why, where that takes longer than `patience_s` or fails."""
    if not _places.acquire(blocking=False):
        return None, "Too many look-ups of CVEs that are alike are under way."
    asking = _Asking(nearest, text, k)
    try:
        threading.Thread(target=asking.run, name="nearest", daemon=True).start()
    except RuntimeError:  # no further thread
        _places.release()
        return None, "CVEs that are alike cannot be looked for now."
    if not asking.done.wait(patience_s):
        return None, "Looking for CVEs that are alike took too long."
    return asking.page, asking.why
