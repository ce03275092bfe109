"""Which public keys are usable."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from spectra.identity.ed25519 import flaw

P = 2**255 - 19

# The points of order 1, 2, 4 and 8 (Cremers and Jackson, "Prime, Order Please!", 2019), in canonical encoding.
SMALL_ORDER = [
    (1).to_bytes(32, "little"),
    (P - 1).to_bytes(32, "little"),
    bytes(32),
    bytes(31) + b"\x80",
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"),
]


@pytest.mark.parametrize("raw", SMALL_ORDER, ids=lambda raw: raw.hex()[:8])
def test_small_order_points_are_refused(raw: bytes) -> None:
    """All eight points for which signatures can be made without a private key are refused."""
    assert flaw(raw) == "its point has small order"


def test_the_check_is_needed() -> None:
    """The library accepts a small-order key and, under it, a signature that nobody made: a forgery but for us."""
    Ed25519PublicKey.from_public_bytes(SMALL_ORDER[0]).verify(b"\x01" + bytes(63), b"anything")


@pytest.mark.parametrize("excess", range(19))
def test_encodings_beyond_the_field_are_refused(excess: int) -> None:
    """y = p + n would be a second spelling of y = n, and a second keyid for one key."""
    assert flaw((P + excess).to_bytes(32, "little")) == "its point is not encoded canonically"


def test_the_negative_zero_is_refused() -> None:
    """RFC 8032 5.1.3 step 4: x = 0 with the sign bit set is no encoding."""
    assert flaw((1 | 1 << 255).to_bytes(32, "little")) == "its point is not on the curve"


def test_a_y_without_a_point_is_refused() -> None:
    """y = 2 belongs to no point of the curve."""
    assert flaw((2).to_bytes(32, "little")) == "its point is not on the curve"


@given(st.binary(max_size=64).filter(lambda raw: len(raw) != 32))
def test_other_lengths_are_refused(raw: bytes) -> None:
    """Only 32 bytes are a key."""
    assert f"{len(raw)} bytes" in flaw(raw)


@given(st.binary(min_size=32, max_size=32))
def test_every_real_key_is_usable(seed: bytes) -> None:
    """No public key of an honest private key is ever refused."""
    assert flaw(Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()) == ""
