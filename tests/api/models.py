"""A coordinator beside the node's that asks a model of a test's own."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Generator
from typing import Any

from spectra.ai.gateway.books import StoreBooks
from spectra.ai.gateway.gateway import Gateway
from spectra.settings import AiSettings
from spectra.settings.ai import ProviderSettings
from tests.api.node import Node


@contextlib.contextmanager
def asking(node: Node, *, local: str = "", mistral: str = "", **settings: Any) -> Generator[Node]:
    """With a local model or Mistral's at these URLs, or both; without any other. `settings` are of `ai`."""
    wanted = {
        "local": _provider(local, "tiny", "machine"),
        "mistral": _provider(mistral, "small", "eu", api_key="a key of a test"),
        **settings,
    }
    ai = AiSettings.model_validate({"order": [name for name in ("local", "mistral") if wanted[name].url]} | wanted)
    gateway = Gateway(ai, secrets.token_bytes(32), StoreBooks(node.services.database), node.services.clock)
    try:
        with node.variant(ai=gateway) as other:
            yield other
    finally:
        gateway.close()


def _provider(url: str, model: str, residency: str, **more: Any) -> ProviderSettings:
    settings = {"url": url, "opt_in": bool(url), "model": model, "embedding_model": "vectors", "residency": residency}
    return ProviderSettings.model_validate({**settings, **more})
