"""Names in place of values: the same for the same, and with the structure of what they stand for."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectra.ai.privacy.matching import Edge
from spectra.ai.privacy.pseudonyms import edge_of, elsewhere
from spectra.model.ai import Kind, Private
from tests.ai.privacy.values import names, privates


def address(of: str) -> Private:
    """An address."""
    return Private(Kind.ADDRESS, of)


def test_the_same_value_has_the_same_name_for_an_account() -> None:
    """In every instance; another account's is another one."""
    for value in ("192.0.2.1", "2001:db8::1"):
        assert names().of(address(value)) == names().of(address(value)) != names("bob").of(address(value))
    host = Private(Kind.HOSTNAME, "db01.example.com")
    assert names().of(host) == names().of(host) != names("bob").of(host)


@settings(max_examples=100, deadline=None)
@given(st.lists(privates, max_size=20, unique=True))
def test_no_two_values_share_a_name(values: list[Private]) -> None:
    """Every name stands for one spelling of one value, and is none of the values."""
    made = names()
    made.reserve(values)
    given_ = {value: made.of(value) for value in values}
    for value, name in given_.items():
        assert made.known[name] == value.value
        assert name != value.value


@settings(max_examples=60, deadline=None)
@given(st.lists(st.ip_addresses(v=4), min_size=2, max_size=8, unique=True))
def test_addresses_keep_what_they_have_in_common(addresses: list[object]) -> None:
    """Two in a /24, /28 or /30 are in one of theirs, and no others are in one /24."""
    made = names()
    pairs = [(ip_address(str(a)), ip_address(made.of(address(str(a))))) for a in addresses]
    neighbours = [ip_address(int(a) ^ 1) for a, _ in pairs]
    pairs += [(a, ip_address(made.of(address(str(a))))) for a in neighbours if a not in {p for p, _ in pairs}]
    for real, name in pairs:
        for other, its in pairs:
            for length in (24, 28, 30):
                shared = int(real) >> (32 - length) == int(other) >> (32 - length)
                assert shared == (int(name) >> (32 - length) == int(its) >> (32 - length))


@settings(max_examples=40, deadline=None)
@given(st.ip_addresses(network="2000::/3"), st.sampled_from([48, 56, 64, 112, 126]))
def test_ipv6_hosts_lie_in_their_networks(host: object, length: int) -> None:
    """/48, /64 and smaller ones; all in the range for documentation."""
    made = names()
    network = ip_network(f"{host}/{length}", strict=False)
    name = ip_network(made.of(Private(Kind.NETWORK, str(network))))
    its = ip_address(made.of(address(str(host))))
    assert name.prefixlen == length
    assert its in name
    assert name.subnet_of(ip_network("2001:db8::/32"))  # type: ignore[arg-type]


def test_hosts_lie_in_wide_networks_that_were_told_before() -> None:
    """Lengths are kept, and networks in networks."""
    made = names()
    eight = ip_network(made.of(Private(Kind.NETWORK, "10.0.0.0/8")))
    sixteen = ip_network(made.of(Private(Kind.NETWORK, "10.1.0.0/16")))
    host = ip_address(made.of(address("10.1.2.3")))
    assert (eight.prefixlen, sixteen.prefixlen) == (8, 16)
    assert sixteen.subnet_of(eight)  # type: ignore[arg-type]
    assert host in sixteen
    assert ip_address(made.of(address("10.2.0.1"))) in eight
    assert ip_address(made.of(address("192.0.2.1"))) in ip_network("198.18.0.0/15")
    wide6 = ip_network(made.of(Private(Kind.NETWORK, "fd00:1::/32")))
    assert ip_address(made.of(address("fd00:1:2::5"))) in wide6
    assert made.of(Private(Kind.NETWORK, "0.0.0.0/0")).startswith("NETWORK_")


def test_the_same_address_written_otherwise_is_the_same_one_written_so() -> None:
    """Defanged, as a number, mapped into IPv6, in capitals."""
    made = names()
    plain = made.of(address("192.0.2.1"))
    assert made.of(address("192[.]0[.]2[.]1")) == plain.replace(".", "[.]")
    assert made.of(address("3221225985")) == str(int(ip_address(plain)))
    assert made.of(address("::ffff:192.0.2.1")) == f"::ffff:{plain}"
    assert made.of(address("2001:DB8::A")) == made.of(address("2001:db8::a")).upper()
    assert made.of(Private(Kind.NETWORK, "192.0.2.9/24")).rpartition(".")[0] == plain.rpartition(".")[0]


@pytest.mark.parametrize(
    ("kind", "value", "parts"),
    [
        (Kind.HOSTNAME, "db01.corp.example.com", {"corp.example.com", "example.com", "db01"}),
        (Kind.HOSTNAME, "shop.example.co.uk", {"example.co.uk"}),
        (Kind.EMAIL, "alice@corp.example.com", {"alice", "corp.example.com", "example.com"}),
        (Kind.EMAIL, "admin@db.lan", {"db.lan"}),
        (Kind.USER, "CORP\\alice", {"alice", "CORP"}),
        (Kind.PATH, "/home/alice/x", {"alice"}),
        (Kind.ADDRESS, "192.0.2.9", {"192.0.2.0/24"}),
        (Kind.ADDRESS, "2001:db8::9", {"2001:db8::/64"}),
        (Kind.SECRET, "hunter2", set[str]()),
    ],
)
def test_what_a_value_implies(kind: Kind, value: str, parts: set[str]) -> None:
    """What of it is private by itself; names that everybody has are not."""
    assert {one.value for one in names().implied(Private(kind, value))} == parts


def test_edges_say_where_a_value_ends() -> None:
    """Digits do not go on with an address, letters not with a name; a long secret stands for itself anywhere."""
    assert edge_of(address("192.0.2.1")) is Edge.DIGIT
    assert edge_of(address("2001:db8::1")) is Edge.HEX
    assert edge_of(Private(Kind.MAC, "00:1a:2b:3c:4d:5e")) is Edge.HEX
    assert edge_of(Private(Kind.SECRET, "hunter2hunter2")) is Edge.SOLID
    assert edge_of(Private(Kind.SECRET, "hunter2")) is Edge.NAME
    assert not elsewhere(Private(Kind.USER, "root"))
    assert not elsewhere(Private(Kind.ID, "12"))
    assert elsewhere(Private(Kind.USER, "mallory"))
    assert names().of(Private(Kind.USER, "")) == ""
