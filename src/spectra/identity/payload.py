"""The payload a contributor signs: building it, its canonical bytes, and reading them back strictly."""

from __future__ import annotations

import base64
import gzip
import secrets
import uuid
from datetime import datetime
from typing import Literal

import msgspec
import zstandard

from spectra.identity.errors import IdentityError
from spectra.identity.strict import parse, require_canonical, require_plain, require_utc, to_utc
from spectra.model.envelope import Output, Payload, Privacy, canonical, sha256_hex

Encoding = Literal["identity", "gzip", "zstd"]

_MAX_SIZE = 2**63 - 1  # what PostgreSQL's bigint holds
_NO_DATA = b'"output":{"data":""'
_decoder = msgspec.json.Decoder(Payload)


def build(
    *,
    output: bytes,
    tool: str,
    contributor: str,
    now: datetime,
    tool_version: str = "",
    scan_id: str | None = None,
    scan_type: str = "",
    started: datetime | None = None,
    finished: datetime | None = None,
    privacy: Privacy = Privacy.FULL,
    source: str = "",
    nonce: str | None = None,
    encoding: Encoding = "zstd",
    level: int = 3,
) -> Payload:
    """A payload around a tool's original `output`, which is compressed here.

    `nonce` is 24 random bytes unless given, `scan_id` a random UUID (hex); `level` is the compressor's. Raises
    `IdentityError` naming a field that the gate would refuse.
    """
    payload = Payload(
        version=1,
        tool=tool,
        tool_version=tool_version,
        scan_id=uuid.uuid4().hex if scan_id is None else scan_id,
        scan_type=scan_type,
        started=None if started is None else to_utc(started, field="started"),
        finished=None if finished is None else to_utc(finished, field="finished"),
        issued=to_utc(now, field="now"),
        nonce=secrets.token_urlsafe(24) if nonce is None else nonce,
        contributor=contributor,
        privacy=privacy,
        source=source,
        output=Output(
            encoding=encoding, sha256=sha256_hex(output), size=len(output), data=_compress(output, encoding, level)
        ),
    )
    decode(header(payload))  # the gate's own rules on every field, without the bulk of the data
    return payload


def _compress(output: bytes, encoding: Encoding, level: int) -> bytes:
    if encoding == "zstd":
        return zstandard.ZstdCompressor(level=level).compress(output)
    if encoding == "gzip":
        return gzip.compress(output, compresslevel=level, mtime=0)
    return output


def encode(payload: Payload) -> bytes:
    """The canonical bytes, which are signed and whose SHA-256 is the observation's id."""
    return canonical(payload)


def decode(raw: bytes) -> Payload:
    """Read canonical payload bytes; `output.data` is not decompressed.

    Raises `IdentityError`: `malformed_payload` with the path of the field (unknown fields, types, lengths, times that
    are not UTC, control characters), `not_canonical` where re-encoding gives other bytes.
    """
    payload = parse(_decoder, raw, what="payload", reason="malformed_payload")
    for field in ("started", "finished", "issued"):
        require_utc(getattr(payload, field), field=field)
    for field in ("tool", "tool_version", "scan_id", "scan_type", "nonce", "contributor", "source"):
        require_plain(getattr(payload, field), field=field)
    require_plain(payload.output.sha256, field="output.sha256")  # a pattern's `$` lets a last line feed through
    if not payload.contributor:
        raise IdentityError("`contributor` is empty.", reason="malformed_payload")
    if payload.output.size > _MAX_SIZE:
        raise IdentityError("`output.size` is beyond 2^63 - 1.", reason="malformed_payload")
    require_canonical(payload, raw, what="payload")
    return payload


def observation_id(raw: bytes) -> str:
    """SHA-256 (hex) of the canonical payload bytes."""
    return sha256_hex(raw)


def header(payload: Payload) -> bytes:
    """The canonical JSON with `output.data` emptied: what to keep beside the compressed bytes (see `rebuild`)."""
    return canonical(msgspec.structs.replace(payload, output=msgspec.structs.replace(payload.output, data=b"")))


def rebuild(header: bytes, data: bytes) -> bytes:
    """The exact payload bytes that were signed, from `header` and the still compressed `output.data`.

    A splice and not a re-encoding, so that it holds after `Payload` has gained fields. The marker cannot occur inside
    a JSON string, where each quote is escaped. Raises `IdentityError` where `header` is not one.
    """
    before, marker, after = header.partition(_NO_DATA)
    if not marker:
        raise IdentityError("this is not a payload's header: it has no emptied `output.data`.")
    return b"".join((before, _NO_DATA[:-1], base64.b64encode(data), b'"', after))
