"""A database of the test's own and a small town in it."""

from __future__ import annotations

import pytest

from spectra.store.database import Database
from tests.ai.retrieval.town import Town
from tests.flow.conftest import store_server
from tests.store.conftest import database, migrated_template
from tests.support.postgres import embedded

__all__ = ["database", "embedded", "migrated_template", "store_server"]


@pytest.fixture
def town(database: Database) -> Town:
    """Hosts, names, a certificate, and weaknesses of two of them."""
    return Town(database)
