"""What `spectra node show` prints of a node."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from spectra.cli.nodelist import skew
from spectra.cli.output import plural, text
from spectra.cli.times import ago, span, stamp

if TYPE_CHECKING:
    from spectra.model.nodes import AttestationRecord, Capabilities, CertificateRecord, NodeRecord


def lines(node: NodeRecord, now: datetime) -> Iterator[str]:
    """The page, line by line: only what is known."""
    rows = [(text(name).plain, value) for name, value in _rows(node, now) if value]
    width = max(len(name) for name, _ in rows) + 2
    for name, value in rows:
        yield f"{name + ':':<{width}}{text(value).plain}"


def _rows(node: NodeRecord, now: datetime) -> Iterator[tuple[str, str]]:
    yield "node", node.name
    yield "role", node.role
    yield "standing", f"{node.standing}: {node.reason}" if node.reason else node.standing
    yield "presence", f"{node.presence}, heard {ago(node.last_seen, now)}" if node.last_seen else node.presence
    yield "identity", node.uri
    yield "invited", stamp(node.created)
    yield "joined", stamp(node.joined) if node.joined else ""
    yield "speaks", {"mqtt": "MQTT", "nats": "NATS"}.get(node.transport or "", "")
    if node.capabilities:
        yield from _machine(node.capabilities)
    if node.load:
        free = f", {_memory(node.load.memory_free_mb)} free" if node.load.memory_free_mb else ""
        yield "load", f"{node.load.cpu:.0%} of each core{free}, {plural(node.load.tasks, 'task')}"
    yield "clock", f"{skew(node.skew_s).plain} to the coordinator's" if node.skew_s is not None else ""
    yield "signs with", node.keyid
    if node.certificate:
        yield from _certificate(node.certificate, now)
    if node.attestation:
        yield from _attestation(node.attestation, now)


def _machine(can: Capabilities) -> Iterator[tuple[str, str]]:
    yield "machine", f"{plural(can.cores, 'core')}, {_memory(can.memory_mb)}, {can.arch}, {can.os}"
    yield "software", f"Spectra {can.software}"
    yield "tools", ", ".join(f"{tool.name} {tool.version}".rstrip() for tool in can.tools)
    yield "GPUs", ", ".join(can.gpus)
    yield "region", can.region
    yield "relay", "yes" if can.relay else ""


def _memory(mebibytes: int) -> str:
    return f"{mebibytes / 1024:.1f} GiB" if mebibytes >= 1024 else f"{mebibytes} MiB"


def _certificate(certificate: CertificateRecord, now: datetime) -> Iterator[tuple[str, str]]:
    remaining = certificate.not_after - now
    holds = f"for {span(remaining)}" if remaining > timedelta(0) else "expired"
    yield "certificate", f"{holds}, until {stamp(certificate.not_after)} UTC"
    yield "serial", certificate.serial
    yield "public key", certificate.spki


def _attestation(proof: AttestationRecord, now: datetime) -> Iterator[tuple[str, str]]:
    kind = "its TPM" if proof.kind == "tpm" else "its own word (no TPM)"
    yield "state", f"{'as accepted' if proof.ok else 'not as accepted'}, by {kind}, {ago(proof.at, now)}"
    yield "why", proof.reason
    yield from sorted(proof.state.items())
