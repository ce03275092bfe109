"""Leases do not run out while we could not have heard of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from spectra.flow.settling import Settling

LEASE_S = 60.0


def look(settling: Settling, begin: float, end: float, *, connected: bool = True) -> None:
    """One look a second."""
    for second in range(int(begin), int(end) + 1):
        settling.looked(float(second), connected=connected)


def test_who_begins_listens_for_as_long_as_a_lease_lasts() -> None:
    """A coordinator that was just started knows nothing of what was said before."""
    settling = Settling(LEASE_S, 0)
    look(settling, 0, 60)
    assert not settling.settled(60)
    look(settling, 61, 61)
    assert settling.settled(61)


def _fabric(settling: Settling) -> None:
    settling.looked(101, connected=False)
    settling.looked(102, connected=True)


def _database(settling: Settling) -> None:
    settling.looked(101, connected=True)
    settling.failed(101)
    settling.looked(102, connected=True)
    settling.answered(102)


def _stopped(settling: Settling) -> None:
    settling.looked(117, connected=True)


@pytest.mark.parametrize("trouble", [_fabric, _database, _stopped])
def test_after_trouble_it_begins_anew(trouble: Callable[[Settling], None]) -> None:
    """The fabric or the database was away, or this process was stopped for longer than it takes to look."""
    settling = Settling(LEASE_S, 0)
    look(settling, 0, 100)
    assert settling.settled(100)
    trouble(settling)
    look(settling, 118, 161)
    assert not settling.settled(161)
    look(settling, 162, 179)
    assert settling.settled(179)


def test_while_trouble_lasts_nothing_runs_out() -> None:
    """However long that is; and each is told by its name."""
    settling = Settling(LEASE_S, 0)
    look(settling, 0, 500, connected=False)
    assert (settling.settled(500), settling.fabric_away, settling.database_away) == (False, True, False)
    look(settling, 501, 600)
    settling.failed(600)
    look(settling, 601, 900)
    assert (settling.settled(900), settling.fabric_away, settling.database_away) == (False, False, True)
