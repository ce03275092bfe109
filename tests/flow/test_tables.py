"""Compiled tables: in the blob store for all, in a folder for this coordinator."""

from __future__ import annotations

from pathlib import Path

import pytest

from spectra.errors import NotFound
from spectra.flow.compile import compiled
from spectra.flow.tables import Tables
from spectra.store.blobs import BlobStore
from tests.flow.feedfiles import cities, routes


@pytest.fixture
def tables(tmp_path: Path, blobs: BlobStore) -> Tables:
    """In a folder that is not there yet."""
    return Tables(tmp_path / "data" / "feeds", blobs)


def put(tables: Tables, feed: Path) -> str:
    """Compile a feed and keep it."""
    with tables.spare() as folder:
        compiled(feed, "", folder / "table")
        return tables.put(folder / "table")


def files(tmp_path: Path) -> list[str]:
    """What lies in the folder."""
    return sorted(file.name for file in (tmp_path / "data" / "feeds").iterdir())


def test_another_coordinator_fetches_a_table(tables: Tables, tmp_path: Path, blobs: BlobStore) -> None:
    """From the blob store, once; then it is mapped from its own folder, and only once."""
    digest = put(tables, routes(tmp_path, ("192.0.2.0/24", 64496)))
    assert tables.get(digest) is tables.get(digest)
    other = Tables(tmp_path / "other", blobs)
    assert other.get(digest).networks == 1
    blobs.discard(bytes.fromhex(digest))
    assert Tables(tmp_path / "other", blobs).get(digest).networks == 1
    with pytest.raises(NotFound):
        Tables(tmp_path / "third", blobs).get(digest)


def test_a_damaged_file_is_fetched_again(tables: Tables, tmp_path: Path, blobs: BlobStore) -> None:
    """The folder is a cache."""
    digest = put(tables, cities(tmp_path))
    path = tmp_path / "data" / "feeds" / f"{digest}.table"
    path.write_bytes(b"not a table")
    assert Tables(path.parent, blobs).get(digest).networks == 10


def test_what_is_not_needed_goes(tables: Tables, tmp_path: Path) -> None:
    """Tables that nobody refers to any more, and what a killed process left half done."""
    old, new = put(tables, cities(tmp_path)), put(tables, cities(tmp_path, count=3))
    held = tables.get(old)
    tables.keep_only([new])
    assert files(tmp_path) == [f"{new}.table"]
    assert held.networks == 10, "what is mapped stays readable"
    left = tmp_path / "data" / "feeds" / "incoming-xyz"
    left.mkdir()
    (left / "feed").write_bytes(b"half")
    tables.clean_up()
    assert files(tmp_path) == [f"{new}.table"]
