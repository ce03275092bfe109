"""From what a job is about to its targets: what one lease carries each. Pure.

A hostname is one target, and so is an address that was named by itself. Networks and ranges are cut at the borders of
IPv4 /24 and IPv6 /64, which are the networks whose load is bounded, and then into chunks: a /16 is 256 targets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, NamedTuple

from spectra.collect.netset import IPAddress, NetSet
from spectra.collect.targets import Target, parse_target
from spectra.store.jobs import NewTarget

_V4_SHIFT: Final = 32 - 24
_V6_SHIFT: Final = 128 - 64


class Wanted(NamedTuple):
    """What is to be scanned: hostnames, addresses that were named by themselves, and what else there is."""

    names: tuple[str, ...]
    hosts: NetSet
    rest: NetSet

    @property
    def addresses(self) -> NetSet:
        """All addresses."""
        return self.hosts | self.rest


def wanted(targets: Sequence[Target]) -> Wanted:
    """`targets` in order of their names, each once: an address that lies in a network that was named is part of it."""
    rest = NetSet.union(target.addresses for target in targets if target.addresses.size > 1)
    hosts = NetSet.union(target.addresses for target in targets if target.addresses.size == 1)
    names = dict.fromkeys(target.hostname for target in targets if target.hostname)
    return Wanted(tuple(names), hosts - rest, rest)


def cut(wanted: Wanted, chunk: int) -> Iterator[NewTarget]:
    """Targets of at most `chunk` addresses (1 to 256)."""
    for name in wanted.names:
        yield NewTarget((name,), "", 1)
    for address in wanted.hosts:
        yield NewTarget((str(address),), network_of(address), 1)
    yield from _chunks(wanted.rest.v4, IPv4Address, _V4_SHIFT, chunk)
    yield from _chunks(wanted.rest.v6, IPv6Address, _V6_SHIFT, chunk)


def planned(hosts: Iterable[tuple[str, str]]) -> Iterator[NewTarget]:
    """One target for each (address, ports): what a plan looks at again."""
    for host, ports in hosts:
        yield NewTarget((host,), network_of(ip_address(host)), 1, ports)


def network_of(address: IPAddress) -> str:
    """The network whose load an address counts to, such as `192.0.2.0/24`."""
    shift, kind = (_V4_SHIFT, IPv4Network) if address.version == 4 else (_V6_SHIFT, IPv6Network)
    return str(kind((int(address) >> shift << shift, address.max_prefixlen - shift)))


def size(targets: Sequence[str]) -> int:
    """How many addresses a target has; a hostname counts as one."""
    return sum(max(1, parse_target(text).addresses.size) for text in targets)


def _chunks(
    intervals: Iterable[tuple[int, int]], kind: type[IPv4Address] | type[IPv6Address], shift: int, chunk: int
) -> Iterator[NewTarget]:
    """Intervals in order, cut at the borders of networks and after every `chunk` addresses of one."""
    held: list[tuple[int, int]] = []
    network, count = -1, 0
    for low, top in intervals:
        at = low
        while at <= top:
            if held and (at >> shift != network or count == chunk):
                yield _target(held, kind)
                held, count = [], 0
            network = at >> shift
            last = min(top, at + chunk - count - 1, ((network + 1) << shift) - 1)
            held.append((at, last))
            count += last - at + 1
            at = last + 1
    if held:
        yield _target(held, kind)


def _target(held: Sequence[tuple[int, int]], kind: type[IPv4Address] | type[IPv6Address]) -> NewTarget:
    addresses = NetSet.ranges((kind(low), kind(top)) for low, top in held)
    texts = tuple(str(net[0]) if net.num_addresses == 1 else str(net) for net in addresses.networks())
    return NewTarget(texts, network_of(kind(held[0][0])), addresses.size)
