"""Rows on their way to PostgreSQL.

A batch travels as one JSON text that `json_to_recordset` unfolds: measured on 3-service hosts it takes a quarter of
the client's CPU of array parameters and beats COPY into a temporary table (docs/benchmarks.md). Field names are
column names.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec

from spectra.model.envelope import canonical
from spectra.model.observation import Certificate, Evidence
from spectra.store.timeline import LETTER, PROTOCOL_NUMBER

encode = msgspec.json.Encoder().encode

_SHA256_BYTES: Final = 32


class HostRow(msgspec.Struct, omit_defaults=True):
    """One host of a batch."""

    ip: str
    at: datetime
    os: str = ""
    mac: str = ""
    vendor: str = ""
    rest: str = ""
    place: str | None = None
    feeds: int | None = None


class EndpointRow(msgspec.Struct, omit_defaults=True):
    """One endpoint of a batch; ids are 32 hex digits. `life`: seconds it stays fresh, 0 if this does not make it so."""

    ip: str
    port: int
    protocol: int
    state: str
    at: datetime
    service: str | None = None
    certificate: str | None = None
    banner: str | None = None
    place: str | None = None
    life: int = 0


class HostnameRow(msgspec.Struct):
    """One name of one host."""

    ip: str
    name: str
    kind: str
    at: datetime


class EvidenceRow(msgspec.Struct):
    """One remark about one endpoint (port 0: the host)."""

    ip: str
    port: int
    protocol: int
    remark: str
    at: datetime


class Extra(msgspec.Struct, omit_defaults=True):
    """What a sighting says besides ports; empty for most, so kept as text in one column."""

    names: list[tuple[str, str]] = []
    remarks: list[tuple[int, int, str]] = []  # port, protocol, remark id
    certificates: list[tuple[str, str]] = []  # certificate id, `claim_id` of what was said of it
    os: str = ""
    mac: str = ""
    vendor: str = ""


class SightingRow(msgspec.Struct, omit_defaults=True):
    """One host as one observation saw it; the unit of the log. Its JSON is what the provenance digest covers."""

    ip: str
    seen_at: datetime
    ports: list[int]
    states: str
    rest: str = ""
    services: list[str | None] | None = None
    certificates: list[str | None] | None = None
    banners: list[str | None] | None = None
    extra: str = ""


class NameSightingRow(msgspec.Struct):
    """One name without an address as one observation saw it."""

    name: str
    seen_at: datetime
    remarks: list[str]


class SilenceRow(msgspec.Struct):
    """One network that was probed without an answer."""

    net: str
    seen_at: datetime


class SweptRow(msgspec.Struct):
    """The ports that one observation swept: half-open ranges of packed ports, in order and merged."""

    swept: list[tuple[int, int]]


def content_id(fingerprint: bytes) -> str:
    """The id of content-addressed rows: the first 16 bytes of the SHA-256, as 32 hex digits."""
    return fingerprint[:16].hex()


def remark_id(evidence: Evidence) -> str:
    """The id of a remark: over every field, so that an edited one is found out."""
    parts = (evidence.kind, evidence.key, evidence.severity, evidence.data)
    return content_id(hashlib.sha256(encode(parts)).digest())


def claim_id(certificate: Certificate) -> str:
    """The id of what a tool said of a certificate: over every field, which the certificate's own id does not cover."""
    return content_id(hashlib.sha256(canonical(certificate)).digest())


def canonical_ip(text: str) -> str:
    """An address or network as `ipaddress` writes it: PostgreSQL writes `::102:304` as `::1.2.3.4`."""
    if ":" not in text or "." not in text:
        return text
    return str(ipaddress.IPv6Network(text) if "/" in text else ipaddress.IPv6Address(text))


def packed_port(protocol: str, port: int) -> int:
    """Protocol and port in one int4: IANA protocol number << 16 | port."""
    return PROTOCOL_NUMBER[protocol] << 16 | port


def letter(state: str) -> str:
    """The one-letter form of a state."""
    return LETTER[state]


class Digest:
    """A hash over a set of rows, the same in whatever order they come: SHA-256 over the sorted hashes of the rows.

    Holds 32 bytes for each row: hashes stand back to back, apart by their first byte so that few are sorted at once.
    """

    def __init__(self) -> None:
        self._hashes = [bytearray() for _ in range(256)]

    def add(self, rows: Iterable[msgspec.Struct]) -> str:
        """Take in rows; returns them as the JSON array that PostgreSQL is given, since each is encoded here anyway."""
        encoded = [encode(row) for row in rows]
        for row in encoded:
            one = hashlib.sha256(row).digest()
            self._hashes[one[0]] += one
        return f"[{b','.join(encoded).decode()}]"

    def __bool__(self) -> bool:
        """Whether there was any row."""
        return any(self._hashes)

    def hexdigest(self) -> str:
        """The digest of all rows taken in so far."""
        whole = hashlib.sha256()
        for held in self._hashes:
            whole.update(b"".join(sorted(held[i : i + _SHA256_BYTES] for i in range(0, len(held), _SHA256_BYTES))))
        return whole.hexdigest()
