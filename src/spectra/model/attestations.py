"""How a machine shows in what state it is: what the coordinator asks, and what the machine answers.

Bytes are base64 in JSON. A `Quote` is a TPM's word, which the machine's software cannot forge; a `Word` is the
software's own, signed by the node's key, and weaker.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from spectra.model.nodes import AttestationPolicy, Kind, Standing

PCR_BYTES: Final = 32
"""Of the SHA-256 bank, the one that every TPM 2.0 has."""

MAX_PCR: Final = 23
MAX_PUBLIC_BYTES: Final = 1024
"""Of a TPM2B_PUBLIC; one of RSA 2048 has 316."""

MAX_CERTIFICATE_BYTES: Final = 8192
MAX_STATEMENT_BYTES: Final = 16 * 1024

Nonce = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]


class Challenge(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a node is asked. `nonce`: 32 bytes in hex, for one answer until `expires`; empty where nothing is asked.

    `pcrs` is what a quote has to be about. `ak` is the name (hex) of the key by which the node's TPM is known, empty
    where none is. `credential` only opens to the TPM that it was made for: tpm2-tools' file of TPM2_MakeCredential.
    """

    policy: AttestationPolicy
    every_s: float
    nonce: str = ""
    expires: datetime | None = None
    pcrs: tuple[int, ...] = ()
    ak: str = ""
    credential: bytes = b""


class TpmKeys(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A TPM's endorsement key and the attestation key made under it, each a TPM2B_PUBLIC.

    `ek_certificate` is the maker's, DER, where the TPM carries one.
    """

    ek: Annotated[bytes, Meta(max_length=MAX_PUBLIC_BYTES)]
    ak: Annotated[bytes, Meta(max_length=MAX_PUBLIC_BYTES)]
    ek_certificate: Annotated[bytes, Meta(max_length=MAX_CERTIFICATE_BYTES)] = b""


class Quote(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag="tpm"):
    """A TPMS_ATTEST over the nonce with its TPMT_SIGNATURE, and the values of the PCRs asked for, in ascending order.

    `secret` is what the challenge's credential held, where it came with one.
    """

    quote: Annotated[bytes, Meta(max_length=1024)]
    signature: Annotated[bytes, Meta(max_length=1024)]
    pcrs: Annotated[tuple[Annotated[bytes, Meta(max_length=PCR_BYTES)], ...], Meta(max_length=MAX_PCR + 1)]
    secret: Annotated[bytes, Meta(max_length=64)] = b""


class Word(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="statement"):
    """What a machine without a TPM says: a DSSE envelope (JSON text) of `identity.measure`."""

    statement: Annotated[str, Meta(max_length=MAX_STATEMENT_BYTES)]


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The answer to the challenge with this nonce."""

    nonce: Nonce
    proof: Quote | Word


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the coordinator made of it. `reason` says why the node is not active; ask again in `every_s` seconds."""

    ok: bool
    standing: Standing
    every_s: float
    kind: Kind | None = None
    reason: str = ""
