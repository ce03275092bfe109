"""What a scan found, read from the JSON lines of naabu and of the built-in scanner, for a look without a server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from spectra.cli.output import Column

Line = dict[str, Any]


@dataclass(frozen=True)
class Found:
    """An open endpoint and the little that was learnt of it."""

    ip: str
    port: int
    protocol: str = "tcp"
    names: tuple[str, ...] = ()
    service: str = ""
    product: str = ""
    version: str = ""
    says: str = ""
    tls: bool = False


COLUMNS: list[Column[Found]] = [
    Column("ip", lambda f: f.ip, "address", style="cyan"),
    Column("port", lambda f: f"{f.port}/{f.protocol}", right=True),
    Column("service", lambda f: f.service + ("/tls" if f.tls else ""), style="green"),
    Column("product", lambda f: f"{f.product} {f.version}".strip(), flexible=True),
    Column("says", lambda f: f.says, flexible=True, optional=True),
    Column("names", lambda f: f.names, flexible=True, optional=True),
]


def found(data: bytes) -> Iterator[Found]:
    """The open endpoints of JSON lines; a line that is none of a host or not JSON is passed over."""
    for raw in data.splitlines():
        try:
            line: object = msgspec.json.decode(raw)
        except msgspec.DecodeError:  # the last line of a tool that was stopped
            continue
        if isinstance(line, dict) and "ip" in line:
            yield from _of_host(cast("Line", line))


def _of_host(line: Line) -> Iterator[Found]:
    ip = str(line["ip"])
    if isinstance(line.get("port"), int):  # naabu: a line per port
        name = line.get("host")
        names = (str(name),) if name and name != ip else ()
        yield Found(ip, line["port"], str(line.get("protocol") or "tcp"), names, tls=bool(line.get("tls")))
        return
    names = tuple(str(_dict(name).get("name", "")) for name in line.get("hostnames") or ())
    for port in line.get("ports") or ():
        yield _of_port(ip, names, _dict(port))


def _of_port(ip: str, names: tuple[str, ...], port: Line) -> Found:
    service = _dict(port.get("service"))
    return Found(
        ip,
        int(port.get("port") or 0),
        str(port.get("protocol") or "tcp"),
        names,
        service=str(service.get("name") or ""),
        product=str(service.get("product") or ""),
        version=str(service.get("version") or ""),
        says=str(port.get("title") or port.get("banner") or ""),
        tls=bool(port.get("tls")),
    )


def _dict(value: object) -> Line:
    return cast("Line", value) if isinstance(value, dict) else {}
