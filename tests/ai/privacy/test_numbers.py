"""Addresses by their form; test_detector.py has the forms that people write."""

from __future__ import annotations

import pytest

from spectra.ai.privacy.numbers import found, guessed
from spectra.model.ai import Kind


@pytest.mark.parametrize(
    "text",
    ["1.2.3.4.5.6.7", "300.1.1.1", "12:34:56", "a::b", "1.2.3", "20-11-22", "ab:cd", "10.0.0.999", "1.2.3.4.5.6"],
)
def test_what_is_no_address(text: str) -> None:
    """Object identifiers, times, code."""
    assert list(found(text)) == []


def test_a_port_after_a_dot() -> None:
    """As tcpdump writes it: an address, but it might be a version."""
    (span,) = found("IP 192.0.2.7.443 >")
    assert (span.start, span.end, span.kind, span.certain) == (3, 12, Kind.ADDRESS, False)


@pytest.mark.parametrize("before", ["version ", "v", "before ", "nginx/", "versions from 1.0 to ", ">= "])
def test_versions_are_not_certain(before: str) -> None:
    """Where the words say so."""
    assert [s.certain for s in found(f"{before}9.0.0.1")] == [False]


@pytest.mark.parametrize("before", ["host ", "from ", "http://", "to ", "\\n", "("])
def test_addresses_are(before: str) -> None:
    """With other words before them."""
    assert [s.certain for s in found(f"{before}9.0.0.1")] == [True]


def test_what_only_a_context_tells() -> None:
    """Wildcards, dashes, hardware addresses without signs."""
    text = "10.1.x.x, 10-1-2-3, mac 001a2b3c4d5e"
    assert [text[s.start : s.end] for s in guessed(text)] == ["001a2b3c4d5e", "10.1.x.x", "10-1-2-3"]
