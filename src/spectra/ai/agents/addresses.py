"""Whose an address is, as far as it says so itself."""

from __future__ import annotations

import ipaddress
from typing import Final

# Of documentation and benchmarks (RFC 5737, 2544, 3849): nobody's network.
_SAMPLES: Final = tuple(
    ipaddress.ip_network(net)
    for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15", "2001:db8::/32")
)


def is_inside(ip: str) -> bool:
    """Whether an address is of a private network, the machine itself or a link: not of the Internet, nor nobody's."""
    address = ipaddress.ip_address(ip)
    if address.is_unspecified or address.is_reserved or address.is_multicast or ip == "255.255.255.255":
        return False
    return address.is_private and not any(address in net for net in _SAMPLES if net.version == address.version)


def is_one_host(ip: str) -> bool:
    """Whether an address is of one host: no multicast, no broadcast of a common network, not unspecified."""
    address = ipaddress.ip_address(ip)
    return not (address.is_multicast or address.is_unspecified or (address.version == 4 and ip.endswith(".255")))
