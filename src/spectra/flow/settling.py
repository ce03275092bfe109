"""When silence says nothing: leases do not expire while we could not have heard of them. Pure."""

from __future__ import annotations

from typing import Final

_ASLEEP_S: Final = 10.0
"""A look that comes so long after the one before: this process was stopped, or starved."""


class Settling:
    """Whether database, fabric and this coordinator itself were there without a gap for as long as a lease lasts.

    Times are those of a steady clock, in seconds.
    """

    def __init__(self, lease_s: float, now: float) -> None:
        self._lease_s = lease_s
        self._asleep_s = max(_ASLEEP_S, lease_s / 4)
        self._looked = now
        self._since = now
        self.database_away = False
        self.fabric_away = False

    def looked(self, now: float, *, connected: bool) -> None:
        """We look at what came; `connected`: the fabric is there."""
        if now - self._looked > self._asleep_s:
            self._since = now
        self._looked = now
        self.fabric_away = not connected
        if not connected:
            self._since = now

    def failed(self, now: float) -> None:
        """The database did not answer."""
        self.database_away = True
        self._since = now

    def answered(self, now: float) -> None:
        """It did."""
        if self.database_away:
            self.database_away = False
            self._since = now

    def settled(self, now: float) -> bool:
        """Whether a machine that was not heard for as long as a lease lasts has lost it."""
        return not self.database_away and not self.fabric_away and now - self._since > self._lease_s
