"""`nexthop`: where packets leave, asked of the kernel of this machine and of one in a network of the test's own."""

from __future__ import annotations

import re
from collections.abc import Generator

import pytest

from spectra.collect.netset import NetSet
from spectra.collect.scanners.base import ScanFailed
from spectra.collect.scanners.nexthop import MAX_LOCAL, NextHop, next_hops
from spectra.collect.targets import parse_targets
from spectra.errors import BadRequest
from tests.collect.scanners.ground import NETWORK, NOBODY, SECOND, TARGET, Ground, ground


@pytest.fixture(scope="module")
def wire() -> Generator[Ground]:
    """A network with a target."""
    with ground() as made:
        yield made


def addresses(*words: str) -> NetSet:
    """A set of addresses."""
    return NetSet.union(target.addresses for target in parse_targets(words))


async def hops(targets: NetSet, interface: str = "") -> tuple[list[NextHop], NetSet]:
    """`next_hops`, to be awaited in the namespace."""
    return next_hops(targets, interface)


@pytest.mark.parametrize("interface", ["", "bridge"])
def test_neighbours_with_one_address_are_one_hop(wire: Ground, interface: str) -> None:
    """Both addresses of the target have its hardware address; who does not answer is told."""
    found, missing = wire.inside(hops(addresses(TARGET, SECOND, NOBODY), interface))
    assert [hop[:3] for hop in found] == [(addresses(TARGET, SECOND), "bridge", "10.250.7.1")]
    assert re.fullmatch("[0-9a-f]{2}(:[0-9a-f]{2}){5}", found[0].mac)
    assert missing == addresses(NOBODY)


def test_what_no_frame_reaches_is_refused(wire: Ground) -> None:
    """Loopback, a network in several directions, more neighbours than can be asked, and where no route leads."""
    with pytest.raises(BadRequest, match="no frame is sent to loopback"):
        next_hops(addresses("127.0.0.1"))
    with pytest.raises(BadRequest, match="more than one way"):
        wire.inside(hops(addresses("10.252.0.0/15")))
    with pytest.raises(ScanFailed, match="no route"):
        wire.inside(hops(addresses("198.51.100.1")))
    with pytest.raises(BadRequest, match=f"more than {MAX_LOCAL} addresses"):
        wire.inside(hops(addresses("10.251.0.0/16")))


def test_a_whole_link_is_asked_address_by_address(wire: Ground) -> None:
    """Of a machine's own network those that answer are left; itself, broadcast and absent ones are told."""
    found, missing = wire.inside(hops(addresses(NETWORK)))
    assert [hop.targets for hop in found] == [addresses(TARGET, SECOND)]
    assert missing == addresses(NETWORK) - addresses(TARGET, SECOND)


def test_a_gateway_is_the_hop_of_all_behind_it(wire: Ground) -> None:
    """A whole network behind a router is one part, with the router's hardware address."""
    direct, _ = wire.inside(hops(addresses(TARGET)))
    behind, missing = wire.inside(hops(addresses("10.252.0.0/16", "10.252.3.7")))
    assert behind == [NextHop(addresses("10.252.0.0/16"), "bridge", "10.250.7.1", direct[0].mac)]
    assert not missing
