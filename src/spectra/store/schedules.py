"""Schedules: stale endpoints of a selection, turned into a job again and again. Every change is on record."""

from __future__ import annotations

from datetime import datetime

from spectra.model.work import Schedule
from spectra.store.accounts import Act
from spectra.store.database import Database


def put(database: Database, schedule: Schedule, act: Act) -> Schedule:
    """Keep a schedule, in place of the one of its name; it is due at once if it is new or changed. `account`, `created`
    and what is told of runs are the store's to say: the account that runs it is who put it last (`act.by`).
    """
    raise NotImplementedError


def get(database: Database, name: str) -> Schedule:
    """The schedule of this name; raises `NotFound("unknown_schedule")`."""
    raise NotImplementedError


def all_of(database: Database) -> tuple[Schedule, ...]:
    """All schedules, by name."""
    raise NotImplementedError


def remove(database: Database, name: str, act: Act) -> None:
    """Drop a schedule; the jobs it made stay. Raises `NotFound("unknown_schedule")`."""
    raise NotImplementedError


def due(database: Database, now: datetime) -> tuple[Schedule, ...]:
    """The schedules whose time has come, the longest overdue first; paused ones are not."""
    raise NotImplementedError


def claim(database: Database, name: str, now: datetime) -> bool:
    """Take a due schedule's run: its next is `every_s` after `now`. False where another has taken it."""
    raise NotImplementedError


def ran(database: Database, name: str, now: datetime, *, job: str = "", error: str = "") -> None:
    """Note what became of a run: the job it made, or why it made none. A schedule that is gone is no news."""
    raise NotImplementedError
