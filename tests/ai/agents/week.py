"""One LAN, scanned every quarter of an hour for a week in 2016 by nmap: the looks of the history detectors.

The files are read by patterns rather than by the parser of `ingest`: 73 MB of it are read once for each test process.
"""

from __future__ import annotations

import re
import tarfile
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final

import zstandard

from spectra.ai.agents.history import Look, Scan

_START: Final = re.compile(rb"<host[ >]")
_PORT: Final = re.compile(rb'<port protocol="tcp" portid="(\d+)"><state state="open"')
_SERVICES: Final = re.compile(rb'<scaninfo [^>]*services="([^"]+)"')
TCP: Final = 6 << 16


@cache
def looks(shared: Path) -> tuple[Look, ...]:
    """Every look of the week, by time."""
    raw = (shared / "scans" / "nmap_timeseries" / "phage_2016-04.tar.zst").read_bytes()
    plain = zstandard.ZstdDecompressor().decompressobj().decompress(raw)
    found: list[Look] = []
    import io

    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is not None and member.name.endswith(".xml"):
                found += _scan(member.name, file.read())
    return tuple(sorted(found, key=lambda look: (look.at, look.ip)))


def _scan(name: str, xml: bytes) -> list[Look]:
    start = re.search(rb'<nmaprun [^>]*start="(\d+)"', xml)
    services = _SERVICES.search(xml)
    if start is None or services is None:
        return []
    at = datetime.fromtimestamp(int(start[1]), UTC)
    scan = Scan(name, tuple(_range(part) for part in services[1].decode().split(",")))
    found: list[Look] = []
    for part in _START.split(xml)[1:]:
        address = re.search(rb'<address addr="([\d.]+)" addrtype="ipv4"', part)
        if address is None:
            continue
        up = b'<status state="up"' in part[:120]
        mac = re.search(rb'<address addr="([0-9A-F:]{17})" addrtype="mac"', part) if up else None
        ports = frozenset(TCP | int(port) for port in _PORT.findall(part)) if up else frozenset[int]()
        found.append(Look(address[1].decode(), at, scan, up, ports, mac[1].decode() if mac else ""))
    return found


def _range(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    return TCP | int(first), TCP | int(last or first)
