"""Collecting the facts of a report from the graph: tables, what rules say, and the context of a model."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from spectra.ai.patterns.loading import Pattern
from spectra.ai.reports.facts import Facts, Item, Rules, Told
from spectra.ai.retrieval.collect import gather
from spectra.ai.retrieval.context import Sources
from spectra.errors import NotFound
from spectra.model.ai import Fragment, Kind, Label, Part, Private
from spectra.model.diffs import DiffEntry, DiffPage
from spectra.model.findingrecords import FindingRecord
from spectra.model.query import Query, parse
from spectra.model.records import EndpointRecord, HostRecord
from spectra.model.reports import (
    CertificateLine,
    ChangeLine,
    Figures,
    FindingLine,
    HostLine,
    NameLine,
    ServiceLine,
    Tables,
)
from spectra.model.summaries import Target
from spectra.store import counts, diff, reports, search
from spectra.store import host as hosts
from spectra.store.diff import Window
from spectra.store.hostfindings import of_host

MAX_HOSTS: Final = 200
SEVERITIES: Final = ("critical", "high", "medium", "low", "none")
MAX_ROWS: Final = {"services": 600, "findings": 400, "names": 400, "certificates": 200, "changes": 150}
"""Rows of the tables of one report."""
_MATCHES: Final = 5000
_AT_ONCE: Final = 40  # addresses of one question for changes
_SHARE: Final = 0.75  # of the context is for what retrieval finds, the rest for rules and changes
_FEW: Final = 5


class Found(NamedTuple):
    """The hosts of a target, whole, each with its findings; how many matched, and whether that was counted."""

    hosts: tuple[HostRecord, ...]
    findings: tuple[FindingRecord, ...]
    findings_total: int
    total: int
    exact: bool


def collect(sources: Sources, target: Target, pattern: Pattern, question: str, *, now: datetime, rules: Rules) -> Facts:
    """The facts of a report on `target` at `now`. Raises `NotFound` where nothing is known of it, `BadRequest` for what
    is no target, `Unavailable` where the database is away.
    """
    found = look(sources, target, now)
    ips = [host.ip for host in found.hosts]
    changed, days = _changes(sources, target, ips, now, pattern.changes_days), pattern.changes_days
    tables = _tables(sources, found, changed, ips, now)
    told = tuple(_told(host, rules, now) for host in found.hosts)
    budget = pattern.context_bytes
    context = gather(sources, target, question, now=now, budget=int(budget * _SHARE))
    items = [Item(one.ref, one.record, one.title, one.fragment) for one in context.items]
    items += _more(tables, told, target, after=len(items), room=budget - context.size, days=days)
    notes = [context.note] if context.note else []
    if found.total > len(ips):
        notes.append(f"It tells of {len(ips)} hosts; {found.total}{'' if found.exact else ' or so'} match.")
    return Facts(
        target=target,
        question=question,
        pattern=pattern.name,
        at=now,
        tables=tables,
        told=told,
        items=tuple(items),
        notes=tuple(notes),
    )


def look(sources: Sources, target: Target, now: datetime) -> Found:
    """The hosts of a target and their findings, most urgent first."""
    ips, total, exact = _addresses(sources, target, now)
    records = tuple(hosts.host(sources.database, ip, lifetimes=sources.lifetimes) for ip in ips)
    weak: list[FindingRecord] = []
    count = 0
    if sources.judge is not None:
        for ip in ips:
            of = of_host(sources.database, ip, sources.judge, now)
            weak += of.findings
            count += of.total
    weak.sort(key=lambda one: (-one.priority.score, one.id))
    return Found(records, tuple(weak), count, total, exact)


def scan_types(sources: Sources, target: Target, now: datetime) -> list[str]:
    """Kinds of the newest scans that saw the target, and their tools, newest first; raises as `collect`."""
    ips, _, _ = _addresses(sources, target, now)
    scans = reports.scans_of(sources.database, ips[:_FEW], 10)
    return [word for scan in scans for word in (scan.scan_type, scan.tool) if word]


def _addresses(sources: Sources, target: Target, now: datetime) -> tuple[list[str], int, bool]:
    """At most `MAX_HOSTS` addresses of a target, how many there are, and whether those were counted."""
    if target.kind == "ip":
        hosts.host(sources.database, target.value)  # raises where it is not known
        return [target.value], 1, True
    if target.kind == "host":
        found = list(hosts.hostname(sources.database, target.value).addresses)
        if not found:
            raise NotFound(f"No address is known for {target.value[:253]}.", hint="Scan it: spectra scan NAME --submit")
        return found[:MAX_HOSTS], len(found), True
    query = parse(target.value, now)
    ips: dict[str, None] = {}
    cursor, looked = "", 0
    while looked < _MATCHES and len(ips) < MAX_HOSTS:
        page = search.search(sources.database, query, sort="ip", cursor=cursor, limit=1000)
        ips |= {match.ip: None for match in page.matches}
        looked, cursor = looked + len(page.matches), page.next_cursor
        if not cursor:
            break
    if not ips:
        raise NotFound(f"Nothing matches {target.value[:200]}.", hint="`spectra search` tries a query out.")
    if not cursor and len(ips) <= MAX_HOSTS:
        return list(ips), len(ips), True
    counted = counts.count(sources.database, query)
    return list(ips)[:MAX_HOSTS], max(counted.hosts, len(ips)), counted.hosts_exact


def _told(host: HostRecord, rules: Rules, now: datetime) -> Told:
    said = rules(host, now)
    return Told(host.ip, said.summary, said.risks, said.next_steps)


# Tables --------------------------------------------------------------------------------------------------------------


def _tables(sources: Sources, found: Found, changed: Sequence[ChangeLine], ips: Sequence[str], now: datetime) -> Tables:
    by_host = Counter(one.ip for one in found.findings)
    worst: dict[str, str] = {}
    for one in found.findings:
        worst[one.ip] = min(worst.get(one.ip, ""), one.severity, key=_rank) if one.ip in worst else one.severity
    rows: dict[str, Sequence[object]] = {
        "services": [_service(host.ip, one) for host in found.hosts for one in _opened(host)],
        "findings": [_finding(one) for one in found.findings],
        "names": _names(found.hosts),
        "certificates": _certificates(found.hosts, now),
        "changes": changed,
    }
    more = {name: len(some) - MAX_ROWS[name] for name, some in rows.items() if len(some) > MAX_ROWS[name]}
    cut: dict[str, tuple[object, ...]] = {name: tuple(some[: MAX_ROWS[name]]) for name, some in rows.items()}
    return Tables(
        figures=_figures(found, rows, now),
        hosts=tuple(_host(host, by_host[host.ip], worst.get(host.ip, "")) for host in found.hosts),
        scans=reports.scans_of(sources.database, ips),
        more=more,
        **cut,  # type: ignore[arg-type]
    )


def _figures(found: Found, rows: dict[str, Sequence[object]], now: datetime) -> Figures:
    severities = Counter(one.severity or "unrated" for one in found.findings)
    certificates = rows["certificates"]
    return Figures(
        hosts=len(found.hosts),
        hosts_total=found.total,
        exact=found.exact,
        up=sum(host.status == "up" for host in found.hosts),
        endpoints=len(rows["services"]),
        names=len(rows["names"]),
        certificates=len(certificates),
        expired=sum(isinstance(one, CertificateLine) and one.expired for one in certificates),
        findings={name: severities[name] for name in (*SEVERITIES, "unrated") if severities[name]},
        findings_total=found.findings_total,
        kev=sum(one.kev is not None for one in found.findings),
        changes=len(rows["changes"]),
        changed=dict(Counter(one.kind for one in rows["changes"] if isinstance(one, ChangeLine)).most_common()),
    )


def _rank(severity: str) -> int:
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)


def _opened(host: HostRecord) -> Iterator[EndpointRecord]:
    return (endpoint for endpoint in host.endpoints if endpoint.state == "open")


def _host(host: HostRecord, findings: int, worst: str) -> HostLine:
    place = host.place
    spot = ", ".join(p for p in (place.city, place.country_name or place.country) if p) if place else ""
    network = f"{f'AS{place.asn}' if place.asn else ''} {place.org}".strip() if place else ""
    return HostLine(
        ip=host.ip,
        names=tuple(name.name for name in host.hostnames[:_FEW]),
        status=host.status,
        os=host.os,
        place=spot,
        network=network,
        ports=sum(1 for _ in _opened(host)),
        findings=findings,
        worst=worst,
        last_seen=host.last_seen,
    )


def _service(ip: str, endpoint: EndpointRecord) -> ServiceLine:
    service = endpoint.service
    return ServiceLine(
        ip=ip,
        port=endpoint.port,
        protocol=endpoint.protocol,
        service=service.name if service else "",
        product=service.product if service else "",
        version=service.version if service else "",
        tls=bool(endpoint.certificate or (service and service.tunnel)),
        title=endpoint.title[:200],
        last_seen=endpoint.last_seen,
        sole=endpoint.sole,
    )


def _names(records: Iterable[HostRecord]) -> list[NameLine]:
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for host in records:
        for name in host.hostnames:
            found[name.name][host.ip] = None
    return [NameLine(name, tuple(addresses)) for name, addresses in sorted(found.items())]


def _certificates(records: Iterable[HostRecord], now: datetime) -> list[CertificateLine]:
    """Each once, those that expire first before others."""
    found: dict[str, CertificateLine] = {}
    at: dict[str, list[str]] = defaultdict(list)
    for host in records:
        for endpoint in _opened(host):
            if certificate := endpoint.certificate:
                at[certificate.sha256].append(f"{host.ip} {endpoint.port}/{endpoint.protocol}")
                found[certificate.sha256] = CertificateLine(
                    sha256=certificate.sha256,
                    subject=certificate.subject_cn or certificate.subject,
                    issuer=certificate.issuer,
                    not_after=certificate.not_after,
                    key=certificate.key,
                    at=tuple(at[certificate.sha256][:_FEW]),
                    expired=bool(certificate.not_after and certificate.not_after < now),
                )
    late = datetime.max.replace(tzinfo=now.tzinfo)
    return sorted(found.values(), key=lambda one: (one.not_after or late, one.sha256))


def _finding(one: FindingRecord) -> FindingLine:
    return FindingLine(
        id=one.id,
        ip=one.ip,
        port=one.port,
        protocol=one.protocol,
        cve=one.cve,
        title=one.title or one.description,
        severity=one.severity,
        cvss=one.cvss,
        epss=one.epss,
        kev=one.kev,
        priority=one.priority.score,
        product=one.product,
        version=one.version,
        level=one.level,
        patched=one.patched,
        opened=one.opened,
        reason=one.reason,
    )


# What changed --------------------------------------------------------------------------------------------------------


def _changes(sources: Sources, target: Target, ips: Sequence[str], now: datetime, days: int) -> list[ChangeLine]:
    """What is not what it was some days before, newest first."""
    window = Window(now - timedelta(days=days), now)
    if target.kind == "query":
        questions = [parse(target.value, now)]
    else:
        chunks = [ips[at : at + _AT_ONCE] for at in range(0, len(ips), _AT_ONCE)]
        questions = [parse("", now, {"ip": ",".join(some)}) for some in chunks]
    found = [line for question in questions for line in _changed(sources, window, question)]
    return sorted(found, key=lambda one: (-one.at.timestamp(), one.ip, one.where))


def _changed(sources: Sources, window: Window, query: Query) -> Iterator[ChangeLine]:
    page: DiffPage = diff.diff(
        sources.database, window, query, limit=MAX_ROWS["changes"] + 1, findings=sources.judge is not None
    )
    for host in page.hosts:
        yield ChangeLine(at=host.at, kind=host.kind, ip=host.ip)
    for entry in page.entries:
        yield ChangeLine(
            at=entry.at,
            kind=entry.kind,
            ip=entry.ip,
            where=f"{entry.port}/{entry.protocol}",
            what=_what(entry),
        )
    for one in page.findings:
        yield ChangeLine(
            at=one.at,
            kind=one.kind,
            ip=one.ip,
            where=f"{one.port}/{one.protocol}",
            what=f"{one.cve} {one.severity}".strip(),
        )


def _what(entry: DiffEntry) -> str:
    """In words: what runs there now, or what differs."""
    if entry.kind == "changed":
        return "; ".join(
            f"{one.field}: {one.before[:80] or 'nothing'} → {one.after[:80] or 'nothing'}" for one in entry.changes[:4]
        )
    version = entry.after if entry.kind == "new" else entry.before
    service = version.service if version else None
    return " ".join(part for part in (service.name, service.product, service.version) if part) if service else ""


# What a model is shown besides ---------------------------------------------------------------------------------------


def _more(tables: Tables, told: Sequence[Told], target: Target, *, after: int, room: int, days: int) -> Iterator[Item]:
    """What rules say and what changed, as further facts, as long as there is room."""
    number = after
    for record, title, fragment in _lines(tables, told, target, days):
        number += 1
        cost = len(fragment.text.encode()) + 32 * len(fragment.privates) + 10
        if cost <= room:
            room -= cost
            yield Item(f"F{number}", record, title, fragment)
        else:
            number -= 1


def _lines(tables: Tables, told: Sequence[Told], target: Target, days: int) -> Iterator[tuple[str, str, Fragment]]:
    figures = tables.figures
    counted = ", ".join(f"{count} {name}" for name, count in figures.findings.items()) or "none"
    said = (
        f"In all: {figures.hosts} hosts, {figures.up} of them up, {figures.endpoints} open endpoints, open weaknesses:"
        f" {counted}; known to be exploited: {figures.kev}; {figures.changes} changes in {days} days."
    )
    yield target.record, target.value, Fragment((said,), Label.CLOUD_DIRECT)
    for one in told:
        for risk in one.risks:
            if risk.rule == "finding":  # a scanner's own words: retrieval has them
                continue
            port, _, protocol = risk.where.partition("/")
            record = f"endpoint:{one.ip}/{protocol}/{port}" if risk.where else f"host:{one.ip}"
            parts: tuple[Part, ...] = ("A rule says of ", Private(Kind.ADDRESS, one.ip))
            said = f"{f' {risk.where}' if risk.where else ''} ({risk.level}): {_generic(risk.rule, risk.says)}"
            yield record, f"{one.ip} {risk.where}".strip(), Fragment((*parts, said), Label.CLOUD_DIRECT)
    for change in tables.changes[:30]:
        port, _, protocol = change.where.partition("/")
        record = f"endpoint:{change.ip}/{protocol}/{port}" if change.where else f"host:{change.ip}"
        what = (f": {change.what}",) if change.what else ()
        parts = (f"{change.at:%Y-%m-%d} {change.kind}: ", Private(Kind.ADDRESS, change.ip), f" {change.where}", *what)
        # what differs are words of the machine itself: they stay here
        label = Label.LOCAL_ONLY if what else Label.CLOUD_DIRECT
        yield record, f"{change.ip} {change.where}".strip(), Fragment(parts, label, droppable=True)


def _generic(rule: str, says: str) -> str:
    """What a rule says, where that is words of ours alone; else its name."""
    return says if rule != "hearsay" else "Only one contributor, who is not trusted, says so."
