"""JSON lines of the built-in scanner (`spectra scan --scanner connect`): a header, the hosts, a last line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from spectra.ingest.parsers import certificate
from spectra.ingest.parsers.context import Context
from spectra.ingest.parsers.encoding import Utf8Stream
from spectra.ingest.parsers.text import address, clean, cpes, hostname, port_number
from spectra.ingest.parsers.times import instant
from spectra.ingest.parsers.window import HostDraft, Window, grouped, merged_service
from spectra.model.observation import HostSeen, Problem, Protocol, Record, ScanFacts, Service, Silent, State, Swept

TOOL = "spectra-connect"

KEPT: tuple[tuple[str, str], ...] = (
    ("first line: `tool`, `version`, `started`, `targets`", "scan: tool, tool_version, started, arguments"),
    ("first line: `ports`", "the ports that were swept"),
    ("`ip`, `time`", "host: ip, seen_at"),
    ("`silent`", "the address as silent"),
    ("`hostnames[].name`, `kind`", "host: hostnames"),
    ("`rest`", "host: the state of all swept ports not listed"),
    ("`ports[].port`, `protocol`, `state`", "endpoint: port, protocol, state"),
    ("`ports[].service` name, product, version, extra, cpe", "service"),
    ("`ports[].banner`, `title`", "banner: text (2 KB), title"),
    ("`ports[].tls.certificate`", "certificate by the SHA-256 of its DER form; service: tunnel tls"),
    ("last line: `finished`", "scan: finished"),
    ("tls version", "only in the raw original"),
)


class _Name(msgspec.Struct):
    name: str
    kind: Literal["user", "ptr", "dns", "tls"] = "dns"


class _Service(msgspec.Struct):
    name: str = ""
    product: str = ""
    version: str = ""
    extra: str = ""
    cpe: list[str] = []


class _Tls(msgspec.Struct):
    certificate: str | None = None


class _Port(msgspec.Struct):
    port: int
    protocol: Protocol = "tcp"
    state: State = "open"
    service: _Service | None = None
    banner: str | None = None
    title: str | None = None
    tls: _Tls | None = None


class _Line(msgspec.Struct):
    tool: str | None = None
    version: str | None = None
    started: str | None = None
    targets: list[str] = []
    ports: dict[Protocol, list[tuple[int, int]]] | list[_Port] | None = None
    ip: str | None = None
    time: str | None = None
    hostnames: list[_Name] = []
    rest: Literal["closed", "filtered"] | None = None
    silent: bool = False
    finished: str | None = None


_decode = msgspec.json.Decoder(_Line).decode


def parse(stream: Utf8Stream, context: Context) -> Iterator[Record]:
    """Records of the built-in scanner's output; it writes each host once, so none is held back."""

    def take(_: Window, number: int, line: _Line) -> Iterable[Record]:
        return _take(number, line, context)

    yield from grouped(stream, _decode, take)


def _take(number: int, line: _Line, context: Context) -> Iterable[Record]:
    if line.tool is not None:
        yield from _header(line)
    elif line.finished is not None:
        yield ScanFacts(finished=instant(line.finished))
    elif (ip := address(line.ip)) is None:
        yield Problem(message="no IP address", line=number, field="ip")
    elif line.silent:
        yield Silent(ip, instant(line.time) or context.default_time)
    else:
        yield from _host(number, ip, line, context)


def _header(line: _Line) -> Iterable[Record]:
    yield ScanFacts(
        tool=clean(line.tool),
        tool_version=clean(line.version),
        arguments=clean(" ".join(line.targets[:1000]), 4096),
        started=instant(line.started),
    )
    if isinstance(line.ports, dict):
        for protocol, pairs in line.ports.items():
            ranges = tuple((low, high) for low, high in pairs[:65536] if 0 <= low <= high <= 65535)
            if ranges:
                yield Swept(protocol, ranges)


def _host(number: int, ip: str, line: _Line, context: Context) -> Iterable[Record]:
    seen_at = instant(line.time) or context.default_time
    host = HostDraft(seen_at)
    for known in line.hostnames:
        host.called(hostname(known.name), known.kind)
    for told in line.ports if isinstance(line.ports, list) else ():
        if port_number(told.port) is None:
            yield Problem(message="not a port number", line=number, field="ports.port")
            continue
        draft = host.endpoint(told.port, told.protocol, told.state, seen_at)
        draft.serves(_service(told))
        draft.said(told.banner or "", told.title or "")
        if told.tls and told.tls.certificate:
            draft.certificate = certificate.from_base64(told.tls.certificate)
    seen = host.freeze(ip)
    yield HostSeen(ip, seen_at, seen.endpoints, seen.hostnames, line.rest)


def _service(told: _Port) -> Service | None:
    tunnel = Service(tunnel="tls") if told.tls else None
    if told.service is None:
        return tunnel
    named = Service(
        name=clean(told.service.name, 100),
        product=clean(told.service.product),
        version=clean(told.service.version),
        extra=clean(told.service.extra),
        cpe=cpes(told.service.cpe),
    )
    return merged_service(named, tunnel)
