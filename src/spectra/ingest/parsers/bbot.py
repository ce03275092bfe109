"""BBOT's events (NDJSON of 1.x and 2.x): https://www.blacklanternsecurity.com/bbot/Stable/scanning/events/."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

import msgspec

from spectra.ingest.parsers.context import Context
from spectra.ingest.parsers.encoding import Utf8Stream
from spectra.ingest.parsers.location import Location, locate
from spectra.ingest.parsers.software import completed, http_service
from spectra.ingest.parsers.text import address, block, clean, cpes, port_number
from spectra.ingest.parsers.times import instant
from spectra.ingest.parsers.window import EndpointDraft, Remarks, Window, grouped
from spectra.model.observation import Evidence, Problem, Protocol, Record, ScanFacts, Service

KEPT: tuple[tuple[str, str], ...] = (
    ("SCAN: `started_at`, `finished_at`, targets", "scan: started, finished, arguments"),
    ("`host`, `resolved_hosts` of any event below", "host: ip (each resolved address, up to 16), hostname of kind dns"),
    ("`host` without a resolved address", "the name alone, with its evidence"),
    ("`timestamp`", "seen_at"),
    ("DNS_NAME, DNS_NAME_UNRESOLVED, IP_ADDRESS", "hosts, hostnames and names"),
    ("OPEN_TCP_PORT, OPEN_UDP_PORT", "endpoint: port, protocol; state open, on each resolved address"),
    ("PROTOCOL: `protocol`, `banner`", "service: name, tunnel, product and version by the banner; banner: text"),
    ("URL", "endpoint; service: http, tunnel; evidence `bbot:URL`"),
    ("HTTP_RESPONSE: `webserver`, `title`, `raw_header`", "service: product, version; banner: title, text"),
    ("TECHNOLOGY", "service: cpe where it is a CPE and the port is known; else evidence `bbot:TECHNOLOGY`"),
    ("FINDING, VULNERABILITY", "evidence with severity, of the endpoint, else the host or name"),
    ("all other events", "only in the raw original"),
)

MAX_RESOLVED = 16
_KEY_CHARS = 500
_LARGEST = 2**63


class _Event(msgspec.Struct):
    type: str
    data: str | dict[str, object] | list[object] | float | bool | None = None
    data_json: dict[str, object] | None = None
    host: str | None = None
    netloc: str | None = None
    port: int | str | None = None
    resolved_hosts: list[str] | None = None
    timestamp: str | float | None = None

    def fields(self) -> dict[str, object]:
        """The event's own fields: `data_json` since 2.1, an object in `data` before."""
        return self.data_json or (self.data if isinstance(self.data, dict) else {})

    def word(self, name: str) -> str:
        """One of its own fields as text."""
        value = self.fields().get(name)
        if isinstance(value, bool) or (isinstance(value, int) and not -_LARGEST < value < _LARGEST):
            return ""  # Python refuses to write an integer of thousands of digits
        return value if isinstance(value, str) else str(value) if isinstance(value, int | float) else ""

    def location(self) -> Location:
        """Where the event happened; 1.x tells it only in the data."""
        texts = (self.data if isinstance(self.data, str) else "", self.word("url"), self.word("host"), self.netloc)
        found = [locate(text) for text in (self.host, *texts) if text]
        places = [place for place in found if place.ip or place.name]
        ports = [place.port for place in places if place.port is not None]
        if not places:
            return Location(None, None, None, "", "")
        told = port_number(self.port) if self.port is not None else port_number(self.word("port"))
        scheme = next((place.scheme for place in places if place.scheme), "")
        path = next((place.path for place in places if place.scheme), "")
        return Location(
            places[0].ip, places[0].name, told if told is not None else next(iter(ports), None), scheme, path
        )


_decode = msgspec.json.Decoder(_Event).decode


def parse(stream: Utf8Stream, context: Context) -> Iterator[Record]:
    """Records of BBOT's events, grouped by host."""
    yield ScanFacts(tool="bbot")

    def take(window: Window, number: int, event: _Event) -> Iterable[Record]:
        if event.type == "SCAN":
            return _scan(event)
        handler = _HANDLERS.get(event.type)
        if handler is None:
            return ()
        place = event.location()
        if place.ip is None and place.name is None:
            return (Problem(message=f"{clean(event.type, 50)} without a host", line=number, field="host"),)
        handler(_Scene(window, event, place, instant(event.timestamp) or context.default_time))
        return ()

    yield from grouped(stream, _decode, take)


def _scan(event: _Event) -> Iterable[Record]:
    fields = event.fields()
    yield ScanFacts(
        arguments=clean(" ".join(_targets(fields.get("target"))[:1000]), 4096),
        started=_moment(fields.get("started_at")),
        finished=_moment(fields.get("finished_at")),
    )


