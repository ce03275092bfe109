"""Connections through a relay: straight, out of an interface, or over SOCKS5 (RFC 1928)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import ip_address
from typing import Any, Final

from python_socks import ProxyError, ProxyType
from python_socks.async_.asyncio import Proxy

from spectra.collect.netset import IPAddress
from spectra.collect.relays import Relay
from spectra.collect.scanners.base import ScanRequest
from spectra.collect.scanners.pace import Bucket, Outcome
from spectra.collect.scanners.talk import CannotConnect, dial

PROXY_S: Final = 10.0
"""How long a relay itself may take to be connected to: it may be far, and is not what is measured."""

Endpoint = tuple[IPAddress, int]

_TRIES: Final = 2
_AT_ONCE: Final = 16
_REFUSED: Final = 5
_SILENT: Final = {1, 3, 4, 6}  # general failure, network or host unreachable, TTL expired: RFC 1928 section 6


class RelayBroken(CannotConnect):
    """The relay cannot be reached, or will not serve: this tells nothing of the target."""

    def __init__(self, message: str) -> None:
        super().__init__(Outcome.LOCAL, OSError(message))


class Door:
    """One relay as a way to connect."""

    def __init__(self, relay: Relay, *, interface: str = "") -> None:
        self.relay = relay
        self._interface = relay.interface or interface
        self._proxy: IPAddress | None = None

    async def dial(self, address: IPAddress, port: int, *, timeout_s: float) -> socket.socket:
        """A connected socket; raises `CannotConnect` as `talk.dial`, `RelayBroken` if the relay is at fault."""
        if self.relay.kind != "socks5":
            return await dial(address, port, timeout_s=timeout_s, interface=self._interface)
        server = await self._server()
        first = _First(server, self.relay.port, self._interface)
        proxy = Proxy(
            ProxyType.SOCKS5, str(server), self.relay.port, self.relay.user or None, self.relay.password or None,
            forward=first,
        )  # fmt: skip
        try:
            async with asyncio.timeout(PROXY_S + timeout_s) as whole:
                first.then = lambda: whole.reschedule(asyncio.get_running_loop().time() + timeout_s)
                return await proxy.connect(str(address), port, timeout=2 * (PROXY_S + timeout_s))
        except TimeoutError as error:
            raise CannotConnect(Outcome.FILTERED) from error
        except ProxyError as error:
            raise _meant(error) from error
        except OSError as error:
            raise RelayBroken(f"{self.relay.name} ended the connection: {error}") from error

    async def _server(self) -> IPAddress:
        """The address of the SOCKS server, asked for once."""
        if self._proxy is None:
            loop = asyncio.get_running_loop()
            try:
                async with asyncio.timeout(PROXY_S):
                    found = await loop.getaddrinfo(self.relay.host, self.relay.port, type=socket.SOCK_STREAM)
            except OSError as error:
                raise RelayBroken(f"{self.relay.name} has no address: {error}") from error
            self._proxy = ip_address(found[0][4][0])
        return self._proxy


class _First(Proxy):
    """The connection to the SOCKS server itself, which we make: its failure is the relay's, not the target's."""

    def __init__(self, server: IPAddress, port: int, interface: str) -> None:
        super().__init__(ProxyType.SOCKS5, str(server), port)
        self._server, self._port, self._interface = server, port, interface
        self.then = _nothing

    async def connect(
        self,
        dest_host: str,
        dest_port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's signature
        **kwargs: Any,
    ) -> socket.socket:
        try:
            sock = await dial(self._server, self._port, timeout_s=PROXY_S, interface=self._interface)
        except CannotConnect as failure:
            if failure.busy:
                raise
            raise RelayBroken(f"the SOCKS server at {self._server} cannot be reached: {failure}") from failure
        self.then()
        return sock


def _meant(error: ProxyError) -> CannotConnect:
    if error.error_code == _REFUSED:
        return CannotConnect(Outcome.CLOSED)
    if error.error_code in _SILENT:
        return CannotConnect(Outcome.FILTERED)
    return RelayBroken(f"the SOCKS server refuses: {error}")


def _nothing() -> None:
    """Until somebody wants to be told."""


async def answering(
    endpoints: Iterable[Endpoint], door: Door, request: ScanRequest, turn: Callable[[], Awaitable[None]] | None = None
) -> set[Endpoint]:
    """Those of `endpoints` from which anything comes, a refusal too.

    Every attempt waits for its `turn`: that of the scan it belongs to; without one, the request's rate is kept here.
    """
    at_once, bucket = asyncio.Semaphore(min(_AT_ONCE, request.concurrency)), Bucket(burst=1)

    async def spaced() -> None:
        await asyncio.sleep(bucket.take(asyncio.get_running_loop().time(), request.rate))

    async def look(endpoint: Endpoint) -> Endpoint | None:
        async with at_once:
            for _ in range(_TRIES):
                await (turn or spaced)()
                if await _answers(endpoint, door, request.timeout_s):
                    return endpoint
        return None

    return {found for found in await asyncio.gather(*map(look, endpoints)) if found is not None}


async def _answers(endpoint: Endpoint, door: Door, timeout_s: float) -> bool:
    try:
        (await door.dial(*endpoint, timeout_s=timeout_s)).close()
    except CannotConnect as failure:
        return failure.outcome is Outcome.CLOSED
    return True
