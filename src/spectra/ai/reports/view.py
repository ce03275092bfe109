"""A report as it is shown, whatever the form: plain texts in their places, nothing of them escaped yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from spectra.ai.patterns.answers import clean
from spectra.ai.reports.words import and_more, count, day, weight_of, whole_words
from spectra.model.reports import (
    CertificateLine,
    ChangeLine,
    FindingLine,
    HostLine,
    NameLine,
    ReportDocument,
    ScanLine,
    Section,
    ServiceLine,
    Statement,
    Table,
)

Look = Literal["", "mono", "number", "badge", "wide", "widest"]
"""How a column is set: running text, as it is typed, aligned right, a coloured word, or text that takes the rest."""


class Cell(msgspec.Struct, frozen=True):
    """A text, and for a badge its tone."""

    text: str
    tone: str = ""


class Head(msgspec.Struct, frozen=True):
    """A column's title, and how it is set."""

    text: str
    look: Look = ""


class TableView(msgspec.Struct, frozen=True):
    """A table; `more` rows had no room."""

    id: str
    title: str
    heads: tuple[Head, ...]
    rows: tuple[tuple[Cell, ...], ...]
    more: int = 0


class Said(msgspec.Struct, frozen=True):
    """A statement; `cites` are numbers of sources."""

    text: str
    title: str = ""
    tone: str = ""
    badge: str = ""
    cites: tuple[int, ...] = ()


class SectionView(msgspec.Struct, frozen=True):
    """A section in words; `by` says who wrote it where that is not the whole report's author."""

    title: str
    form: str
    said: tuple[Said, ...]
    by: str = ""


class Pair(msgspec.Struct, frozen=True):
    """A label and its value; `tone` for figures, `share` (0..1) for bars."""

    label: str
    value: str
    tone: str = ""
    share: float = 0.0


class Source(msgspec.Struct, frozen=True):
    """A record that is cited."""

    number: int
    id: str
    title: str


