"""What travels: the DSSE envelope, the payload it signs and the receipt it is answered with.

Envelope: https://github.com/secure-systems-lab/dsse/blob/master/envelope.md. The signature is over the raw payload
bytes, so a verifier never has to parse what it has not verified.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

PAYLOAD_TYPE = "application/vnd.spectra.observation+json"

Word = Annotated[str, Meta(max_length=200)]
Sha256Hex = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class Privacy(StrEnum):
    """How much of what a service said may leave the scanner."""

    FULL = "full"
    META_ONLY = "meta-only"  # no banners, titles or script output


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One DSSE signature; `keyid` is the SHA-256 (hex) of the raw 32-byte Ed25519 public key."""

    keyid: Annotated[str, Meta(max_length=128)]
    sig: Annotated[str, Meta(max_length=128)]  # base64 of 64 bytes


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The DSSE JSON envelope as sent; `payload` is base64 of the payload bytes."""

    payload: str
    payloadType: Annotated[str, Meta(max_length=128)]  # noqa: N815 - the name DSSE gives it
    signatures: Annotated[tuple[Signature, ...], Meta(min_length=1, max_length=4)]


class Output(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tool's original output. `sha256` and `size` (bytes) describe it before compression."""

    encoding: Literal["identity", "gzip", "zstd"]
    sha256: Sha256Hex
    size: Annotated[int, Meta(ge=0)]
    data: bytes  # base64 in JSON


class Payload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a contributor signs: who looked, with what, when, and the tool's own words.

    `tool` is a claim: the format is recognised from the content. `started`/`finished` date records that carry no time
    of their own. `issued` is when the payload was signed; the gate's clock window applies to it alone, so that old
    scans can be imported. `nonce` is never accepted twice.
    """

    version: Literal[1]
    tool: Word
    tool_version: Word
    scan_id: Word
    scan_type: Word
    started: datetime | None
    finished: datetime | None
    issued: datetime
    nonce: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{16,128}$")]
    contributor: Word
    privacy: Privacy
    source: Annotated[str, Meta(max_length=1024)]
    output: Output


def canonical(value: object) -> bytes:
    """The canonical JSON of `value`: keys sorted, no white space, UTF-8 (RFC 8785 for our string/integer payloads)."""
    return msgspec.json.encode(value, order="sorted")


def sha256_hex(data: bytes) -> str:
    """SHA-256 of `data` as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One record of a submission that could not be kept, and where it stands (1-based line, 0 when unknown)."""

    message: str
    line: int = 0
    field: str = ""


class Counts(msgspec.Struct, frozen=True):
    """What a submission brought: records kept, and how many were not."""

    hosts: int = 0
    endpoints: int = 0
    hostnames: int = 0
    silent: int = 0
    problems: int = 0


class Receipt(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to a submission. The same submission is always answered with the first's receipt.

    `status`: `accepted` (stored, its workflow is running), `merged` (in the graph) or `failed` (`error` says why).
    """

    observation_id: str
    status: Literal["accepted", "merged", "failed"]
    received: datetime
    format: str = ""
    counts: Counts = Counts()
    problems: tuple[Problem, ...] = ()
    duplicate: bool = False
    workflow_id: str = ""
    error: str = ""
