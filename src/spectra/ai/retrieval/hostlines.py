"""Lines about a host: itself, its endpoints, certificates and names, what scanners said, and its neighbours."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from spectra.ai.retrieval import publicwords
from spectra.ai.retrieval.lines import Line, address, day, line, listed, name, raw, raw_line
from spectra.model.ai import Kind, Part, Private
from spectra.model.facts import Place
from spectra.model.observation import Certificate, Service
from spectra.model.records import EndpointRecord, EvidenceRecord, HostRecord, Match
from spectra.store.neighbours import Neighbour
from spectra.store.vulntexts import Named

SOON: Final = timedelta(days=30)
MAX_PORTS: Final = 40
MAX_NAMES: Final = 12
MAX_SANS: Final = 6
_KEY: Final = re.compile(r"(?:rsa|ec|ecdsa|dsa|ed25519|ed448)(?: \d{1,5})?", re.IGNORECASE)
_CUT: Final = 200
_SEVERE: Final = {"critical": 66.0, "high": 64.0, "medium": 52.0}
_TIES: Final = {"certificate": 44.0, "name": 40.0, "network": 32.0}
_STEP: Final = 0.4  # what each further one of a kind is less important


def of_host(host: HostRecord, published: Collection[Named], now: datetime) -> Iterator[Line]:
    """All lines about a host without its neighbours and weaknesses."""
    opened = [endpoint for endpoint in host.endpoints if endpoint.state == "open"]
    yield line(f"host:{host.ip}", host.ip, _overview(host, opened), 100.0)
    for number, endpoint in enumerate(opened):
        yield from _endpoint(host, endpoint, published, now, number * _STEP)
    yield from _certificates(host, opened, now)
    for number, named in enumerate(host.hostnames[:MAX_NAMES]):
        parts = ["Name ", *name(named.name), f" ({named.kind}) of ", address(host.ip), f", seen {day(named.last_seen)}"]
        yield line(f"name:{named.name}", named.name, parts, 42.0 - number * _STEP)
    yield from _evidence(f"host:{host.ip}", host.ip, "the host", host.evidence)


def _overview(host: HostRecord, opened: Sequence[EndpointRecord]) -> Iterator[Part]:
    yield from ("Host ", address(host.ip))
    if host.hostnames:
        yield from (" (", *listed(name(one.name) for one in host.hostnames[:3]), ")")
    yield f" has not answered since {day(host.down_since)}" if host.down_since else " is up"
    yield f"; first seen {day(host.first_seen)}, last seen {day(host.last_seen)}"
    if system := publicwords.system(host.os):
        yield f"; system {system}"
    if host.mac:
        yield from ("; card ", Private(Kind.MAC, host.mac))
    if host.place:
        yield from _place(host.place)
    ports = ", ".join(f"{one.port}/{one.protocol}" for one in opened[:MAX_PORTS])
    more = f" and {len(opened) - MAX_PORTS} more" if len(opened) > MAX_PORTS else ""
    yield f"; {len(opened)} open ports: {ports}{more}" if opened else "; no open port is known"


def _place(place: Place) -> Iterator[Part]:
    if place.country:
        yield f"; country {place.country}"
    if place.asn or place.org:
        yield from ("; network ", Private(Kind.ID, raw(f"AS{place.asn} {place.org}".strip(), 80)))
    if place.cloud:
        yield "; at a cloud provider"


def endpoint_words(
    ip: str, where: str, service: Service | None, cpes: Sequence[str], published: Collection[Named]
) -> list[Part]:
    """`Endpoint 192.0.2.7 22/tcp: ssh, OpenSSH 9.2p1`, in public words; `where` is the port and protocol."""
    parts: list[Part] = ["Endpoint ", address(ip), f" {where}"]
    if service is None:
        return [*parts, ": open, service unknown"]
    product = publicwords.product(service, (*cpes, *service.cpe), published)
    version = publicwords.version(service.version) if product else ""
    said = [publicwords.service(service.name) or ("service" if service.name else "service unknown")]
    said += [f"{product} {version}".strip()] if product else []
    said += ["inside TLS"] if service.tunnel else []
    return [*parts, ": ", ", ".join(said)]


def _endpoint(
    host: HostRecord, endpoint: EndpointRecord, published: Collection[Named], now: datetime, less: float
) -> Iterator[Line]:
    where = f"{endpoint.port}/{endpoint.protocol}"
    record, title = f"endpoint:{host.ip}/{endpoint.protocol}/{endpoint.port}", f"{host.ip} {where}"
    parts = endpoint_words(host.ip, where, endpoint.service, endpoint.cpe23, published)
    parts.append(f"; open since {day(endpoint.first_seen)}, unchanged since {day(endpoint.since)}")
    if endpoint.stale_at and endpoint.stale_at <= now:
        parts.append(f"; last seen {day(endpoint.last_seen)}, may have changed")
    if endpoint.sole:
        parts.append("; only a contributor who is not trusted says so")
    yield line(record, title, parts, 58.0 - less)
    if said := _said(endpoint):
        yield raw_line(record, title, f"{title} says of itself: {said}", 34.0 - less)
    yield from _evidence(record, title, where, endpoint.evidence)


def _said(endpoint: EndpointRecord) -> str:
    """What the endpoint said in its own words, beyond what is public of it."""
    service, said = endpoint.service, list[str]()
    if service and (service.product or service.extra):
        words = " ".join(part for part in (service.product, service.version, service.extra) if part)
        said.append(f"software {raw(words, 120)}")
    said += [f"title {raw(endpoint.title, 100)}"] if endpoint.title else []
    said += [f"banner {raw(endpoint.banner, _CUT)}"] if endpoint.banner else []
    return "; ".join(said)


def _certificates(host: HostRecord, opened: Iterable[EndpointRecord], now: datetime) -> Iterator[Line]:
    found: dict[str, tuple[Certificate, list[str]]] = {}
    for endpoint in opened:
        if endpoint.certificate:
            _, where = found.setdefault(endpoint.certificate.sha256, (endpoint.certificate, []))
            where.append(f"{endpoint.port}/{endpoint.protocol}")
    for number, (certificate, where) in enumerate(found.values()):
        troubles = list(_troubles(certificate, now))
        parts: list[Part] = ["Certificate of ", address(host.ip), f" {', '.join(where[:5])}"]
        parts += _subject(certificate)
        parts.append("".join(f"; {trouble}" for trouble in troubles))
        score = (68.0 if troubles else 48.0) - number * _STEP
        title = certificate.subject_cn or certificate.sha256[:16]
        yield line(f"certificate:{certificate.sha256}", title, parts, score)


def _subject(certificate: Certificate) -> Iterator[Part]:
    if certificate.subject_cn:
        yield from (": for ", *name(certificate.subject_cn))
    if certificate.sans:
        yield from ("; names ", *listed(name(one) for one in certificate.sans[:MAX_SANS]))
        yield f" and {len(certificate.sans) - MAX_SANS} more" if len(certificate.sans) > MAX_SANS else ""
    if issuer := raw(certificate.issuer, 100):
        yield from ("; issued by ", Private(Kind.ID, issuer))
    if certificate.not_after:
        yield f"; valid until {day(certificate.not_after)}"
    if _KEY.fullmatch(certificate.key):
        yield f"; key {certificate.key}"


def _troubles(certificate: Certificate, now: datetime) -> Iterator[str]:
    if certificate.not_after and certificate.not_after < now:
        yield "expired"
    elif certificate.not_after and certificate.not_after - now < SOON:
        yield "expires soon"
    if certificate.not_before and certificate.not_before > now:
        yield f"valid only from {day(certificate.not_before)}"
    if certificate.subject and certificate.subject == certificate.issuer:
        yield "names itself as its issuer"


def _evidence(record: str, title: str, where: str, evidence: Iterable[EvidenceRecord]) -> Iterator[Line]:
    """What scanners said, word for word: the severe first in priority."""
    for number, one in enumerate(evidence):
        rated = f" ({raw(one.severity, 20)})" if one.severity else ""
        text = f"A scanner says of {title}, {where}: {raw(one.kind, 80)}{rated}: {raw(one.data, _CUT)}"
        yield raw_line(record, title, text, _SEVERE.get(one.severity.lower(), 24.0) - number * _STEP)


def of_neighbours(ip: str, neighbours: Iterable[Neighbour]) -> Iterator[Line]:
    """Hosts that share something with the host at `ip`."""
    for number, one in enumerate(neighbours):
        parts: list[Part] = ["Neighbour ", address(one.ip), " of ", address(ip)]
        if one.why == "certificate":
            parts.append(" has the same certificate")
        elif one.why == "name":
            parts += [" has the same name ", *name(one.what)]
        else:
            parts += [" is in the same network ", Private(Kind.NETWORK, one.what)]
        parts.append(f"; open ports {', '.join(map(str, one.ports))}" if one.ports else "; no open port is known")
        yield line(f"host:{one.ip}", one.ip, parts, _TIES[one.why] - number * _STEP)


def of_match(match: Match, published: Collection[Named], less: float) -> Line:
    """An endpoint that a query found."""
    service = Service(match.service, match.product, match.version, match.extra, tunnel=match.tunnel, cpe=match.cpe)
    named = service if service.name or service.product else None
    where = f"{match.port}/{match.protocol}"
    parts = endpoint_words(match.ip, where, named, match.cpe23, published)
    if match.hostnames:
        parts += ["; host ", *listed(name(one) for one in match.hostnames[:2])]
    parts.append(f"; last seen {day(match.last_seen)}")
    if match.findings:
        parts.append(f"; {match.findings} weaknesses, the worst {match.worst or 'not rated'}")
    record = f"endpoint:{match.ip}/{match.protocol}/{match.port}"
    return line(record, f"{match.ip} {where}", parts, 60.0 - less)
