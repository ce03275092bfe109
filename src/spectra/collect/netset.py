"""Exact sets of IP addresses: sorted, disjoint, inclusive integer intervals, one list per IP version.

Two networks overlap or nest; ranges and what is left after a cut do neither. Intervals hold all of them, and every
operation costs the number of intervals, never the number of addresses.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_network,
    summarize_address_range,
)
from itertools import chain

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network
Intervals = tuple[tuple[int, int], ...]

_MAPPED = int(IPv6Address("::ffff:0:0"))  # ::ffff:0:0/96, RFC 4291 section 2.5.5.2
_V4_MAX = 2**32 - 1


def plain(address: IPAddress) -> IPAddress:
    """`address`, or the IPv4 address inside it if it is IPv4-mapped: the host that a packet would reach."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


@dataclass(frozen=True, slots=True)
class NetSet:
    """A set of addresses. IPv4-mapped IPv6 addresses are held as the IPv4 addresses they stand for."""

    v4: Intervals = ()
    v6: Intervals = ()

    @classmethod
    def of(cls, networks: Iterable[IPNetwork]) -> NetSet:
        """The union of `networks`."""
        return cls.ranges((network[0], network[-1]) for network in networks)

    @classmethod
    def ranges(cls, pairs: Iterable[tuple[IPAddress, IPAddress]]) -> NetSet:
        """The union of inclusive ranges (first, last), each of one IP version."""
        v4: list[tuple[int, int]] = []
        v6: list[tuple[int, int]] = []
        for first, last in pairs:
            (v4 if first.version == 4 else v6).append((int(first), int(last)))
        high = merge(v6)
        mapped = ((_MAPPED, _MAPPED + _V4_MAX),)
        v4 += [(low - _MAPPED, top - _MAPPED) for low, top in _intersect(high, mapped)]
        return cls(merge(v4), _subtract(high, mapped))

    @classmethod
    def union(cls, sets: Iterable[NetSet]) -> NetSet:
        """All addresses of `sets`, merged in one pass."""
        held = list(sets)
        v4, v6 = (list(chain.from_iterable(part)) for part in ((s.v4 for s in held), (s.v6 for s in held)))
        return cls(merge(v4), merge(v6))

    def __or__(self, other: NetSet) -> NetSet:
        return NetSet(merge([*self.v4, *other.v4]), merge([*self.v6, *other.v6]))

    def __and__(self, other: NetSet) -> NetSet:
        return NetSet(_intersect(self.v4, other.v4), _intersect(self.v6, other.v6))

    def __sub__(self, other: NetSet) -> NetSet:
        return NetSet(_subtract(self.v4, other.v4), _subtract(self.v6, other.v6))

    def __bool__(self) -> bool:
        return bool(self.v4 or self.v6)

    @property
    def size(self) -> int:
        """Number of addresses."""
        return sum(top - low + 1 for low, top in chain(self.v4, self.v6))

    def __contains__(self, address: IPAddress) -> bool:
        address = plain(address)
        intervals = self.v4 if address.version == 4 else self.v6
        at = bisect_right(intervals, int(address), key=lambda pair: pair[0]) - 1
        return at >= 0 and int(address) <= intervals[at][1]

    def __iter__(self) -> Iterator[IPAddress]:
        """Every address in order, IPv4 first, one at a time."""
        for low, top in self.v4:
            yield from map(IPv4Address, range(low, top + 1))
        for low, top in self.v6:
            yield from map(IPv6Address, range(low, top + 1))

    def networks(self) -> Iterator[IPNetwork]:
        """The fewest networks that make up the set, in order, IPv4 first."""
        for low, top in self.v4:
            yield from summarize_address_range(IPv4Address(low), IPv4Address(top))
        for low, top in self.v6:
            yield from summarize_address_range(IPv6Address(low), IPv6Address(top))

    def translated(self) -> NetSet:
        """The IPv6 forms by which a router would reach the set's IPv4 addresses.

        NAT64's well-known prefix 64:ff9b::/96 (RFC 6052 section 2.1) and 6to4's 2002::/16 (RFC 3056 section 2).
        """
        nat64, six_to_four = int(IPv6Address("64:ff9b::")), int(IPv6Address("2002::"))
        forms = [(nat64 + low, nat64 + top) for low, top in self.v4]
        forms += [(six_to_four + (low << 80), six_to_four + ((top + 1) << 80) - 1) for low, top in self.v4]
        return NetSet((), merge(forms))


EMPTY = NetSet()


def nets(*texts: str) -> NetSet:
    """The set of networks written as text; for constants of this package."""
    return NetSet.of(ip_network(text) for text in texts)


def short(networks: NetSet, limit: int = 3) -> str:
    """`networks` for a message: the first `limit` networks and how many follow."""
    listed = list(networks.networks())
    text = ", ".join(_brief(network) for network in listed[:limit])
    return text if len(listed) <= limit else f"{text} and {len(listed) - limit} more"


def _brief(network: IPNetwork) -> str:
    return str(network[0]) if network.num_addresses == 1 else str(network)


def merge(intervals: Iterable[tuple[int, int]]) -> Intervals:
    """Inclusive intervals sorted, with those that overlap or touch joined."""
    merged: list[tuple[int, int]] = []
    for low, top in sorted(intervals):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], top))
        else:
            merged.append((low, top))
    return tuple(merged)


def _intersect(left: Intervals, right: Intervals) -> Intervals:
    out: list[tuple[int, int]] = []
    i = j = 0
    while i < len(left) and j < len(right):
        low, top = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if low <= top:
            out.append((low, top))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return tuple(out)


def _subtract(left: Intervals, right: Intervals) -> Intervals:
    out: list[tuple[int, int]] = []
    j = 0
    for low, top in left:
        start = low
        while j < len(right) and right[j][1] < start:
            j += 1
        k = j
        while k < len(right) and right[k][0] <= top:
            if right[k][0] > start:
                out.append((start, right[k][0] - 1))
            start = right[k][1] + 1
            k += 1
        if start <= top:
            out.append((start, top))
    return tuple(out)
