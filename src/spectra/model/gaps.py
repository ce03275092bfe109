"""Where nothing was ever seen: networks cut into the largest blocks without a host and without an unanswered probe.

Pure arithmetic on units: a /24 of IPv4, a /64 of IPv6, or the whole network where it is smaller than that.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from spectra.model.query import Network, Query, Value

Net = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

Span = tuple[int, int]
"""The first and the last of numbers in a row."""
UNIT: Final = {4: 24, 6: 64}
"""The prefix length of a unit, by IP version."""


class Asked(NamedTuple):
    """A network that the question names, and the prefix length of the units it is looked at in."""

    net: Net
    unit: int

    @classmethod
    def of(cls, net: Net) -> Asked:
        """`net` in units of a /24 or /64, or in one piece."""
        return cls(net, max(UNIT[net.version], net.prefixlen))

    @property
    def shift(self) -> int:
        """How many bits of an address lie below a unit."""
        return self.net.max_prefixlen - self.unit

    def number(self, address: Address) -> int:
        """The number of the unit that `address` lies in."""
        return int(address) >> self.shift


class Blocks(NamedTuple):
    """The first of some blocks, and how many there are in all."""

    listed: tuple[str, ...] = ()
    total: int = 0

    def plus(self, other: Blocks, most: int) -> Blocks:
        """Both, of which at most `most` are listed."""
        return Blocks((*self.listed, *other.listed)[:most], self.total + other.total)


class Found(NamedTuple):
    """The blocks of a network in which nothing was ever seen, and those in which probes alone were."""

    never: Blocks
    silent: Blocks


def networks(query: Query) -> list[Net]:
    """The networks that `query` has to be in: of several `net:` terms what they have in common, in order."""
    held: list[Net] | None = None
    for term in query.terms:
        if term.field == "net" and not term.negated:
            named = list(collapsed(_nets(term.values)))
            held = named if held is None else list(collapsed(common(held, named)))
    return held or []


def _nets(values: Sequence[Value]) -> Iterator[Net]:
    for value in values:
        if isinstance(value, Network):
            first, last = ipaddress.ip_address(value.first), ipaddress.ip_address(value.last)
            yield ipaddress.ip_network((first, first.max_prefixlen - (int(first) ^ int(last)).bit_length()))


def common(left: Sequence[Net], right: Sequence[Net]) -> Iterator[Net]:
    """What two lists of networks have in common: two networks are apart, or one lies within the other."""
    for one in left:
        for other in right:
            if one.version == other.version and one.overlaps(other):
                yield max(one, other, key=lambda net: net.prefixlen)


def collapsed(nets: Iterable[Net]) -> Iterator[Net]:
    """The same addresses as the fewest networks, IPv4 first."""
    held = list(nets)
    yield from ipaddress.collapse_addresses(net for net in held if isinstance(net, ipaddress.IPv4Network))
    yield from ipaddress.collapse_addresses(net for net in held if isinstance(net, ipaddress.IPv6Network))


def find(asked: Asked, seen: Sequence[Address], silent: Iterable[Span], most: int, *, whole: bool = True) -> Found:
    """The gaps of one network: `seen` are addresses of hosts in it in order, at least one in each unit that has some;
    `silent` first and last addresses (as numbers) of what was probed without an answer. At most `most` blocks of each
    kind are listed.

    Not `whole`: hosts are known as far as the last of `seen`, and nothing is said of what lies behind it.
    """
    low, high = asked.number(asked.net[0]), asked.number(asked.net[-1])
    if seen and not whole:
        high = asked.number(seen[-1])
    hosts = _merged((asked.number(ip), asked.number(ip)) for ip in seen)
    quiet = _merged(_within(low, high, asked, silent))
    never = _without([(low, high)], _merged([*hosts, *quiet]))
    return Found(_blocks(asked, never, most), _blocks(asked, _without(quiet, hosts), most))


def _within(low: int, high: int, asked: Asked, silent: Iterable[Span]) -> Iterator[Span]:
    for bottom, top in silent:
        first, last = max(bottom >> asked.shift, low), min(top >> asked.shift, high)
        if first <= last:
            yield first, last


Spans = list[Span]


def _merged(spans: Iterable[Span]) -> Spans:
    merged: Spans = []
    for low, high in sorted(spans):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return merged


def _without(spans: Spans, cut: Spans) -> Spans:
    """What of `spans` lies outside `cut`; both sorted and disjoint."""
    left: Spans = []
    at = 0
    for low, high in spans:
        start = low
        while at < len(cut) and cut[at][1] < start:
            at += 1
        here = at
        while here < len(cut) and cut[here][0] <= high:
            if cut[here][0] > start:
                left.append((start, cut[here][0] - 1))
            start = cut[here][1] + 1
            here += 1
        if start <= high:
            left.append((start, high))
    return left


def _blocks(asked: Asked, spans: Spans, most: int) -> Blocks:
    """The largest networks that make up `spans`, which are of units."""
    listed: list[str] = []
    count = 0
    for low, high in spans:
        at = low
        while at <= high:
            size = min(at & -at or 1 << asked.unit, 1 << (high - at + 1).bit_length() - 1)
            if len(listed) < most:
                listed.append(_text(asked, at, size))
            count += 1
            at += size
    return Blocks(tuple(listed), count)


def _text(asked: Asked, first: int, size: int) -> str:
    length = asked.unit - (size.bit_length() - 1)
    kind = type(asked.net.network_address)
    return f"{kind(first << asked.shift)}/{length}"
