"""Machines as far as work goes: what each said last of its room and spool, and whether it drains."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from spectra.model.work import WorkerRecord
from spectra.store.accounts import Act
from spectra.store.database import Database


class Asked(NamedTuple):
    """What a machine said of itself when it asked for work."""

    node: str
    slots: int
    free: int
    spooled: int = 0
    spooled_bytes: int = 0
    spool_full: bool = False


def asked(database: Database, said: Sequence[Asked], now: datetime) -> None:
    """Take in what machines said; of two from one node the last counts. Unknown and revoked names are left out.

    Not on record, and no disk is waited for.
    """
    raise NotImplementedError


def drain(database: Database, node: str, on: bool, act: Act) -> WorkerRecord:
    """Give a machine nothing new from now on, or (`on` False) again. Raises `NotFound("unknown_node")`."""
    raise NotImplementedError


def draining(database: Database) -> set[str]:
    """The machines that drain."""
    raise NotImplementedError


def every(database: Database) -> tuple[WorkerRecord, ...]:
    """The machines that ever asked for work or were drained, without the revoked, by name."""
    raise NotImplementedError


def find(database: Database, node: str) -> WorkerRecord | None:
    """One of `every`."""
    raise NotImplementedError
