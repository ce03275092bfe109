"""Findings on a terminal: as rows of a table, and each with why it is one."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.text import Text

from spectra.cli.layout import Slot
from spectra.cli.safe import safe
from spectra.cli.times import ago, stamp

if TYPE_CHECKING:
    from spectra.model.findingrecords import FindingDetail, FindingRecord, IntervalRecord, TriageRecord
    from spectra.model.vulns import Metric

STYLE = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan"}
STATES = {"new": "bold yellow", "reopened": "bold magenta", "closed": "green"}
MAX_TEXT = 4000
MAX_REFERENCES = 12
_INDENT = 14
SLOTS = (
    Slot("prio", right=True),
    Slot("cve"),
    Slot("severity"),
    Slot("port", right=True, style="bold"),
    Slot("state"),
    Slot("sure", right=True),
    Slot("epss", right=True, optional=True),
    Slot("says", flexible=True, main=True),
)


def percent(share: float | None) -> str:
    """`94.3%`, `0.04%`; empty for None."""
    if share is None:
        return ""
    return f"{share:.1%}" if share >= 0.001 else f"{share:.2%}"


def urgency(finding: FindingRecord) -> Text:
    """The score of its priority, in the colour of the level."""
    return Text(f"{finding.priority.score:.0f}", style=STYLE.get(finding.priority.level, "dim"))


def rated(finding: FindingRecord) -> Text:
    """The severity alone, in its colour."""
    return Text(safe(finding.severity) or "-", style=STYLE.get(finding.severity, "dim"))


def severity(finding: FindingRecord) -> Text:
    """`critical 9.8`, in its colour."""
    score = "" if finding.cvss is None else f" {finding.cvss:.1f}"
    return Text(f"{safe(finding.severity) or '-'}{score}", style=STYLE.get(finding.severity, "dim"))


def state(finding: FindingRecord) -> Text:
    """Its state in its colour; of a closed one why."""
    return Text(safe(finding.closed_why or finding.state), style=STATES.get(finding.state, ""))


def sure(finding: FindingRecord) -> Text:
    """How sure it is, and a mark where it is perhaps repaired."""
    shown = Text(f"{finding.confidence:.0%}", style="" if finding.level == "confirmed" else "dim")
    return shown.append("?" if finding.patched else " ", style="yellow")


def says(finding: FindingRecord) -> Text:
    """What matters first: that it is exploited, that it was decided about, and what it is."""
    shown = Text()
    if finding.ransomware:
        shown.append("ransomware ", style="bold red")
    elif finding.kev:
        shown.append("exploited ", style="bold red")
    if finding.triage:
        shown.append(f"{safe(finding.triage.status.replace('_', ' '))} ", style="green")
    return shown.append(safe(finding.title or finding.description, 400))


def rows(findings: Iterable[FindingRecord]) -> Iterator[list[Text]]:
    """Cells for `SLOTS`."""
    for f in findings:
        port = Text(f"{f.port}/{safe(f.protocol)}")
        yield [urgency(f), Text(safe(f.cve)), severity(f), port, state(f), sure(f), Text(percent(f.epss)), says(f)]


# Why it is one -------------------------------------------------------------------------------------------------------


def explained(finding: FindingRecord, now: datetime, width: int) -> Iterator[Text]:
    """Some lines on why it is one: none wider than `width` cells."""
    yield from _cut(_title(finding), width)
    for name, value in _facts(finding, now):
        yield from _wrapped(name, value, width)


def page(finding: FindingDetail, now: datetime, width: int) -> Iterator[Text]:
    """All that is known of one finding, none of the lines wider than `width` cells."""
    yield from _cut(Text.assemble(" ", (safe(finding.ip), "bold"), " ", *_names(finding.hostnames)), width)
    yield from explained(finding, now, width)
    if finding.description:
        yield from _wrapped("text", finding.description[:MAX_TEXT], width)
    for name, value in _about(finding):
        yield from _wrapped(name, value, width)
    if len(finding.history) > 1 or finding.closed:
        yield Text()
        yield Text(" HISTORY", style="bold magenta")
        for interval in finding.history:
            yield from _cut(Text(f" {_interval(interval)}"), width)
    yield from _references(finding, width)


def _title(finding: FindingRecord) -> Text:
    shown = Text.assemble(" ", urgency(finding), " ", (safe(finding.cve), "bold"), "  ", severity(finding), "  ")
    shown.append(f"{finding.port}/{safe(finding.protocol)} {safe(_software(finding))}  ")
    return shown.append_text(says(finding))


def _software(finding: FindingRecord | IntervalRecord) -> str:
    return " ".join(part for part in (finding.product or finding.service, finding.version) if part)


def _facts(finding: FindingRecord, now: datetime) -> Iterator[tuple[str, str]]:
    yield "why", finding.reason
    yield "matched", finding.cpe
    meant = " ".join(part for part in (finding.criterion, finding.range) if part)
    yield "affected", f"{meant}, by {finding.source}"
    yield "sure", f"{finding.level}, {finding.confidence:.0%}"
    if finding.requires:
        yield "needs", f"beside it, not seen: {', '.join(finding.requires)}"
    if finding.patched:
        yield "patched", "possibly: distributions repair versions without changing their number"
    yield (
        "priority",
        f"{finding.priority.score:.0f} of 100 ({finding.priority.level}). {' '.join(finding.priority.reasons)}",
    )
    yield "since", _since(finding, now)
    if finding.triage:
        yield "triage", _triage(finding.triage)


def _since(finding: FindingRecord, now: datetime) -> str:
    told = f"{finding.state}; opened {stamp(finding.opened)} UTC ({ago(finding.opened, now)})"
    told += f", known {stamp(finding.known)} UTC"
    return f"{told}, closed {stamp(finding.closed)} UTC ({finding.closed_why})" if finding.closed else told


def _triage(decision: TriageRecord) -> str:
    place = f"{decision.ip} {decision.port}/{decision.protocol}" if decision.port is not None else decision.ip
    told = f"{decision.status.replace('_', ' ')} for {place or 'every host'} by {decision.by}, {stamp(decision.at)} UTC"
    parts = (
        decision.cpe and f"only {decision.cpe}",
        decision.until and f"until {stamp(decision.until)} UTC",
        decision.justification,
        decision.note,
    )
    return "; ".join([told, *(str(part) for part in parts if part)])


def _about(finding: FindingDetail) -> Iterator[tuple[str, str]]:
    if finding.metrics:
        yield "cvss", ", ".join(_metric(metric) for metric in finding.metrics)
    if finding.epss is not None:
        yield "epss", f"{percent(finding.epss)} within 30 days, above {percent(finding.epss_percentile)} of all CVEs"
    if finding.kev:
        entry = finding.exploited
        parts = (f"since {finding.kev:%Y-%m-%d}", finding.ransomware and "by ransomware", entry and entry.action)
        yield "exploited", "; ".join(str(part) for part in parts if part)
    if finding.weaknesses or finding.aliases:
        yield "ids", ", ".join([*finding.weaknesses, *finding.aliases])
    if finding.published:
        yield "published", f"{finding.published:%Y-%m-%d}"


def _metric(metric: Metric) -> str:
    return " ".join(part for part in (f"{metric.score:.1f} ({metric.version})", metric.vector) if part)


def _interval(interval: IntervalRecord) -> str:
    until = f"{stamp(interval.closed)}  {interval.closed_why}" if interval.closed else "now"
    return f"{stamp(interval.opened)} to {until}  {safe(_software(interval))}  known {stamp(interval.known)}"


def _references(finding: FindingDetail, width: int) -> Iterator[Text]:
    if not finding.references:
        return
    yield Text()
    yield Text(" REFERENCES", style="bold magenta")
    for reference in finding.references[:MAX_REFERENCES]:
        tags = f"({', '.join(reference.tags)})" if reference.tags else ""
        yield from _cut(Text.assemble(" ", safe(reference.url, 400), "  ", (safe(tags), "dim")), width)
    if (more := len(finding.references) - MAX_REFERENCES) > 0:
        yield Text(f" and {more} more; --json prints all", style="dim")


def _names(names: Sequence[str]) -> list[tuple[str, str]]:
    return [(safe(", ".join(names), 200), "dim")] if names else []


def _cut(line: Text, width: int) -> Iterator[Text]:
    line.truncate(width, overflow="ellipsis")
    yield line


def _wrapped(name: str, value: str, width: int) -> Iterator[Text]:
    """`value` over as many lines as it takes, beside its name."""
    room = max(width - _INDENT, 20)
    for index, part in enumerate(textwrap.wrap(safe(value), room) or [""]):
        label = name if index == 0 else ""
        yield from _cut(Text.assemble((f"   {label:<{_INDENT - 4}} ", "dim"), part), width)
