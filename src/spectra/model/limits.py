"""Who may not use the API, what is never scanned, and the acts of those who decide that."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from spectra.errors import BadRequest

MAX_ASN = 2**32 - 1

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# `(?![\s\S])` is the end of the text to Python and to the readers of the OpenAPI document alike: `$` lets a line feed
# through here, and `\Z` is a letter there.
Line = Annotated[str, Meta(max_length=1000, pattern=r"^[^\x00-\x1f\x7f-\x9f]*(?![\s\S])")]
"""Text on one line: what is written by one is read by another, on a terminal too."""
Written = Annotated[str, Meta(max_length=1000, pattern=r"^[^\x00-\x20\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*(?![\s\S])")]
"""A line that says something."""
Contact = Annotated[
    str, Meta(min_length=3, max_length=200, pattern=r"^[^\x00-\x20\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*(?![\s\S])")
]
NetworkText = Annotated[str, Meta(min_length=2, max_length=64)]


class BlockRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A network (`network`) or autonomous system (`asn`) that may not use the API until `until`, or for good.

    With `targets` it is not scanned either.
    """

    block_id: str
    reason: str
    added: datetime
    added_by: str
    network: str = ""
    asn: int = 0
    targets: bool = False
    until: datetime | None = None


class DoNotScanEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A network that nobody of this mesh scans; `request_id` names the request whose approval it is."""

    entry_id: str
    network: str
    added: datetime
    added_by: str
    reason: str = ""
    request_id: str = ""


class DoNotScanRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """What somebody asked for who does not want to be scanned; `source` is the network that the request came from."""

    request_id: str
    network: str
    contact: str
    reason: str
    source: str
    received: datetime
    status: Literal["pending", "approved", "rejected"] = "pending"
    decided: datetime | None = None
    decided_by: str = ""
    note: str = ""


class DoNotScanList(msgspec.Struct, frozen=True):
    """Networks that are never scanned, as of `as_of`."""

    as_of: datetime
    networks: tuple[str, ...]


class Act(msgspec.Struct, frozen=True):
    """A privileged act as an entry of the provenance chain: `seq` and `hash` (hex) say where it stands."""

    seq: int
    at: datetime
    kind: str
    subject: str
    hash: str
    detail: dict[str, Any]


class Nets:
    """A set of networks in which an address is found by one look-up a prefix length, however many there are."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._held: dict[tuple[int, int], set[int]] = {}
        for text in networks:
            network = ipaddress.ip_network(text)
            shift = network.max_prefixlen - network.prefixlen
            self._held.setdefault((network.version, shift), set()).add(int(network.network_address) >> shift)

    def __contains__(self, address: Address) -> bool:
        number = int(address)
        return any(v == address.version and number >> shift in held for (v, shift), held in self._held.items())

    def __bool__(self) -> bool:
        """Whether there is any network."""
        return bool(self._held)


def network_of(text: str, *, field: str = "network") -> Network:
    """An address or network in CIDR notation; `BadRequest` naming `field` for anything else, host bits included."""
    try:
        if "%" in text:
            raise ValueError("a zone is of one machine alone")  # noqa: TRY301 - as the library would
        return ipaddress.ip_network(text.strip())
    except ValueError as error:
        hint = "Write it as 192.0.2.0/24 or 2001:db8::/32."
        try:
            meant = ipaddress.ip_network(text.strip(), strict=False)
        except ValueError:
            pass
        else:
            hint = f"{meant} is the network of that address."
        raise BadRequest(f"{text[:80]!r} is not a network.", field=field, hint=hint) from error


def asn_of(text: str) -> int | None:
    """The number of `AS64500` or `64500`; None for anything else, such as a network."""
    word = text.strip().upper().removeprefix("AS")
    number = int(word) if word.isascii() and word.isdecimal() and len(word) <= 10 else 0
    return number if 0 < number <= MAX_ASN else None


def source_network(address: Address) -> Network:
    """The network that counts as one source: /24 of IPv4, /64 of IPv6."""
    return ipaddress.ip_network((address, 24 if address.version == 4 else 64), strict=False)


def plain(address: Address) -> Address:
    """`::ffff:192.0.2.7` is 192.0.2.7, and `fe80::1%eth0` is fe80::1."""
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or ipaddress.IPv6Address(int(address))
    return address


def merged(networks: Iterable[str]) -> Iterator[str]:
    """`networks` without those inside others, neighbours joined, IPv4 before IPv6."""
    found = [ipaddress.ip_network(text) for text in networks]
    fours = ipaddress.collapse_addresses(one for one in found if isinstance(one, ipaddress.IPv4Network))
    sixes = ipaddress.collapse_addresses(one for one in found if isinstance(one, ipaddress.IPv6Network))
    yield from (str(one) for one in fours)
    yield from (str(one) for one in sixes)
