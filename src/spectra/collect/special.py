"""IANA's special-purpose address registries (RFC 6890, as amended), and multicast: space with a meaning of its own.

Every entry is kept, globally reachable or not: whoever means to scan one of them can say so.
https://www.iana.org/assignments/iana-ipv4-special-registry and .../iana-ipv6-special-registry
"""

from __future__ import annotations

from ipaddress import ip_network

from spectra.collect.netset import NetSet

SPECIAL_USE: tuple[tuple[str, str], ...] = (
    ("0.0.0.0/8", "this network, RFC 791"),
    ("10.0.0.0/8", "private use, RFC 1918"),
    ("100.64.0.0/10", "carrier-grade NAT, RFC 6598"),
    ("127.0.0.0/8", "loopback, RFC 1122"),
    ("169.254.0.0/16", "link local, RFC 3927"),
    ("172.16.0.0/12", "private use, RFC 1918"),
    ("192.0.0.0/24", "IETF protocol assignments, RFC 6890"),
    ("192.0.2.0/24", "documentation, RFC 5737"),
    ("192.31.196.0/24", "AS112, RFC 7535"),
    ("192.52.193.0/24", "automatic multicast tunnelling, RFC 7450"),
    ("192.88.99.0/24", "6to4 relay anycast, RFC 7526"),
    ("192.168.0.0/16", "private use, RFC 1918"),
    ("192.175.48.0/24", "AS112, RFC 7534"),
    ("198.18.0.0/15", "benchmarking, RFC 2544"),
    ("198.51.100.0/24", "documentation, RFC 5737"),
    ("203.0.113.0/24", "documentation, RFC 5737"),
    ("224.0.0.0/4", "multicast, RFC 1112"),
    ("255.255.255.255/32", "limited broadcast, RFC 919"),
    ("240.0.0.0/4", "reserved, RFC 1112"),
    ("::/128", "unspecified, RFC 4291"),
    ("::1/128", "loopback, RFC 4291"),
    ("64:ff9b::/96", "IPv4/IPv6 translation, RFC 6052"),
    ("64:ff9b:1::/48", "IPv4/IPv6 translation, RFC 8215"),
    ("100::/64", "discard only, RFC 6666"),
    ("100:0:0:1::/64", "dummy prefix, RFC 9780"),
    ("2001::/32", "Teredo, RFC 4380"),
    ("2001::/23", "IETF protocol assignments, RFC 2928"),
    ("2001:db8::/32", "documentation, RFC 3849"),
    ("2002::/16", "6to4, RFC 3056"),
    ("2620:4f:8000::/48", "AS112, RFC 7534"),
    ("3fff::/20", "documentation, RFC 9637"),
    ("5f00::/16", "segment routing, RFC 9602"),
    ("fc00::/7", "unique local, RFC 4193"),
    ("fe80::/10", "link local, RFC 4291"),
    ("fec0::/10", "site local, deprecated by RFC 3879"),
    ("ff00::/8", "multicast, RFC 4291"),
)
"""(network, meaning). ::ffff:0:0/96 is absent: an IPv4-mapped address is judged as the IPv4 address it stands for."""

SPECIAL_SET = NetSet.of(ip_network(network) for network, _ in SPECIAL_USE)


def meaning(part: NetSet) -> str:
    """What the registry says of the first entry that `part` touches, such as `10.0.0.0/8 (private use, RFC 1918)`."""
    for network, text in SPECIAL_USE:
        if NetSet.of([ip_network(network)]) & part:
            return f"{network} ({text})"
    return ""
