"""An ingest on a database of the test's own, and a contributor who may submit to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spectra.engines.postgres import PostgresServer
from spectra.flow.submission import Ingest
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from tests.flow.desk import Clock, Contributor, make_ingest
from tests.store.conftest import database, migrated_template
from tests.support.postgres import embedded

__all__ = ["database", "embedded", "migrated_template"]


@pytest.fixture(scope="session")
def store_server(embedded: PostgresServer) -> str:
    """The embedded PostgreSQL: that a server does as well is shown by the store's own tests, which run on both."""
    return embedded.url


@pytest.fixture
def clock() -> Clock:
    """Noon, until a test says otherwise."""
    return Clock()


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    """A folder of the test's own."""
    return BlobStore.local(tmp_path / "blobs")


@pytest.fixture
def ingest(database: Database, blobs: BlobStore, clock: Clock) -> Iterator[Ingest]:
    """An ingest of one coordinator."""
    made = make_ingest(database, blobs, clock)
    yield made
    made.close()


@pytest.fixture
def alice(database: Database, clock: Clock) -> Contributor:
    """A contributor with a registered key."""
    return Contributor("alice", clock).register(database)


@pytest.fixture
def sample(shared_data: Path) -> Callable[[str], bytes]:
    """Reads a real scan by its path below `scans/`."""
    return lambda name: (shared_data / "scans" / name).read_bytes()
