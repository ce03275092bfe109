"""What a scan on this machine found, for a look without a server: naabu's and the built-in scanner's JSON lines, and
nmap's XML. Only what a table shows is read; keeping output is the work of `ingest`, on the server.
"""

from __future__ import annotations

import io
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
    """The open endpoints of a scanner's output; what is cut off at its end or not of a host is passed over."""
    if data.lstrip().startswith(b"<"):
        yield from _of_nmap(data)
        return
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


def _of_nmap(data: bytes) -> Iterator[Found]:
    """nmap's XML (https://svn.nmap.org/nmap/docs/nmap.dtd), entities and network off, one host in memory at a time."""
    from lxml import etree

    reader = etree.iterparse(
        io.BytesIO(data), tag="host", resolve_entities=False, load_dtd=False, no_network=True, recover=True
    )
    try:
        for _, host in reader:
            ip = next((a.get("addr", "") for a in host.iter("address") if a.get("addrtype") != "mac"), "")
            names = tuple(name.get("name", "") for name in host.iter("hostname"))
            for port in host.iter("port"):
                state, service = port.find("state"), port.find("service")
                if state is not None and state.get("state") == "open":
                    yield _of_element(ip, names, dict(port.attrib), dict(service.attrib) if service is not None else {})
            host.clear()
    except etree.XMLSyntaxError:  # nothing of the file is XML
        return


def _of_element(ip: str, names: tuple[str, ...], port: Line, service: Line) -> Found:
    return Found(
        ip,
        int(port.get("portid") or 0),
        str(port.get("protocol") or "tcp"),
        names,
        service=str(service.get("name") or ""),
        product=str(service.get("product") or ""),
        version=str(service.get("version") or ""),
        says=str(service.get("extrainfo") or ""),
        tls=service.get("tunnel") == "ssl",
    )
