"""`netset`: set arithmetic against plain Python sets of addresses."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from spectra.collect.netset import IPAddress, IPNetwork, NetSet, nets, plain, short

# A /22 of each family, and the mapped form of the first, so that networks overlap often and can be listed.
_V4, _V6, _MAPPED = int(IPv4Address("10.9.0.0")), int(IPv6Address("fd00::")), int(IPv6Address("::ffff:10.9.0.0"))


@st.composite
def networks(draw: st.DrawFn) -> IPNetwork:
    """A network of at most 64 addresses inside the test space."""
    bits = draw(st.integers(0, 6))
    offset = draw(st.integers(0, 1023 >> bits)) << bits
    base, width = draw(st.sampled_from([(_V4, 32), (_V6, 128), (_MAPPED, 128)]))
    address = IPv4Address(base + offset) if width == 32 else IPv6Address(base + offset)
    return ip_network(f"{address}/{width - bits}")


def naive(listed: list[IPNetwork]) -> set[IPAddress]:
    """Every address of `listed`, one by one."""
    return {plain(address) for network in listed for address in network}


@given(st.lists(networks(), max_size=8), st.lists(networks(), max_size=8))
def test_arithmetic_equals_plain_sets(left: list[IPNetwork], right: list[IPNetwork]) -> None:
    """Union, intersection, difference, size, membership and networks agree with sets of single addresses."""
    a, b, x, y = NetSet.of(left), NetSet.of(right), naive(left), naive(right)
    assert set(a) == x
    assert set(a | b) == set(NetSet.union([a, b])) == x | y
    assert set(a & b) == x & y
    assert set(a - b) == x - y
    assert (a - b).size == len(x - y)
    assert bool(a & b) == bool(x & y)
    assert naive(list((a - b).networks())) == x - y
    assert all((address in a) == (address in x) for address in x | y)


@given(st.lists(networks(), max_size=8))
def test_networks_are_disjoint_and_canonical(listed: list[IPNetwork]) -> None:
    """However a set was built, equal sets are equal values and their networks do not overlap."""
    whole = NetSet.of(listed)
    again = list(whole.networks())
    assert NetSet.of(reversed(again)) == whole
    assert sum(network.num_addresses for network in again) == whole.size


def test_mapped_addresses_are_the_ipv4_address_they_stand_for() -> None:
    """::ffff:a.b.c.d is the same member as a.b.c.d, also as part of a larger IPv6 network."""
    assert ip_address("::ffff:10.0.0.1") in nets("10.0.0.0/30")
    assert nets("::ffff:10.0.0.0/126") == nets("10.0.0.0/30")
    everything = nets("::/0")
    assert ip_address("203.0.113.9") in everything
    assert everything.size == 2**128


def test_translated_forms_cover_nat64_and_6to4() -> None:
    """The IPv6 forms of 10.1.0.0/16 behind NAT64 and 6to4 are exactly its mapped prefixes."""
    assert nets("10.1.0.0/16").translated() == nets("64:ff9b::10.1.0.0/112", "2002:a01::/32")


def test_short_names_the_first_and_counts_the_rest() -> None:
    """A message stays readable whatever the set: single addresses without /32, the rest counted."""
    assert short(nets("10.0.0.1/32")) == "10.0.0.1"
    assert short(nets("10.0.0.0/30", "10.0.1.0/30", "10.0.2.0/30"), 2) == "10.0.0.0/30, 10.0.1.0/30 and 1 more"
