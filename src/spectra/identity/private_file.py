"""Files that hold a secret: written whole or not at all, for the owner's eyes only."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from spectra.errors import SetupError

MAX_BYTES = 64 * 1024  # keys and credentials are a few hundred bytes; a larger file is something else


def write(path: Path, data: bytes, *, overwrite: bool = False) -> None:
    """Put `data` at `path` with mode 0600, atomically and on disk when this returns; missing folders get 0700.

    Raises `SetupError` where the file exists and `overwrite` is False, or where it cannot be written.
    """
    spare = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            _write_new(spare, data)
            _put(spare, path, overwrite=overwrite)
        finally:
            spare.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise SetupError(f"cannot write {path}: {error.strerror}.") from error


def read(path: Path) -> bytes:
    """The content of `path`. Raises `SetupError` where it is absent, too large or open to group or others."""
    try:
        # The mode is asked of the open file, so it cannot be exchanged in between; NONBLOCK so that a pipe cannot hang.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(fd, "rb") as file:
            _require_private(path, os.fstat(file.fileno()).st_mode)
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise SetupError(f"there is no file {path}.") from error
    except OSError as error:
        raise SetupError(f"cannot read {path}: {error.strerror}.") from error
    if len(data) > MAX_BYTES:
        raise SetupError(f"{path} is larger than {MAX_BYTES} bytes; it is not a key or credential.")
    return data


def _require_private(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise SetupError(f"{path} is not a regular file.")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SetupError(
            f"{path} holds a secret but its mode is {stat.S_IMODE(mode):04o}: group or others can reach it.",
            hint=f"Run: chmod 600 {path}",
        )


def _write_new(path: Path, data: bytes) -> None:
    """O_EXCL and the mode at creation: at no moment does another user see the file open."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _put(spare: Path, path: Path, *, overwrite: bool) -> None:
    if overwrite:
        spare.replace(path)
        return
    try:
        path.hardlink_to(spare)  # unlike a rename, a link never replaces what is there
    except FileExistsError as error:
        raise SetupError(f"{path} exists and is kept.", hint="Move it away, or ask to overwrite it.") from error


def sync_folder(folder: Path) -> None:
    """Have what was renamed in `folder` on disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
