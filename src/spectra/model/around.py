"""What other hosts share with one: the answer of `GET /v0/hosts/{ip}/around`. Times are UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, get_args

import msgspec

Relation = Literal["certificate", "key", "mac", "name", "banner", "network", "asn"]
RELATIONS: Final[tuple[Relation, ...]] = get_args(Relation)
"""From what two machines rarely share by chance to what says little."""
REACH: Final = 500
"""Endpoints that are followed for one tie: a default certificate may be on any number of them."""


class AroundHost(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Another host: the first of its names, and of its open ports the first eight."""

    ip: str
    last_seen: datetime
    hostname: str = ""
    os: str = ""
    country: str = ""
    ports: tuple[int, ...] = ()


class Tie(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One thing that the host shares with others.

    `what` is the SHA-256 (hex) of a certificate, the id of a key or banner, a hardware address, a name, a network
    (CIDR) or a number of an autonomous system; `label` says it in words, as it was seen. `endpoints` are those of the
    host that have it, such as `443/tcp`. `total` hosts share it, at least so many where not `exact`; `hosts` are the
    first of those that were found, in order of address. `query` finds all of them by search, where that can be asked.
    """

    relation: Relation
    what: str
    label: str
    total: int
    exact: bool = True
    endpoints: tuple[str, ...] = ()
    hosts: tuple[AroundHost, ...] = ()
    query: str = ""


class Around(msgspec.Struct, frozen=True, omit_defaults=True):
    """A host and what ties it to others, the rarest tie of each kind first. Ties that lead nowhere are left out."""

    ip: str
    ties: tuple[Tie, ...] = ()
