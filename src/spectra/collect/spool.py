"""Signed results on disk until a coordinator has them: in order, bounded, whole or not at all.

    spool/000000000007-<lease>.bundle      waits; sent in the order of its number
    spool/refused/...                      no coordinator takes it: kept for a person to look at, the newest only

A file begins with a line that tells the length and the SHA-256 of what follows. It is written under another name,
synced and renamed, so that a machine which loses its power at any moment has it or has it not.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from spectra.errors import SetupError, SpectraError
from spectra.identity.private_file import sync_folder

MAX_ENTRIES: Final = 4096
MAX_REFUSED: Final = 100
_HEAD: Final = re.compile(rb"spectra-bundle 1 (\d{20}) ([0-9a-f]{64})\n")
HEAD_BYTES: Final = len(b"spectra-bundle 1 ") + 20 + 1 + 64 + 1
_NAME: Final = re.compile(r"(\d{12})-([0-9a-f]{32})\.bundle\Z")
_CHUNK: Final = 256 * 1024


class Damaged(SpectraError):
    """A file of the spool is not what was written."""

    reason = "damaged_bundle"


class Entry(NamedTuple):
    """A result that waits. `size` in bytes, the first line included."""

    number: int
    lease: str
    size: int

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.number:012d}-{self.lease}.bundle"


class Spool:
    """The results that wait below `folder`. May be used from several threads; a folder has one spool at a time."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """Raises `SetupError` where the folder cannot be used."""
        self._folder = folder
        self._refused = folder / "refused"
        self._max_bytes = max_bytes
        self._guard = threading.Lock()
        try:
            for one in (folder, self._refused):
                one.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._waiting = deque(self._found())
        except OSError as error:
            raise SetupError(f"cannot use the spool {folder}: {error.strerror}.") from error
        self._number = max((int(path.name[:12]) for path in self._files()), default=0)
        self._bytes = sum(entry.size for entry in self._waiting)

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def bytes(self) -> int:
        """What waits, in bytes."""
        return self._bytes

    @property
    def refused(self) -> int:
        """How many were set aside and are still kept."""
        return sum(1 for path in self._refused.iterdir() if path.suffix == ".bundle")

    def room(self, each: int) -> int:
        """How many more results of `each` bytes would find room."""
        return max(min((self._max_bytes - self._bytes) // max(each, 1), MAX_ENTRIES - len(self._waiting)), 0)

    def leases(self, most: int) -> tuple[str, ...]:
        """The leases whose results wait, the newest `most`, oldest first."""
        with self._guard:
            return tuple(entry.lease for entry in list(self._waiting)[-most:])

    def holds(self, lease: str) -> bool:
        """Whether the result of a lease waits."""
        with self._guard:
            return any(entry.lease == lease for entry in self._waiting)

    def draft(self, lease: str) -> Path:
        """Where to write the file of a result (`write`) before it is put."""
        return self._folder / f".new-{lease}"

    def put(self, lease: str) -> Entry:
        """Take a draft in, as the newest. On disk when this returns; raises `OSError`."""
        draft = self.draft(lease)
        size = draft.stat().st_size
        with self._guard:
            entry = Entry(self._number + 1, lease, size)
            draft.rename(self._folder / entry.name)
            self._number = entry.number
            self._waiting.append(entry)
            self._bytes += size
        sync_folder(self._folder)
        return entry

    def first(self) -> Entry | None:
        """The oldest that waits."""
        with self._guard:
            return self._waiting[0] if self._waiting else None

    def open(self, entry: Entry) -> BinaryIO:
        """The content of an entry, checked as a whole, from its first byte on. Raises `Damaged`, or `OSError`."""
        file = (self._folder / entry.name).open("rb")
        try:
            _check(file)
            file.seek(HEAD_BYTES)
        except BaseException:
            file.close()
            raise
        return file

    def sent(self, entry: Entry) -> None:
        """A coordinator has it."""
        with suppress(OSError):
            (self._folder / entry.name).unlink(missing_ok=True)
        self._forget(entry)

    def refuse(self, entry: Entry, why: str) -> None:
        """No coordinator takes it: set it aside, and the reason beside it."""
        with suppress(OSError):
            (self._refused / entry.name).with_suffix(".txt").write_text(f"{why}\n", encoding="utf-8")
            (self._folder / entry.name).rename(self._refused / entry.name)
        (self._folder / entry.name).unlink(missing_ok=True)
        self._forget(entry)
        self._trim()

    def _forget(self, entry: Entry) -> None:
        with self._guard:
            if entry in self._waiting:
                self._waiting.remove(entry)
                self._bytes -= entry.size
        with suppress(OSError):
            sync_folder(self._folder)

    def _found(self) -> Iterable[Entry]:
        """What an agent before this one left: drafts go, what is no result is set aside."""
        found: list[Entry] = []
        for path in sorted(self._folder.iterdir()):
            named = _NAME.match(path.name)
            if path.name.startswith(".new-"):
                path.unlink(missing_ok=True)
            elif named is not None and path.is_file():
                entry = Entry(int(named[1]), named[2], path.stat().st_size)
                if _whole(path):
                    found.append(entry)
                else:
                    path.rename(self._refused / path.name)
        return found

    def _files(self) -> list[Path]:
        """Every result here, those that were set aside too."""
        return [path for folder in (self._folder, self._refused) for path in folder.iterdir() if _NAME.match(path.name)]

    def _trim(self) -> None:
        """Of what was set aside only the newest is kept, at most a quarter of the spool."""
        paths = sorted((path for path in self._refused.iterdir() if path.suffix == ".bundle"), reverse=True)
        kept = 0
        for count, path in enumerate(paths, 1):
            with suppress(OSError):
                kept += path.stat().st_size
                if count > MAX_REFUSED or (kept > self._max_bytes // 4 and count > 1):
                    path.unlink(missing_ok=True)
                    path.with_suffix(".txt").unlink(missing_ok=True)


def write(path: Path, data: bytes) -> None:
    """A file of the spool with `data` as its content, on disk when this returns. Raises `OSError`."""
    head = b"spectra-bundle 1 %020d %s\n" % (len(data), hashlib.sha256(data).hexdigest().encode())
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(head)
        file.write(data)
        file.flush()
        os.fsync(fd)


def _whole(path: Path) -> bool:
    """Whether the length is the one that the first line tells; what it hashes to is looked at before it is sent."""
    try:
        with path.open("rb") as file:
            head = _HEAD.fullmatch(file.read(HEAD_BYTES))
            return head is not None and path.stat().st_size == HEAD_BYTES + int(head[1])
    except OSError:
        return False


def _check(file: BinaryIO) -> None:
    head = _HEAD.fullmatch(file.read(HEAD_BYTES))
    if head is None:
        raise Damaged("the first line of the file is damaged.")
    digest, size = hashlib.sha256(), 0
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
    if size != int(head[1]) or digest.hexdigest().encode() != head[2]:
        raise Damaged("the file is not what was written.")
