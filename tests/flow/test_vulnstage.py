"""Files on their way in."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from spectra.errors import NotFound, Unavailable
from spectra.flow.vulnstage import Stage
from spectra.store.blobs import BlobStore


@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 1000])
def test_a_file_comes_back_anywhere(tmp_path: Path, blobs: BlobStore, size: int) -> None:
    """Whole and in order, also by another coordinator on the same blob store, and after its own copy is gone."""
    data = bytes(n % 251 for n in range(size))
    mine, other = Stage(tmp_path / "a", blobs, piece=100), Stage(tmp_path / "b", blobs)
    with mine.incoming() as path:
        path.write_bytes(data)
        staged = mine.keep(path)
    assert not path.exists()
    assert (staged.size, staged.sha256) == (size, hashlib.sha256(data).hexdigest())
    assert len(staged.pieces) == -(-size // 100)
    for stage in (mine, other, mine):
        assert stage.file(staged).read_bytes() == data
        stage.clean_up()
    other.discard(staged)
    other.discard(staged)
    if size:
        with pytest.raises(NotFound):
            mine.file(staged)


def test_equal_files_do_not_share_pieces(tmp_path: Path, blobs: BlobStore) -> None:
    """Discarding one leaves the other."""
    stage = Stage(tmp_path / "a", blobs, piece=100)
    file = tmp_path / "feed"
    file.write_bytes(b"the same" * 100)
    first, second = stage.keep(file), stage.keep(file)
    stage.discard(first)
    assert stage.file(second).read_bytes() == file.read_bytes()


def test_a_folder_that_cannot_be_used_may_pass(tmp_path: Path, blobs: BlobStore) -> None:
    """It is no fault of the feed."""
    (tmp_path / "a").write_text("a file")
    with pytest.raises(Unavailable), Stage(tmp_path / "a", blobs).incoming():
        pass
