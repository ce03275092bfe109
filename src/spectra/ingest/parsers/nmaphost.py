"""One `host` element of nmap's XML as a record. This is the hot path of imports: one pass over the children, no
look-ups by path, and equal services share one object.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from spectra.ingest.parsers.nse import Findings
from spectra.ingest.parsers.software import read_banner
from spectra.ingest.parsers.text import address, clean, cpes, hostname, port_number
from spectra.ingest.parsers.times import instant
from spectra.ingest.parsers.window import MAX_HOSTNAMES, NameKind
from spectra.ingest.parsers.xml import Element
from spectra.model.observation import (
    Banner,
    Certificate,
    EndpointSeen,
    Hostname,
    HostSeen,
    NameSeen,
    Problem,
    Protocol,
    Record,
    Service,
    Silent,
    State,
)

# nmap cannot tell closed from filtered in an idle scan; `open|filtered` and `unfiltered` say nothing worth a version.
_STATES: dict[str | None, State] = {
    "open": "open",
    "closed": "closed",
    "filtered": "filtered",
    "closed|filtered": "filtered",
}
_PROTOCOLS: dict[str | None, Protocol] = {"tcp": "tcp", "udp": "udp", "sctp": "sctp"}
_NAME_KINDS: dict[str | None, NameKind] = {"user": "user", "PTR": "ptr"}
_CACHED_SERVICES = 20_000
_CACHED_CHARS = 500  # of attributes: those with a servicefp or a banner are all different

_Attributes = tuple[tuple[str, str], ...]

# Of all scans of this process: networks run few services, and a `Service` met again has its fingerprint ready.
_services: dict[tuple[_Attributes, tuple[str | None, ...]], Service | None] = {}


class HostReader:
    """Reads `host` elements of one scan; `default_time` dates those without a time."""

    def __init__(self, default_time: datetime) -> None:
        self._default_time = default_time

    def read(self, line: int, element: Element) -> Iterator[Record]:
        """The records of one `host` element that begins at `line`."""
        host = _Host(element)
        seen_at = instant(element.get("endtime")) or instant(element.get("starttime")) or self._default_time
        if not host.ip:
            yield from self._without_address(line, host, seen_at)
        elif host.is_up and not host.only_assumed:
            yield from self._seen(line, host, seen_at)
        elif host.is_down or host.only_assumed:
            yield Silent(host.ip, seen_at)

    def _without_address(self, line: int, host: _Host, seen_at: datetime) -> Iterator[Record]:
        if not host.hostnames:
            yield Problem(message="a host without an IP address or a name", line=line, field="host/address")
        for known in host.hostnames:
            yield NameSeen(known.name, seen_at)

    def _seen(self, line: int, host: _Host, seen_at: datetime) -> Iterator[Record]:
        endpoints: dict[tuple[int, Protocol], EndpointSeen] = {}
        for port in host.ports:
            protocol = _PROTOCOLS.get(port.get("protocol"))
            if protocol is None:
                continue  # IP protocols of -sO, ICMP of masscan
            number = port_number(port.get("portid"))
            if number is None:
                yield Problem(message="not a port number", line=line, field="port@portid")
                continue
            endpoint = self._endpoint(port, number, protocol)
            if endpoint is not None:
                endpoints[number, protocol] = endpoint
        yield HostSeen(
            ip=host.ip,
            seen_at=seen_at,
            endpoints=tuple(endpoints.values()),
            hostnames=host.hostnames,
            rest=host.rest,
            mac=host.mac,
            vendor=host.vendor,
            os=host.os,
            evidence=host.findings.evidence() if host.findings else (),
        )

    def _endpoint(self, port: Element, number: int, protocol: Protocol) -> EndpointSeen | None:
        state: State | None = None
        service: Service | None = None
        findings: Findings | None = None
        banner: Banner | None = None
        found: Certificate | None = None
        name = ""
        for child in port:
            tag = child.tag
            if tag == "state":
                state = _STATES.get(child.get("state"))
            elif tag == "service":
                service, name = self._service(child), child.get("name") or ""
                if said := child.get("banner"):
                    told, banner, found = read_banner(name, said)
                    service = service or told
            elif tag == "script":
                findings = findings or Findings()
                findings.add(child)
        if state is None:
            return None
        if findings is None:
            return EndpointSeen(number, protocol, state, service, banner, found)
        return EndpointSeen(
            number,
            protocol,
            state,
            findings.served(service, name),
            findings.banner() or banner,
            findings.certificate or found,
            findings.evidence(),
        )

    def _service(self, element: Element) -> Service | None:
        attributes: _Attributes = tuple(element.items())
        key = (attributes, tuple(child.text for child in element) if len(element) else ())
        try:
            return _services[key]
        except KeyError:
            service = _service(dict(attributes), key[1])
            if len(_services) >= _CACHED_SERVICES:
                _services.clear()
            if sum(len(value) for _, value in attributes) <= _CACHED_CHARS:
                _services[key] = service
            return service


class _Host:
    """What the children of a `host` element say, collected in one pass."""

    def __init__(self, element: Element) -> None:
        self.ip = self.mac = self.vendor = self.os = ""
        self.hostnames: tuple[Hostname, ...] = ()
        self.ports: list[Element] = []
        self.rest: State | None = None
        self.findings: Findings | None = None
        self._status: str | None = None
        self._assumed = False
        for child in element:
            tag = child.tag
            if tag == "address":
                self._address(child)
            elif tag == "ports":
                self._ports(child)
            elif tag == "status":
                self._status = child.get("state")
                self._assumed = child.get("reason") == "user-set"
            elif tag == "hostnames":
                self.hostnames = _hostnames(child)
            elif tag == "os":
                self.os = _best_os(child)
            elif tag == "hostscript":
                self._scripts(child)

    @property
    def is_up(self) -> bool:
        """Some tools write no status; a port that was heard of is the better sign anyway."""
        return self._status == "up" or bool(self.ports) or self._status is None

    @property
    def only_assumed(self) -> bool:
        """`-Pn` takes every address for a host: one that answered nothing, not even by refusing, is none."""
        return self._assumed and self.rest == "filtered" and not any(map(_answered, self.ports))

    @property
    def is_down(self) -> bool:
        return self._status == "down"

    def _address(self, element: Element) -> None:
        if element.get("addrtype") == "mac":
            self.mac = clean(element.get("addr"), 50).lower()
            self.vendor = clean(element.get("vendor"))
        elif not self.ip:
            self.ip = address(element.get("addr")) or ""

    def _ports(self, element: Element) -> None:
        extra: set[State | None] = set()
        for child in element:
            if child.tag == "port":
                self.ports.append(child)
            elif child.tag == "extraports" and child.get("count") != "0":
                extra.add(_STATES.get(child.get("state")))
        # One group that says nothing (open|filtered) leaves all unlisted ports unknown.
        if extra and None not in extra and "open" not in extra:
            self.rest = "closed" if extra == {"closed"} else "filtered"

    def _scripts(self, element: Element) -> None:
        self.findings = self.findings or Findings()
        for child in element:
            if child.tag == "script":
                self.findings.add(child)


def _answered(port: Element) -> bool:
    state = port.find("state")
    return state is not None and "filtered" not in (state.get("state") or "")


def _hostnames(element: Element) -> tuple[Hostname, ...]:
    if not len(element):
        return ()
    found: dict[str, Hostname] = {}
    for child in element:
        name = hostname(child.get("name"))
        if name and len(found) < MAX_HOSTNAMES:
            found.setdefault(name, Hostname(name, _NAME_KINDS.get(child.get("type"), "dns")))
    return tuple(found.values())


def _best_os(element: Element) -> str:
    best, name = -1, ""
    for match in element:
        if match.tag == "osmatch":
            accuracy = port_number(match.get("accuracy")) or 0
            if accuracy > best:
                best, name = accuracy, match.get("name") or ""
    return clean(name)


def _service(attributes: dict[str, str], names: tuple[str | None, ...]) -> Service | None:
    """The service as far as nmap knows it: `method="table"` only looks the port up in /etc/services."""
    tunnel = "tls" if attributes.get("tunnel") == "ssl" else ""
    product, version = clean(attributes.get("product")), clean(attributes.get("version"))
    confidence = port_number(attributes.get("conf")) or 0
    probed = attributes.get("method") == "probed" or confidence > 3 or product or version
    if not probed:
        return Service(tunnel=tunnel) if tunnel else None
    return Service(
        name=clean(attributes.get("name"), 100),
        product=product,
        version=version,
        extra=clean(attributes.get("extrainfo")),
        os=clean(attributes.get("ostype")),
        device=clean(attributes.get("devicetype")),
        tunnel=tunnel,
        cpe=cpes(names),
    )
