"""Any VEX document in JSON, recognised by what it holds."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

import msgspec
from msgspec import field

from spectra.errors import BadRequest
from spectra.intel.vex import cyclonedx, openvex
from spectra.intel.vex.texts import MAX_ID
from spectra.model.vex import MAX_BYTES, Incoming

_HINT: Final = "OpenVEX and CycloneDX are read, as JSON."
_AT: Final = re.compile(r" - at `\$\.?([^`]+)`$")


_ABSENT: Final = msgspec.Raw()  # `Raw | None` is no type that a decoder knows


class _Head(msgspec.Struct):
    """What tells formats apart."""

    context: Any = field(name="@context", default=None)
    statements: msgspec.Raw = _ABSENT
    bom: Any = field(name="bomFormat", default=None)
    vulnerabilities: msgspec.Raw = _ABSENT
    document: msgspec.Raw = _ABSENT
    spdx: Any = field(name="spdxVersion", default=None)


def read(data: bytes) -> Incoming:
    """What a document says. Raises `BadRequest` naming the field for one that is none or says nothing of weaknesses."""
    if len(data) > MAX_BYTES:
        raise BadRequest(f"The document has {len(data):,} bytes; {MAX_BYTES:,} are accepted.", reason="too_large")
    try:
        found = _read(data, msgspec.json.decode(data, type=_Head))
    except (ValueError, RecursionError) as error:
        raise _refused(data, error) from error
    if not found.id or len(found.id) > MAX_ID:
        name = "@id" if found.format == "openvex" else "serialNumber"
        raise BadRequest(f"`{name}` is empty or too long.", reason="vex", field=name)
    return found


def _read(data: bytes, head: _Head) -> Incoming:
    if isinstance(head.bom, str) and head.bom == "CycloneDX":
        if not _has(head.vulnerabilities):
            raise BadRequest(
                "This CycloneDX document lists components, and says nothing of weaknesses.",
                reason="vex",
                field="vulnerabilities",
            )
        return cyclonedx.read(data, f"urn:sha256:{hashlib.sha256(data).hexdigest()}")
    if "openvex.dev" in str(head.context)[:200] or (head.context is not None and _has(head.statements)):
        return openvex.read(data)
    if _has(head.document):
        raise _unknown("This looks like CSAF, which is not read.")
    if head.spdx is not None:
        raise _unknown("This is SPDX, which says nothing of weaknesses.")
    raise _unknown("This is no VEX document that is known here.")


def _has(part: msgspec.Raw) -> bool:
    return bytes(part) not in (b"", b"null")


def _unknown(message: str) -> BadRequest:
    return BadRequest(message, reason="vex", field="body", hint=_HINT)


def _refused(data: bytes, error: Exception) -> BadRequest:
    if data.lstrip()[:1] == b"<":
        return BadRequest("This is XML, which is not read.", reason="vex", field="body", hint=_HINT)
    if isinstance(error, RecursionError):
        return BadRequest("The document is nested too deep.", reason="vex", field="body")
    message = str(error)[:300]
    if (at := _AT.search(message)) is None:
        return BadRequest(f"The document cannot be read: {message}.", reason="vex", field="body", hint=_HINT)
    return BadRequest(f"`{at[1]}`: {message[: at.start()]}.", reason="vex", field=at[1])
