"""Machines with leases on a test's database, and what they send for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from spectra.flow.law import Law
from spectra.flow.members import Peer
from spectra.flow.results import Next, Results
from spectra.flow.submission import Ingest
from spectra.identity import dsse, payload, results
from spectra.identity.keys import SigningKey
from spectra.model.envelope import canonical, sha256_hex
from spectra.model.presets import Preset
from spectra.model.results import File
from spectra.model.work import JobRecord, Permission, TargetRecord
from spectra.store import jobs, leases
from spectra.store.jobs import NewJob, NewTarget
from spectra.store.leases import Asker, Leased, Terms
from tests.flow.desk import Clock, naabu
from tests.flow.meshdesk import MeshDesk

TERMS = Terms()
SERVICES = Preset(name="services", description="", tools=("connect", "nmap", "naabu", "masscan", "bbot"))


class NoSystems:
    """Nothing is known of autonomous systems."""

    def prefixes(self, asn: int) -> Sequence[str]:
        """None."""
        return ()


@dataclass
class Worker:
    """A machine: its certificate's peer, and the key that it signs by."""

    peer: Peer
    key: SigningKey

    @property
    def name(self) -> str:
        """Its name."""
        return self.peer.name


@dataclass
class Begun:
    """What results set going."""

    targets: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    scans: list[str] = field(default_factory=list[str])
    woken: int = 0

    def target(self, target: int, lease: str) -> None:
        """A target's workflow."""
        self.targets.append((target, lease))

    def wake(self) -> None:
        """Targets wait."""
        self.woken += 1


class Harvest:
    """Jobs, machines that lease their targets, and results of them."""

    def __init__(self, folder: Path, ingest: Ingest, clock: Clock) -> None:
        self.database = ingest.database
        self.ingest = ingest
        self.clock = clock
        self.mesh = MeshDesk(folder, self.database, clock)
        self.law = Law(self.database, NoSystems(), clock=clock)
        self.begun = Begun()
        self.results = self.taking(Next(self.begun.target, self.begun.scans.append, self.begun.wake))

    def taking(self, after: Next) -> Results:
        """Takes results in, on the same database."""
        return Results(self.ingest, self.law, terms=TERMS, after=after)

    def worker(self, name: str = "w1") -> Worker:
        """A machine that is a member."""
        machine, leaf = self.mesh.joined(name)
        return Worker(self.mesh.members.known(leaf), machine.signing)

    def job(self, *targets: str, preset: Preset = SERVICES, allow: Sequence[str] = ("192.0.2.0/24",)) -> JobRecord:
        """A job with these targets, one lease each; those of the tests are of a documentation network."""
        now = self.clock()
        permission = Permission(by="alice", reason="ticket 1", granted=now, allow=tuple(allow))
        new = NewJob("alice", " ".join(targets)[:80], preset, "80", "scan-1", permission)
        rows = [NewTarget((target,), "", 1) for target in targets]
        return jobs.create(self.database, new, rows, self.mesh.act, max_waiting=100_000)

    def lease(self, worker: Worker, count: int = 1) -> list[Leased]:
        """What the machine is given."""
        terms = TERMS._replace(per_node=max(TERMS.per_node, count))
        found: list[Leased] = []
        while len(found) < count:
            more = leases.lease(
                self.database, Asker(worker.name, SERVICES.tools), terms, self.clock(), count=count - len(found)
            )
            assert more, f"only {len(found)} of {count} leases were given"
            found += more
        return found

    def given(self, worker: Worker, *targets: str, **how: Any) -> Leased:
        """A lease on a job of its own."""
        self.job(*(targets or ("192.0.2.1",)), **how)
        return self.lease(worker)[0]

    def target(self, leased: Leased) -> TargetRecord:
        """The target as it stands, with its attempts."""
        return jobs.target(self.database, leased.target)

    def observation(self, worker: Worker, output: bytes = b"", **said: Any) -> bytes:
        """A signed observation."""
        fields: dict[str, Any] = {"tool": "naabu", "contributor": f"node-{worker.name}", "now": self.clock()}
        output = output or naabu(("192.0.2.1", 80), at=self.clock())
        return dsse.sign(worker.key, payload.encode(payload.build(output=output, **(fields | said))))

    def bundle(
        self,
        worker: Worker,
        leased: Leased,
        observations: Sequence[bytes] | None = None,
        files: Sequence[tuple[str, bytes]] = (),
        **said: Any,
    ) -> bytes:
        """What the machine sends for a lease; by default one host is told of, as `naabu` says it."""
        if observations is None:
            observations = [self.observation(worker)]
        made = [results.artefact("log", name, "text/plain", data) for name, data in files]
        fields: dict[str, Any] = {
            "lease": leased.lease,
            "target": leased.target,
            "attempt": leased.attempt,
            "node": worker.name,
            "outcome": "done",
            "now": self.clock(),
            "tool": "naabu",
            "observations": [id_of(one) for one in observations],
            "artefacts": [claim for claim, _ in made],
        }
        result = results.build(**(fields | said))
        return results.bundle(results.sign(worker.key, result), observations, [file for _, file in made])


def id_of(envelope: bytes) -> str:
    """The id of a signed observation."""
    return sha256_hex(dsse.decode(envelope).payload)


def with_files(bundle: bytes, *files: File) -> bytes:
    """A bundle with other files than were packed into it."""
    opened = results.open_bundle(bundle)
    return canonical({"version": 1, "result": opened.result, "observations": opened.observations, "artefacts": files})


def tell(at: datetime, *hosts: str) -> bytes:
    """naabu's output about these hosts, port 80 each."""
    return naabu(*((host, 80) for host in hosts), at=at)
