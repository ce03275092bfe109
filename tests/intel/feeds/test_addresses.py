"""Columns of addresses as numbers, against `ipaddress`."""

from __future__ import annotations

import ipaddress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.intel.feeds.addresses import after6, column, first6, folded, keys6, networks, words6
from spectra.intel.feeds.errors import FeedError

V4 = st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address)
# Addresses with runs of zero groups, which are what `::` stands for.
V6 = st.lists(st.sampled_from([0, 0, 0, 1, 0xABCD, 0xFFFF]), min_size=8, max_size=8).map(
    lambda groups: ipaddress.IPv6Address(b"".join(g.to_bytes(2) for g in groups))
)
JUNK = st.sampled_from(
    ("", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1..2.3", "1.2.3.4 ", "a.b.c.d", "::1::", "1:2:3:4:5:6:7")
) | st.sampled_from(
    ("g::", "1:2:3:4:5:6:7:8:9", "12345::", "fe80::1%eth0", "1.2.3.4\n", "é", "1:::2", ":1::2", "::ffff:1.2.3", "1/8")
)


def naive(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """What `ipaddress` makes of a text; addresses with a scope are of one machine."""
    try:
        return None if "%" in text else ipaddress.ip_address(text)
    except ValueError:
        return None


@given(st.lists(st.one_of(V4.map(str), V6.map(str), V6.map(lambda ip: ip.exploded.upper()), JUNK), max_size=30))
def test_a_column_is_what_ipaddress_makes_of_it(texts: list[str]) -> None:
    """Every address at its place and in its family, however it is written; what is none is in neither."""
    found = column(texts)
    known: dict[int, object] = {}
    for at, key in zip(found.at4.tolist(), found.keys4.tolist(), strict=True):
        known[at] = ipaddress.IPv4Address(key)
    for at, key in zip(found.at6.tolist(), found.keys6.tolist(), strict=True):
        known[at] = ipaddress.IPv6Address(key.ljust(16, b"\0"))
    assert known == {i: ip for i, text in enumerate(texts) if (ip := naive(text)) is not None}


@pytest.mark.parametrize("text", ["1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "::", "::1.2.3.4", "1:2::7.7.7.7"])
def test_rare_forms_of_ipv6(text: str) -> None:
    """Forms that nobody writes by machine are read too, among others that are."""
    found = column([text, "2001:db8::1"])
    assert found.keys6.tolist()[0].ljust(16, b"\0") == ipaddress.IPv6Address(text).packed


@given(st.lists(V6, min_size=1, max_size=10), st.integers(0, 128))
def test_networks_of_ipv6_begin_and_end_where_they_should(ips: list[ipaddress.IPv6Address], length: int) -> None:
    """First address, and the first one behind, with the carry over 64 bits and the end of all addresses."""
    keys = column([str(ip) for ip in ips]).keys6
    lengths = np.full(len(ips), length, np.uint8)
    after, over = after6(keys, lengths)
    for i, ip in enumerate(ips):
        net = ipaddress.IPv6Network((ip, length), strict=False)
        assert first6(keys, lengths)[i].ljust(16, b"\0") == net.network_address.packed
        end = int(net.broadcast_address) + 1
        assert bool(over[i]) == (end == 1 << 128)
        assert bool(over[i]) or after[i].ljust(16, b"\0") == end.to_bytes(16)


@given(st.lists(V6, max_size=10))
def test_words_and_keys_are_the_same(ips: list[ipaddress.IPv6Address]) -> None:
    """Splitting a key in two and joining it again."""
    keys = column([str(ip) for ip in ips]).keys6
    assert keys6(*words6(keys)).tolist() == keys.tolist()


def test_addresses_that_stand_for_ipv4_ones() -> None:
    """Compatible, mapped, 6to4 and Teredo addresses are looked up as the IPv4 address in them; others stay."""
    texts = [
        "2001:db8::1",
        "::1.2.3.4",
        "::ffff:1.2.3.4",
        "2002:102:304::9",
        "2001:0:102:304::1",
        "9.9.9.9",
        "2001:1::1",
    ]
    found = folded(column(texts))
    assert dict(zip(found.at4.tolist(), found.keys4.tolist(), strict=True)) == {
        5: 0x09090909,
        **dict.fromkeys((1, 2, 3, 4), 0x01020304),
    }
    assert sorted(found.at6.tolist()) == [0, 6]


def test_networks() -> None:
    """Both families at their places; an address alone is a network of one."""
    found = networks(["10.0.0.0/8", "2001:db8::/32", "192.0.2.1", "::/0"], _bad)
    assert (found.at4.tolist(), found.lengths4.tolist()) == ([0, 2], [8, 32])
    assert (found.at6.tolist(), found.lengths6.tolist()) == ([1, 3], [32, 0])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("10.0.0.0/33", "prefix length"),
        ("10.0.0.0/", "prefix length"),
        ("10.0.0.0/08", "prefix length"),
        ("2001:db8::/129", "prefix length"),
        ("10.0.0.1/8", "bits set"),
        ("2001:db8::1/64", "bits set"),
        ("example.org", "no network"),
        ("", "no network"),
    ],
)
def test_what_is_no_network_is_named(text: str, why: str) -> None:
    """The error is made for the row that is wrong."""
    with pytest.raises(FeedError, match=why) as caught:
        networks(["192.0.2.0/24", "2001:db8:1::/48", text, "192.0.2.7"], _bad)
    assert caught.value.line == 2


def _bad(row: int, why: str) -> FeedError:
    return FeedError(why, line=row)
