"""Whose an address is."""

from __future__ import annotations

import pytest

from spectra.ai.agents.addresses import is_inside, is_one_host


@pytest.mark.parametrize(
    ("ip", "inside", "host"),
    [
        ("10.0.0.1", True, True),
        ("192.168.0.255", True, False),
        ("127.0.0.1", True, True),
        ("fd00::1", True, True),
        ("fe80::1", True, True),
        ("93.184.216.34", False, True),
        ("192.0.2.1", False, True),
        ("2001:db8::1", False, True),
        ("224.0.0.251", False, False),
        ("255.255.255.255", False, False),
        ("0.0.0.0", False, False),
    ],
)
def test_whose(ip: str, inside: bool, host: bool) -> None:
    """Private ones are of this network, those of documentation of nobody; broadcasts are no host."""
    assert (is_inside(ip), is_one_host(ip)) == (inside, host)
