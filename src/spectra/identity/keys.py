"""Ed25519 keys (RFC 8032): the one that signs, and the one that checks."""

from __future__ import annotations

import base64
from functools import cached_property, lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from spectra.identity import ed25519, private_file
from spectra.identity.errors import IdentityError
from spectra.identity.strict import unbase64
from spectra.model.envelope import sha256_hex

SIGNATURE_BYTES = 64


class PublicKey:
    """A public key that has been checked to be a point of the curve of large order. Immutable and hashable."""

    def __init__(self, raw: bytes) -> None:
        """`raw`: the 32 bytes of RFC 8032. Raises `IdentityError` saying why they are no usable key."""
        if flaw := ed25519.flaw(raw):
            raise IdentityError(f"this is not a usable Ed25519 public key: {flaw}.")
        self._raw = raw
        self._key = Ed25519PublicKey.from_public_bytes(raw)

    @classmethod
    def from_b64(cls, text: str) -> PublicKey:
        """From base64 of the 32 bytes. Raises `IdentityError`."""
        return _public_key(text)

    @property
    def raw(self) -> bytes:
        """The 32 bytes of RFC 8032."""
        return self._raw

    @property
    def b64(self) -> str:
        """Base64 of the 32 bytes."""
        return base64.b64encode(self._raw).decode("ascii")

    @cached_property
    def keyid(self) -> str:
        """SHA-256 of the 32 bytes, as 64 lower-case hex digits."""
        return sha256_hex(self._raw)

    def verify(self, signature: bytes, data: bytes) -> bool:
        """Whether `signature` (64 bytes) is this key's over `data`."""
        try:
            self._key.verify(signature, data)
        except InvalidSignature:
            return False
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and self._raw == other._raw

    def __hash__(self) -> int:
        return hash(self._raw)

    def __repr__(self) -> str:
        return f"PublicKey({self.b64!r})"


@lru_cache(maxsize=4096)
def _public_key(text: str) -> PublicKey:
    """Cached because checking the point costs as much as a signature, and the gate sees the same few keys again."""
    return PublicKey(unbase64(text, field="public_key", reason="identity"))


class SigningKey:
    """A private key. It shows itself in no `repr` and no error."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self._public = PublicKey(key.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> SigningKey:
        """A new key from the operating system's random source."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, pem: bytes) -> SigningKey:
        """From unencrypted PKCS #8 PEM (RFC 8410). Raises `IdentityError`."""
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except TypeError:
            raise IdentityError("the private key is encrypted; Spectra reads unencrypted PKCS #8 only.") from None
        except (ValueError, UnsupportedAlgorithm):
            raise IdentityError("this is not a private key in PKCS #8 PEM form.") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise IdentityError("the private key is of another kind than Ed25519.")
        return cls(key)

    def to_pem(self) -> bytes:
        """Unencrypted PKCS #8 PEM (RFC 8410): a secret."""
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @classmethod
    def load(cls, path: Path) -> SigningKey:
        """From a file. Raises `SetupError` (absent, mode not 0600) or `IdentityError` (not a key)."""
        return cls.from_pem(private_file.read(path))

    def save(self, path: Path, *, overwrite: bool = False) -> None:
        """To a file of mode 0600, atomically. Raises `SetupError`, also where one exists and `overwrite` is False."""
        private_file.write(path, self.to_pem(), overwrite=overwrite)

    @property
    def public(self) -> PublicKey:
        """The public half."""
        return self._public

    def sign(self, data: bytes) -> bytes:
        """The 64-byte signature over `data`."""
        return self._key.sign(data)

    def __repr__(self) -> str:
        return f"<SigningKey keyid={self._public.keyid}>"
