"""`special`: the registries of RFC 6890."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from spectra.collect.netset import nets
from spectra.collect.special import SPECIAL_SET, meaning


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "169.254.169.254",
        "172.31.0.1",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.19.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "64:ff9b::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002::1",
        "3fff::1",
        "5f00::1",
        "fd00::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "::ffff:127.0.0.1",
    ],
)
def test_special_purpose_space_is_known(text: str) -> None:
    """One address of every block is special-use, and the block has a meaning with its RFC."""
    assert ip_address(text) in SPECIAL_SET
    assert "RFC" in meaning(nets(text))


@pytest.mark.parametrize(
    "text", ["8.8.8.8", "100.128.0.0", "172.32.0.1", "192.0.1.1", "198.20.0.1", "2600::1", "2a00::1", "::ffff:8.8.8.8"]
)
def test_ordinary_space_is_not(text: str) -> None:
    """The neighbours of the blocks are ordinary addresses."""
    assert ip_address(text) not in SPECIAL_SET
    assert meaning(nets(text)) == ""
