"""How far a benchmark is, said to whoever wants to hear it."""

from __future__ import annotations

from collections.abc import Callable

Say = Callable[[str], None]


def silent(_: str) -> None:
    """Say nothing."""
