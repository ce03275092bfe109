"""Finding meshes in the neighbourhood by multicast DNS (RFC 6762, RFC 6763): `_spectra._udp.local`.

A mesh that is heard is a suggestion and nothing more: anybody on the network can announce anything. Joining takes a
token, which pins the CA; what is announced cannot make it weaker, and holds nothing secret.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from types import TracebackType
from typing import Final, Self

import msgspec
from zeroconf import Error, InterfaceChoice, IPVersion, ServiceBrowser, ServiceInfo, ServiceStateChange, Zeroconf

from spectra.fabric.errors import MeshError
from spectra.identity.names import is_mesh_name
from spectra.model.nodes import is_node_name

SERVICE: Final = "_spectra._udp.local."
PREFIX_CHARS: Final = 16
"""Of the root's fingerprint: enough to tell meshes apart, too little to be taken for the pin of a token."""

MAX_FOUND: Final = 64
_MAX_ADDRESSES: Final = 8
_RESOLVE_MS: Final = 1500
_HEX: Final = frozenset("0123456789abcdef")


class Found(msgspec.Struct, frozen=True):
    """A mesh that somebody announces: its name, the coordinator's, where its listener is said to be, and how its
    root's fingerprint is said to begin. All of it is hearsay.
    """

    mesh: str
    name: str
    urls: tuple[str, ...]
    fingerprint: str


class Announcement:
    """A mesh that is announced, until `close` (which says good-bye to the network)."""

    def __init__(self, zeroconf: Zeroconf, info: ServiceInfo) -> None:
        self._zeroconf = zeroconf
        self._info = info
        self._closed = False

    def close(self) -> None:
        """Take it back. Closing twice is harmless."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(Error, OSError, KeyError, TimeoutError):
            self._zeroconf.unregister_service(self._info)
        self._zeroconf.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def is_wanted(setting: bool, host: str) -> bool:
    """Whether a mesh whose listener is bound to `host` is announced: nobody else reaches one on loopback."""
    if not setting:
        return False
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


def announce(
    mesh: str, name: str, port: int, fingerprint: str, *, addresses: Sequence[str], interfaces: Sequence[str] = ()
) -> Announcement:
    """Announce the coordinator `name` of `mesh`, whose HTTPS listener is at `port` of `addresses`.

    Only on the `interfaces` with these addresses; without any, on those of `addresses`. Raises `MeshError`
    (`discovery`) where that cannot be: another coordinator of that name is on the network, or no such interface.
    """
    packed = [ip_address(address).packed for address in addresses][:_MAX_ADDRESSES]
    info = ServiceInfo(
        SERVICE,
        f"{name}.{SERVICE}",
        addresses=packed,
        port=port,
        properties={"v": "1", "mesh": mesh, "fp": fingerprint[:PREFIX_CHARS]},
        server=f"{name}.local.",
    )
    zeroconf = _open(interfaces or addresses)
    try:
        zeroconf.register_service(info)
    except (Error, OSError, TimeoutError) as error:
        zeroconf.close()
        raise MeshError(f"the mesh cannot be announced: {_said(error)}.", reason="discovery") from error
    return Announcement(zeroconf, info)


def browse(timeout_s: float, interfaces: Sequence[str] = (), *, enough: int = MAX_FOUND) -> list[Found]:
    """The meshes that are announced within `timeout_s`, or until `enough` were heard, by name.

    On the `interfaces` with these addresses, or all. Raises `MeshError("discovery")` where multicast does not work.
    """
    names: set[str] = set()
    heard = threading.Condition()

    def hear(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        del zeroconf, service_type
        with heard:
            if state_change is not ServiceStateChange.Removed and len(names) < MAX_FOUND:
                names.add(name)
                heard.notify_all()

    zeroconf = _open(interfaces)
    try:
        browser = ServiceBrowser(zeroconf, SERVICE, handlers=[hear])
        with heard:
            heard.wait_for(lambda: len(names) >= enough, timeout_s)
            said = sorted(names)
        browser.cancel()
        found = (_read(zeroconf.get_service_info(SERVICE, name, _RESOLVE_MS)) for name in said)
        return sorted({one for one in found if one is not None}, key=lambda one: (one.mesh, one.name))
    except (Error, OSError, TimeoutError) as error:
        raise MeshError(f"the network cannot be asked: {_said(error)}.", reason="discovery") from error
    finally:
        zeroconf.close()


def _open(interfaces: Sequence[str]) -> Zeroconf:
    try:
        for interface in interfaces:  # the library leaks a socket where one is not there
            _require_own(interface)
        return Zeroconf(interfaces=list(interfaces) or InterfaceChoice.All, use_asyncio=False)
    except (Error, OSError, ValueError) as error:
        raise MeshError(f"multicast DNS does not work here: {_said(error)}.", reason="discovery") from error


def _require_own(address: str) -> None:
    family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))


def _read(info: ServiceInfo | None) -> Found | None:
    """What an announcement says, None where it is not one of a mesh: it is a stranger's, so each part is checked."""
    if info is None or not info.port:
        return None
    said = _texts(info.properties)
    name, mesh, prefix = info.name.removesuffix(f".{SERVICE}"), said.get("mesh", ""), said.get("fp", "")
    if not is_node_name(name) or not is_mesh_name(mesh):
        return None
    if len(prefix) != PREFIX_CHARS or not set(prefix) <= _HEX:
        return None
    addresses = [ip_address(packed) for packed in info.addresses_by_version(IPVersion.All)[:_MAX_ADDRESSES]]
    return Found(mesh, name, tuple(f"https://{_bracketed(a)}:{info.port}" for a in addresses), prefix)


def _texts(properties: Mapping[bytes, bytes | None]) -> dict[str, str]:
    return {
        key.decode("ascii", "replace"): value.decode("ascii", "replace")
        for key, value in list(properties.items())[:16]
        if value is not None and len(value) <= 64
    }


def _bracketed(address: IPv4Address | IPv6Address) -> str:
    return f"[{address}]" if address.version == 6 else str(address)


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
