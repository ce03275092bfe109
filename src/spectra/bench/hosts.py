"""Made-up hosts for measuring: the same ones for the same number, in nmap's own XML.

Three services a host, drawn from a few thousand distinct ones, as on a real network where a million endpoints share
few products and versions.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from spectra.bench.networks import BASE
from spectra.model.observation import EndpointSeen, HostSeen, Service

EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)

_PRODUCTS: Final = (
    ("http", "nginx", "f5:nginx", (80, 8080, 8000)),
    ("http", "Apache httpd", "apache:http_server", (80, 81, 8081)),
    ("https", "nginx", "f5:nginx", (443, 8443)),
    ("ssh", "OpenSSH", "openbsd:openssh", (22, 2222)),
    ("ftp", "vsftpd", "vsftpd_project:vsftpd", (21,)),
    ("smtp", "Postfix smtpd", "postfix:postfix", (25, 587)),
    ("mysql", "MySQL", "oracle:mysql", (3306,)),
    ("postgresql", "PostgreSQL DB", "postgresql:postgresql", (5432,)),
    ("redis", "Redis key-value store", "redis:redis", (6379,)),
    ("domain", "ISC BIND", "isc:bind", (53,)),
)
_VERSIONS_EACH: Final = 300


class _Port(NamedTuple):
    port: int
    service: Service


def _ports(number: int) -> list[_Port]:
    """The three services of host `number`."""
    rng = random.Random(number)  # noqa: S311 - repeatable, not secret
    taken: dict[int, Service] = {}
    while len(taken) < 3:
        name, product, cpe, ports = rng.choice(_PRODUCTS)
        # Squared, so that few versions are common and many are rare.
        n = int(_VERSIONS_EACH * rng.random() ** 2)
        version = f"{n // 100}.{n // 10 % 10}.{n % 10}"
        taken[rng.choice(ports)] = Service(name, product, version, cpe=(f"cpe:/a:{cpe}:{version}",))
    return [_Port(port, taken[port]) for port in sorted(taken)]


def address(number: int) -> str:
    """The address of host `number`."""
    return str(ipaddress.IPv4Address(BASE + number))


def seen_at(number: int) -> datetime:
    """When host `number` was seen: the hosts of a scan follow each other."""
    return EPOCH + timedelta(seconds=number // 20)


def records(first: int, count: int) -> Iterator[HostSeen]:
    """What the parser makes of `nmap_xml(first, count)`; the baseline's input."""
    for number in range(first, first + count):
        endpoints = tuple(EndpointSeen(p.port, "tcp", "open", p.service) for p in _ports(number))
        yield HostSeen(address(number), seen_at(number), endpoints)


def nmap_xml(first: int, count: int) -> bytes:
    """An nmap XML document of hosts `first` to `first + count - 1`."""
    start, end = int(seen_at(first).timestamp()), int(seen_at(first + count).timestamp())
    head = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE nmaprun>\n'
        f'<nmaprun scanner="nmap" args="nmap -sV -oX - 10.0.0.0/8" start="{start}" version="7.93" '
        'xmloutputversion="1.05">\n'
    )
    tail = f'<runstats><finished time="{end}"/><hosts up="{count}" down="0" total="{count}"/></runstats>\n</nmaprun>\n'
    return (head + "".join(_host_xml(n) for n in range(first, first + count)) + tail).encode()


def _host_xml(number: int) -> str:
    at = int(seen_at(number).timestamp())
    ports = "".join(
        f'<port protocol="tcp" portid="{p.port}"><state state="open" reason="syn-ack" reason_ttl="64"/>'
        f'<service name="{p.service.name}" product="{p.service.product}" version="{p.service.version}" '
        f'method="probed" conf="10"><cpe>{p.service.cpe[0]}</cpe></service></port>\n'
        for p in _ports(number)
    )
    return (
        f'<host starttime="{at}" endtime="{at}"><status state="up" reason="syn-ack" reason_ttl="64"/>\n'
        f'<address addr="{address(number)}" addrtype="ipv4"/>\n<hostnames>\n</hostnames>\n<ports>{ports}</ports>\n'
        '<times srtt="300" rttvar="100" to="100000"/>\n</host>\n'
    )
