"""How much disk the database takes."""

from __future__ import annotations

import pytest

from spectra.store.database import Database
from spectra.store.sizes import database_bytes

pytestmark = pytest.mark.engine


def test_the_size_is_that_of_the_files(database: Database) -> None:
    """Even an empty schema takes megabytes."""
    assert database_bytes(database) > 1024 * 1024
