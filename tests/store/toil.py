"""Jobs, machines that scan them, and what those send back, for the tests of the store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from spectra.model.presets import Preset
from spectra.model.results import Result
from spectra.model.work import JobRecord, Outcome, Permission, Stats
from spectra.store import jobs, leases, results
from spectra.store.database import Database
from spectra.store.jobs import NewJob, NewTarget
from spectra.store.leases import Asker, Leased, Terms
from spectra.store.provenance import commit
from spectra.store.results import Inserted, ResultRow
from tests.store.machines import ROOT, T0

SECOND = timedelta(seconds=1)
TERMS = Terms(lease_s=60, attempts=3, per_node=4, per_network=2, network_rate=1000)
WAYS = Preset(name="services", description="What there is.", tools=("nmap", "connect"))
AGREED = Permission("root", "our own", T0)
NMAP = ("connect", "nmap")


def workers(database: Database, *names: str) -> None:
    """Machines that are members, without all that joining takes."""
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO node (name, uri, role, standing, by, created, joined)"
            " SELECT n, n, 'worker', 'active', 'root', %s, %s FROM unnest(%s::text[]) AS n",
            [T0, T0, list(names)],
        )


def hosts(count: int, *, per_network: int = 1) -> list[NewTarget]:
    """Targets of one address each, so many to a network."""
    found: list[NewTarget] = []
    for number in range(count):
        net, host = divmod(number, per_network)
        network = f"10.{net >> 8}.{net & 255}"
        found.append(NewTarget((f"{network}.{host + 1}",), f"{network}.0/24", 1))
    return found


def job(database: Database, targets: Iterable[NewTarget] | int = 1, *, at: datetime = T0, **more: Any) -> JobRecord:
    """A job of these targets, or of so many, each in a network of its own; `more` is of `NewJob`."""
    told: dict[str, Any] = {
        "account": "root",
        "what": "10.0.0.0/8",
        "preset": WAYS,
        "ports": "top100",
        "scan_id": "scan-1",
    } | more
    new = NewJob(permission=AGREED, **told)
    wanted = hosts(targets) if isinstance(targets, int) else targets
    return jobs.create(database, new, wanted, ROOT._replace(now=at), max_waiting=1_000_000)


def ask(database: Database, node: str, *, at: datetime = T0, count: int = 1, **more: Any) -> list[Leased]:
    """What `node`, which has nmap, is given."""
    terms = more.pop("terms", TERMS)
    shut: Sequence[str] = more.pop("shut", ())
    can: dict[str, Any] = {"tools": NMAP} | more
    return leases.lease(database, Asker(node, **can), terms, at, shut=shut, count=count)


def signed(lease: Leased, outcome: Outcome = "done", **more: Any) -> ResultRow:
    """What the machine of `lease` says of it; `more` is of `Result`."""
    told: dict[str, Any] = {
        "version": 1,
        "lease": lease.lease,
        "target": lease.target,
        "attempt": lease.attempt,
        "node": lease.node,
        "outcome": outcome,
        "reason": "",
        "message": "",
        "tool": "nmap",
        "tool_version": "7.95",
        "started": T0,
        "finished": T0,
        "issued": T0,
        "nonce": f"nonce-{lease.lease}",
        "observations": (),
        "artefacts": (),
        "stats": Stats(found=3),
    }
    result = Result(**(told | more))
    return ResultRow(result, msgspec.json.encode(result).decode(), "c2ln", "keyid", result.issued)


def submit(database: Database, lease: Leased, outcome: Outcome = "done", *, at: datetime = T0, **more: Any) -> Inserted:
    """Have the result of `lease` stored."""
    terms = more.pop("terms", TERMS)
    row = signed(lease, outcome, **more)

    def work(connection: Any) -> tuple[Inserted, list[Any]]:
        found = results.insert(connection, row, terms, at)
        return found, found.entries

    return commit(database, work)


def settle(database: Database, lease: Leased, *, at: datetime = T0, found: int = 3, **more: Any) -> str:
    """Have the result of `lease` read."""
    told: dict[str, Any] = {"findings": 1, "terms": TERMS} | more
    return results.settle(database, lease.target, lease.lease, found=found, now=at, **told)


def digest(text: str) -> str:
    """A SHA-256 in hex."""
    return hashlib.sha256(text.encode()).hexdigest()
