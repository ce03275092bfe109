"""A process that stops in the middle of a step, with everything written nothing committed, and waits to be killed."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from spectra.flow.correlation import Correlation
from spectra.store import affected, software
from spectra.store.database import Database

_LONGEST_S = 120
POINTS: dict[str, tuple[Any, str]] = {
    "named": (software, "name"),
    "evaluated": (affected, "matched"),
    "followed": (affected, "write"),
    "moved": (software, "move"),
}


def stopping(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, after which nothing more happens."""

    def work(*given: Any) -> Any:
        function(*given)
        sys.stdout.write("here\n")
        sys.stdout.flush()
        threading.Event().wait()

    return work


def main(url: str, point: str) -> None:
    """Take steps until `point` is reached."""
    signal.alarm(_LONGEST_S)  # nobody has killed it: it ends by itself
    module, name = POINTS[point]
    setattr(module, name, stopping(getattr(module, name)))
    with Database(url, pool_size=3) as database:
        correlation = Correlation(database)
        while correlation.step() is not None:
            pass


if __name__ == "__main__":
    main(*sys.argv[1:])
