"""Signed statements about keys: "this key replaces mine" and "I hold this key".

Each is a DSSE envelope with a payload type of its own, so no signature on one can be passed off as another or as an
observation. A new key always signs too: without that proof of possession somebody could register a key they only saw.
The caller claims `nonce` in the store, as for observations; here it only makes two statements differ.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from spectra.identity import dsse
from spectra.identity.errors import IdentityError
from spectra.identity.keys import PublicKey, SigningKey
from spectra.identity.roles import ROLES
from spectra.identity.strict import (
    parse,
    require_canonical,
    require_plain,
    require_timely,
    require_utc,
    to_utc,
)
from spectra.model.envelope import Sha256Hex, Word, canonical

ROTATION_TYPE = "application/vnd.spectra.key-rotation+json"
REGISTRATION_TYPE = "application/vnd.spectra.key-registration+json"

MAX_STATEMENT_BYTES = 16 * 1024
MAX_AHEAD_S = 300.0

Nonce = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{16,128}\Z")]
PublicKeyText = Annotated[str, Meta(max_length=64)]  # base64 of 32 bytes


class Rotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The holder of `old_keyid` wants `public_key` (base64 of 32 bytes) to take its place."""

    version: Literal[1]
    old_keyid: Sha256Hex
    public_key: PublicKeyText
    issued: datetime
    nonce: Nonce


class Registration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The holder of `public_key` asks to submit as `contributor` in `role`: proof of possession, no grant."""

    version: Literal[1]
    contributor: Word
    role: Word
    public_key: PublicKeyText
    issued: datetime
    nonce: Nonce


_S = TypeVar("_S", Rotation, Registration)
_rotation = msgspec.json.Decoder(Rotation)
_registration = msgspec.json.Decoder(Registration)


def build_rotation(old: SigningKey, new: SigningKey, *, now: datetime, nonce: str | None = None) -> bytes:
    """The envelope of a rotation, signed by the old key and then by the new one."""
    statement = Rotation(
        version=1,
        old_keyid=old.public.keyid,
        public_key=new.public.b64,
        issued=to_utc(now, field="now"),
        nonce=secrets.token_urlsafe(24) if nonce is None else nonce,
    )
    payload = canonical(statement)
    return dsse.wrap(payload, ROTATION_TYPE, *(dsse.signature(key, payload, ROTATION_TYPE) for key in (old, new)))


def verify_rotation(
    raw: bytes,
    *,
    known: Callable[[str], PublicKey | None],
    now: datetime,
    max_age_s: float,
    max_ahead_s: float = MAX_AHEAD_S,
) -> Rotation:
    """Check a rotation; `known` gives the key of a keyid that may rotate (so None for a revoked one).

    Raises `IdentityError`: `malformed_envelope`, `malformed_payload`, `not_canonical`, `unknown_key`,
    `bad_signature`, `expired`, `from_the_future`, or `identity` for a new key that is unusable or the old one again.
    """
    opened = _open(raw, ROTATION_TYPE, signatures=2)
    first, second = opened.signatures
    old = known(first.keyid)
    if old is None or old.keyid != first.keyid:
        raise IdentityError("the first signature is by no key that may be rotated.", reason="unknown_key")
    _require_signed(old, first.sig, opened, who="old")
    statement = _read(_rotation, opened.payload, now=now, max_age_s=max_age_s, max_ahead_s=max_ahead_s)
    new = PublicKey.from_b64(statement.public_key)
    if statement.old_keyid != old.keyid or second.keyid != new.keyid:
        raise IdentityError("the signatures are not by the two keys that the statement names.", reason="bad_signature")
    if new == old:
        raise IdentityError("the new key is the old one; generate a new one.")
    _require_signed(new, second.sig, opened, who="new")
    return statement


def build_registration(
    key: SigningKey, *, contributor: str, role: str, now: datetime, nonce: str | None = None
) -> bytes:
    """The envelope by which the holder of `key` proves to hold it, signed by it."""
    statement = Registration(
        version=1,
        contributor=contributor,
        role=role,
        public_key=key.public.b64,
        issued=to_utc(now, field="now"),
        nonce=secrets.token_urlsafe(24) if nonce is None else nonce,
    )
    return dsse.sign(key, canonical(statement), REGISTRATION_TYPE)


def verify_registration(
    raw: bytes, *, now: datetime, max_age_s: float, max_ahead_s: float = MAX_AHEAD_S, role: str = ""
) -> Registration:
    """Check that who made the registration holds its key. Whether to grant it is the caller's to decide.

    `role` is one that exists besides the built-in ones. The key stands in the statement itself, so this one is parsed
    before its signature is checked, within 16 KB.
    Raises `IdentityError` as `verify_rotation` does.
    """
    opened = _open(raw, REGISTRATION_TYPE, signatures=1)
    statement = _read(_registration, opened.payload, now=now, max_age_s=max_age_s, max_ahead_s=max_ahead_s)
    key = PublicKey.from_b64(statement.public_key)
    if opened.signatures[0].keyid != key.keyid:
        raise IdentityError("the signature is not by the key that the statement names.", reason="bad_signature")
    _require_signed(key, opened.signatures[0].sig, opened, who="new")
    require_plain(statement.contributor, field="contributor")
    if not statement.contributor:
        raise IdentityError("`contributor` is empty.", reason="malformed_payload")
    if statement.role not in (*ROLES, role):
        raise IdentityError(f"`role` must be one of {', '.join(ROLES)}.", reason="malformed_payload")
    return statement


def _open(raw: bytes, payload_type: str, *, signatures: int) -> dsse.Opened:
    if len(raw) > MAX_STATEMENT_BYTES:
        raise IdentityError(f"a key statement has at most {MAX_STATEMENT_BYTES} bytes.", reason="malformed_envelope")
    opened = dsse.decode(raw, payload_type)
    if len(opened.signatures) != signatures:
        raise IdentityError(f"this statement carries exactly {signatures} signature(s).", reason="malformed_envelope")
    return opened


def _require_signed(key: PublicKey, sig: str, opened: dsse.Opened, *, who: str) -> None:
    if not dsse.verify(key, sig, opened.payload, opened.payload_type):
        raise IdentityError(f"the {who} key's signature does not match the statement.", reason="bad_signature")


def _read(decoder: msgspec.json.Decoder[_S], raw: bytes, *, now: datetime, max_age_s: float, max_ahead_s: float) -> _S:
    statement = parse(decoder, raw, what="statement", reason="malformed_payload")
    require_utc(statement.issued, field="issued")
    require_canonical(statement, raw, what="statement")
    require_timely(statement.issued, now=now, max_age_s=max_age_s, max_ahead_s=max_ahead_s)
    return statement
