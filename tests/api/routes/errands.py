"""Jobs, machines and what those sent, for the tests of the routes of work: on the database that all of them share."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import Any

import httpx

from spectra.model.nodes import CertificateRecord
from spectra.model.results import ArtefactClaim, ArtefactKind
from spectra.model.work import Constraints, JobRecord
from spectra.store import artefacts, leases, nodes
from spectra.store.artefacts import NewArtefact
from spectra.store.jobs import NewTarget
from spectra.store.leases import Asker, Leased
from spectra.store.provenance import commit
from tests.api.node import Node
from tests.store import toil

WANTED: dict[str, Any] = {"consent": "ticket 4711", "preset": "services"}


def asked(node: Node, *targets: str, role: str = "admin", **fields: Any) -> httpx.Response:
    """Ask for a job; without targets, for one of an address that no other test has."""
    octets = secrets.token_bytes(3)
    named = targets or (f"203.{octets[0] % 100 + 1}.{octets[1]}.{octets[2]}",)
    headers = fields.pop("headers", {})
    return node.ask("POST", "/v0/jobs", role, json={**WANTED, "targets": list(named), **fields}, headers=headers)


def made(node: Node, *targets: str, **fields: Any) -> dict[str, Any]:
    """A job that was taken."""
    response = asked(node, *targets, **fields)
    assert response.status_code == 201, response.text
    return response.json()


def machine(node: Node) -> str:
    """A machine that is a member and nobody else's."""
    name, now = f"w-{secrets.token_hex(4)}", node.services.clock()
    held = CertificateRecord(str(secrets.randbits(64)), secrets.token_hex(32), now, now + timedelta(days=1))
    nodes.establish(node.services.database, name, f"spiffe://routes/node/{name}", certificate=held, now=now)
    return name


def toiled(node: Node, count: int = 1, **more: Any) -> tuple[JobRecord, list[Leased]]:
    """A job of targets that a machine of its own has been given."""
    name = machine(node)
    database, now = node.services.database, node.services.clock()
    targets = [NewTarget((f"203.203.0.{number + 1}",), "", 1) for number in range(count)]  # of no network: no limits
    job = toil.job(database, targets, at=now, constraints=Constraints(node=name), priority=100, **more)
    terms = toil.TERMS._replace(per_node=count)
    given = leases.lease(database, Asker(name, toil.NMAP), terms, now, count=count)
    assert {lease.job for lease in given} == {job.job}
    return job, given


def failed(node: Node, lease: Leased) -> None:
    """End an attempt, which is the only one its target has."""
    toil.submit(
        node.services.database,
        lease,
        "failed",
        at=node.services.clock(),
        terms=toil.TERMS._replace(attempts=1),
        reason="tool_failed",
        message="nmap: no route to host",
    )


def brought(node: Node, lease: Leased, *observations: str) -> None:
    """End an attempt well, with these observations and the files that were kept of it."""
    database = node.services.database
    files, _ = artefacts.page(database, target=lease.target)
    claims = tuple(ArtefactClaim(f.kind, f.name, f.media_type, f.sha256, f.size) for f in reversed(files))
    toil.submit(database, lease, at=node.services.clock(), observations=observations, artefacts=claims)


def kept(node: Node, lease: Leased, data: bytes, name: str = "log.txt", **more: Any) -> int:
    """A file of an attempt; its id."""
    kind: ArtefactKind = more.get("kind", "log")
    sha256 = hashlib.sha256(data).hexdigest()
    claim = ArtefactClaim(kind, name, more.get("media_type", "text/plain"), sha256, len(data))
    if more.get("stored", True):
        node.services.blobs.put(data)
    new = NewArtefact(claim, more.get("observation", ""))
    now = node.services.clock()
    (number,) = commit(
        node.services.database,
        lambda connection: (artefacts.insert(connection, lease.lease, [new], now), []),
    )
    return number
