"""What a page of the provenance chain tells."""

from __future__ import annotations

from typing import Any


def kinds(page: dict[str, Any]) -> list[str]:
    """Kinds of its entries, sorted, without alerts, which come when they come."""
    return sorted(kind for one in page["entries"] if not (kind := one["kind"]).startswith("alert."))
