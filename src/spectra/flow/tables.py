"""Compiled feeds: kept in the blob store for every coordinator, mapped into memory from a local folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spectra.errors import Corrupt
from spectra.store.blobs import BlobStore

if TYPE_CHECKING:
    from spectra.intel.feeds import Table

_ENDING: Final = ".table"
_SPARE: Final = "incoming-"


class Tables:
    """The tables of one coordinator, in `folder`. What lies there under its address was whole when it got its name."""

    def __init__(self, folder: Path, blobs: BlobStore) -> None:
        self._folder = folder
        self._blobs = blobs
        self._open: dict[str, Table] = {}

    @contextlib.contextmanager
    def spare(self) -> Generator[Path]:
        """A new folder on the same disk, gone at the end of the block with all that is still in it."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(prefix=_SPARE, dir=self._folder, ignore_cleanup_errors=True) as name:
            yield Path(name)

    def put(self, file: Path) -> str:
        """Keep the table of `file` in the blob store and in the folder; returns its address (hex)."""
        digest = self._blobs.put(file.read_bytes()).hex()
        _settle(file, self._path(digest))
        return digest

    def get(self, digest: str) -> Table:
        """The table at this address, from the folder or else from the blob store."""
        if digest not in self._open:
            self._open[digest] = self._load(digest)
        return self._open[digest]

    def keep_only(self, digests: Iterable[str]) -> None:
        """Remove every other table from the folder; one that is in use stays readable until nobody uses it."""
        names = {f"{digest}{_ENDING}" for digest in digests}
        self._open = {digest: table for digest, table in self._open.items() if f"{digest}{_ENDING}" in names}
        for file in self._folder.glob(f"*{_ENDING}"):
            if file.name not in names:
                file.unlink(missing_ok=True)

    def clean_up(self) -> None:
        """Remove what a process that was killed left half done; the folder is this process's alone."""
        for folder in self._folder.glob(f"{_SPARE}*"):
            shutil.rmtree(folder, ignore_errors=True)

    def _load(self, digest: str) -> Table:
        from spectra.intel.feeds import Table

        path = self._path(digest)
        with contextlib.suppress(Corrupt):  # or not there
            return Table.load(path, verify=False)
        with self.spare() as folder:
            file = folder / path.name
            file.write_bytes(self._blobs.get(bytes.fromhex(digest)))
            _settle(file, path)
        return Table.load(path)

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest}{_ENDING}"


def _settle(file: Path, path: Path) -> None:
    """Give a file that is on disk its name."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
    os.replace(file, path)  # noqa: PTH105 - a rename that may replace
