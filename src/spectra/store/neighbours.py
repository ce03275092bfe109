"""Hosts beside a host in the graph: those that share a certificate, a name or a network with it."""

from __future__ import annotations

import ipaddress
from typing import Final, Literal, LiteralString, NamedTuple

from spectra.store.database import Connection, Database

MAX_PORTS: Final = 8
"""Open ports that are told of one neighbour."""
_SHARED: Final = 4  # certificates and names of the host that are followed
_REACH: Final = 200  # endpoints of a certificate that are looked at: a default one may have any number

Why = Literal["certificate", "name", "network"]

_CERTIFICATES: Final[LiteralString] = """
SELECT DISTINCT host(o.ip), encode(c.sha256, 'hex') FROM (
  SELECT DISTINCT certificate FROM endpoint WHERE ip = %(ip)s::inet AND state = 'o' AND certificate IS NOT NULL
  ORDER BY certificate LIMIT %(shared)s) m
JOIN certificate c ON c.id = m.certificate CROSS JOIN LATERAL (
  SELECT e.ip FROM endpoint e WHERE e.certificate = m.certificate AND e.state = 'o' LIMIT %(reach)s) o
WHERE o.ip <> %(ip)s::inet"""
_NAMES: Final[LiteralString] = """
SELECT DISTINCT host(o.ip), m.name FROM (
  SELECT DISTINCT name FROM hostname WHERE ip = %(ip)s::inet ORDER BY name LIMIT %(shared)s) m
CROSS JOIN LATERAL (SELECT n.ip FROM hostname n WHERE reverse(n.name) = reverse(m.name) LIMIT %(reach)s) o
WHERE o.ip <> %(ip)s::inet"""
# By the key's index: the addresses of the network are a range of it.
_NETWORK: Final[LiteralString] = """
SELECT host(ip), %(net)s FROM host
WHERE ip BETWEEN %(first)s::inet AND %(last)s::inet AND ip <> %(ip)s::inet ORDER BY ip LIMIT %(most)s"""
_OPEN: Final[LiteralString] = """
SELECT host(i.ip), ARRAY(
  SELECT DISTINCT e.port FROM endpoint e WHERE e.ip = i.ip AND e.state = 'o' ORDER BY e.port LIMIT %(ports)s)
FROM unnest(%(ips)s::inet[]) AS i (ip)"""


class Neighbour(NamedTuple):
    """Another host and what it shares: the SHA-256 (hex) of a certificate, a name or a network. Of its open ports the
    first `MAX_PORTS`.
    """

    ip: str
    why: Why
    what: str
    ports: tuple[int, ...] = ()


def neighbours(database: Database, ip: str, *, most: int = 12) -> tuple[Neighbour, ...]:
    """At most `most` hosts of each kind, in order of address; one that shares several things is told of once.

    The network is the /24 of an IPv4 address, the /64 of an IPv6 one.
    """
    address = ipaddress.ip_address(ip)
    net = ipaddress.ip_network((address, 24 if address.version == 4 else 64), strict=False)
    asked = {"ip": ip, "shared": _SHARED, "reach": _REACH, "most": most}
    asked |= {"net": str(net), "first": str(net[0]), "last": str(net[-1])}
    found: dict[str, Neighbour] = {}
    with database.connection() as connection:
        for why, statement in _WAYS:
            rows = connection.execute(statement, asked).fetchall()
            for other, what in sorted(rows, key=lambda row: (ipaddress.ip_address(row[0]).packed, row[1]))[:most]:
                found.setdefault(other, Neighbour(other, why, what))
        ports = _open(connection, list(found))
    return tuple(one._replace(ports=ports.get(one.ip, ())) for one in found.values())


_WAYS: Final[tuple[tuple[Why, LiteralString], ...]] = (
    ("certificate", _CERTIFICATES),
    ("name", _NAMES),
    ("network", _NETWORK),
)


def _open(connection: Connection, ips: list[str]) -> dict[str, tuple[int, ...]]:
    rows = connection.execute(_OPEN, {"ips": ips, "ports": MAX_PORTS}) if ips else ()
    return {ip: tuple(ports) for ip, ports in rows}
