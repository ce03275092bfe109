"""The clock by which silence is measured. It stands still while this coordinator itself could not hear.

A process that was stopped, a machine that slept or a fabric that was away says nothing about the nodes. Such time
does not count against them, and in one place: all deadlines are times of this clock, so none has to be moved.
The strain is the local health of Lifeguard (Dadgar, Phillips and Currey 2018): who is late itself judges slowly.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, NamedTuple

Hold = Literal["", "deaf", "settling", "late", "many"]
"""Why deaths are put off: the fabric is away, or was a moment ago; we are late ourselves; most fell silent at once."""

_MOST_STRAIN: Final = 4.0
_RECOVERY: Final = 0.1  # of a late tick, by each tick in time


class Moment(NamedTuple):
    """Now: by a clock that only goes forward (seconds since anything), and by the calendar (UTC)."""

    steady: float
    wall: datetime


class Hearing:
    """Seconds during which this coordinator listened, advanced by ticks.

    `tick_s` is how often `tick` is to be called; `settle_s` how long nodes get to connect again after the fabric was
    away.
    """

    __slots__ = ("_deaf", "_listened", "_resumes", "_settle_s", "_strain", "_tick_s", "_ticked")

    def __init__(self, tick_s: float, settle_s: float) -> None:
        self._tick_s = tick_s
        self._settle_s = settle_s
        self._resumes = float("-inf")
        self._ticked: float | None = None
        self._listened = 0.0
        self._deaf = False
        self._strain = 0.0

    @property
    def strain(self) -> float:
        """How late this coordinator was of late: 0 (never) to 4."""
        return self._strain

    @property
    def ticked(self) -> float:
        """The time of this clock at the last tick."""
        return self._listened

    def hold(self, steady: float) -> Hold:
        """Why the clock stands still, or why silence is judged slowly; empty: neither."""
        if self._deaf:
            return "deaf"
        if steady < self._resumes:
            return "settling"
        return "late" if self._strain >= 1 else ""

    def deaf(self) -> None:
        """Nothing can be heard from now on: the fabric is away."""
        self._deaf = True

    def hears(self, steady: float) -> None:
        """The fabric is there. Where it was not before, the clock goes on when the nodes had time to find it again."""
        if self._deaf:
            self._deaf = False
            self._resumes = steady + self._settle_s

    def at(self, steady: float) -> float:
        """The time of this clock at `steady`."""
        return self._listened + self._passed(steady)

    def tick(self, steady: float) -> float:
        """Go on to `steady`, counting no more than two ticks however long it took; the time by this clock."""
        self._listened += self._passed(steady)
        if self._ticked is not None:
            late = steady - self._ticked > 2 * self._tick_s
            self._strain = min(_MOST_STRAIN, self._strain + 1) if late else max(0.0, self._strain - _RECOVERY)
        self._ticked = steady if self._ticked is None else max(steady, self._ticked)
        return self._listened

    def _passed(self, steady: float) -> float:
        if self._ticked is None or self._deaf or steady < self._resumes:
            return 0.0
        return min(max(steady - self._ticked, 0.0), 2 * self._tick_s)
