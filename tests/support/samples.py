"""Small scan outputs of our own, and envelopes around them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from spectra.identity import dsse, payload
from spectra.identity.keys import SigningKey
from spectra.model.envelope import Payload

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)


def addresses() -> Iterator[str]:
    """Addresses for documentation and benchmarks that no other call gives: 198.18.0.0/15 (RFC 2544), then on."""
    for number in itertools.count(1):
        yield f"198.{18 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


_ADDRESSES = addresses()


def address() -> str:
    """An address that no other test of this session uses."""
    return next(_ADDRESSES)


def nmap_host(ip: str, *ports: int, at: datetime = T0, product: str = "nginx", name: str = "http") -> str:
    """One complete nmap host with open ports."""
    when = int(at.timestamp())
    listed = "".join(
        f'<port protocol="tcp" portid="{port}"><state state="open" reason="syn-ack" reason_ttl="64"/>'
        f'<service name="{name}" product="{product}" version="1.{port}" method="probed" conf="10"/></port>\n'
        for port in ports
    )
    return (
        f'<host starttime="{when}" endtime="{when}"><status state="up" reason="syn-ack" reason_ttl="64"/>\n'
        f'<address addr="{ip}" addrtype="ipv4"/>\n<ports>{listed}</ports>\n</host>\n'
    )


def nmap(*hosts: str, at: datetime = T0) -> bytes:
    """A whole nmap XML document around `hosts`."""
    when = int(at.timestamp())
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE nmaprun>\n'
        f'<nmaprun scanner="nmap" args="nmap -sV -oX -" start="{when}" version="7.93" xmloutputversion="1.05">\n'
        + "".join(hosts)
        + f'<runstats><finished time="{when}"/><hosts up="{len(hosts)}" down="0" total="{len(hosts)}"/></runstats>\n'
        "</nmaprun>\n"
    ).encode()


def scan_of(ip: str, *ports: int, at: datetime = T0, product: str = "nginx") -> bytes:
    """An nmap scan that found `ip` with `ports` open."""
    return nmap(nmap_host(ip, *ports, at=at, product=product), at=at)


def built(output: bytes, contributor: str, *, now: datetime | None = None, **fields: Any) -> Payload:
    """A payload around `output`, issued now."""
    fields.setdefault("tool", "nmap")
    return payload.build(output=output, contributor=contributor, now=now or datetime.now(UTC), **fields)


def sealed(key: SigningKey, contributor: str, output: bytes, **fields: Any) -> bytes:
    """A signed envelope around `output`."""
    return dsse.sign(key, payload.encode(built(output, contributor, **fields)))
