"""The way out: straight, through a SOCKS proxy, or out of one interface (a VPN tunnel). Where a configured way is down,
nothing goes out: there is no other.

Names of hosts resolve at the proxy; with an interface they resolve as this system does it, which may be outside of the
tunnel (docs/ai.md).
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterable
from fcntl import ioctl
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from spectra.settings.ai import EgressSettings

if TYPE_CHECKING:
    import httpx

Address = IPv4Address | IPv6Address
Allowed = Callable[[Address], bool]

_GET_FLAGS: Final = 0x8913  # SIOCGIFFLAGS of linux/sockios.h
_UP_AND_RUNNING: Final = 0x1 | 0x40  # IFF_UP, IFF_RUNNING of net/if.h
_PROBE_S: Final = 1.0
_GOOD_S: Final = 5.0
_BAD_S: Final = 1.0
_LONGEST_RESOLVE: Final = 16  # addresses of one name that are tried


class Blocked(OSError):
    """The way out is down, or does not lead where something was to go."""


class Egress:
    """The configured way. Thread-safe."""

    def __init__(self, settings: EgressSettings) -> None:
        self.proxy = settings.proxy.get_secret_value() if settings.proxy else ""
        self.interface = settings.interface
        self._lock = threading.Lock()
        self._known: tuple[float, str] = (0.0, "")

    @property
    def name(self) -> str:
        """How it is told of: never with a password."""
        if self.proxy:
            parts = urlsplit(self.proxy)
            return f"socks5://{parts.hostname}:{parts.port}" + (f" by {self.interface}" if self.interface else "")
        return f"interface {self.interface}" if self.interface else "direct"

    def down(self) -> str:
        """Why nothing can go out, or "". Takes a second at most; what it finds is good for a moment."""
        with self._lock:
            until, why = self._known
            if time.monotonic() >= until:
                why = self._probed()
                self._known = time.monotonic() + (_BAD_S if why else _GOOD_S), why
            return why

    def forget(self) -> None:
        """Look again the next time."""
        with self._lock:
            self._known = (0.0, "")

    def client(
        self, timeout_s: float, allowed: Allowed | None = None, verify: ssl.SSLContext | None = None
    ) -> httpx.Client:
        """A client of this way. It connects to addresses that are `allowed` alone; a name that the proxy resolves
        cannot be held against it. `verify` says whose certificates it takes; None: those of httpx.
        """
        import httpx

        transport: httpx.BaseTransport = httpx.HTTPTransport(
            verify=True if verify is None else verify,
            trust_env=False,
            proxy=httpx.Proxy(self.proxy) if self.proxy else None,
        )
        _bind_sync(transport, self.interface, allowed, proxied=bool(self.proxy))
        return httpx.Client(
            transport=transport,
            timeout=httpx.Timeout(timeout_s, connect=min(10.0, timeout_s)),
            trust_env=False,
            follow_redirects=False,
        )

    def _probed(self) -> str:
        if self.interface and (why := _interface_down(self.interface)):
            return why
        if not self.proxy:
            return ""
        parts = urlsplit(self.proxy)
        try:
            connected(parts.hostname or "", parts.port or 0, _PROBE_S, device=self.interface).close()
        except OSError as error:
            return f"the proxy {parts.hostname}:{parts.port} cannot be reached ({type(error).__name__})"
        return ""


def proxy_login(proxy: str) -> tuple[bytes, bytes] | None:
    """User and password of a proxy's URL."""
    parts = urlsplit(proxy)
    if parts.username is None:
        return None
    return unquote(parts.username).encode(), unquote(parts.password or "").encode()


def addresses(host: str, port: int, allowed: Allowed | None) -> list[tuple[int, Any]]:
    """Families and socket addresses of a host, those that are `allowed`; raises `Blocked` where none is."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[:_LONGEST_RESOLVE]
    return permitted(host, [(int(family), to) for family, _, _, _, to in found], allowed)


def permitted(host: str, found: list[tuple[int, Any]], allowed: Allowed | None) -> list[tuple[int, Any]]:
    """Those socket addresses of `host` that are `allowed`; raises `Blocked` where none is."""
    good = [(family, to) for family, to in found if allowed is None or allowed(plain(to[0]))]
    if not good:
        raise Blocked(f"{host} is at no address that may be connected to")
    return good


def plain(text: str) -> Address:
    """An address without its zone; an IPv4 address that is written as IPv6 is one of IPv4."""
    address = ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def connected(
    host: str, port: int, timeout_s: float | None, *, device: str = "", allowed: Allowed | None = None
) -> socket.socket:
    """A TCP connection out of `device` alone, if one is named."""
    last: OSError = Blocked(f"{host} has no address")
    for family, to in addresses(host, port, allowed):
        made = opened(family, device)
        try:
            made.settimeout(timeout_s)
            made.connect(to)
        except OSError as error:
            made.close()
            last = error
        else:
            return made
    raise last


def opened(family: int, device: str) -> socket.socket:
    """A TCP socket that is bound to `device` before it connects to anything."""
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if device:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode() + b"\0")
    except OSError:
        made.close()
        raise
    return made


def _interface_down(name: str) -> str:
    """Why an interface takes nothing, or ""."""
    asked = struct.pack("16sH14x", name.encode()[:15], 0)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            flags: int = struct.unpack_from("H", ioctl(any_socket, _GET_FLAGS, asked), 16)[0]
    except OSError:
        return f"there is no interface {name}"
    return "" if flags & _UP_AND_RUNNING == _UP_AND_RUNNING else f"the interface {name} is down"


def _bind_sync(transport: Any, device: str, allowed: Allowed | None, *, proxied: bool) -> None:
    """Let a transport connect by us. With a proxy, only the connection to that is ours to make."""
    import httpcore
    from httpcore._backends.sync import SyncStream

    class Bound(httpcore.NetworkBackend):
        def connect_tcp(
            self,
            host: str,
            port: int,
            timeout: float | None = None,
            local_address: str | None = None,
            socket_options: Iterable[Any] | None = None,
        ) -> httpcore.NetworkStream:
            try:
                made = connected(host, port, timeout, device=device, allowed=None if proxied else allowed)
            except TimeoutError as error:
                raise httpcore.ConnectTimeout(str(error)) from error
            except OSError as error:
                raise httpcore.ConnectError(str(error)) from error
            return SyncStream(made)

    transport._pool._network_backend = Bound()
    if proxied and allowed is not None:
        _guard_literals(transport, allowed)


def _guard_literals(transport: Any, allowed: Allowed) -> None:
    """Addresses that are written out are held against `allowed`, also where a proxy connects to them."""
    import httpx

    inner: Callable[[httpx.Request], httpx.Response] = transport.handle_request

    def handle_request(request: httpx.Request) -> httpx.Response:
        try:
            literal = plain(request.url.host)
        except ValueError:
            return inner(request)
        if not allowed(literal):
            raise httpx.ConnectError(f"{literal} may not be connected to", request=request)
        return inner(request)

    transport.handle_request = handle_request
