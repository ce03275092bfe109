"""How these tests read: bytes in, records out, by the public door."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import TypeVar

import zstandard

from spectra.ingest.parsers import Context, parse
from spectra.model.envelope import Privacy
from spectra.model.observation import EndpointSeen, HostSeen, NameSeen, Problem, Record, ScanFacts, Silent, Swept

DEFAULT_TIME = datetime(2020, 2, 2, tzinfo=UTC)
T = TypeVar("T", HostSeen, NameSeen, Problem, ScanFacts, Silent, Swept)


def read(data: bytes | str, privacy: Privacy = Privacy.FULL) -> list[Record]:
    """All records of `data`."""
    raw = data.encode() if isinstance(data, str) else data
    return list(parse(io.BytesIO(raw), Context(DEFAULT_TIME, privacy))[1])


def of(kind: type[T], records: list[Record]) -> list[T]:
    """The records of one kind."""
    return [record for record in records if isinstance(record, kind)]


def host(data: bytes | str) -> HostSeen:
    """The only host of `data`."""
    (found,) = of(HostSeen, read(data))
    return found


def endpoint(data: bytes | str) -> EndpointSeen:
    """The only endpoint of the only host of `data`."""
    (found,) = host(data).endpoints
    return found


def lines(*records: object) -> bytes:
    """JSON lines."""
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def nmap(*children: str, start: str = "1700000000", scanner: str = "nmap") -> str:
    """An nmap document around `children`."""
    body = "".join(children)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE nmaprun>\n'
        f'<nmaprun scanner="{scanner}" args="nmap -sV" start="{start}" version="7.93">{body}</nmaprun>\n'
    )


def nmap_host(*children: str, ip: str = "192.0.2.1", attributes: str = 'endtime="1700000100"') -> str:
    """A host that is up."""
    kind = "ipv6" if ":" in ip else "ipv4"
    address = f'<address addr="{ip}" addrtype="{kind}"/>'
    return f'<host {attributes}><status state="up"/>{address}{"".join(children)}</host>\n'


def nmap_port(*children: str, port: object = 80, protocol: str = "tcp", state: str = "open") -> str:
    """The `ports` of a host with one port."""
    inner = f'<state state="{state}"/>{"".join(children)}'
    return f'<ports><port protocol="{protocol}" portid="{port}">{inner}</port></ports>'


def unpacked(data: bytes) -> bytes:
    """What a .zst file holds."""
    return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read()
