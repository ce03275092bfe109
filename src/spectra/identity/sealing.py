"""A key that stays on this machine, and what it seals: secrets that the database has to keep but must not know.

ChaCha20-Poly1305 (RFC 8439) with a random nonce. What a secret belongs to is authenticated with it, so that a row's
secret cannot be put in another row.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from spectra.errors import SetupError
from spectra.identity import private_file
from spectra.identity.errors import IdentityError

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class SealKey:
    """A key of 32 bytes; `id` tells which, and nothing else."""

    def __init__(self, raw: bytes) -> None:
        self._cipher = ChaCha20Poly1305(raw)
        self.id = hashlib.sha256(b"spectra seal key\0" + raw).hexdigest()[:16]

    @classmethod
    def at(cls, path: Path) -> SealKey:
        """The key in a file of mode 0600, which is made where there is none. Raises `SetupError`."""
        if not path.exists():
            made = base64.b64encode(secrets.token_bytes(_KEY_BYTES)) + b"\n"
            try:
                private_file.write(path, made)
            except SetupError:
                if not path.exists():  # else another process was first
                    raise
        try:
            raw = base64.b64decode(private_file.read(path).strip(), validate=True)
        except ValueError as error:
            raise SetupError(f"{path} is no key: it is not base64.") from error
        if len(raw) != _KEY_BYTES:
            raise SetupError(f"{path} is no key: it has {len(raw)} bytes, not {_KEY_BYTES}.")
        return cls(raw)

    def seal(self, secret: bytes, of: str) -> bytes:
        """The secret of `of`, encrypted: nonce, ciphertext and tag."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret, of.encode())

    def open(self, sealed: bytes, of: str) -> bytes:
        """What `seal` was given. Raises `IdentityError` where it is another key's, another's secret, or altered."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], of.encode())
        except (InvalidTag, ValueError) as error:
            raise IdentityError("the secret does not open: it was sealed elsewhere, or altered.") from error

    def __repr__(self) -> str:
        return f"SealKey(id={self.id!r})"
