"""Addresses and networks as they are written: what they are, and others written alike."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectra.ai.privacy.addresses import around, read_address, read_network

FORMS = [
    "192.0.2.1",
    "192.000.002.001",
    "192[.]0[.]2[.]1",
    "192 [.] 0 [.] 2 [.] 1",
    "0xc0.0x00.0x02.0x01",
    "0300.000.02.01",
    "3221225985",
    "0xc0000201",
    "::ffff:192.0.2.1",
    "::FFFF:C000:201",
    "64:ff9b::c000:201",
    "192%2E0%2E2%2E1",
    "%31%39%32%2E%30%2E%32%2E%31",
]


@pytest.mark.parametrize("text", FORMS)
def test_one_address_in_many_forms(text: str) -> None:
    """All are 192.0.2.1, and written again as they were."""
    found = read_address(text)
    assert found is not None
    assert (found.version, found.number) == (4, 0xC0000201)
    assert found.render(found.number) == text


@settings(max_examples=40)
@given(st.ip_addresses(v=6), st.booleans(), st.booleans())
def test_ipv6_in_its_forms(address: object, upper: bool, long: bool) -> None:
    """Short or long, in capitals or not: as the address says it, unless it has an IPv4 one in it."""
    text = getattr(address, "exploded") if long else str(address)  # noqa: B009 - of either version
    text = text.upper() if upper else text
    found = read_address(text)
    assert found is not None
    if found.version == 6 and not (upper and text.islower()):
        assert found.render(found.number).lower() in (text.lower(), str(address))


@pytest.mark.parametrize(
    "text", ["", "256.0.0.1", "1.2.3", "2001:db8:::1", "99999999999", "db01", "1.2.3.4.5", "%zz%3"]
)
def test_what_is_no_address(text: str) -> None:
    """None."""
    assert read_address(text) is None


@pytest.mark.parametrize(
    ("text", "length"),
    [
        *(("10.0.0.0/8", 8), ("10.0.0.0/255.0.0.0", 8), ("10.0.*.*", 16), ("192.0.2.x", 24), ("2001:db8::/32", 32)),
        *(("10.0.0.5%2F24", 24), ("::ffff:10.0.0.0/104", 8)),
    ],
)
def test_networks(text: str, length: int) -> None:
    """Of both versions, with masks and asterisks; written as they were."""
    found = read_network(text)
    assert found is not None
    assert found.length == length
    assert found.render(found.address.number) == text


@pytest.mark.parametrize("text", ["10.0.0.0", "10.0.0.0/33", "x/8", "10.0.0.0/", "10.0.0.0/255.0.255.0", "300.0.*.*"])
def test_what_is_no_network(text: str) -> None:
    """None."""
    assert read_network(text) is None


def test_what_is_around_an_address() -> None:
    """A /24 or a /64."""
    four, six = read_address("192.0.2.9"), read_address("2001:db8:1:2:3::9")
    assert four is not None
    assert six is not None
    assert (around(four), around(six)) == ("192.0.2.0/24", "2001:db8:1:2::/64")
