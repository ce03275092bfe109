"""What a machine sends back from one lease: a signed result, the signed observations it names, and files by their hash.

All of it travels as one bundle, so that a target ends in one transaction or not at all.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from spectra.model.envelope import Sha256Hex, Word
from spectra.model.nodes import NodeName
from spectra.model.work import LeaseId, Outcome, Stats

RESULT_TYPE: Final = "application/vnd.spectra.result+json"
MAX_OBSERVATIONS: Final = 8
MAX_ARTEFACTS: Final = 16

ArtefactKind = Literal["log", "raw", "capture"]


class ArtefactClaim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of an attempt. `sha256` and `size` (bytes) describe it before compression."""

    kind: ArtefactKind
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")]
    media_type: Annotated[str, Meta(pattern=r"^[a-z]+/[a-z0-9.+-]{1,80}\Z")]
    sha256: Sha256Hex
    size: Annotated[int, Meta(ge=0, le=2**40)]


class Result(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one lease ended, signed by the machine that held it (DSSE of type `RESULT_TYPE`, canonical JSON).

    `observations` are the ids of the envelopes beside it, `nonce` is never accepted twice.
    """

    version: Literal[1]
    lease: LeaseId
    target: int
    attempt: int
    node: NodeName
    outcome: Outcome
    reason: Word
    message: Annotated[str, Meta(max_length=2000)]
    tool: Word
    tool_version: Word
    started: datetime
    finished: datetime
    issued: datetime
    nonce: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{16,128}$")]
    observations: Annotated[tuple[Sha256Hex, ...], Meta(max_length=MAX_OBSERVATIONS)]
    artefacts: Annotated[tuple[ArtefactClaim, ...], Meta(max_length=MAX_ARTEFACTS)]
    stats: Stats


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The bytes of an artefact (base64 in JSON), compressed by zstd."""

    sha256: Sha256Hex
    data: bytes


class Bundle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v0/mesh/results`. `result` and `observations` are DSSE envelopes (JSON objects)."""

    version: Literal[1]
    result: msgspec.Raw
    observations: Annotated[tuple[msgspec.Raw, ...], Meta(max_length=MAX_OBSERVATIONS)] = ()
    artefacts: Annotated[tuple[File, ...], Meta(max_length=MAX_ARTEFACTS)] = ()


class ResultReceipt(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer: `accepted` (its workflow is running), or `late` (observations kept, the target is another's).

    The same bundle is always answered with the first's receipt.
    """

    lease: str
    status: Literal["accepted", "late"]
    received: datetime
    observations: tuple[str, ...] = ()
    duplicate: bool = False
