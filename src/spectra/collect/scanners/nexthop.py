"""Where packets leave this machine: for a scanner that writes Ethernet frames itself and asks no kernel.

Such a tool has to be told the interface, its own address, and the hardware address of the next hop; those are read
from the kernel's routes and neighbours by iproute2. The kernel is made to look for a neighbour it does not know yet by
a datagram to one of the targets.
"""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address, ip_network
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from spectra.collect.netset import EMPTY, IPAddress, IPNetwork, NetSet, short
from spectra.collect.scanners.base import ScanFailed
from spectra.collect.scanners.process import find
from spectra.errors import BadRequest

INSTALL: Final = "Install it (Debian, Ubuntu: apt install iproute2)."
MAX_LOCAL: Final = 1024  # addresses on the same link: each is a neighbour of its own
MAX_ASKED: Final = 16_384  # networks and addresses whose routes are looked up
ANSWER_S: Final = 2.0  # until a neighbour answers: the kernel asks three times within 3 s, and answers take far less

_OTHER: Final = "Use another scanner for these targets: nmap, naabu or connect."
_DISCARD: Final = 9  # RFC 863
_KNOWN: Final = frozenset({"REACHABLE", "STALE", "DELAY", "PROBE", "PERMANENT"})


class NextHop(NamedTuple):
    """Targets behind one next hop: interface, the address to send from, hardware address of the hop."""

    targets: NetSet
    interface: str
    source: str
    mac: str


class _Route(msgspec.Struct):
    """A line of `ip -j route get`."""

    dev: str = ""
    type: str = "unicast"
    gateway: str = ""
    prefsrc: str = ""


class _Neighbour(msgspec.Struct):
    dst: str = ""
    lladdr: Annotated[str, Meta(max_length=100)] = ""
    state: list[str] = []


class _Link(msgspec.Struct):
    link_type: str = ""


class _Leaves(NamedTuple):
    interface: str
    source: str
    gateway: str  # empty: on the link itself


def next_hops(targets: NetSet, interface: str = "") -> tuple[list[NextHop], NetSet]:
    """How to reach `targets`, of one family: one part for each next hop, and the addresses that no frame can reach: no
    hop answers for them, they are a broadcast address, or this machine's own.

    Raises `BadRequest` for what is not reached by Ethernet frames (loopback, tunnels), and for more than `MAX_LOCAL`
    addresses on the link; `ScanFailed` where there is no route; `NotInstalled` without iproute2.
    """
    found: dict[tuple[str, str, str], NetSet] = {}
    leaving, missing = _leaving(targets, interface)
    for leaves, part in leaving.items():
        if not _ethernet(leaves.interface):
            raise BadRequest(f"{leaves.interface} does not carry Ethernet frames.", field="scanner", hint=_OTHER)
        single = {str(ip): NetSet.ranges([(ip, ip)]) for ip in part} if not leaves.gateway else {}
        behind = {leaves.gateway: part} if leaves.gateway else single
        macs = _neighbours(leaves.interface, {hop: next(iter(one)) for hop, one in behind.items()})
        for hop, one in behind.items():
            if hop in macs:
                key = (leaves.interface, leaves.source, macs[hop])
                found[key] = found.get(key, EMPTY) | one
            else:
                missing = missing | one
    return [NextHop(part, *key) for key, part in found.items()], missing


def _leaving(targets: NetSet, interface: str) -> tuple[dict[_Leaves, NetSet], NetSet]:
    """By which way each part leaves, and what no frame is sent to: broadcast addresses, and this machine's own."""
    parts = list(_parts(targets))
    if len(parts) > MAX_ASKED:
        raise BadRequest(f"more than {MAX_ASKED} separate networks and addresses.", field="targets", hint=_OTHER)
    routes = _routes([address for part in parts for address in (part[0], part[-1])], interface)
    found: dict[_Leaves, list[NetSet]] = {}
    shut: list[NetSet] = []
    for part, first, last in zip(parts, routes[::2], routes[1::2], strict=True):
        one = NetSet.ranges([(part[0], part[-1])])
        if not first.gateway and part.num_addresses > MAX_LOCAL:
            message = f"{part} is on the link of {first.dev}: more than {MAX_LOCAL} addresses."
            raise BadRequest(message, field="targets", hint=_OTHER)
        if (first.type, _of(first)) != (last.type, _of(last)):
            raise BadRequest(f"{part} is reached by more than one way.", field="targets", hint=_OTHER)
        if first.type == "unicast":
            found.setdefault(_of(first), []).append(one)
        else:
            shut.append(one)
    if not found:
        raise BadRequest(f"{short(targets)}: no frame is sent to loopback.", field="targets", hint=_OTHER)
    return {leaves: NetSet.union(each) for leaves, each in found.items()}, NetSet.union(shut)


def _parts(targets: NetSet) -> Iterator[IPNetwork]:
    """Single addresses of what may be a link's own network, and the others as networks."""
    for network in targets.networks():
        if network.num_addresses > MAX_LOCAL:
            yield network
        else:
            yield from (ip_network(address) for address in network)


def _of(route: _Route) -> _Leaves:
    return _Leaves(route.dev, route.prefsrc, route.gateway)


def _routes(addresses: list[IPAddress], interface: str) -> list[_Route]:
    by = f" oif {interface}" if interface else ""
    told = _ip(["-j", "-batch", "-"], "".join(f"route get {address}{by}\n" for address in addresses))
    if told.returncode:
        raise ScanFailed(f"there is no route to some of the targets: {told.stderr[:300].strip()}")
    try:
        routes = [msgspec.json.decode(line, type=list[_Route])[0] for line in told.stdout.splitlines() if line.strip()]
    except (msgspec.DecodeError, IndexError) as error:
        raise ScanFailed(f"iproute2 does not say how targets are reached: {error}") from error
    if len(routes) != len(addresses):
        raise ScanFailed("iproute2 does not say how every target is reached")
    return routes


def _ethernet(interface: str) -> bool:
    told = _ip(["-j", "link", "show", "dev", interface])
    try:
        return any(link.link_type == "ether" for link in msgspec.json.decode(told.stdout, type=list[_Link]))
    except msgspec.DecodeError:
        return False


def _neighbours(interface: str, wanted: dict[str, IPAddress]) -> dict[str, str]:
    """Hardware addresses of `wanted` hops, each with a target behind it by which the kernel is made to look for it."""
    until, waiting = time.monotonic() + ANSWER_S, threading.Event()
    known = _known(interface)
    for hop, target in wanted.items():
        if hop not in known:
            _knock(target, interface)
    while any(hop not in known for hop in wanted) and time.monotonic() < until:
        waiting.wait(0.05)
        known = _known(interface)
    return {hop: known[hop] for hop in wanted if hop in known}


def _known(interface: str) -> dict[str, str]:
    told = _ip(["-j", "neigh", "show", "dev", interface])
    try:
        neighbours = msgspec.json.decode(told.stdout, type=list[_Neighbour])
    except msgspec.DecodeError:
        return {}
    return {str(ip_address(n.dst)): n.lladdr for n in neighbours if n.lladdr and _KNOWN & set(n.state)}


def _knock(target: IPAddress, interface: str) -> None:
    family = socket.AF_INET if target.version == 4 else socket.AF_INET6
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        sock.sendto(b"", (str(target), _DISCARD))


def _ip(arguments: list[str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            [find("ip", INSTALL), *arguments], input=stdin, capture_output=True, text=True, timeout=30, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ScanFailed("iproute2 does not answer") from error
