"""Keys that are the same in every process: tests named after their parameters must have one name in all of them."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from spectra.identity.keys import SigningKey


def fixed_key(number: int) -> SigningKey:
    """The key of that number, 0 to 255; nothing outside tests knows it."""
    return SigningKey(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))
