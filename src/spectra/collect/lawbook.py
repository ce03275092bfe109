"""The mesh's do-not-scan list on a machine's disk, read anew from a coordinator where an order names a newer one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from spectra.collect.taskmessages import LAW
from spectra.errors import SpectraError
from spectra.identity import private_file

MAX_BYTES: Final = 64 * 1024 * 1024


class Told(msgspec.Struct, frozen=True):
    """The list as a coordinator tells it (`model.lawbook`). Its entries stay JSON: only a task reads them."""

    version: Annotated[int, Meta(ge=0, le=2**53)]
    rules: msgspec.Raw


class LawUnknown(SpectraError):
    """There is no list as new as an order needs it, and no coordinator that tells it now."""

    reason = "law_unknown"
    retryable = True


class Lawbook:
    """The list in a node's folder. `ask` gets the newest from a coordinator; it raises `SpectraError`."""

    def __init__(self, folder: Path, ask: Callable[[], Told]) -> None:
        self._path = folder / LAW
        self._ask = ask
        self._guard = threading.Lock()
        self.version = self._known()
        """Of the list that is here; -1 where there is none."""

    def require(self, version: int) -> None:
        """See that the list is at least as new as `version`. Waits for a coordinator; raises `LawUnknown`."""
        with self._guard:
            if self.version < max(version, 0):
                self._renew()
        if self.version < version:
            raise LawUnknown(f"the do-not-scan list here is of version {self.version}; {version} is needed.")

    def renew(self) -> None:
        """Read it anew. Raises `LawUnknown`."""
        with self._guard:
            self._renew()

    def read(self) -> bytes:
        """The list as JSON, for a task. Raises `LawUnknown` where it cannot be read."""
        try:
            with self._path.open("rb") as file:
                return file.read(MAX_BYTES)
        except OSError as error:
            self.version = -1
            raise LawUnknown(f"{self._path} cannot be read: {error.strerror}.") from error

    def _renew(self) -> None:
        try:
            told = self._ask()
            if told.version != self.version:
                private_file.write(self._path, msgspec.json.encode(told), overwrite=True)
        except SpectraError as error:
            raise LawUnknown(f"the do-not-scan list was not told: {error}") from error
        self.version = told.version

    def _known(self) -> int:
        """A damaged list is none: it is asked for anew."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Told).version
        except (OSError, msgspec.DecodeError, RecursionError):
            return -1
