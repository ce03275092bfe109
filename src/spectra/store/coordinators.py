"""The coordinators that share this database, by their beats."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from spectra.store.database import Database


class Coordinator(NamedTuple):
    """A coordinator, and the https URL of its mesh listener (empty: none)."""

    name: str
    api_url: str


def beat(database: Database, name: str, api_url: str, now: datetime) -> None:
    """`name` is alive at `now`."""
    raise NotImplementedError


def alive(database: Database, now: datetime, within_s: float) -> list[Coordinator]:
    """The coordinators that were alive within the last `within_s` seconds, by name."""
    raise NotImplementedError


def gone(database: Database, name: str) -> None:
    """`name` has ended in good order: its workflows may be resumed at once."""
    raise NotImplementedError
