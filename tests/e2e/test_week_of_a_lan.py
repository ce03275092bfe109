"""A real home network, scanned every 15 minutes for a week: its story does not depend on the order of arrival."""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import zstandard

from spectra.flow import audit
from spectra.store import host as hosts
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from tests.flow.desk import Clock, Contributor, graph, make_ingest
from tests.store.conftest import database, migrated_template, store_server
from tests.support.postgres import embedded

__all__ = ["database", "embedded", "migrated_template", "store_server"]

EVERY = 3  # of the 427 scans: enough of a week, in a third of the time
TABLES = (
    "observation, provenance, service, banner, certificate, host, hostname, name, sighting, silence, endpoint,"
    " endpoint_version, remark, evidence, name_sighting"
)
TIVO = "10.0.1.103"


@pytest.fixture(scope="module")
def week(shared_data: Path) -> list[bytes]:
    """The scans, in order of time."""
    packed = (shared_data / "scans/nmap_timeseries/phage_2016-04.tar.zst").read_bytes()
    plain = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(packed)).read()
    return list(_members(plain))[::EVERY]


def _members(archive: bytes) -> Iterator[bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in sorted(tar.getmembers(), key=lambda m: m.name):
            if (file := tar.extractfile(member)) is not None:
                yield file.read()


def import_all(database: Database, folder: Path, scans: Sequence[bytes]) -> BlobStore:
    """Submit `scans` one after the other into an empty database."""
    with database.transaction() as connection:
        connection.execute(f"TRUNCATE {TABLES} CASCADE".encode())
        connection.execute("TRUNCATE contributor CASCADE")
    clock = Clock()
    blobs = BlobStore.local(folder)
    ingest = make_ingest(database, blobs, clock)
    alice = Contributor("alice", clock).register(database)
    for scan in scans:
        assert ingest.submit(alice.envelope(scan)).status == "merged"
    ingest.close()
    return blobs


@pytest.mark.slow
@pytest.mark.engine
def test_a_week_tells_the_same_story_in_any_order(database: Database, tmp_path: Path, week: list[bytes]) -> None:
    """Imported in order and shuffled, every row of the graph is the same, and the deep audit holds both times."""
    blobs = import_all(database, tmp_path / "ordered", week)
    assert audit.verify(database, blobs, deep=True).ok
    ordered = graph(database)
    shuffled = random.Random(7).sample(week, len(week))
    blobs = import_all(database, tmp_path / "shuffled", shuffled)
    assert audit.verify(database, blobs, deep=True).ok
    again = graph(database)
    for table in ("host", "hostname", "endpoint", "endpoint_version", "evidence", "sighting", "silence"):
        assert ordered[table] == again[table], table

    # The story of one device: it came on the second day, stayed, and its pages changed on the way.
    tivo = hosts.host(database, TIVO, history=True)
    assert tivo.first_seen > datetime(2016, 3, 29, 12, tzinfo=UTC)
    web = next(e for e in tivo.endpoints if e.port == 80)
    assert web.history is not None
    assert [v.since for v in web.history] == sorted(v.since for v in web.history)
    before = hosts.host(database, TIVO, at=tivo.first_seen + timedelta(seconds=1))
    assert {e.port for e in before.endpoints} <= {e.port for e in tivo.endpoints}
