"""Whether work is handed out at all, how much there is, and the version of what may never be scanned."""

from __future__ import annotations

from datetime import datetime

from spectra.model.work import WorkStatus
from spectra.store.accounts import Act
from spectra.store.database import Database


def pause(database: Database, on: bool, reason: str, act: Act) -> WorkStatus:
    """Hand nothing out from now on, or (`on` False) again: for every coordinator, until it is taken back."""
    raise NotImplementedError


def paused(database: Database) -> bool:
    """Whether all is paused by hand."""
    raise NotImplementedError


def status(database: Database) -> WorkStatus:
    """Whether all is paused, the targets of all jobs by state, and the machines. `holds` is not the store's to know.

    Targets that ended are counted in jobs that have not; those of ended jobs are not in the counts.
    """
    raise NotImplementedError


def law_version(database: Database, now: datetime) -> int:
    """A number that grows whenever `do_not_scan.excluded` may have changed, whoever changed it."""
    raise NotImplementedError
