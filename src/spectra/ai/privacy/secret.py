"""The secret of this node that pseudonyms are drawn from."""

from __future__ import annotations

from pathlib import Path


def ensure(data_dir: Path) -> bytes:
    """The 32 bytes kept in `ai.key` of `data_dir` (mode 0600), made where there are none. Raises `SetupError`."""
    raise NotImplementedError
