"""The secret of this node that pseudonyms are drawn from: who has it can tell which values they stand for."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from spectra.errors import SetupError

NAME: Final = "ai.key"
SIZE: Final = 32


def ensure(data_dir: Path) -> bytes:
    """The 32 bytes kept in `ai.key` of `data_dir` (mode 0600), made where there are none.

    Raises `SetupError` where the file is open to others, is no such file, or cannot be made.
    """
    path = data_dir / NAME
    try:
        if not path.exists():
            _make(path)
        return _read(path)
    except OSError as error:
        raise SetupError(f"cannot keep {path}: {error.strerror}.") from error


def _make(path: Path) -> None:
    """Written whole under another name, then linked: of two that start at once, both read the first one's."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    spare = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        fd = os.open(spare, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(secrets.token_bytes(SIZE))
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(spare)
    except FileExistsError:
        pass
    finally:
        spare.unlink(missing_ok=True)


def _read(path: Path) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    with os.fdopen(fd, "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode) or mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise SetupError(f"{path} holds a secret but group or others can reach it.", hint=f"Run: chmod 600 {path}")
        data = file.read(SIZE + 1)
    if len(data) != SIZE:
        raise SetupError(f"{path} does not hold {SIZE} bytes.", hint="Move it away; another one is made.")
    return data
