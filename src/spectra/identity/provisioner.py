"""The provisioner: the key by which a CA knows the tokens that it gave out itself, in the form that step-ca has for it.

A JSON Web Key (RFC 7517) with a name. The join tokens that it signs are in `spectra.identity.jointokens`.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Annotated, Any, Final, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jwt.api_jws import PyJWS
from msgspec import Meta

from spectra.identity.errors import IdentityError
from spectra.identity.strict import parse

PROVISIONER: Final = "spectra"

_Text = Annotated[str, Meta(min_length=1, max_length=200)]
_Coordinate = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{43}\Z")]  # 32 bytes


class _Jwk(msgspec.Struct, frozen=True, omit_defaults=True):
    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: _Coordinate
    y: _Coordinate
    d: _Coordinate
    kid: Annotated[str, Meta(max_length=200)] = ""


class _Kept(msgspec.Struct, frozen=True):
    name: _Text
    key: _Jwk


_kept = msgspec.json.Decoder(_Kept)
_jws = PyJWS(algorithms=["ES256"])


class Provisioner:
    """The key that signs join tokens, as step-ca knows it: a JWK with a name. It shows itself in no `repr`."""

    def __init__(self, key: EllipticCurvePrivateKey, name: str = PROVISIONER, kid: str = "") -> None:
        """`kid` is the RFC 7638 thumbprint unless a step-ca calls the key otherwise."""
        if not isinstance(key.curve, ec.SECP256R1):
            raise IdentityError("the provisioner's key must be ECDSA P-256.")
        self._key = key
        self.name: Final = name
        self.kid: Final = kid or thumbprint(key.public_key())

    @classmethod
    def create(cls, name: str = PROVISIONER) -> Provisioner:
        """A new key."""
        return cls(ec.generate_private_key(ec.SECP256R1()), name)

    @classmethod
    def from_json(cls, raw: bytes) -> Provisioner:
        """From `{"name": ..., "key": {...}}`: `to_json`, or a step-ca's decrypted JWK. Raises `IdentityError`."""
        kept = parse(_kept, raw, what="provisioner", reason="identity")
        try:
            x, y, d = (_number(part) for part in (kept.key.x, kept.key.y, kept.key.d))
            public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1())
            key = ec.EllipticCurvePrivateNumbers(d, public).private_key()
        except ValueError:
            raise IdentityError("the provisioner's key is no point of P-256.") from None
        return cls(key, kept.name, kept.key.kid)

    def to_json(self) -> bytes:
        """The name and the private JWK (RFC 7517): a secret."""
        private = {**self.jwk_public(), "d": _base64url(self._key.private_numbers().private_value.to_bytes(32))}
        return msgspec.json.encode({"name": self.name, "key": private})

    def jwk_public(self) -> dict[str, str]:
        """The public JWK, as `GET /provisioners` shows it."""
        return {**_jwk(self._key.public_key()), "kid": self.kid, "alg": "ES256", "use": "sig"}

    @property
    def public(self) -> EllipticCurvePublicKey:
        """The public half."""
        return self._key.public_key()

    def sign(self, claims: dict[str, Any]) -> str:
        """A token of these claims."""
        headers = {"typ": "JWT", "kid": self.kid}
        return _jws.encode(msgspec.json.encode(claims), self._key, algorithm="ES256", headers=headers)


def thumbprint(key: EllipticCurvePublicKey | Ed25519PublicKey) -> str:
    """The SHA-256 thumbprint of a public key (RFC 7638, RFC 8037): step's `kid`."""
    return _base64url(hashlib.sha256(msgspec.json.encode(dict(sorted(_jwk(key).items())))).digest())


def _jwk(key: EllipticCurvePublicKey | Ed25519PublicKey) -> dict[str, str]:
    """The required members alone."""
    if isinstance(key, Ed25519PublicKey):
        return {"kty": "OKP", "crv": "Ed25519", "x": _base64url(key.public_bytes_raw())}
    numbers, size = key.public_numbers(), (key.key_size + 7) // 8
    x, y = (_base64url(number.to_bytes(size)) for number in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": f"P-{key.key_size}", "x": x, "y": y}


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def _number(text: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(text + "="))
