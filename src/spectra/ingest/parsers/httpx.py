"""projectdiscovery httpx's JSON lines: one request and its answer each (`Result` in httpx's runner/types.go)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import field

from spectra.ingest.parsers import certificate
from spectra.ingest.parsers.context import Context
from spectra.ingest.parsers.encoding import Utf8Stream
from spectra.ingest.parsers.location import Location, locate
from spectra.ingest.parsers.software import http_service
from spectra.ingest.parsers.text import address, block, clean, cpes, hostname, port_number
from spectra.ingest.parsers.times import instant
from spectra.ingest.parsers.window import HostDraft, Window, grouped
from spectra.model.observation import Certificate, Evidence, Problem, Record, ScanFacts, Service

KEPT: tuple[tuple[str, str], ...] = (
    ("`host_ip`, else `host` as an address, else the first of `a`, `aaaa`", "host: ip; without one only the name"),
    ("`input`, `url`", "host: hostname of kind user"),
    ("`timestamp`", "seen_at"),
    ("`url`, `port`, `scheme`", "endpoint: port, state open; service: http, tunnel"),
    ("`webserver`", "service: product, version, extra, from the form `name/version (comment)`"),
    ("`cpe[].cpe`", "service: cpe"),
    ("`title` of the front page, else of another", "banner: title"),
    ("`raw_header`", "banner: text (2 KB)"),
    ("`tech`", "evidence `httpx:tech`"),
    ("`status_code`, `content_type`, `title` of each URL", "evidence `httpx:url`"),
    ("`tls.fingerprint_hash.sha256`, subject, issuer, names, validity, serial", "certificate, on the port of `tls`"),
    ("an answer of another host after redirects (`final_url`)", "evidence, but no service, title or banner"),
    ("`failed` true", "nothing: there was no answer"),
    ("body, hashes, favicon, jarm, asn, cdn, chain, cname", "only in the raw original"),
)


class _Fingerprint(msgspec.Struct):
    sha256: str | None = None


class _Tls(msgspec.Struct):
    host: str | None = None
    port: str | int | None = None
    not_before: str | None = None
    not_after: str | None = None
    subject_dn: str | None = None
    subject_cn: str | None = None
    subject_an: list[str] | None = None
    issuer_dn: str | None = None
    serial: str | None = None
    fingerprint_hash: _Fingerprint | None = None


class _Cpe(msgspec.Struct):
    cpe: str | None = None


class _Line(msgspec.Struct):
    timestamp: str | float | None = None
    url: str | None = None
    final_url: str | None = None
    input: str | None = None
    host: str | None = None
    host_ip: str | None = None
    port: str | int | None = None
    title: str | None = None
    webserver: str | None = None
    content_type: str | None = None
    raw_header: str | None = None
    a: list[str] | None = None
    aaaa: list[str] | None = None
    tech: list[str] | None = None
    technologies: list[str] | None = None
    cpe: list[_Cpe] | None = None
    status: int | None = field(name="status_code", default=None)
    status_1: int | None = field(name="status-code", default=None)
    failed: bool = False
    tls: _Tls | None = None


_decode = msgspec.json.Decoder(_Line).decode


def parse(stream: Utf8Stream, context: Context) -> Iterator[Record]:
    """Records of httpx's JSON lines, grouped by host."""
    yield ScanFacts(tool="httpx")

    def take(window: Window, number: int, line: _Line) -> Iterable[Record]:
        problem = _take(window, number, line, context)
        return (problem,) if problem else ()

    yield from grouped(stream, _decode, take)


def _take(window: Window, number: int, line: _Line, context: Context) -> Problem | None:
    url = locate(line.url)
    if url.ip is None and url.name is None:
        return Problem(message="no URL with a host", line=number, field="url")
    if line.failed:
        return None
    seen_at = instant(line.timestamp) or context.default_time
    ip = _ip(line, url)
    if ip is None:
        remarks = window.name(url.name or "", seen_at).remarks
        window.holds(sum(remarks.add(item) for item in _evidence(line)))
        return None
    port = port_number(line.port) if line.port is not None else url.port
    if port is None:
        return Problem(message="no port number", line=number, field="port")
    host = window.host(ip, seen_at)
    host.called(url.name, "user")
    host.called(locate(line.input).name, "user")
    window.holds(_answer(host, port, url, line))
    return None


def _ip(line: _Line, url: Location) -> str | None:
    """The address that was asked. httpx connects to the first that resolves; `host` was it before 1.6.10."""
    for text in (line.host_ip, line.host, *(line.a or ())[:1], *(line.aaaa or ())[:1]):
        if (ip := address(text)) is not None:
            return ip
    return url.ip


def _answer(host: HostDraft, port: int, url: Location, line: _Line) -> int:
    """Put the answer where it came from: after redirects, title and server are those of `final_url`."""
    asked = host.endpoint(port, "tcp", "open", host.seen_at)
    asked.serves(Service("http", tunnel="tls" if url.tls else ""))
    held = sum(asked.remarks.add(item) for item in _evidence(line))
    final = locate(line.final_url) if line.final_url else url
    if (final.ip, final.name) == (url.ip, url.name):
        source = host.endpoint(final.port or port, "tcp", "open", host.seen_at) if line.final_url else asked
        known = cpes(item.cpe for item in line.cpe or ())
        source.serves(http_service(line.webserver or "", "tls" if final.tls else "", known))
        held += source.said(line.raw_header or "", line.title or "", main=final.is_root)
    if line.tls:
        _present(host, port, url, line.tls)
    return held


def _present(host: HostDraft, port: int, url: Location, tls: _Tls) -> None:
    """The certificate belongs to the host and port that `tls` names, which a redirect may have led to."""
    found = _certificate(tls)
    name = hostname(tls.host)
    if found is None or (name is not None and name != url.name):
        return
    told = port_number(tls.port)
    draft = host.endpoint(port if told is None else told, "tcp", "open", host.seen_at)
    draft.certificate = draft.certificate or found
    draft.serves(Service(tunnel="tls"))


def _certificate(tls: _Tls) -> Certificate | None:
    sha256 = certificate.sha256_hex(tls.fingerprint_hash.sha256 if tls.fingerprint_hash else None)
    if sha256 is None:
        return None
    return certificate.told(
        sha256,
        tls.subject_cn,
        tls.subject_dn,
        tls.issuer_dn,
        tls.subject_an or (),
        instant(tls.not_before),
        instant(tls.not_after),
        tls.serial,
    )


def _evidence(line: _Line) -> Iterator[Evidence]:
    tech = [clean(text, 100) for text in (line.tech or line.technologies or [])[:100]]
    if tech:
        yield Evidence(kind="httpx:tech", data=block("\n".join(tech)))
    status = line.status or line.status_1
    words = (str(status or ""), clean(line.content_type, 100), clean(line.title))
    yield Evidence(kind="httpx:url", data=" ".join(word for word in words if word), key=clean(line.url, 500))
