"""Opaque API tokens, and the credential file by which the command line on the same machine finds the API."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path
from typing import Any

import msgspec

from spectra.errors import SetupError
from spectra.identity import private_file
from spectra.identity.strict import told

_PREFIX = "spk_"  # so that secret scanners can find a token that has leaked
_LENGTH = len(_PREFIX) + 43  # 32 bytes in URL-safe base64 without padding
_REFRESH = "spr_"


def new_token() -> str:
    """A new secret: `spk_` and 32 random bytes in URL-safe base64."""
    return _PREFIX + secrets.token_urlsafe(32)


def is_opaque(token: str) -> bool:
    """Whether this says to be a token of `new_token`, and not a JWT."""
    return token.startswith(_PREFIX)


def new_refresh() -> str:
    """A new refresh token: `spr_` and 32 random bytes in URL-safe base64."""
    return _REFRESH + secrets.token_urlsafe(32)


def is_refresh(token: str) -> bool:
    """Whether this is shaped like a refresh token."""
    return len(token) == _LENGTH and token.startswith(_REFRESH)


def digest(token: str) -> bytes:
    """SHA-256 of the token, which is what the server keeps. No salt: the token itself has 256 random bits."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def matches(token: str, expected: bytes) -> bool:
    """Whether the token has this digest, in constant time. Anything that is not shaped like a token does not."""
    if len(token) != _LENGTH or not token.startswith(_PREFIX):
        return False
    return hmac.compare_digest(digest(token), expected)


class Session(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A sign-in as the command line keeps it, a file of mode 0600 for each server.

    `expires` is when the access token ends, in seconds since 1970. With a refresh token the session is a person's;
    with `key_file` a machine's, which signs in anew with its key.
    """

    url: str
    account: str
    access_token: str
    expires: float
    refresh_token: str = ""
    key_file: str = ""
    scope: str = ""

    def save(self, path: Path) -> None:
        """To a JSON file of mode 0600, atomically. Raises `SetupError`."""
        private_file.write(path, msgspec.json.format(msgspec.json.encode(self)) + b"\n", overwrite=True)

    @classmethod
    def load(cls, path: Path) -> Session:
        """From a file. Raises `SetupError`: absent, mode not 0600, or a field that is wrong."""
        try:
            return msgspec.json.decode(private_file.read(path), type=cls)
        except (ValueError, RecursionError) as error:
            raise SetupError(f"{path} is not a session: {told(error)}.", hint="Run: spectra auth login") from error

    def __repr__(self) -> str:
        return f"Session(url={self.url!r}, account={self.account!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """What `rich` prints; msgspec's own would show the tokens."""
        return [("url", self.url), ("account", self.account)]


class LocalCredential(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the command line needs: the API's URL, its token, the contributor's name and signing key file."""

    url: str
    token: str
    contributor: str
    key_file: str

    def save(self, path: Path, *, overwrite: bool = True) -> None:
        """To a JSON file of mode 0600, atomically. Raises `SetupError`."""
        private_file.write(path, msgspec.json.format(msgspec.json.encode(self)) + b"\n", overwrite=overwrite)

    @classmethod
    def load(cls, path: Path) -> LocalCredential:
        """From a file. Raises `SetupError`: absent, mode not 0600, or a field that is wrong."""
        try:
            return msgspec.json.decode(private_file.read(path), type=cls)
        except (ValueError, RecursionError) as error:
            raise SetupError(
                f"{path} is not a credential: {told(error)}.", hint="Start Spectra again to write a new one."
            ) from error

    def __repr__(self) -> str:
        return f"LocalCredential(url={self.url!r}, contributor={self.contributor!r}, key_file={self.key_file!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """What `rich` prints; msgspec's own would show the token."""
        return [("url", self.url), ("contributor", self.contributor), ("key_file", self.key_file)]
