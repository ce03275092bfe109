"""The key of a step-ca's JWK provisioner, as smallstep's tools keep it: a JWK (RFC 7517), or one under a password.

Under a password it is a JWE (RFC 7516) in one of two spellings: five parts with dots, as `encryptedKey` of `ca.json`
has it, or the flattened JSON that `step crypto jwk create` writes. One way of encrypting is read, the one both use
(`jose.EncryptJWK` of go.step.sm/crypto): PBES2-HS256+A128KW (RFC 7518 section 4.8) and AES-GCM.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap
from msgspec import Meta

from spectra.identity.errors import IdentityError
from spectra.identity.provisioner import Provisioner
from spectra.identity.strict import parse, unbase64url

MAX_CHARS: Final = 16 * 1024
MAX_ROUNDS: Final = 2_000_000
"""Of PBKDF2, a second or so; step takes 600,000."""

_USELESS: Final = "this is no JWK of a provisioner, encrypted or not."
_ALGORITHM: Final = "PBES2-HS256+A128KW"
_WRAPPING_BYTES: Final = 16  # A128KW
_SALT_BYTES: Final = 8  # at least (RFC 7518 section 4.8.1.1)

_Part = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,8192}\Z")]


class _Jwe(msgspec.Struct, frozen=True):
    protected: _Part
    encrypted_key: _Part
    iv: _Part
    ciphertext: _Part
    tag: _Part


class _Header(msgspec.Struct, frozen=True):
    alg: Literal["PBES2-HS256+A128KW"]
    enc: Literal["A128GCM", "A256GCM"]
    p2s: _Part
    p2c: Annotated[int, Meta(ge=1000, le=MAX_ROUNDS)]
    zip: None = None
    crit: None = None


class _Shape(msgspec.Struct, frozen=True):
    """What a file is told by."""

    name: str = ""
    key: msgspec.Raw = msgspec.Raw()
    kty: str = ""
    ciphertext: str = ""


_jwe = msgspec.json.Decoder(_Jwe)
_header = msgspec.json.Decoder(_Header)
_shape = msgspec.json.Decoder(_Shape)


def read_provisioner(raw: bytes, name: str, password: bytes | None = None) -> Provisioner:
    """The provisioner `name` with the key in `raw`: a JWK, a JWE of one, or `Provisioner.to_json`.

    Raises `IdentityError`: `password_needed`, `wrong_password`, or `identity` for what is no key of use.
    """
    if len(raw) > MAX_CHARS:
        raise _useless()
    text = raw.strip()
    shape = parse(_shape, text, what="provisioner's key", reason="identity") if text.startswith(b"{") else None
    if shape is not None and bytes(shape.key):
        return _named(bytes(shape.key), name or shape.name)
    if shape is not None and shape.kty:
        return _named(text, name)
    if password is None:
        raise IdentityError("the provisioner's key is encrypted, and there is no password.", reason="password_needed")
    return _named(_decrypted(_compact(text) if shape is None else _flattened(text), password), name)


def _named(jwk: bytes, name: str) -> Provisioner:
    return Provisioner.from_json(msgspec.json.encode({"name": name, "key": msgspec.Raw(jwk)}))


def _compact(text: bytes) -> _Jwe:
    parts = text.decode("ascii", "replace").split(".")
    if len(parts) != 5:
        raise _useless()
    names = ("protected", "encrypted_key", "iv", "ciphertext", "tag")
    try:
        return msgspec.convert(dict(zip(names, parts, strict=True)), _Jwe)
    except msgspec.ValidationError:
        raise _useless() from None


def _flattened(text: bytes) -> _Jwe:
    return parse(_jwe, text, what="encrypted provisioner's key", reason="identity")


def _decrypted(jwe: _Jwe, password: bytes) -> bytes:
    """RFC 7516 section 5.2: the header, the key that wraps, the key it wraps, the content."""
    header = parse(_header, _unbase64url(jwe.protected), what="header of the provisioner's key", reason="identity")
    salt = _unbase64url(header.p2s)
    if len(salt) < _SALT_BYTES:
        raise _useless()
    salt = _ALGORITHM.encode() + b"\0" + salt
    wrapping = PBKDF2HMAC(SHA256(), _WRAPPING_BYTES, salt, header.p2c).derive(password)
    try:
        key = aes_key_unwrap(wrapping, _unbase64url(jwe.encrypted_key))
        if len(key) != (16 if header.enc == "A128GCM" else 32):
            raise _useless()
        sealed = _unbase64url(jwe.ciphertext) + _unbase64url(jwe.tag)
        return AESGCM(key).decrypt(_unbase64url(jwe.iv), sealed, jwe.protected.encode())
    except InvalidUnwrap:
        raise IdentityError("the password is not that of the provisioner's key.", reason="wrong_password") from None
    except (InvalidTag, ValueError):
        raise _useless() from None


def _unbase64url(text: str) -> bytes:
    return unbase64url(text, message=_USELESS, reason="identity")


def _useless() -> IdentityError:
    return IdentityError(_USELESS)
