"""One conversation with a service: bounded in bytes and time, plain or TLS."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from ipaddress import IPv4Address
from types import TracebackType

from spectra.collect.netset import IPAddress
from spectra.collect.scanners.pace import Outcome

IDLE_S = 0.2  # after the first bytes: the pause that ends a greeting
_CHUNK = 4096

# What this machine, not the target, lacks: the attempt says nothing about the target. The first kind comes back.
_BUSY = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EADDRINUSE, errno.EAGAIN}
_LOCAL = _BUSY | {
    *(errno.ENETUNREACH, errno.ENETDOWN, errno.EACCES, errno.EPERM, errno.EINVAL, errno.EAFNOSUPPORT, errno.ENODEV),
}
_REFUSED = {errno.ECONNREFUSED, errno.ECONNRESET}


class CannotConnect(Exception):
    """A connection attempt that failed, as the scan counts it. `busy`: this machine has none left just now."""

    def __init__(self, outcome: Outcome, error: OSError | None = None) -> None:
        super().__init__(str(error or ""))
        self.outcome = outcome
        self.busy = error is not None and error.errno in _BUSY


def any_tls() -> ssl.SSLContext:
    """A client context that speaks to whoever answers: it looks at certificates, it does not trust them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:@SECLEVEL=0")  # old devices are what a scan is for
    return context


async def dial(address: IPAddress, port: int, *, timeout_s: float, interface: str = "") -> socket.socket:
    """A connected socket; raises `CannotConnect` with what the failure means.

    Refused is a closed port; silence, or a router that refuses (EHOSTUNREACH), is a filtered one.
    """
    try:
        sock = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
    except OSError as error:
        raise CannotConnect(Outcome.LOCAL, error) from error
    try:
        sock.setblocking(False)
        if interface:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        async with asyncio.timeout(timeout_s):
            await asyncio.get_running_loop().sock_connect(sock, _peer(address, port, interface))
        _refuse_itself(sock)
    except BaseException as error:
        sock.close()
        if isinstance(error, TimeoutError):
            raise CannotConnect(Outcome.FILTERED) from error
        if isinstance(error, OSError):
            raise CannotConnect(_outcome(error), error) from error
        raise
    return sock


def _refuse_itself(sock: socket.socket) -> None:
    """Both ends may draw the same ephemeral port on loopback: TCP then connects the socket with itself."""
    if sock.getsockname()[:2] == sock.getpeername()[:2]:
        raise CannotConnect(Outcome.CLOSED)


def _peer(address: IPAddress, port: int, interface: str) -> tuple[str, int] | tuple[str, int, int, int]:
    if isinstance(address, IPv4Address):
        return str(address), port
    scope = socket.if_nametoindex(interface) if interface and address.is_link_local else 0
    return str(address), port, 0, scope


def _outcome(error: OSError) -> Outcome:
    if error.errno in _REFUSED:
        return Outcome.CLOSED
    return Outcome.LOCAL if error.errno in _LOCAL else Outcome.FILTERED


class Talk:
    """An open connection. Use as a context: leaving it drops the connection at once."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def over(cls, sock: socket.socket) -> Talk:
        """Talk over a connected socket, which it owns from now on."""
        try:
            return cls(*await asyncio.open_connection(sock=sock, limit=_CHUNK))
        except BaseException:
            sock.close()
            raise

    async def __aenter__(self) -> Talk:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.transport.abort()

    async def secure(self, context: ssl.SSLContext, name: str, timeout_s: float) -> bool:
        """Start TLS, with `name` as SNI unless empty; False if the peer does not speak it."""
        try:
            await self._writer.start_tls(context, server_hostname=name or None, ssl_handshake_timeout=timeout_s)
        except (OSError, EOFError, ValueError):  # ssl.SSLError and timeouts are OSErrors
            return False
        return True

    def certificate(self) -> bytes:
        """The peer's certificate in DER form; empty if it showed none."""
        session: ssl.SSLObject | None = self._writer.get_extra_info("ssl_object")
        return (session.getpeercert(binary_form=True) or b"") if session else b""

    def tls_version(self) -> str:
        """`TLSv1.3` and the like; empty without TLS."""
        session: ssl.SSLObject | None = self._writer.get_extra_info("ssl_object")
        return (session.version() or "") if session else ""

    async def hear(
        self, wait_s: float, *, limit: int, enough: Callable[[bytes], bool] | None = None, idle_s: float = IDLE_S
    ) -> bytes:
        """What the peer says: the first bytes within `wait_s`, then more until `limit` bytes, a pause or `enough`.

        Nothing said, or an end of the connection, is an answer too: then it is shorter, or empty.
        """
        heard = b""
        try:
            async with asyncio.timeout(wait_s * 2):  # a peer that drips a byte at a time does not hold us
                while len(heard) < limit and not (heard and enough and enough(heard)):
                    async with asyncio.timeout(idle_s if heard else wait_s):
                        said = await self._reader.read(min(_CHUNK, limit - len(heard)))
                    if not said:
                        break
                    heard += said
        except OSError:
            pass
        return heard

    async def say(self, data: bytes, timeout_s: float) -> None:
        """Send `data`; a peer that has gone is noticed by what it does not answer."""
        try:
            async with asyncio.timeout(timeout_s):
                self._writer.write(data)
                await self._writer.drain()
        except OSError:
            pass
