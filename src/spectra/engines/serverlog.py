"""The server's log file: appended to by the server, bounded by us, quoted in errors."""

from __future__ import annotations

import os
from pathlib import Path

MAX_BYTES = 16 * 1024 * 1024
_TAIL_BYTES = 16 * 1024


class ServerLog:
    """A log of at most about `max_bytes`, with one predecessor of the same bound beside it (`.1`)."""

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._mark = 0

    def open(self) -> int:
        """A descriptor for the child, mode 0600. Appending, so that truncation moves the child's writes too."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(self.path, flags, 0o600)
        self._mark = os.fstat(fd).st_size
        return fd

    def rotate(self) -> bool:
        """Move the newest `max_bytes` aside if the log outgrew them; whether it did.

        The server keeps its descriptor, so this copies and truncates: a line written in between may be lost.
        """
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            return False
        if size <= self._max_bytes:
            return False
        with self.path.open("rb+") as file:
            file.seek(size - self._max_bytes)
            fd = os.open(f"{self.path}.1", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(fd, "wb") as older:
                older.write(file.read(self._max_bytes))
            file.truncate(0)
        self._mark = 0
        return True

    def last_lines(self, count: int = 8) -> str:
        """The last lines written since `open`, or "" where nothing was."""
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(self._mark, size - _TAIL_BYTES, 0))
                text = file.read(_TAIL_BYTES).decode("utf-8", "replace")
        except OSError:
            return ""
        return "\n".join(text.strip().splitlines()[-count:])
