"""A host as a page a person enjoys: who it is, what it offers, what was said about it, and how it came to be so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rich.text import Text

from spectra.cli import findingpage
from spectra.cli.layout import Slot, lines
from spectra.cli.safe import safe
from spectra.cli.times import ago, span, stamp

if TYPE_CHECKING:
    from spectra.model.observation import Certificate, Service
    from spectra.model.records import EndpointRecord, EvidenceRecord, HostRecord, NameRecord, VersionRecord

STATE_STYLE = {"open": "green", "closed": "red", "filtered": "yellow"}
MAX_SIGHTINGS = 10
MAX_FINDINGS = 15
_ENDPOINTS = (
    Slot("port", right=True, style="bold"),
    Slot("state"),
    Slot("service", style="green"),
    Slot("version", flexible=True, main=True),
    Slot("says", flexible=True, optional=True),
    Slot("certificate", flexible=True, optional=True),
    Slot("since", style="dim"),
    Slot("due", optional=True, style="dim"),
)
_NAMES = (Slot("port", right=True, style="bold"), Slot("cpe 2.3", flexible=True, main=True))
_EVIDENCE = (
    Slot("where", right=True, style="bold"),
    Slot("what"),
    Slot("says", flexible=True),
    Slot("seen", style="dim"),
)
_HISTORY = (
    Slot("port", right=True, style="bold"),
    Slot("from"),
    Slot("until"),
    Slot("for", right=True, style="cyan"),
    Slot("state"),
    Slot("what it was", flexible=True),
)
_FILES = (
    Slot("id", right=True, style="cyan"),
    Slot("file", flexible=True, main=True),
    Slot("bytes", right=True),
    Slot("sent", style="dim"),
    Slot("scan", flexible=True),
    Slot("job"),
    Slot("by", flexible=True, optional=True),
)
_SIGHTINGS = (
    Slot("seen", style="dim"),
    Slot("with"),
    Slot("scan", flexible=True),
    Slot("by", flexible=True),
    Slot("trust", right=True),
    Slot("endpoints", right=True),
)


def host_page(host: HostRecord, now: datetime, width: int, *, explain: bool = False) -> Iterator[Text]:
    """The lines of a host's page, none wider than `width` cells; `explain`: with why each finding is one."""
    yield from _clipped(_head(host, now), width)
    shown = [e for e in host.endpoints if e.state == "open"] or list(host.endpoints)
    if host.endpoints:
        yield from _section("endpoints", _ENDPOINTS, (_endpoint(e, host.at or now) for e in _ordered(shown)), width)
        yield from _clipped(_left_out(len(host.endpoints) - len(shown)), width)
        yield from _section("software", _NAMES, _software(shown), width)
    yield from _findings(host, now, width, explain=explain)
    yield from _section("evidence", _EVIDENCE, _evidence(host, now), width)
    yield from _section("history", _HISTORY, _history(host, now), width)
    yield from _section("seen by", _SIGHTINGS, _sightings(host, now), width)
    yield from _section("files", _FILES, _files(host, now), width)
    yield from _clipped(_more_files(host), width)


def _findings(host: HostRecord, now: datetime, width: int, *, explain: bool) -> Iterator[Text]:
    """The worst findings and how many there are, or each with why it is one."""
    shown = host.findings if explain else host.findings[:MAX_FINDINGS]
    if explain:
        for index, one in enumerate(shown):
            yield Text()
            if index == 0:
                yield Text(" FINDINGS", style="bold magenta")
            yield from findingpage.explained(one, now, width)
    else:
        yield from _section("findings", findingpage.SLOTS, findingpage.rows(shown), width)
    yield from _clipped(_uncounted(host, len(shown)), width)


def _uncounted(host: HostRecord, shown: int) -> Iterator[Text]:
    """What of the findings is not on the page."""
    more = max(host.findings_total, len(host.findings)) - shown
    said = [f"and {more:,} more: spectra findings ip:{host.ip}"] if more > 0 else []
    if host.findings_settled:
        said.append(f"{host.findings_settled:,} settled by triage: spectra findings ip:{host.ip} --triaged only")
    if shown and said:
        yield Text(f" {'; '.join(said)}", style="dim")
    elif said:
        yield Text()
        yield Text(f" no finding, {said[-1]}", style="dim")


def name_page(record: NameRecord, now: datetime, width: int) -> Iterator[Text]:
    """The lines of a hostname's page, none wider than `width` cells."""
    head = [Text(f" {safe(record.name)}", style="bold")]
    head.append(_fact("seen", f"{ago(record.last_seen, now)}, first {stamp(record.first_seen)} UTC"))
    head.append(_fact("addresses", ", ".join(record.addresses) or "none known"))
    yield from _clipped(head, width)
    yield from _section("evidence", _EVIDENCE, (_piece("", piece, now) for piece in record.evidence), width)


