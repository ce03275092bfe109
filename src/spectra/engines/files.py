"""Files that are there whole or not at all, and for one user's eyes only."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from spectra.engines.account import Account


def write_private(path: Path, text: str, account: Account | None = None) -> None:
    """Replace `path` by `text`, mode 0600 and on disk; the account's own, where one is named, else ours.

    The folder may belong to the account's user while we are root, so nothing in it is followed or opened by name.
    Raises `OSError`.
    """
    spare = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    fd = os.open(spare, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            if account is not None and account.switch:
                os.fchown(file.fileno(), account.uid, account.gid)
        spare.replace(path)
    except BaseException:
        spare.unlink(missing_ok=True)
        raise
