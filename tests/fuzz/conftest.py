"""A node for what is asked of it at random: it has everything muted, revoked and erased in the end."""

from __future__ import annotations

from tests.api.conftest import embedded, node

__all__ = ["embedded", "node"]
