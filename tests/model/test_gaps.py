"""Gaps: blocks that were never seen, held against a list of every unit."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.model import gaps
from spectra.model.gaps import Asked, Net
from spectra.model.query import parse

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def asked(text: str) -> Asked:
    """A network as asked for."""
    return Asked.of(ipaddress.ip_network(text))


def addresses(*texts: str) -> list[gaps.Address]:
    """Addresses, in order."""
    return [ipaddress.ip_address(text) for text in texts]


def networks(*texts: str) -> list[Net]:
    """Networks."""
    return [ipaddress.ip_network(text) for text in texts]


def spans(*nets: Net) -> list[gaps.Span]:
    """The first and last addresses of networks, as numbers."""
    return [(int(net[0]), int(net[-1])) for net in nets]


def test_a_network_with_one_host() -> None:
    """What is left of a /16 without one /24 are the eight blocks around it."""
    found = gaps.find(asked("10.0.0.0/16"), addresses("10.0.7.9"), [], 100)
    assert found.never.listed[:3] == ("10.0.0.0/22", "10.0.4.0/23", "10.0.6.0/24")
    assert found.never.total == 8
    assert found.silent.total == 0


def test_a_network_nobody_looked_at() -> None:
    """It is one block, however large."""
    assert gaps.find(asked("0.0.0.0/0"), [], [], 100).never.listed == ("0.0.0.0/0",)
    assert gaps.find(asked("2001:db8::/32"), [], [], 100).never.listed == ("2001:db8::/32",)


def test_what_is_smaller_than_a_unit_is_one_piece() -> None:
    """A /28 that was asked for is not answered with the /24 around it."""
    assert gaps.find(asked("10.0.0.16/28"), [], [], 9).never.listed == ("10.0.0.16/28",)
    assert gaps.find(asked("10.0.0.16/28"), addresses("10.0.0.17"), [], 9).never.total == 0
    assert gaps.find(asked("2001:db8::1/128"), [], [], 9).never.listed == ("2001:db8::1/128",)


def test_silence_is_not_never_and_a_host_is_not_silence() -> None:
    """A probe without an answer takes its block from one list to the other, unless a host was seen there."""
    silent = spans(*networks("10.0.1.5/32", "10.0.2.0/23", "192.0.2.0/24"))
    found = gaps.find(asked("10.0.0.0/22"), addresses("10.0.3.1"), silent, 9)
    assert found.never.listed == ("10.0.0.0/24",)
    assert found.silent.listed == ("10.0.1.0/24", "10.0.2.0/24")


def test_a_wider_silence_is_cut_to_what_was_asked() -> None:
    """Only the network asked for is spoken of."""
    found = gaps.find(asked("10.0.0.0/23"), [], spans(*networks("10.0.0.0/8")), 9)
    assert (found.never.total, found.silent.listed) == (0, ("10.0.0.0/23",))


def test_nothing_is_said_of_what_was_not_looked_through() -> None:
    """Hosts known up to the last of them: what lies behind may hold more."""
    found = gaps.find(asked("10.0.0.0/16"), addresses("10.0.1.1"), spans(*networks("10.0.9.0/24")), 9, whole=False)
    assert found.never.listed == ("10.0.0.0/24",)
    assert found.silent.total == 0


def test_lists_are_bounded_and_counts_are_not() -> None:
    """The first blocks, and how many there are."""
    every_other = addresses(*(f"10.0.{n}.1" for n in range(0, 256, 2)))
    found = gaps.find(asked("10.0.0.0/16"), every_other, [], 5)
    assert (len(found.never.listed), found.never.total) == (5, 128)
    both = found.never.plus(found.never, 7)
    assert (len(both.listed), both.total) == (7, 256)


@given(
    st.integers(16, 26),
    st.lists(st.integers(0, 2**16 - 1), max_size=30),
    st.lists(st.tuples(st.integers(0, 2**16 - 1), st.integers(16, 32)), max_size=10),
)
def test_blocks_are_what_a_list_of_all_units_says(length: int, hosts: list[int], probed: list[tuple[int, int]]) -> None:
    """Every /24 by itself: seen, probed or neither; blocks hold exactly those, and no two could be one."""
    one = asked(f"10.0.0.0/{length}")
    base = int(ipaddress.ip_address("10.0.0.0"))
    seen = sorted(ip for ip in (ipaddress.ip_address(base + n) for n in hosts) if ip in one.net)
    silent: list[Net] = [ipaddress.ip_network((base + n, size), strict=False) for n, size in probed]
    found = gaps.find(one, seen, spans(*silent), 10_000)
    units = list(one.net.subnets(new_prefix=one.unit))
    quiet = [u for u in units if any(u.overlaps(net) for net in silent) and not any(ip in u for ip in seen)]
    never = [u for u in units if not any(u.overlaps(net) for net in silent) and not any(ip in u for ip in seen)]
    for blocks, expected in ((found.never, never), (found.silent, quiet)):
        nets = networks(*blocks.listed)
        assert nets == list(gaps.collapsed(expected))
        assert blocks.total == len(nets)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("port:22", []),
        ("net:10.0.0.0/24,10.0.1.0/24", ["10.0.0.0/23"]),
        ("net:10.0.0.0/8 net:10.1.0.0/16,192.0.2.0/24", ["10.1.0.0/16"]),
        ("net:10.0.0.0/8 net:192.0.2.0/24", []),
        ("-net:10.0.0.0/8", []),
        ("net:2001:db8::/32,10.0.0.0/8", ["10.0.0.0/8", "2001:db8::/32"]),
    ],
)
def test_the_networks_of_a_query(query: str, expected: list[str]) -> None:
    """Values of a term are alternatives, terms have to hold together, and exclusions name nothing."""
    assert [str(net) for net in gaps.networks(parse(query, NOW))] == expected
