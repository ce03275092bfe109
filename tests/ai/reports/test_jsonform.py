"""JSON: the stored bytes and no others."""

from __future__ import annotations

from spectra.ai.reports import jsonform


def test_it_is_what_was_stored() -> None:
    """Byte by byte, so that it hashes to what is on record."""
    assert jsonform.rendered(b'{"a": 1}\n') == b'{"a": 1}\n'
