"""Waiting for no longer than there is time, whatever is waited for does: it goes on in a thread that nobody waits for.

As many threads as are allowed, those that were given up counted: what never returns stops new waiting, and no more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from spectra.ai.retrieval.context import Nearest
from spectra.errors import SpectraError, Unavailable
from spectra.model.similar import SimilarPage

T = TypeVar("T")

LOOKS_AT_ONCE: Final = 8
"""Look-ups of CVEs that are alike that may be under way."""


class TooLate(Unavailable):
    """It took longer than there was time, or as much as is allowed is under way."""

    reason = "too_late"


class _Run(Generic[T]):
    """One call in a thread of its own."""

    def __init__(self, function: Callable[[], T], left: Callable[[], None]) -> None:
        self.done = threading.Event()
        self.value: list[T] = []
        self.error: BaseException | None = None
        self._function = function
        self._left = left

    def run(self) -> None:
        try:
            self.value.append(self._function())
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            self.error = error
        finally:
            self._left()
            self.done.set()


class Places:
    """So many calls at once."""

    def __init__(self, most: int, name: str) -> None:
        self._places = threading.BoundedSemaphore(most)
        self._name = name

    def within(self, function: Callable[[], T], seconds: float) -> T:
        """What `function` returns or raises; `TooLate` where that takes longer than `seconds`, or no place is free."""
        if not self._places.acquire(blocking=False):
            raise TooLate("As much as is allowed is under way.")
        run = _Run[T](function, self._places.release)
        try:
            threading.Thread(target=run.run, name=self._name, daemon=True).start()
        except RuntimeError as error:
            self._places.release()
            raise TooLate("This machine has no thread left.") from error
        if not run.done.wait(max(seconds, 0.0)):
            raise TooLate("It took too long.")
        if run.error is not None:
            raise run.error
        return run.value[0]


_looks: Final = Places(LOOKS_AT_ONCE, "nearest")


def asked(nearest: Nearest, text: str, k: int, patience_s: float) -> tuple[SimilarPage | None, str]:
    """The CVEs most like `text`; None, and why, where that takes longer than `patience_s` or fails."""

    def look() -> SimilarPage:
        return nearest.to_text(text, k)

    try:
        return _looks.within(look, patience_s), ""
    except SpectraError as error:
        return None, f"CVEs that are alike were not looked up: {error.message}"