class View(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. `notice` is what has to be known before anything else: who wrote it, and whether it is whole."""

    title: str
    target: str
    purpose: str
    meta: tuple[Pair, ...]
    notice: str
    notice_tone: str
    figures: tuple[Pair, ...]
    severities: tuple[Pair, ...]
    sections: tuple[SectionView, ...]
    tables: tuple[TableView, ...]
    sources: tuple[Source, ...]
    notes: tuple[str, ...]
    digest: str
    id: str


def view(document: ReportDocument, digest: str) -> View:
    """`document`, whose SHA-256 is `digest` (hex)."""
    numbers = {record.id: number for number, record in enumerate(document.records, 1)}
    notice, tone = _notice(document)
    return View(
        title=document.title,
        target=clean(document.target),
        purpose=document.purpose,
        meta=_meta(document),
        notice=notice,
        notice_tone=tone,
        figures=_figures(document),
        severities=_severities(document),
        sections=tuple(_section(one, document, numbers) for one in document.sections if one.statements),
        tables=tuple(table for name in document.shown if (table := _table(name, document))),
        sources=tuple(Source(numbers[one.id], clean(one.id), clean(one.title)) for one in document.records),
        notes=tuple(map(clean, document.notes)),
        digest=digest,
        id=document.id,
    )


def _meta(document: ReportDocument) -> tuple[Pair, ...]:
    figures = document.tables.figures
    hosts = count(figures.hosts, "host")
    if figures.hosts_total > figures.hosts:
        hosts += f" of {'' if figures.exact else 'about '}{figures.hosts_total:,}"
    pairs = [
        Pair("Target", clean(document.target)),
        Pair("Scope", hosts),
        Pair("As of", f"{document.made:%Y-%m-%d %H:%M} UTC"),
        Pair("Version", str(document.version)),
        Pair("Asked for by", clean(document.account)),
    ]
    if document.question:
        pairs.append(Pair("Question", clean(document.question)))
    return tuple(pair for pair in pairs if pair.value)


def _notice(document: ReportDocument) -> tuple[str, str]:
    why = f" {clean(document.why)}" if document.why else ""
    if not document.complete:
        said = "Incomplete: no answer of a model held, so the sections in words are drawn by fixed rules until a person"
        return f"{said} has looked at it.{why}", "high"
    if document.by == "person":
        return f"Sections were completed by {clean(document.account)}.{why}", "info"
    if document.by == "rules":
        return f"Drawn from the graph by fixed rules; no language model wrote any of it.{why}", "info"
    who = " ".join(part for part in (document.provider, document.model) if part)
    said = f"The sections in words were written by a language model ({clean(who)}) from numbered facts"
    return f"{said}, each of which stands under Sources. Tables are facts as they were collected.", "info"


def _figures(document: ReportDocument) -> tuple[Pair, ...]:
    if "figures" not in document.shown:
        return ()
    figures = document.tables.figures
    severe = figures.findings.get("critical", 0) + figures.findings.get("high", 0)
    return (
        Pair("Hosts", f"{figures.hosts:,}"),
        Pair("Open endpoints", f"{figures.endpoints:,}"),
        Pair("Open weaknesses", f"{figures.findings_total:,}", "medium" if figures.findings_total else "good"),
        Pair("Critical or high", f"{severe:,}", "high" if severe else "good"),
        Pair("Known exploited", f"{figures.kev:,}", "critical" if figures.kev else "good"),
        Pair("Changes", f"{figures.changes:,}"),
    )


def _severities(document: ReportDocument) -> tuple[Pair, ...]:
    found = document.tables.figures.findings if "figures" in document.shown else {}
    total = sum(found.values())
    return tuple(Pair(name, f"{number:,}", weight_of(name), number / total) for name, number in found.items() if number)


def _section(section: Section, document: ReportDocument, numbers: dict[str, int]) -> SectionView:
    by = section.by if section.by != document.by or document.by == "person" else ""
    return SectionView(section.title, section.form, tuple(_said(one, numbers) for one in section.statements), by)


def _said(statement: Statement, numbers: dict[str, int]) -> Said:
    badge: str = statement.verdict or statement.weight
    return Said(
        text=clean(statement.text),
        title=clean(statement.title),
        tone=_VERDICTS.get(badge, badge),
        badge=badge,
        cites=tuple(sorted(numbers[cite] for cite in statement.cites if cite in numbers)),
    )


_VERDICTS: Final = {"met": "good", "not met": "high", "unknown": "info"}


# Tables --------------------------------------------------------------------------------------------------------------

Column = tuple[Head, Callable[[Any], Cell]]


def _cell(value: object, tone: str = "") -> Cell:
    return Cell(clean(str(value)), tone)


def _at(moment: datetime | None) -> Cell:
    return Cell(day(moment))


def _software(one: ServiceLine | FindingLine) -> Cell:
    return _cell(" ".join(part for part in (one.product, one.version) if part))


def _service(one: ServiceLine) -> Cell:
    return _cell(f"{one.service or 'unknown'}{' (TLS)' if one.tls else ''}")


def _exploited(one: FindingLine) -> Cell:
    if one.kev:
        return Cell("KEV", "critical")
    return Cell(f"{one.epss:.1%}") if one.epss is not None else Cell("")


_HOSTS: Final[tuple[Column, ...]] = (
    (Head("Address", "mono"), lambda one: _cell(one.ip)),
    (Head("Names", "wide"), lambda one: _cell(", ".join(one.names))),
    (Head("System", "wide"), lambda one: _cell(one.os)),
    (Head("Where"), lambda one: _cell("; ".join(part for part in (one.place, one.network) if part))),
    (Head("Ports", "number"), lambda one: _cell(one.ports)),
    (Head("Weaknesses", "number"), lambda one: _cell(one.findings or "")),
    (Head("Worst", "badge"), lambda one: _cell(one.worst, weight_of(one.worst))),
    (Head("Last seen"), lambda one: _at(one.last_seen)),
)
_SERVICES: Final[tuple[Column, ...]] = (
    (Head("Endpoint", "mono"), lambda one: _cell(f"{one.ip} {one.port}/{one.protocol}")),
    (Head("Service"), _service),
    (Head("Software", "wide"), _software),
    (Head("Title", "wide"), lambda one: _cell(one.title)),
    (Head("Last seen"), lambda one: _at(one.last_seen)),
)
_NAMES: Final[tuple[Column, ...]] = (
    (Head("Name", "mono"), lambda one: _cell(one.name)),
    (Head("Addresses", "mono"), lambda one: _cell(", ".join(one.addresses[:6]))),
)
_CERTIFICATES: Final[tuple[Column, ...]] = (
    (Head("Subject", "wide"), lambda one: _cell(one.subject or one.sha256[:16])),
    (Head("Issuer", "wide"), lambda one: _cell(one.issuer)),
    (Head("Key"), lambda one: _cell(one.key)),
    (Head("Expires", "badge"), lambda one: Cell(day(one.not_after), "high" if one.expired else "")),
    (Head("Seen at", "mono"), lambda one: _cell(", ".join(one.at[:3]))),
)
_FINDINGS: Final[tuple[Column, ...]] = (
    (Head("Priority", "number"), lambda one: _cell(f"{one.priority:.0f}")),
    (Head("Severity", "badge"), lambda one: _cell(one.severity or "unrated", weight_of(one.severity))),
    (Head("CVE", "mono"), lambda one: _cell(one.cve)),
    (Head("CVSS", "number"), lambda one: _cell("" if one.cvss is None else f"{one.cvss:.1f}")),
    (Head("Exploited", "badge"), _exploited),
    (Head("Software", "wide"), _software),
    (Head("Where", "wide"), lambda one: _cell(one.reason)),
    (Head("What it is", "widest"), lambda one: _cell(whole_words(one.title))),
    (Head("Sure"), lambda one: _cell(f"{one.level}{', maybe patched' if one.patched else ''}")),
)
_CHANGES: Final[tuple[Column, ...]] = (
    (Head("When"), lambda one: Cell(f"{one.at:%Y-%m-%d %H:%M}")),
    (Head("Change", "badge"), lambda one: _cell(one.kind.replace("_", " "), _TONES.get(one.kind, ""))),
    (Head("Where", "mono"), lambda one: _cell(f"{one.ip} {one.where}")),
    (Head("What", "wide"), lambda one: _cell(one.what)),
)
_TONES: Final = {"new": "medium", "host_new": "medium", "finding_new": "high", "changed": "low", "gone": "info"}
_SCANS: Final[tuple[Column, ...]] = (
    (Head("Seen"), lambda one: Cell(f"{one.seen_at:%Y-%m-%d %H:%M}")),
    (Head("Tool"), lambda one: _cell(one.tool)),
    (Head("Kind"), lambda one: _cell(one.scan_type)),
    (Head("Scan", "mono"), lambda one: _cell(one.scan_id)),
    (Head("By"), lambda one: _cell(one.contributor)),
    (Head("Hosts", "number"), lambda one: _cell(one.hosts)),
    (Head("Observation", "mono"), lambda one: _cell(one.observation_id[:16])),
)


def _by_cve(findings: Sequence[FindingLine]) -> list[FindingLine]:
    """The same weakness of the same software once, with the places where it is in the stead of the reason."""
    groups: dict[tuple[str, str, str], list[FindingLine]] = {}
    for one in findings:
        groups.setdefault((one.cve, one.product, one.version), []).append(one)
    return [
        msgspec.structs.replace(some[0], reason=and_more([f"{one.ip} {one.port}/{one.protocol}" for one in some], 3))
        for some in groups.values()
    ]


Row = HostLine | ServiceLine | NameLine | CertificateLine | FindingLine | ChangeLine | ScanLine


def _table(name: Table, document: ReportDocument) -> TableView | None:
    tables = document.tables
    web = tuple(one for one in tables.services if one.service.startswith("http") or one.title)
    known: dict[str, tuple[str, tuple[Column, ...], Sequence[Row]]] = {
        "hosts": ("Hosts", _HOSTS, tables.hosts),
        "services": ("Services", _SERVICES, tables.services),
        "web": ("Web servers", _SERVICES, web),
        "names": ("Names", _NAMES, tables.names),
        "certificates": ("Certificates", _CERTIFICATES, tables.certificates),
        "findings": ("Weaknesses", _FINDINGS, _by_cve(tables.findings)),
        "changes": ("Changes", _CHANGES, tables.changes),
        "scans": ("Scans", _SCANS, tables.scans),
    }
    if name not in known:
        return None
    title, columns, rows = known[name]
    cells = tuple(tuple(value(row) for _, value in columns) for row in rows)
    used = [n for n in range(len(columns)) if any(row[n].text for row in cells)] or list(range(len(columns)))
    return TableView(
        id=name,
        title=title,
        heads=tuple(columns[n][0] for n in used),
        rows=tuple(tuple(row[n] for n in used) for row in cells),
        more=tables.more.get("services" if name == "web" else name, 0),
    )
