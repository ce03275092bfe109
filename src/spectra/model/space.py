"""The address space as networks of one size, with how many hosts of each match a query."""

from __future__ import annotations

import ipaddress
from typing import Final

import msgspec

from spectra.errors import BadRequest

MAX_BLOCKS: Final = 4096
EVERYTHING: Final = "0.0.0.0/0"

Net = ipaddress.IPv4Network | ipaddress.IPv6Network


class Block(msgspec.Struct, frozen=True):
    """A network and how many hosts in it have an endpoint that matches."""

    network: str
    hosts: int


class Space(msgspec.Struct, frozen=True):
    """`GET /v0/space`: the networks of `prefix` bits within `within` that have hosts, in order of address.

    Of more than 4,096 those are listed that have most hosts; `left_out` are the others. Where not `exact`, all numbers
    are estimates from a sample, in which networks of few hosts may be missing.
    """

    within: str
    prefix: int
    blocks: tuple[Block, ...]
    hosts: int
    left_out: int
    exact: bool


def read_within(text: str) -> Net:
    """The network of which the space is asked for; raises `BadRequest` naming `within`."""
    try:
        return ipaddress.ip_network(text.strip() or EVERYTHING, strict=False)
    except ValueError as error:
        hint = "A network looks like 10.0.0.0/8; nothing is all of IPv4."
        raise BadRequest(f'"{text[:60]}" is no network.', hint=hint, field="within") from error


def checked_prefix(within: Net, prefix: int | None) -> int:
    """The length asked for, or 8 bits more than the network's; raises `BadRequest` naming `prefix`."""
    longest = within.max_prefixlen
    chosen = min(within.prefixlen + 8, longest) if prefix is None else prefix
    if not within.prefixlen <= chosen <= longest:
        raise BadRequest(f"Within {within} a prefix is between {within.prefixlen} and {longest}.", field="prefix")
    return chosen
