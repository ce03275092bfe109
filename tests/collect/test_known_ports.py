"""`known_ports`: the built-in selection."""

from __future__ import annotations

from spectra.collect.known_ports import COMMON


def test_the_list_holds_a_thousand_different_ports() -> None:
    """`top1000` can promise its number only if no port stands there twice."""
    assert len(COMMON) == len(set(COMMON)) == 1000
    assert all(1 <= port <= 65535 for port in COMMON)
