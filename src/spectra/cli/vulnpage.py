"""A CVE as a page: how bad and how urgent it is, what is affected, where it was seen, and who says so."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from rich.text import Text

from spectra.cli.layout import Slot, lines
from spectra.cli.safe import safe
from spectra.cli.times import ago, stamp
from spectra.cli.vulns import SEVERITY_STYLE, percent

if TYPE_CHECKING:
    from spectra.model.vulnrecords import Configuration, VulnDetail, VulnHost

MAX_TEXT_WIDTH: Final = 110
MAX_CRITERIA: Final = 20
MAX_HOSTS: Final = 15
MAX_REFERENCES: Final = 15
"""Lines of a section on the page; --json has all that the server tells."""

_STATUS: Final = {
    "awaiting": "nobody has analysed it yet",
    "deferred": "the NVD will not analyse it",
    "disputed": "whether it is a weakness is disputed",
    "rejected": "taken back: it is no weakness",
}
_SCORES: Final = (
    Slot("cvss", style="bold"),
    Slot("score", right=True),
    Slot("severity"),
    Slot("vector", flexible=True, main=True),
    Slot("by", flexible=True, optional=True, style="dim"),
)
_HOSTS: Final = (
    Slot("address", style="cyan"),
    Slot("port", right=True),
    Slot("software", flexible=True, main=True),
    Slot("affected", flexible=True),
    Slot("sure"),
    Slot("names", flexible=True, optional=True),
)
_SOURCES: Final = (
    Slot("source", style="bold"),
    Slot("changed"),
    Slot("taken", style="dim"),
    Slot("scores", right=True),
    Slot("criteria", right=True),
    Slot("references", right=True),
    Slot("title", flexible=True, optional=True),
)


def page(vuln: VulnDetail, now: datetime, width: int) -> Iterator[Text]:
    """The lines of the page of a CVE, none wider than `width` cells."""
    for line in _lines(vuln, now, width):
        line.truncate(width, overflow="ellipsis")
        yield line


def _lines(vuln: VulnDetail, now: datetime, width: int) -> Iterator[Text]:
    yield from _head(vuln)
    yield from _wrapped(vuln.description, min(width, MAX_TEXT_WIDTH))
    yield Text()
    yield from _facts(vuln, now)
    yield from _section("scores", _SCORES, _scores(vuln), width)
    yield from _affected(vuln)
    yield from _concerned(vuln, width)
    yield from _references(vuln)
    yield from _section("sources", _SOURCES, _sources(vuln, now), width)


def _title(name: str) -> Iterator[Text]:
    yield Text()
    yield Text(f" {name.upper()}", style="bold magenta")


def _section(title: str, slots: Sequence[Slot], rows: Iterable[Sequence[Text]], width: int) -> Iterator[Text]:
    body = list(lines(slots, rows, width))
    if body:
        yield from _title(title)
        yield from body


def _wrapped(said: str, width: int) -> Iterator[Text]:
    options = {"initial_indent": " ", "subsequent_indent": " ", "break_on_hyphens": False}
    yield from (Text(line) for line in textwrap.wrap(safe(said, 4000), max(width, 20), **options))  # pyright: ignore[reportArgumentType]


def _fact(name: str, value: str, style: str = "") -> Text:
    return Text.assemble((f" {name:<11}", "dim"), (safe(value), style))


def _severity(word: str, score: float | None) -> Text:
    number = "" if score is None else f" {score:.1f}"
    return Text(f"{safe(word) or 'no severity'}{number}", style=SEVERITY_STYLE.get(word, "dim"))


def _head(vuln: VulnDetail) -> Iterator[Text]:
    head = Text.assemble(" ", (safe(vuln.cve), "bold"), "  ", _severity(vuln.severity, vuln.cvss))
    head.append(f"  risk {vuln.risk:.0f}/100")
    if vuln.kev:
        head.append("  exploited", style="bold red")
    if vuln.status in ("rejected", "disputed"):
        head.append(f"  {vuln.status}", style="yellow")
    yield head
    if vuln.title:
        yield Text(f" {safe(vuln.title)}", style="bold")


def _facts(vuln: VulnDetail, now: datetime) -> Iterator[Text]:
    if said := _STATUS.get(vuln.status):
        yield _fact("status", said, "yellow")
    yield from _exploitation(vuln)
    if vuln.epss is not None:
        rank = "" if vuln.epss_percentile is None else f", more than {percent(vuln.epss_percentile)} of all CVEs"
        yield _fact("epss", f"{percent(vuln.epss)} within 30 days{rank}")
    for name, moment in (("published", vuln.published), ("modified", vuln.modified)):
        if moment:
            yield _fact(name, f"{stamp(moment)} UTC ({ago(moment, now)})")
    if vuln.weaknesses:
        yield _fact("weakness", ", ".join(vuln.weaknesses))
    if vuln.aliases:
        yield _fact("also", ", ".join(vuln.aliases))


def _exploitation(vuln: VulnDetail) -> Iterator[Text]:
    if kev := vuln.kev:
        due = f", due {kev.due}" if kev.due else ""
        ransom = ", used for ransomware" if kev.ransomware else ""
        yield _fact("exploited", f"known to CISA since {kev.added}{due}{ransom}", "red")
        if kev.action:
            yield _fact("to do", kev.action)
    if ssvc := vuln.ssvc:
        told = (("exploitation", ssvc.exploitation), ("automatable", ssvc.automatable), ("impact", ssvc.impact))
        yield _fact("ssvc", ", ".join(f"{name} {word}" for name, word in told if word))


def _scores(vuln: VulnDetail) -> Iterator[list[Text]]:
    for metric in vuln.metrics:
        word = Text(safe(metric.severity), style=SEVERITY_STYLE.get(metric.severity, ""))
        facts = (Text(safe(metric.version)), Text(f"{metric.score:.1f}"), word)
        yield [*facts, Text(safe(metric.vector, 200)), Text(safe(metric.by, 80))]


# What is affected ----------------------------------------------------------------------------------------------------


def _affected(vuln: VulnDetail) -> Iterator[Text]:
    """Each configuration on lines of its own, the first of many."""
    if not vuln.configurations:
        return
    yield from _title(f"affected, says {safe(vuln.configured, 40)}")
    said = [line for one in vuln.configurations for line in _configuration(one)]
    yield from said[:MAX_CRITERIA]
    shown = min(len(said), MAX_CRITERIA)
    if vuln.criteria > shown:
        yield Text(f" {shown} of {vuln.criteria:,} shown; --json prints up to 200", style="dim")


def _configuration(one: Configuration) -> Iterator[Text]:
    for number, words in enumerate(one.affected):
        yield Text(f" {'and ' if one.all_of and number else ''}{safe(words, 300)}")
    for number, words in enumerate(one.beside):
        yield Text(f"   {'or' if number else 'with'} {safe(words, 300)}", style="dim")


# Where it was seen ---------------------------------------------------------------------------------------------------


def _concerned(vuln: VulnDetail, width: int) -> Iterator[Text]:
    """The first endpoints, or that there is none."""
    if vuln.hosts is None:
        return
    if not vuln.hosts.endpoints:
        yield from _title("here")
        yield Text(" no open endpoint is affected, as far as its software is known", style="green")
        return
    shown = vuln.hosts.hosts[:MAX_HOSTS]
    count = f"{vuln.hosts.endpoints:,} endpoint{'s' if vuln.hosts.endpoints > 1 else ''}"
    yield from _section(f"here: {count}", _HOSTS, (_host(one) for one in shown), width)
    if vuln.hosts.endpoints > len(shown):
        yield Text(f" and {vuln.hosts.endpoints - len(shown):,} more: spectra vulns {vuln.cve} --hosts", style="dim")


def _host(one: VulnHost) -> list[Text]:
    from spectra.model.findingrecords import level

    sure = Text(level(one.confidence))
    if one.patched:
        sure.append(f", {safe(one.patched)} patched", style="yellow")
    facts = (one.ip, f"{one.port}/{one.protocol}", f"{one.product} {one.version}".strip(), one.range)
    return [*(Text(safe(fact, 200)) for fact in facts), sure, Text(safe(", ".join(one.hostnames), 200))]


# Who says so ---------------------------------------------------------------------------------------------------------


def _references(vuln: VulnDetail) -> Iterator[Text]:
    """Addresses as long as the line, to be followed; what is there stands behind them."""
    shown = vuln.references[:MAX_REFERENCES]
    if shown:
        yield from _title("references")
    for one in shown:
        tags = f"  {safe(', '.join(one.tags), 200)}" if one.tags else ""
        yield Text.assemble(f" {safe(one.url, 400)}", (tags, "dim"))
    if len(vuln.references) > len(shown):
        yield Text(f" and {len(vuln.references) - len(shown)} more; --json prints all", style="dim")


def _sources(vuln: VulnDetail, now: datetime) -> Iterator[list[Text]]:
    for one in vuln.sources:
        changed = stamp(one.modified) if one.modified else ""
        title = f"({one.status}) {one.title}" if one.status else one.title
        counts = (one.metrics, one.criteria, one.references)
        facts = (one.source, changed, ago(one.taken, now), *(str(n) if n else "" for n in counts), title)
        yield [Text(safe(fact, 200)) for fact in facts]
