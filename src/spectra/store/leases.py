"""Leases: one attempt of one machine at one target.

A target is given by `FOR UPDATE SKIP LOCKED`, in the transaction that holds the locks of its machine and of its network
and counts what both have already: neither two machines for one target nor more than a limit allows, whoever asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from spectra.model.presets import Preset, ScanTool
from spectra.model.work import MAX_KNOWN, AttemptEnd, Endpoint, Permission, Stats, TargetState
from spectra.store.database import Connection, Database
from spectra.store.jobs import Held


class Asker(NamedTuple):
    """A machine that wants work, and what it can do. `raw`: it may open raw sockets."""

    node: str
    tools: tuple[ScanTool, ...]
    region: str = ""
    relay: bool = False
    raw: bool = False


class Terms(NamedTuple):
    """How work is handed out (settings `work`). `network_rate`: most probes a second into one network, from all."""

    lease_s: float = 60.0
    attempts: int = 5
    per_node: int = 4
    per_network: int = 2
    network_rate: int = 1000


class Leased(NamedTuple):
    """A lease with all that its order says. `rate` is this lease's share of what its network bears."""

    lease: str
    node: str
    job: str
    target: int
    attempt: int
    scan_id: str
    targets: tuple[str, ...]
    ports: str
    preset: Preset
    permission: Permission
    rate: int
    network: str
    windows: tuple[str, ...]
    leased: datetime


class Said(NamedTuple):
    """How far a lease is: `fraction` 0..1, endpoints `found` so far, `note` in the tool's own words."""

    lease: str
    fraction: float
    found: int
    note: str


class Attempt(NamedTuple):
    """What is known of an attempt when it ends."""

    end: AttemptEnd
    reason: str = ""
    message: str = ""
    tool: str = ""
    tool_version: str = ""
    stats: Stats | None = None


def lease(
    database: Database, asker: Asker, terms: Terms, now: datetime, *, shut: Sequence[str] = (), count: int = 1
) -> list[Leased]:
    """Give a machine up to `count` targets, one job after the other; nothing of the jobs `shut` (by their windows).

    Nothing while all is paused, for a machine that drains or is not active, or where a limit is reached.
    """
    raise NotImplementedError


def order_of(database: Database, lease: str, terms: Terms) -> Leased:
    """A lease that has not ended, to be said again; raises `NotFound("unknown_lease")`."""
    raise NotImplementedError


def renew(database: Database, node: str, leases: Sequence[str], now: datetime) -> list[str]:
    """Keep leases alive that the node says it holds. Returns those that are not its any more, or never were."""
    raise NotImplementedError


def progress(database: Database, node: str, said: Sequence[Said], now: datetime) -> None:
    """Take in how far leases of a node are, which keeps them alive; what is not its is left out."""
    raise NotImplementedError


def held(database: Database, node: str = "") -> list[Held]:
    """The leases of a node (or of all) that have not ended, oldest first."""
    raise NotImplementedError


def give_back(
    database: Database, node: str, lease: str, *, reason: str, message: str, terms: Terms, now: datetime
) -> TargetState | None:
    """End a lease of which nothing was scanned. `no_tool` and `not_here` keep this machine from the target and are no
    attempt, `law_unknown`, `busy` and `leaving` are none either. Returns what the target is then; None: no such lease.
    """
    raise NotImplementedError


def expire(database: Database, terms: Terms, now: datetime, *, limit: int = 1000) -> list[Held]:
    """End the leases that nothing was heard of for `terms.lease_s`; jobs with nothing open end, too. Returns which."""
    raise NotImplementedError


def cut(database: Database, target: int, targets: Sequence[str], reason: str, now: datetime) -> bool:
    """Leave only `targets` of a target that waits or was just leased, for `reason`; none: it is cancelled, its lease
    ends. False where the target is past that.
    """
    raise NotImplementedError


def known(database: Database, targets: Sequence[str], limit: int = MAX_KNOWN) -> tuple[Endpoint, ...]:
    """Endpoints in these addresses and networks that were open when last looked at, the last seen first."""
    raise NotImplementedError


def end(connection: Connection, lease: str, attempt: Attempt, terms: Terms, now: datetime) -> TargetState | None:
    """End an open lease in the caller's transaction, and move its target on: `done` and `partial` to `submitted`,
    the others back to waiting, or to review after the last attempt. None where it has ended.
    """
    raise NotImplementedError
