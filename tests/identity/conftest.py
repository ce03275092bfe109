"""Keys and a clock for the tests of identity."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from spectra.identity.keys import SigningKey


@pytest.fixture(scope="session")
def key() -> SigningKey:
    """A contributor's key."""
    return SigningKey.generate()


@pytest.fixture(scope="session")
def other_key() -> SigningKey:
    """Somebody else's key, or the one that comes after."""
    return SigningKey.generate()


@pytest.fixture
def now() -> datetime:
    """A fixed moment: identity never reads a clock."""
    return datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
