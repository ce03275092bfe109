"""DSSE envelopes (https://github.com/secure-systems-lab/dsse, protocol.md and envelope.md) with Ed25519.

Narrower than the specification on purpose, so that an envelope has few spellings: standard base64 only (the
specification also allows the URL-safe one), `keyid` required, at most four signatures, no unknown fields.
"""

from __future__ import annotations

import base64

import msgspec

from spectra.identity.errors import IdentityError
from spectra.identity.keys import SIGNATURE_BYTES, PublicKey, SigningKey
from spectra.identity.strict import parse, unbase64
from spectra.model.envelope import PAYLOAD_TYPE, Envelope, Signature

_REASON = "malformed_envelope"
_decoder = msgspec.json.Decoder(Envelope)


class Opened(msgspec.Struct, frozen=True):
    """An envelope out of its JSON and base64, nothing in it verified. The base64 text (a third larger) is let go."""

    payload: bytes
    payload_type: str
    signatures: tuple[Signature, ...]


def pae(payload_type: str, payload: bytes) -> bytes:
    """The pre-authentication encoding that is signed: `DSSEv1 SP LEN(type) SP type SP LEN(payload) SP payload`.

    Lengths are in bytes, in ASCII decimal.
    """
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def signature(key: SigningKey, payload: bytes, payload_type: str = PAYLOAD_TYPE) -> Signature:
    """One signature over the payload's pre-authentication encoding."""
    sig = key.sign(pae(payload_type, payload))
    return Signature(keyid=key.public.keyid, sig=base64.b64encode(sig).decode("ascii"))


def wrap(payload: bytes, payload_type: str, *signatures: Signature) -> bytes:
    """The JSON envelope of a payload with signatures already made (one to four)."""
    body = base64.b64encode(payload).decode("ascii")
    return msgspec.json.encode(Envelope(payload=body, payloadType=payload_type, signatures=signatures))


def sign(key: SigningKey, payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """The JSON envelope of `payload`, signed by one key."""
    return wrap(payload, payload_type, signature(key, payload, payload_type))


def decode(raw: bytes, payload_type: str = PAYLOAD_TYPE) -> Opened:
    """Open an envelope without verifying it; the caller has bounded the size of `raw`.

    Raises `IdentityError("malformed_envelope")` naming the field: bad JSON, unknown fields, another payload type,
    base64 that is not in its one canonical spelling.
    """
    envelope = parse(_decoder, raw, what="envelope", reason=_REASON)
    if envelope.payloadType != payload_type:
        raise IdentityError(f"`payloadType` must be {payload_type}.", reason=_REASON)
    for index, one in enumerate(envelope.signatures):
        unbase64(one.sig, field=f"signatures[{index}].sig", reason=_REASON)
    payload = unbase64(envelope.payload, field="payload", reason=_REASON)
    return Opened(payload=payload, payload_type=payload_type, signatures=envelope.signatures)


def verify(key: PublicKey, sig: str, payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bool:
    """Whether `sig` (base64 of 64 bytes) is `key`'s over the payload. A signature of any other form is not."""
    try:
        made = unbase64(sig, field="sig", reason=_REASON)
    except IdentityError:
        return False
    return len(made) == SIGNATURE_BYTES and key.verify(made, pae(payload_type, payload))
