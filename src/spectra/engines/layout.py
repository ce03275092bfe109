"""Where the embedded PostgreSQL keeps its files below the data folder, and who may enter which of them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from spectra.engines.account import Account, first_unreachable
from spectra.errors import SetupError

PORT = 5432
# sun_path holds 108 bytes with its final zero on Linux (unix(7)), 104 on the BSDs.
MAX_SOCKET_BYTES = 107 if sys.platform == "linux" else 103
# Separators of libpq's host list and of PostgreSQL's folder list, and what either would have to escape.
_AWKWARD = frozenset(",\"'\\@%\n\r\t")


@dataclass(frozen=True)
class Layout:
    """The paths of one data folder (absolute, links resolved)."""

    data_dir: Path

    @classmethod
    def of(cls, data_dir: Path) -> Layout:
        """The layout of a data folder, which need not exist yet."""
        return cls(data_dir.expanduser().resolve())

    @property
    def cluster(self) -> Path:
        """PostgreSQL's own folder, PGDATA."""
        return self.data_dir / "postgres"

    @property
    def log(self) -> Path:
        """The server's log; its predecessor is `postgres.log.1`."""
        return self.data_dir / "log" / "postgres.log"

    @property
    def lock(self) -> Path:
        """Locked by the one supervisor of this folder."""
        return self.data_dir / "pg.lock"

    @property
    def engines(self) -> Path:
        """Copies of the binaries, made only where the server's user cannot reach the installed ones."""
        return self.data_dir / "engine"

    @property
    def mark(self) -> str:
        """PostgreSQL's `cluster_name`: it shows in process titles, so leftovers of this very folder can be found."""
        return f"spectra-{hashlib.sha256(os.fsencode(self.data_dir)).hexdigest()[:16]}"

    @property
    def sockets(self) -> Path:
        """Folder of the unix socket: `socket/` in the data folder, or a short private one if that path is too long."""
        inside = self.data_dir / "socket"
        too_long = len(os.fsencode(inside / f".s.PGSQL.{PORT}")) > MAX_SOCKET_BYTES
        if not too_long and _AWKWARD.isdisjoint(str(inside)):
            return inside
        # Only root writes to /run; for anybody else the sticky bit of /tmp keeps the folder theirs.
        root = os.geteuid() == 0 and Path("/run").is_dir()
        return Path("/run" if root else "/tmp") / self.mark  # noqa: S108 - ownership is checked in prepare_sockets


def prepare_folders(layout: Layout, account: Account) -> None:
    """Make the folders of `layout`, private to this process's user and the server's.

    Raises `SetupError` where the server's user cannot reach the data folder, `OSError` where a folder cannot be made.
    """
    layout.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    _let_in(layout.data_dir, account)
    layout.log.parent.mkdir(exist_ok=True, mode=0o700)


def _let_in(data_dir: Path, account: Account) -> None:
    """Let the server's user pass through (not list) root's data folder, by its group."""
    if not account.switch:
        return
    status = data_dir.stat()
    closed = first_unreachable(data_dir, account)
    if closed == data_dir and status.st_uid == os.geteuid():
        os.chown(data_dir, -1, account.gid)
        data_dir.chmod(stat.S_IMODE(status.st_mode) & ~0o070 | 0o010)
        closed = first_unreachable(data_dir, account)
    if closed is not None:
        raise SetupError(
            f"PostgreSQL runs as the user {account.name} here, who may not enter {closed}, on the way to {data_dir}.",
            hint="Choose another data folder with SPECTRA_DATA_DIR, such as /var/lib/spectra.",
        )


def prepare_sockets(layout: Layout, account: Account) -> Path:
    """Make the socket folder, mode 0700 and the server's own; returns it.

    A folder somebody else made under that name is refused, not used: whoever owns it could answer in our place.
    """
    folder = layout.sockets
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass
    else:
        account.give(folder)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != account.uid:
        raise SetupError(
            f"The socket folder {folder} does not belong to {account.name}.",
            hint="Remove it, or choose another data folder with SPECTRA_DATA_DIR.",
        )
    if stat.S_IMODE(status.st_mode) != 0o700:
        folder.chmod(0o700)
    return folder


def remove_sockets(layout: Layout) -> None:
    """Remove a socket folder that lies outside the data folder; one that is not empty or not ours stays."""
    if layout.data_dir not in layout.sockets.parents:
        with contextlib.suppress(OSError):
            layout.sockets.rmdir()