def _clipped(rows: Iterable[Text], width: int) -> Iterator[Text]:
    for row in rows:
        row.truncate(width, overflow="ellipsis")
        yield row


def _section(title: str, slots: Sequence[Slot], rows: Iterable[Sequence[Text]], width: int) -> Iterator[Text]:
    body = list(lines(slots, rows, width))
    if body:
        yield Text()
        yield Text(f" {title.upper()}", style="bold magenta")
        yield from body


def _fact(name: str, value: str) -> Text:
    return Text.assemble((f" {name:<10}", "dim"), safe(value))


def _head(host: HostRecord, now: datetime) -> Iterator[Text]:
    state = Text("● up", style="green") if host.status == "up" else Text("● down", style="red")
    yield Text.assemble(" ", (safe(host.ip), "bold"), "  ", state)
    if host.at:
        yield _fact("as it was", f"{stamp(host.at)} UTC ({ago(host.at, now)})")
    if host.down_since:
        yield _fact("down", f"since {stamp(host.down_since)} UTC, for {span(now - host.down_since)}")
    yield _fact("seen", f"{ago(host.last_seen, now)}, first {stamp(host.first_seen)} UTC")
    if host.hostnames:
        yield _fact("names", ", ".join(f"{n.name} ({n.kind})" for n in host.hostnames))
    if host.os:
        yield _fact("system", host.os)
    if host.mac or host.vendor:
        yield _fact("hardware", " ".join(part for part in (host.mac, host.vendor and f"({host.vendor})") if part))
    yield from _where(host)


def _where(host: HostRecord) -> Iterator[Text]:
    """Place, network and cloud, and which feeds say so."""
    if place := host.place:
        if spot := ", ".join(part for part in (place.city, place.region, place.country_name or place.country) if part):
            at = "" if place.latitude is None else f"  {place.latitude:.2f}, {place.longitude:.2f}"
            yield _fact("place", f"{spot}{at}")
        if place.asn or place.org:
            yield _fact("network", f"{f'AS{place.asn}' if place.asn else ''} {place.org}".strip())
        if place.cloud:
            yield _fact("cloud", " ".join(p for p in (place.cloud, place.cloud_service, place.cloud_region) if p))
    if host.feeds and host.feeds.versions:
        yield _fact("feeds", ", ".join(f"{n} {version}".strip() for n, version in sorted(host.feeds.versions.items())))


def _ordered(endpoints: Iterable[EndpointRecord]) -> list[EndpointRecord]:
    return sorted(endpoints, key=lambda e: (e.protocol, e.port))


def _left_out(count: int) -> Iterator[Text]:
    if count:
        yield Text(f" and {count} not open; --json prints all", style="dim")


def version_of(service: Service | None) -> str:
    """`OpenSSH 9.6p1 (Ubuntu) Linux`: product, version, extra and system in one line."""
    if service is None:
        return ""
    bare = service.extra and not service.extra.startswith("(")
    extra = f"({service.extra})" if bare else service.extra
    return " ".join(part for part in (service.product, service.version, extra, service.os) if part)


def _name_of(service: Service | None) -> str:
    return f"{service.name or '?'}{'/tls' if service.tunnel else ''}" if service else ""


def _certificate(certificate: Certificate | None, now: datetime) -> Text:
    if certificate is None:
        return Text()
    name = certificate.subject_cn or next(iter(certificate.sans), "") or certificate.sha256[:16]
    shown = Text(safe(name))
    if certificate.not_after and certificate.not_after < now:
        shown.append(f" expired {ago(certificate.not_after, now)}", style="red")
    elif certificate.not_after:
        soon = certificate.not_after - now < timedelta(days=30)
        shown.append(f" expires {ago(certificate.not_after, now)}", style="yellow" if soon else "dim")
    return shown


def _says(version: VersionRecord) -> Text:
    said = safe(version.title or version.banner, 120)
    return Text(f"“{said}”") if version.title else Text(said, style="dim")


def _state(word: str) -> Text:
    return Text(safe(word), style=STATE_STYLE.get(word, ""))


def _due(endpoint: EndpointRecord, now: datetime) -> Text:
    """When it has to be looked at again."""
    if endpoint.stale_at is None:
        return Text()
    return Text(ago(endpoint.stale_at, now), style="yellow" if endpoint.stale_at <= now else "dim")


def _claimed(version: VersionRecord) -> Text:
    """What runs there, and whose word alone it is where that is not trusted."""
    shown = Text(safe(version_of(version.service), 200))
    if version.sole:
        shown.append(f" only {safe(version.sole, 40)} says so", style="yellow")
    elif version.doubt:
        shown.append(f" {safe(version.doubt, 40)} contradicts", style="yellow")
    return shown


