"""Where the file of a feed of weaknesses lies while it is taken in.

In pieces in the blob store, so that any coordinator finds it again after any crash, and whole in a local folder while
it is read. Pieces begin with a salt of their own: nobody else's blob has their address, so they can be discarded.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Final

import msgspec

from spectra.errors import Unavailable
from spectra.store.blobs import BlobStore

PIECE: Final = 8 * 1024 * 1024
_SALT: Final = 16
_SPARE: Final = "incoming-"


class Staged(msgspec.Struct, frozen=True):
    """A file in the blob store: the addresses (hex) of its pieces, and what is in them. `sha256` is hex."""

    salt: str
    pieces: tuple[str, ...]
    size: int
    sha256: str


class Stage:
    """The stage of one coordinator; `folder` is its alone."""

    def __init__(self, folder: Path, blobs: BlobStore, *, piece: int = PIECE) -> None:
        self._folder = folder
        self._blobs = blobs
        self._piece = piece

    @contextlib.contextmanager
    def incoming(self) -> Generator[Path]:
        """Where to put a file that is coming in; gone at the end of the block."""
        with _disk():
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            made = tempfile.TemporaryDirectory(prefix=_SPARE, dir=self._folder, ignore_cleanup_errors=True)
        with made as name:
            yield Path(name) / "feed"

    def keep(self, file: Path) -> Staged:
        """Put a file into the blob store; returns once it is durable."""
        salt = secrets.token_bytes(_SALT)
        whole, pieces, size = hashlib.sha256(), list[str](), 0
        with file.open("rb") as stream:
            while chunk := stream.read(self._piece):
                whole.update(chunk)
                size += len(chunk)
                pieces.append(self._blobs.put(salt + chunk).hex())
        return Staged(salt.hex(), tuple(pieces), size, whole.hexdigest())

    def file(self, staged: Staged) -> Path:
        """The file, whole, in the local folder."""
        path = self._path(staged)
        if path.exists():  # it got its name when it was whole
            return path
        with self.incoming() as spare, _disk():
            with spare.open("wb") as out:
                for piece in staged.pieces:
                    out.write(self._blobs.get(bytes.fromhex(piece))[_SALT:])
            os.replace(spare, path)  # noqa: PTH105 - a rename that may replace
        return path

    def discard(self, staged: Staged) -> None:
        """Neither is needed any more."""
        self._path(staged).unlink(missing_ok=True)
        for piece in staged.pieces:
            self._blobs.discard(bytes.fromhex(piece))

    def clean_up(self) -> None:
        """Remove what a process that was killed left: what is still needed is in the blob store."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, staged: Staged) -> Path:
        return self._folder / f"{staged.salt}.feed"


@contextlib.contextmanager
def _disk() -> Generator[None]:
    """Trouble with the local disk may pass."""
    try:
        yield
    except OSError as error:
        raise Unavailable(f"The folder of feeds cannot be used: {error.strerror}.", reason="disk_full") from error
