"""Networks as they are written, and sets of them."""

from __future__ import annotations

import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.errors import BadRequest
from spectra.model.limits import Line, Nets, Written, asn_of, merged, network_of, plain, source_network

V4 = st.ip_addresses(v=4)
V6 = st.ip_addresses(v=6)


@st.composite
def networks(draw: st.DrawFn) -> str:
    """A network of either family."""
    address = draw(V4 | V6)
    return str(ipaddress.ip_network((address, draw(st.integers(0, address.max_prefixlen))), strict=False))


@pytest.mark.parametrize("text", ["192.0.2.0/24", " 192.0.2.7 ", "2001:db8::/32", "0.0.0.0/0"])
def test_networks_are_read(text: str) -> None:
    """With the spaces that come with pasting; an address is a network of one."""
    assert network_of(text) == ipaddress.ip_network(text.strip())


@pytest.mark.parametrize("text", ["", "example.org", "192.0.2.0/33", "192.0.2.1-9", "AS64500", "1", "fe80::1%eth0"])
def test_what_is_no_network_is_refused(text: str) -> None:
    """Naming the field, and how one is written."""
    with pytest.raises(BadRequest, match="not a network") as caught:
        network_of(text, field="net")
    assert caught.value.field == "net"


def test_host_bits_are_a_slip() -> None:
    """192.0.2.7/24 may be the address or the network that is meant: whoever wrote it has to say."""
    with pytest.raises(BadRequest) as caught:
        network_of("192.0.2.7/24")
    assert "192.0.2.0/24" in caught.value.hint


@pytest.mark.parametrize(("text", "number"), [("AS64500", 64500), ("as1", 1), ("4294967295", 2**32 - 1)])
def test_autonomous_systems_are_read(text: str, number: int) -> None:
    """With and without `AS`."""
    assert asn_of(text) == number


@pytest.mark.parametrize("text", ["", "AS", "0", "AS4294967296", "99999999999", "192.0.2.0/24", "AS²", "-1"])
def test_what_is_no_as_is_none(text: str) -> None:
    """So that the caller may try it as a network."""
    assert asn_of(text) is None


def test_a_source_is_a_network() -> None:
    """Who holds one address of a /24 or /64 mostly holds the others too."""
    assert str(source_network(ipaddress.ip_address("192.0.2.77"))) == "192.0.2.0/24"
    assert str(source_network(ipaddress.ip_address("2001:db8::1:2:3:4"))) == "2001:db8::/64"


def test_addresses_in_one_form() -> None:
    """Mapped addresses are IPv4, zones are left out."""
    assert plain(ipaddress.ip_address("::ffff:192.0.2.7")) == ipaddress.ip_address("192.0.2.7")
    assert plain(ipaddress.ip_address("fe80::1%eth0")) == ipaddress.ip_address("fe80::1")
    assert plain(ipaddress.ip_address("192.0.2.7")) == ipaddress.ip_address("192.0.2.7")


@given(st.lists(networks(), max_size=8), V4 | V6)
def test_a_set_of_networks_holds_what_they_hold(held: list[str], address: ipaddress.IPv4Address) -> None:
    """As asking each of them."""
    nets = Nets(held)
    assert bool(nets) == bool(held)
    assert (address in nets) == any(address in ipaddress.ip_network(text) for text in held)
    assert all(ipaddress.ip_network(text)[0] in nets for text in held)


@given(st.lists(networks(), max_size=12), st.lists(V4 | V6, max_size=5))
def test_merging_changes_no_address(held: list[str], addresses: list[ipaddress.IPv4Address]) -> None:
    """The merged list holds the same addresses, in no more networks, none twice."""
    fewer = list(merged(held))
    assert len(set(fewer)) == len(fewer) <= len(held)
    probes = [*addresses, *(ipaddress.ip_network(text)[-1] for text in held)]
    assert [ip in Nets(fewer) for ip in probes] == [ip in Nets(held) for ip in probes]


@pytest.mark.parametrize("kind", [Line, Written])
def test_text_is_one_line(kind: object) -> None:
    """Control characters, a line feed at the end included, do not get in; by a pattern that is ECMA's too."""
    (meta,) = kind.__metadata__  # type: ignore[attr-defined]
    assert re.search(meta.pattern, "ticket 4711, für später")
    for text in ("a\n", "a\nb", "\x1b[2J", "a\x7f", "\x85"):
        assert not re.search(meta.pattern, text)
    assert bool(re.search(meta.pattern, "")) == bool(re.search(meta.pattern, " ")) == (kind is Line)
