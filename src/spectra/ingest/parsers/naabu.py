"""naabu's JSON lines: one open port each (`jsonResult` in naabu's pkg/runner/output.go and the forms before it)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from spectra.ingest.parsers.context import Context
from spectra.ingest.parsers.encoding import Utf8Stream
from spectra.ingest.parsers.text import address, clean, cpes, hostname, port_number
from spectra.ingest.parsers.times import instant
from spectra.ingest.parsers.window import Window, grouped
from spectra.model.observation import Problem, Protocol, Record, ScanFacts, Service

KEPT: tuple[tuple[str, str], ...] = (
    ("`ip`, else `host` where it is an address", "host: ip"),
    ("`host`", "host: hostname of kind user"),
    ("`timestamp`", "seen_at"),
    ("`port` (number, or object with `Port`, `Protocol`, `TLS`), `protocol`", "endpoint: port, protocol; state open"),
    ("`tls`", "service: tunnel tls"),
    (
        "`name`, `product`, `version`, `extra_info`, `os_type`, `device_type`, `tunnel`, `cpes`",
        "service, where naabu ran service detection",
    ),
    ("`mac_address`", "host: mac"),
    ("cdn, cdn-name", "only in the raw original"),
)

# Before 2.1.0 the protocol was the number of a Go constant.
_PROTOCOLS: dict[str | int | None, Protocol] = {None: "tcp", "": "tcp", "tcp": "tcp", "udp": "udp", 0: "tcp", 1: "udp"}


class _Line(msgspec.Struct):
    ip: str | None = None
    host: str | None = None
    port: int | str | dict[str, object] | None = None
    timestamp: str | float | None = None
    protocol: str | int | None = None
    tls: bool | None = None
    name: str | None = None
    product: str | None = None
    version: str | None = None
    extra_info: str | None = None
    os_type: str | None = None
    device_type: str | None = None
    tunnel: str | None = None
    cpes: list[str] | None = None
    mac_address: str | None = None


_decode = msgspec.json.Decoder(_Line).decode


def parse(stream: Utf8Stream, context: Context) -> Iterator[Record]:
    """Records of naabu's JSON lines, grouped by host."""
    yield ScanFacts(tool="naabu")

    def take(window: Window, number: int, line: _Line) -> Iterable[Record]:
        problem = _take(window, number, line, context)
        return (problem,) if problem else ()

    yield from grouped(stream, _decode, take)


def _take(window: Window, number: int, line: _Line, context: Context) -> Problem | None:
    ip = address(line.ip) or address(line.host)
    if ip is None:
        return Problem(message="no IP address", line=number, field="ip")
    port, protocol, tls = _port(line)
    if port is None:
        return Problem(message="no port number", line=number, field="port")
    if protocol is None:
        return Problem(message="neither tcp nor udp", line=number, field="protocol")
    seen_at = instant(line.timestamp) or context.default_time
    host = window.host(ip, seen_at)
    host.called(hostname(line.host), "user")
    host.mac = host.mac or clean(line.mac_address, 50).lower()
    host.endpoint(port, protocol, "open", seen_at).serves(_service(line, tls))
    return None


def _port(line: _Line) -> tuple[int | None, Protocol | None, bool]:
    told, protocol, tls = line.port, line.protocol, bool(line.tls)
    if isinstance(told, dict):
        fields = {key.lower(): value for key, value in told.items()}
        number, kind = fields.get("port"), fields.get("protocol")
        told = number if isinstance(number, int | str) else None
        protocol = kind if isinstance(kind, int | str) else protocol
        tls = tls or fields.get("tls") is True
    if isinstance(protocol, str):
        protocol = protocol.lower()
    return port_number(told), _PROTOCOLS.get(protocol), tls


def _service(line: _Line, tls: bool) -> Service | None:
    service = Service(
        name=clean(line.name, 100),
        product=clean(line.product),
        version=clean(line.version),
        extra=clean(line.extra_info),
        os=clean(line.os_type),
        device=clean(line.device_type),
        tunnel="tls" if tls or line.tunnel in ("ssl", "tls") else "",
        cpe=cpes(line.cpes or ()),
    )
    return service if service != Service() else None