class _Target(msgspec.Struct):
    seeds: list[str] | None = None
    target: list[str] | None = None


def _targets(value: object) -> list[str]:
    try:
        target = msgspec.convert(value, _Target)
    except msgspec.ValidationError:
        return []
    return target.seeds or target.target or []


def _moment(value: object) -> datetime | None:
    return instant(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None


class _Scene:
    """One event, and where what it says is put."""

    def __init__(self, window: Window, event: _Event, place: Location, seen_at: datetime) -> None:
        self.window = window
        self.event = event
        self.place = place
        self.seen_at = seen_at
        resolved = [place.ip] if place.ip else [address(text) for text in event.resolved_hosts or ()]
        self.ips = list(dict.fromkeys(ip for ip in resolved if ip))[:MAX_RESOLVED]

    def touch(self) -> None:
        """The host or name itself."""
        for ip in self.ips:
            self.window.host(ip, self.seen_at).called(self.place.name, "dns")
        if not self.ips and self.place.name:
            self.window.name(self.place.name, self.seen_at)

    def endpoints(self, protocol: Protocol = "tcp") -> list[EndpointDraft]:
        """The endpoint on each address; none where port or address is not known."""
        self.touch()
        port = self.place.port
        if port is None:
            return []
        hosts = [self.window.host(ip, self.seen_at) for ip in self.ips]
        return [host.endpoint(port, protocol, "open", self.seen_at) for host in hosts]

    def remark(self, evidence: Evidence) -> None:
        """Keep evidence of the endpoint, else of the host, else of the name."""
        remarks: list[Remarks] = [endpoint.remarks for endpoint in self.endpoints()]
        remarks = remarks or [self.window.host(ip, self.seen_at).remarks for ip in self.ips]
        if not remarks and self.place.name:
            remarks = [self.window.name(self.place.name, self.seen_at).remarks]
        for target in remarks:
            self.window.holds(target.add(evidence))


def _name(scene: _Scene) -> None:
    scene.touch()


def _tcp_port(scene: _Scene) -> None:
    scene.endpoints("tcp")


def _udp_port(scene: _Scene) -> None:
    scene.endpoints("udp")


def _protocol(scene: _Scene) -> None:
    name = clean(scene.event.word("protocol"), 100).lower()
    service = Service("http", tunnel="tls") if name == "https" else Service(name)
    service = completed(service, name, scene.event.word("banner")) or service
    for endpoint in scene.endpoints():
        endpoint.serves(service)
        scene.window.holds(endpoint.said(scene.event.word("banner")))


def _url(scene: _Scene) -> None:
    for endpoint in scene.endpoints():
        endpoint.serves(Service("http", tunnel="tls" if scene.place.tls else ""))
    text = scene.event.data if isinstance(scene.event.data, str) else scene.event.word("url")
    scene.remark(Evidence(kind="bbot:URL", data="", key=clean(text, _KEY_CHARS)))


def _http_response(scene: _Scene) -> None:
    service = http_service(scene.event.word("webserver"), "tls" if scene.place.tls else "")
    for endpoint in scene.endpoints():
        endpoint.serves(service)
        header, title = scene.event.word("raw_header"), scene.event.word("title")
        scene.window.holds(endpoint.said(header, title, main=scene.place.is_root))


def _technology(scene: _Scene) -> None:
    technology = clean(scene.event.word("technology"))
    known = cpes([technology])
    endpoints = scene.endpoints() if known else []
    for endpoint in endpoints:
        endpoint.serves(Service(cpe=known))
    if technology and not endpoints:
        scene.remark(Evidence(kind="bbot:TECHNOLOGY", data=technology, key=technology))


def _finding(scene: _Scene) -> None:
    event = scene.event
    name, description = event.word("name"), event.word("description")
    scene.remark(
        Evidence(
            kind=f"bbot:{event.type}",
            data=block("\n".join(text for text in (name, description) if text)),
            key=clean(f"{event.word('url')} {name or description}", _KEY_CHARS),
            severity=clean(event.word("severity"), 20).lower(),
        )
    )


_HANDLERS: dict[str, Callable[[_Scene], None]] = {
    "DNS_NAME": _name,
    "DNS_NAME_UNRESOLVED": _name,
    "IP_ADDRESS": _name,
    "OPEN_TCP_PORT": _tcp_port,
    "OPEN_UDP_PORT": _udp_port,
    "PROTOCOL": _protocol,
    "URL": _url,
    "HTTP_RESPONSE": _http_response,
    "TECHNOLOGY": _technology,
    "FINDING": _finding,
    "VULNERABILITY": _finding,
}
