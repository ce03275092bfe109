"""A stored report as pages show it: plain texts in their places, nothing of them escaped."""

from __future__ import annotations

import hashlib

import msgspec

from spectra.ai.reports.view import View, view
from spectra.model.reports import ReportDocument

__all__ = ["View", "shown"]


def shown(raw: bytes) -> View:
    """The document `raw`, as `GET /v0/reports/{id}/content` gives it."""
    return view(msgspec.json.decode(raw, type=ReportDocument), hashlib.sha256(raw).hexdigest())
