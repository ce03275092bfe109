"""From a tool's output to the signed envelope that is submitted."""

from __future__ import annotations

import secrets
from datetime import datetime

from spectra.collect.scanners.base import RawOutput
from spectra.errors import BadRequest
from spectra.identity import dsse, payload
from spectra.identity.keys import SigningKey
from spectra.model.envelope import Privacy


def new_scan_id(now: datetime) -> str:
    """`scan-20251101-123000-ab12`: sorts by time, and tells two of one second apart."""
    return f"scan-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def seal(
    raw: RawOutput,
    key: SigningKey,
    *,
    contributor: str,
    now: datetime,
    privacy: Privacy = Privacy.FULL,
    source: str = "",
    scan_id: str | None = None,
) -> bytes:
    """The envelope (DSSE JSON) of a scan's output. Raises `BadRequest` if there is nothing in it to submit.

    `privacy` must be what the scan was made with: it is a statement about `raw`, and strips nothing here.
    """
    if not raw.data.strip():
        raise BadRequest(f"{raw.tool} found nothing: there is nothing to submit", reason="empty_output", field="output")
    built = payload.build(
        output=raw.data,
        tool=raw.tool,
        tool_version=raw.tool_version,
        scan_id=scan_id,
        scan_type=raw.scan_type,
        started=raw.started,
        finished=raw.finished,
        contributor=contributor,
        privacy=privacy,
        source=source,
        now=now,
    )
    return dsse.sign(key, payload.encode(built))


def seal_file(
    data: bytes,
    key: SigningKey,
    *,
    contributor: str,
    now: datetime,
    source: str,
    tool: str = "",
    nonce: str | None = None,
) -> bytes:
    """The envelope of existing output, such as a file of an earlier scan; `source` says where it is from.

    What the output does not tell of itself stays empty. Sent again with the same `nonce` and `now`, the same bytes
    make the same observation: an import that was broken off can be resumed without doubling anything.
    """
    if not data.strip():
        raise BadRequest(f"{source or 'the input'} is empty", reason="empty_output", field="output")
    built = payload.build(
        output=data, tool=tool, contributor=contributor, source=source, scan_id="", scan_type="", now=now, nonce=nonce
    )
    return dsse.sign(key, payload.encode(built))
