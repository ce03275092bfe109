"""Writes records into the graph as an ingest does, without a gate, keys or blobs: for tests of what is read back."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from spectra.model.envelope import Counts, Output, Payload, Privacy, canonical, sha256_hex
from spectra.model.facts import HostFacts
from spectra.model.observation import (
    Banner,
    Certificate,
    EndpointSeen,
    Evidence,
    Hostname,
    HostSeen,
    NameSeen,
    Protocol,
    ScanFacts,
    Service,
    Silent,
    State,
    Swept,
)
from spectra.store.content import Known
from spectra.store.database import Connection, Database, one
from spectra.store.graph import GraphWriter
from spectra.store.rows import encode

T0 = datetime(2026, 1, 1, tzinfo=UTC)


class Written(NamedTuple):
    """What one observation left in the store; `digest` covers its rows of the log."""

    seq: int
    observation_id: str
    counts: Counts
    digest: str


def seen(
    port: int,
    name: str = "",
    product: str = "",
    version: str = "",
    *,
    protocol: Protocol = "tcp",
    state: State = "open",
    banner: str = "",
    title: str = "",
    certificate: Certificate | None = None,
    evidence: Sequence[Evidence] = (),
) -> EndpointSeen:
    """An endpoint as a parser tells of it; what is left empty was not said."""
    return EndpointSeen(
        port=port,
        protocol=protocol,
        state=state,
        service=Service(name=name, product=product, version=version) if name or product or version else None,
        banner=Banner(text=banner, title=title) if banner or title else None,
        certificate=certificate,
        evidence=tuple(evidence),
    )


def host(
    ip: str,
    at: datetime,
    *endpoints: EndpointSeen,
    names: Sequence[str] = (),
    rest: State | None = None,
    evidence: Sequence[Evidence] = (),
    os: str = "",
) -> HostSeen:
    """A host as a parser tells of it."""
    hostnames = tuple(Hostname(name=name) for name in names)
    return HostSeen(ip, at, endpoints=endpoints, hostnames=hostnames, rest=rest, evidence=tuple(evidence), os=os)


class Scribe:
    """Calling it writes one observation and returns what was written."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known = Known()

    def __call__(
        self,
        records: Sequence[HostSeen | NameSeen | Silent | Swept | HostFacts],
        *,
        at: datetime = T0,
        contributor: str = "alice",
        scan_id: str = "scan-1",
        scan_type: str = "service",
        tool: str = "nmap",
        facts: ScanFacts | None = None,
        trust: float = 1.0,
        alone: bool = False,
    ) -> Written:
        """Write `records` as one observation received `at`; `alone` as `GraphWriter` has it."""
        with self._database.transaction() as connection:
            keyid = _contributor(connection, contributor, trust)
            payload = _payload(at, contributor, scan_id, scan_type, tool)
            seq = _observation(connection, payload, keyid, at, trust, facts)
            writer = GraphWriter(self._database, connection, self._known, seq, alone=alone)
            for record in records:
                writer.add(record)
            counts, digest = writer.finish()
        return Written(seq, sha256_hex(canonical(payload)), counts, digest)


def _payload(at: datetime, contributor: str, scan_id: str, scan_type: str, tool: str) -> Payload:
    return Payload(
        version=1,
        tool=tool,
        tool_version="1.0",
        scan_id=scan_id,
        scan_type=scan_type,
        started=None,
        finished=None,
        issued=at,
        nonce=secrets.token_urlsafe(16),
        contributor=contributor,
        privacy=Privacy.FULL,
        source="",
        output=Output("identity", sha256_hex(b""), 0, b""),
    )


def _contributor(connection: Connection, name: str, trust: float) -> str:
    keyid = sha256_hex(name.encode())
    connection.execute(
        "INSERT INTO contributor (name, role, trust, created) VALUES (%s, 'contributor', %s, %s)"
        " ON CONFLICT DO NOTHING",
        [name, trust, T0],
    )
    connection.execute(
        "INSERT INTO key (keyid, contributor, public_key, created) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        [keyid, name, bytes.fromhex(keyid), T0],
    )
    return keyid


def _observation(
    connection: Connection, payload: Payload, keyid: str, at: datetime, trust: float, facts: ScanFacts | None
) -> int:
    header = canonical(payload)
    row = one(
        connection.execute(
            """INSERT INTO observation (observation_id, contributor, nonce, keyid, signature, header, received, trust,
                 scan_id, scan_type, output_sha256, blob_sha256, status, facts)
               VALUES (%s, %s, %s, %s, '', %s, %s, %s, %s, %s, ''::bytea, ''::bytea, 'merged', %s) RETURNING seq""",
            [
                bytes.fromhex(sha256_hex(header)),
                payload.contributor,
                payload.nonce,
                keyid,
                header.decode(),
                at,
                trust,
                payload.scan_id,
                payload.scan_type,
                encode(facts or ScanFacts()).decode(),
            ],
        )
    )
    return row[0]
