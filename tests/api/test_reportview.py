"""A stored report as pages show it."""

from __future__ import annotations

import hashlib

import msgspec
import pytest

from spectra.api.reportview import shown
from tests.ai.reports.papers import document


def test_the_digest_is_of_the_very_bytes() -> None:
    """And what is no report is refused."""
    raw = msgspec.json.encode(document())
    view = shown(raw)
    assert (view.digest, view.title) == (hashlib.sha256(raw).hexdigest(), document().title)
    with pytest.raises(msgspec.MsgspecError):
        shown(b"{}")