def _software(endpoints: Iterable[EndpointRecord]) -> Iterator[list[Text]]:
    for endpoint in _ordered(endpoints):
        for index, name in enumerate(endpoint.cpe23):
            port = "" if index else f"{endpoint.port}/{endpoint.protocol}"
            yield [Text(safe(port)), Text(safe(name, 200))]


def _endpoint(endpoint: EndpointRecord, now: datetime) -> list[Text]:
    return [
        Text(f"{endpoint.port}/{safe(endpoint.protocol)}"),
        _state(endpoint.state),
        Text(safe(_name_of(endpoint.service))),
        _claimed(endpoint),
        _says(endpoint),
        _certificate(endpoint.certificate, now),
        Text(span(now - endpoint.since)),
        _due(endpoint, now),
    ]


def _evidence(host: HostRecord, now: datetime) -> Iterator[list[Text]]:
    yield from _pieces("host", host.evidence, now)
    for endpoint in _ordered(host.endpoints):
        yield from _pieces(f"{endpoint.port}/{endpoint.protocol}", endpoint.evidence, now)


def _pieces(where: str, evidence: Iterable[EvidenceRecord], now: datetime) -> Iterator[list[Text]]:
    """The newest of each kind and key: some scripts say something else every time, such as a nonce."""
    newest: dict[tuple[str, str], EvidenceRecord] = {}
    earlier: Counter[tuple[str, str]] = Counter()
    for piece in evidence:
        key = (piece.kind, piece.key)
        earlier[key] += key in newest
        if key not in newest or piece.last_seen > newest[key].last_seen:
            newest[key] = piece
    for key, piece in newest.items():
        row = _piece(where, piece, now)
        if earlier[key]:
            row[1].append(f" (+{earlier[key]} earlier)", style="dim")
        yield row


_SEVERITY = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan"}


def _piece(where: str, piece: EvidenceRecord, now: datetime) -> list[Text]:
    what = Text(safe(piece.kind, 48))
    if piece.severity:
        what.append(f" {safe(piece.severity, 12)}", style=_SEVERITY.get(piece.severity.lower(), ""))
    says = " ".join(part for part in (piece.key, piece.data) if part)
    return [Text(safe(where)), what, Text(safe(says, 400)), Text(ago(piece.last_seen, now))]


def _history(host: HostRecord, now: datetime) -> Iterator[list[Text]]:
    for endpoint in _ordered(host.endpoints):
        versions = sorted(endpoint.history or (), key=lambda v: v.since, reverse=True)
        for index, version in enumerate(versions):
            port = f"{endpoint.port}/{endpoint.protocol}" if index == 0 else ""
            yield [Text(safe(port)), *_version(version, now)]


def _version(version: VersionRecord, now: datetime) -> list[Text]:
    parts = (
        Text(safe(_was(version.service), 200)),
        _says(version),
        _certificate(version.certificate, version.until or now),
    )
    what = Text("  ").join(part for part in parts if part)
    until = Text(stamp(version.until)) if version.until else Text("now", style="green")
    lasted = span((version.until or now) - version.since)
    return [Text(stamp(version.since)), until, Text(lasted), _state(version.state), what]


def _was(service: Service | None) -> str:
    return " ".join(part for part in (_name_of(service), version_of(service)) if part)


def _sightings(host: HostRecord, now: datetime) -> Iterator[list[Text]]:
    newest = sorted(host.sightings, key=lambda s: s.seen_at, reverse=True)[:MAX_SIGHTINGS]
    for one in newest:
        scan = f"{one.scan_id} ({one.scan_type})" if one.scan_type else one.scan_id
        facts = (ago(one.seen_at, now), one.tool, scan, one.contributor, f"{one.trust:.0%}", str(one.endpoints))
        yield [Text(safe(fact, 80)) for fact in facts]


def _files(host: HostRecord, now: datetime) -> Iterator[list[Text]]:
    """What machines sent of scans that saw it, and which scan and target of which job that was."""
    for one in host.artefacts:
        facts = (f"{one.kind} {one.name}", f"{one.size:,}", ago(one.created, now), one.scan_id)
        place = (f"{one.job[:12]} {one.target}", one.node)
        yield [Text(str(one.id)), *(Text(safe(fact, 80)) for fact in (*facts, *place))]


def _more_files(host: HostRecord) -> Iterator[Text]:
    if host.artefacts:
        more = f"; all: spectra jobs files --host {host.ip}" if host.artefacts_more else ""
        yield Text(f" get one: spectra jobs fetch ID -o FILE{more}", style="dim")
