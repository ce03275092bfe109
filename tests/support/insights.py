"""Insights that tests make."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from spectra.model.insights import Insight, evidence, feature, insight

NOON = datetime(2027, 1, 1, 12, tzinfo=UTC)


def sample(ip: str = "192.0.2.7", **said: Any) -> Insight:
    """An insight about a host."""
    fields: dict[str, Any] = {
        "severity": "high",
        "title": f"{ip} scans its neighbours",
        "what": f"{ip} asked 60 hosts for one port.",
        "subjects": [f"host:{ip}"],
        "at": NOON,
        "score": 71.6,
        "evidence": [evidence("60 hosts", f"host:{ip}", 12)],
        "features": [feature("hosts", 60, 40)],
    }
    return insight("network-anomaly", said.pop("kind", "sweep"), **(fields | said))
