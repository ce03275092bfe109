"""nuclei's results (`-jsonl`, `-json-export`, and the `-json` of version 2): findings, kept as evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import field

from spectra.ingest.parsers.context import Context
from spectra.ingest.parsers.encoding import Utf8Stream
from spectra.ingest.parsers.location import Location, locate
from spectra.ingest.parsers.text import address, block, clean, port_number
from spectra.ingest.parsers.times import instant
from spectra.ingest.parsers.window import Window, grouped
from spectra.model.envelope import canonical
from spectra.model.observation import Evidence, Problem, Protocol, Record, ScanFacts

KEPT: tuple[tuple[str, str], ...] = (
    ("`template-id` (`templateID`)", "evidence: kind `nuclei:<template-id>`"),
    ("`info.severity`", "evidence: severity"),
    ("`matched-at` (`matched`) and `matcher-name`", "evidence: key"),
    (
        "`info.name`, `info.description`, `info.classification` (CVE, CWE, CVSS), `extracted-results`",
        "evidence: data, as JSON (4 KB)",
    ),
    ("`ip`, else an address in `host` or `matched-at`", "host: ip; without one the evidence is of the name"),
    ("`host`", "host: hostname of kind user, or the name"),
    ("`port`, else the port of `matched-at` or `host`", "endpoint: port, state open; without one evidence of the host"),
    ("`timestamp`", "seen_at"),
    ("`matcher-status` false", "nothing: the template did not match"),
    ("request, response, curl-command, interaction", "only in the raw original"),
)

_KEY_CHARS = 500
_NO_PORT_TYPES = frozenset({"dns", "whois", "file", "offline"})


class _Classification(msgspec.Struct):
    cve: list[str] | str | None = field(name="cve-id", default=None)
    cwe: list[str] | str | None = field(name="cwe-id", default=None)
    cvss_metrics: str | None = field(name="cvss-metrics", default=None)
    cvss_score: float | str | None = field(name="cvss-score", default=None)


class _Info(msgspec.Struct):
    name: str | None = None
    severity: str | None = None
    description: str | None = None
    classification: _Classification | None = None


class _Line(msgspec.Struct):
    template: str | None = field(name="template-id", default=None)
    template_1: str | None = field(name="templateID", default=None)
    info: _Info | None = None
    type: str | None = None
    host: str | None = None
    port: str | int | None = None
    ip: str | None = None
    matched: str | None = field(name="matched-at", default=None)
    matched_1: str | None = field(name="matched", default=None)
    matcher: str | None = field(name="matcher-name", default=None)
    matcher_1: str | None = field(name="matcher_name", default=None)
    extracted: list[str] | None = field(name="extracted-results", default=None)
    extracted_1: list[str] | None = field(name="extracted_results", default=None)
    matches: bool | None = field(name="matcher-status", default=None)
    timestamp: str | float | None = None


_decode = msgspec.json.Decoder(_Line).decode


def parse(stream: Utf8Stream, context: Context) -> Iterator[Record]:
    """Findings of nuclei on endpoints, hosts and names."""
    yield ScanFacts(tool="nuclei")

    def take(window: Window, number: int, line: _Line) -> Iterable[Record]:
        problem = _take(window, number, line, context)
        return (problem,) if problem else ()

    yield from grouped(stream, _decode, take)


def _take(window: Window, number: int, line: _Line, context: Context) -> Problem | None:
    template = clean(line.template or line.template_1, 150)
    if not template:
        return Problem(message="no template id", line=number, field="template-id")
    if line.matches is False:
        return None
    asked, matched = locate(line.host), locate(line.matched or line.matched_1)
    evidence = _evidence(template, line)
    seen_at = instant(line.timestamp) or context.default_time
    ip = address((line.ip or "").strip().rstrip(".")) or asked.ip or matched.ip
    name = asked.name or matched.name
    if ip:
        host = window.host(ip, seen_at)
        host.called(name, "user")
        port = _port(line, asked, matched)
        remarks = host.endpoint(port, _TCP, "open", seen_at).remarks if port is not None else host.remarks
    elif name:
        remarks = window.name(name, seen_at).remarks
    else:
        return Problem(message="neither an IP address nor a hostname", line=number, field="host")
    window.holds(remarks.add(evidence))
    return None


_TCP: Protocol = "tcp"


def _port(line: _Line, asked: Location, matched: Location) -> int | None:
    """The port of the finding, unless a redirect led to another host: `ip` is that of `host`."""
    if line.type in _NO_PORT_TYPES:
        return None
    told = port_number(line.port)
    if told is not None:
        return told
    elsewhere = matched.name and asked.name and matched.name != asked.name
    return asked.port if elsewhere or matched.port is None else matched.port


def _evidence(template: str, line: _Line) -> Evidence:
    info = line.info or _Info()
    where = clean(line.matched or line.matched_1, _KEY_CHARS)
    matcher = clean(line.matcher or line.matcher_1)
    return Evidence(
        kind=f"nuclei:{template}",
        data=_data(info, line),
        key=f"{where} {matcher}".strip(),
        severity=clean(info.severity, 20).lower(),
    )


def _data(info: _Info, line: _Line) -> str:
    """The finding as JSON whose parts are cut, so that the whole stays JSON within 4 KB."""
    rated = info.classification or _Classification()
    parts: dict[str, object] = {
        "name": clean(info.name),
        "cve": _some(rated.cve),
        "cwe": _some(rated.cwe),
        "cvss-metrics": clean(rated.cvss_metrics),
        "cvss-score": clean(str(rated.cvss_score or ""), 10),
        "extracted": [clean(text, 150) for text in (line.extracted or line.extracted_1 or [])[:10]],
        "description": clean(info.description, 600),
    }
    return block(canonical({key: value for key, value in parts.items() if value}).decode())


def _some(texts: list[str] | str | None) -> list[str]:
    listed = [texts] if isinstance(texts, str) else texts or []
    return [clean(text, 30) for text in listed[:10]]
