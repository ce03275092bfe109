"""Passwords: argon2id (RFC 9106), and what may be one."""

from __future__ import annotations

import base64
import secrets
import unicodedata
from typing import Final

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from spectra.errors import BadRequest
from spectra.identity.errors import IdentityError
from spectra.identity.strict import require_plain

MIN_CHARS: Final = 12
MAX_BYTES: Final = 512
_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32


class Passwords:
    """Hashes and checks passwords with one set of parameters.

    The default is the second recommended option of RFC 9106 section 4: 64 MiB, 3 passes, 4 lanes; about 0.1 s.
    """

    def __init__(self, *, memory_mib: int = 64, passes: int = 3, lanes: int = 4) -> None:
        self._hasher = argon2.PasswordHasher(
            time_cost=passes,
            memory_cost=memory_mib * 1024,
            parallelism=lanes,
            hash_len=_HASH_BYTES,
            salt_len=_SALT_BYTES,
        )
        # Nobody's: checking against it costs what checking against a real one does, and nothing matches.
        salt, nothing = (_base64(secrets.token_bytes(n)) for n in (_SALT_BYTES, _HASH_BYTES))
        self._nobody = f"$argon2id$v=19$m={memory_mib * 1024},t={passes},p={lanes}${salt}${nothing}"

    def hash(self, password: str) -> str:
        """The encoded hash of `password`, salted anew each time."""
        return self._hasher.hash(_normal(password))

    def verify(self, stored: str, password: str) -> bool:
        """Whether `stored` is a hash of `password`. Where `stored` is empty nothing matches, at the same cost."""
        try:
            self._hasher.verify(stored or self._nobody, _normal(password))
        except (VerificationError, InvalidHashError):
            return False
        return bool(stored)

    def stale(self, stored: str) -> bool:
        """Whether `stored` was made with other parameters, so that a new hash should take its place."""
        return self._hasher.check_needs_rehash(stored)


def require_good(password: str, *, account: str, field: str = "password") -> None:
    """Raises `BadRequest` unless `password` can protect `account`. Length counts, not alphabet (NIST SP 800-63B)."""
    if len(_normal(password)) > MAX_BYTES:
        raise BadRequest(f"A password has at most {MAX_BYTES} bytes.", reason="bad_password", field=field)
    try:
        require_plain(password, field=field)
    except IdentityError as error:
        raise BadRequest("A password has no control characters.", reason="bad_password", field=field) from error
    if len(password) < MIN_CHARS:
        raise BadRequest(
            f"A password has at least {MIN_CHARS} characters.",
            reason="bad_password",
            field=field,
            hint="Take a sentence, or what a password manager makes.",
        )
    if len(set(password)) < 4 or account.casefold() in (password.casefold(), password.casefold()[::-1]):
        raise BadRequest("This password is guessed at once.", reason="bad_password", field=field)


def _normal(password: str) -> bytes:
    """NFC, so that a letter typed on another keyboard is the same one; bytes that are no text stay themselves."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")
