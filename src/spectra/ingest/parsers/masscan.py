"""masscan's JSON (`-oJ`, an array with separators where they fall) and JSON lines (`-oD`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from spectra.ingest.parsers.context import Context
from spectra.ingest.parsers.encoding import Utf8Stream
from spectra.ingest.parsers.software import read_banner
from spectra.ingest.parsers.text import address, port_number
from spectra.ingest.parsers.times import instant
from spectra.ingest.parsers.window import HostDraft, Window, grouped
from spectra.model.observation import Problem, Protocol, Record, ScanFacts, State

KEPT: tuple[tuple[str, str], ...] = (
    ("`ip`", "host: ip"),
    ("`timestamp`", "seen_at"),
    ("`ports[].port`, `proto`", "endpoint: port, protocol (tcp, udp, sctp; an ICMP answer only keeps the host)"),
    ("`ports[].status` open, closed", "endpoint: state"),
    ("`ports[].service.name`, `banner`", "service: name, product and version by the banner; banner: text"),
    ("`service` X509", "certificate by the SHA-256 of its DER form"),
    ("`service` title, http.server", "banner: title; service: product, version"),
    ("`rec_type`, `data` of JSON lines", "as `ports[]`"),
    ("reason, ttl", "only in the raw original"),
)

# What versions up to 1.0.4 write as their last line; it is no JSON.
LAST_LINE = b"{finished: 1}"

_PROTOCOLS: dict[str, Protocol] = {"tcp": "tcp", "udp": "udp", "sctp": "sctp"}
_STATES: dict[str, State] = {"open": "open", "closed": "closed"}


class _Service(msgspec.Struct):
    name: str = ""
    banner: str = ""


class _Port(msgspec.Struct):
    port: int | str | None = None
    proto: str = "tcp"
    status: str = "open"
    service: _Service | None = None


class _Data(msgspec.Struct):
    status: str = "open"
    service_name: str = ""
    banner: str | None = None


class _Line(msgspec.Struct):
    ip: str | None = None
    timestamp: str | float | None = None
    ports: list[_Port] | None = None
    port: int | str | None = None
    proto: str = "tcp"
    data: _Data | None = None


_decode = msgspec.json.Decoder(_Line).decode


def parse(stream: Utf8Stream, context: Context) -> Iterator[Record]:
    """Records of masscan's JSON, grouped by host: masscan writes a line for each port and for each banner."""
    yield ScanFacts(tool="masscan")

    def take(window: Window, number: int, line: _Line) -> Iterable[Record]:
        return _take(window, number, line, context)

    yield from grouped(stream, _decode, take, skip=LAST_LINE)


def _take(window: Window, number: int, line: _Line, context: Context) -> Iterable[Record]:
    ip = address(line.ip)
    if ip is None:
        yield Problem(message="no IP address", line=number, field="ip")
        return
    seen_at = instant(line.timestamp) or context.default_time
    host: HostDraft | None = None
    for told in _ports(line):
        protocol, port, state = _PROTOCOLS.get(told.proto), port_number(told.port), _STATES.get(told.status)
        if protocol and port is None:
            yield Problem(message="no port number", line=number, field="port")
        elif protocol is None or (port is not None and state is not None):
            host = host or window.host(ip, seen_at)
            if protocol and port is not None and state is not None:
                draft = host.endpoint(port, protocol, state, seen_at)
                if told.service:
                    service, banner, certificate = read_banner(told.service.name, _text(told.service.banner))
                    draft.serves(service)
                    draft.certificate = draft.certificate or certificate
                    if banner:
                        window.holds(draft.said(banner.text, banner.title))


def _ports(line: _Line) -> list[_Port]:
    if line.ports is not None:
        return line.ports
    data = line.data or _Data()
    service = _Service(data.service_name, data.banner) if data.banner is not None else None
    return [_Port(line.port, line.proto, data.status, service)]


def _text(banner: str) -> str:
    """masscan writes each byte as one character; where the bytes are UTF-8, they are read as that."""
    try:
        return banner.encode("latin-1").decode()
    except UnicodeError:
        return banner
