"""Recall and precision of the detector."""

from __future__ import annotations

from spectra.bench.privacy.corpus import Marked, Value
from spectra.bench.privacy.quality import Score, measure
from spectra.model.ai import Kind


def test_values_and_spans_are_counted_by_kind() -> None:
    """Found in all their characters, missed, and what is none; precision only where everything is marked."""
    text = "at 192.0.2.7 as apollo, not 198.51.100.1"
    values = (Value(Kind.ADDRESS, "192.0.2.7", 3), Value(Kind.USER, "apollo", 16))
    quality = measure([Marked(text, values)])
    address, user = quality.kinds[Kind.ADDRESS], quality.kinds[Kind.USER]
    assert (address.values, address.found, address.named, address.spans, address.right) == (1, 1, 1, 2, 1)
    assert (address.recall, address.precision, user.recall) == (1.0, 0.5, 0.0)
    assert quality.total.recall == 0.5
    assert "apollo" in quality.missed[0]
    assert "198.51.100.1" in quality.wrong[0]
    assert measure([Marked(text, values, whole=False)]).total.spans == 0
    assert (Score().recall, Score().precision) == (1.0, 1.0)
