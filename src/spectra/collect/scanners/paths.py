"""The ways of one sweep: through which relay each attempt goes, and asking by another what was silent by that one."""

from __future__ import annotations

import asyncio
import socket
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

from spectra.collect.netset import IPAddress
from spectra.collect.relays import Relay, network_of
from spectra.collect.scanners.base import ScanRequest, utc_now
from spectra.collect.scanners.ways import Door, Endpoint, RelayBroken, answering
from spectra.model.work import Loss

SAMPLE: Final = 8
"""Silent endpoints of one host that are asked by the second vantage point."""
WITNESSES: Final = 4
"""Endpoints known to be open that are asked together with them, by both."""
PER_NETWORK: Final = 32
"""Endpoints of one network compared without finding any loss, after which it is believed to be silent by itself."""

_DIRECT: Final = Relay("direct")


class Paths:
    """Without relays there is one way, and nothing is compared. Every attempt at comparing waits for its `turn`."""

    def __init__(self, request: ScanRequest, turn: Callable[[], Awaitable[None]]) -> None:
        self._request, self._relays, self._turn = request, request.relays, turn
        ways = self._relays.all if self._relays else (_DIRECT,)
        self._doors = {relay: Door(relay, interface=request.interface) for relay in ways}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._clean: defaultdict[str, int] = defaultdict(int)
        self._open: defaultdict[str, list[Endpoint]] = defaultdict(list)
        for ip, port in request.known:
            if ip in request.targets.addresses:
                self._open[network_of(ip)].append((ip, port))

    @property
    def others(self) -> int:
        """How many relays there are besides the first."""
        return len(self._doors) - 1

    def via(self, ip: IPAddress) -> Relay:
        """The relay by which `ip` is asked now."""
        return self._relays.take(network_of(ip), _now()) if self._relays else _DIRECT

    async def dial(self, ip: IPAddress, port: int, *, timeout_s: float) -> socket.socket:
        """A connected socket; raises `CannotConnect`. A relay that is itself at fault makes place for another one."""
        relay = self.via(ip)
        try:
            sock = await self._doors[relay].dial(ip, port, timeout_s=timeout_s)
        except RelayBroken:
            if self._relays:
                self._relays.broken(relay, _now())
            raise
        network = network_of(ip)
        if self._relays and not self._relays.waits(relay, network, _now()):
            self._relays.well(relay, network)
        return sock

    def found(self, ip: IPAddress, port: int) -> None:
        """An open endpoint: by it can be told whether its network begins to drop."""
        witnesses = self._open[network_of(ip)]
        if self._relays and len(witnesses) < SAMPLE * WITNESSES and (ip, port) not in witnesses:
            witnesses.append((ip, port))

    async def turned(self, ip: IPAddress, via: Relay, silent: Sequence[int]) -> bool:
        """Whether the ports of `ip` that are `silent` by `via` are worth asking again by another relay.

        That is so if its network was found to drop `via`, now or by another host in the meantime.
        """
        network = network_of(ip)
        if self._relays is None or not silent:
            return False
        async with self._locks[network]:
            if self._relays.waits(via, network, _now()):
                return self.via(ip) != via
            return await self._compared(network, via, [(ip, port) for port in silent])

    async def _compared(self, network: str, via: Relay, silent: list[Endpoint]) -> bool:
        """1. what is asked: a sample of the silent, and endpoints known to be open, silent or not; 2. the other relays,
        one after the other until one gets an answer; 3. this one again: by chance silent is not dropped.
        """
        assert self._relays is not None
        vantages = self._relays.vantages(network, _now(), via)
        opened = [one for one in self._open[network] if self._permitted(one[0])]
        expected = [one for one in opened if one in silent]
        if not vantages or (self._clean[network] >= PER_NETWORK and not expected):
            return False
        witnesses = set(_spread([one for one in opened if one not in silent], WITNESSES))
        asked = {*expected, *_spread(silent, max(1, SAMPLE - len(expected)))}
        asked |= witnesses - await answering(witnesses, self._doors[via], self._request, self._turn)
        vantage, told = vantages[0], set[Endpoint]()
        for vantage in vantages if expected else vantages[:1]:
            told = await answering(asked, self._doors[vantage], self._request, self._turn)
            if told:
                break
        lost = told - await answering(told, self._doors[via], self._request, self._turn)
        self._relays.compared(network, via, vantage, asked=len(asked), answered=len(lost))
        if not lost or (4 * len(lost) < len(asked) and not lost & {*expected, *witnesses}):
            self._clean[network] += len(asked)
            return False
        return self._relays.dropped(network, via, _now())

    def _permitted(self, ip: IPAddress) -> bool:
        """Whether the law still lets it be asked: consent may have run out since the scan began."""
        return self._request.scope.permits(ip, self._request.targets.names.get(ip, ()), utc_now())

    def loss(self) -> Loss | None:
        """What was measured; None without relays."""
        return self._relays.loss() if self._relays else None


def _spread(items: Sequence[Endpoint], count: int) -> list[Endpoint]:
    """So many of the items, from all over the sequence."""
    step = max(1, len(items) // count)
    return list(items[::step][:count])


def _now() -> float:
    return datetime.timestamp(utc_now())
