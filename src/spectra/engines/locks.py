"""One owner per folder, by `flock(2)`: the kernel drops the lock with the process, so a crash leaves none behind."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from spectra.errors import SetupError


class FolderLock:
    """An exclusive lock on `path`; its text is the owner's pid. Not inherited by child processes."""

    def __init__(self, path: Path, what: str) -> None:
        self._path = path
        self._what = what
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take the lock or raise `SetupError` naming the process that holds it. Taking it twice is harmless."""
        if self._fd is not None:
            return
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(fd, 0)
            os.pwrite(fd, b"%d\n" % os.getpid(), 0)
        except BlockingIOError as error:
            owner = os.pread(fd, 20, 0).decode("ascii", "replace").strip()
            os.close(fd)
            raise self._held_by(owner) from error
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd

    def _held_by(self, owner: str) -> SetupError:
        by = f"process {owner}" if owner.isdigit() else "another process"
        return SetupError(
            f"{self._what} {self._path.parent} is in use by {by}.",
            hint="Stop that one with `spectra down`, or choose another folder with SPECTRA_DATA_DIR.",
        )

    def release(self) -> None:
        """Give the lock up. The file stays: removing it would let two owners lock two files of one name."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
