"""Connections to providers: to addresses of this machine alone, or by the configured way out.

Imported when a model is first asked.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable, Sequence
from ipaddress import ip_network
from typing import Any, Final
from urllib.parse import urlsplit

import anyio
import anyio.abc
import httpcore2
import httpx2
from httpcore2._backends.anyio import AnyIOStream

from spectra.ai.gateway.egress import Address, Allowed, Blocked, Egress, opened, permitted, proxy_login
from spectra.ai.gateway.wire import SENDING

_CONNECTIONS: Final = 64
_CONNECT_S: Final = 10.0


def on_machine(networks: Sequence[str]) -> Allowed:
    """Whether an address counts as this machine: loopback, and the networks that the operator named."""
    named = [ip_network(network) for network in networks]

    def allowed(address: Address) -> bool:
        return address.is_loopback or any(address in network for network in named)

    return allowed


def machine_transport(networks: Sequence[str]) -> httpx2.AsyncBaseTransport:
    """Connects to this machine: what a name resolves to is looked at, and that very address is connected to."""
    return _transport(_Bound("", on_machine(networks)))


def away_transport(egress: Egress) -> httpx2.AsyncBaseTransport:
    """Connects by the configured way out and by no other."""
    return _transport(_Bound(egress.interface, None), egress.proxy)


class _Bound(httpcore2.AsyncNetworkBackend):
    """Sockets out of one device, to addresses that are allowed."""

    def __init__(self, device: str, allowed: Allowed | None) -> None:
        self._device = device
        self._allowed = allowed

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface of httpcore
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        try:
            async with asyncio.timeout(min(timeout or _CONNECT_S, _CONNECT_S)):
                return AnyIOStream(await self._connected(host, port))
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(f"{host} does not answer") from error
        except Blocked as error:
            if sending := SENDING.get(None):
                sending.stopped = "not_machine"
            raise httpcore2.ConnectError(str(error)) from error
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)

    async def _connected(self, host: str, port: int) -> anyio.abc.SocketStream:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        last: OSError = Blocked(f"{host} has no address")
        for family, to in permitted(host, [(int(family), to) for family, _, _, _, to in found[:16]], self._allowed):
            made = opened(family, self._device)
            made.setblocking(False)
            try:
                await loop.sock_connect(made, to)
                return await anyio.abc.SocketStream.from_socket(made)
            except OSError as error:
                made.close()
                last = error
            except BaseException:
                made.close()
                raise
        raise last


def _transport(backend: _Bound, proxy: str = "") -> httpx2.AsyncBaseTransport:
    transport = httpx2.AsyncHTTPTransport(trust_env=False)
    context: ssl.SSLContext = httpx2.create_ssl_context()
    if proxy:
        parts = urlsplit(proxy)
        pool: httpcore2.AsyncConnectionPool = httpcore2.AsyncSOCKSProxy(
            proxy_url=f"socks5://{_bracketed(parts.hostname or '')}:{parts.port}",
            proxy_auth=proxy_login(proxy),
            ssl_context=context,
            max_connections=_CONNECTIONS,
            keepalive_expiry=30.0,
            network_backend=backend,
        )
    else:
        pool = httpcore2.AsyncConnectionPool(
            ssl_context=context, max_connections=_CONNECTIONS, keepalive_expiry=30.0, network_backend=backend
        )
    transport._pool = pool  # pyright: ignore[reportPrivateUsage]
    return transport


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
