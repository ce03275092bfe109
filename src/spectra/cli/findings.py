"""`spectra findings`: which endpoints have which weaknesses, one of them with why it is one, and how many there are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from spectra.cli import completion
from spectra.cli.help import (
    AllOption,
    CsvOption,
    FieldsOption,
    FileOption,
    FormatOption,
    JsonOption,
    LimitOption,
    examples,
)
from spectra.cli.local import Machine
from spectra.cli.output import Column, Target, console, emit, finish, note, plural, terminal_width
from spectra.cli.pages import Command, Group
from spectra.cli.search import QueryCommand, pointing, unguarded
from spectra.cli.times import ago, parse_when

if TYPE_CHECKING:
    from spectra.model.findingrecords import FindingRecord, FindingSummary


class FindingsGroup(Group):
    """A group that lists where no command of it is named: `spectra findings severity:critical`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `list` before what names no command."""
        if not ctx.resilient_parsing and not (args and (args[0] in self.commands or args[0] in ("--help", "-h"))):
            args = ["list", *args]
        return super().parse_args(ctx, args)


findings = typer.Typer(cls=FindingsGroup, help="Weaknesses of what runs here; lists them where no command is named.")


def columns(now: datetime) -> list[Column[FindingRecord]]:
    """Every field of a finding, and the few that a table joins together."""
    from spectra.cli import findingpage as page

    return [
        Column("urgency", page.urgency, "prio", data=False, right=True),
        Column("cve", lambda f: f.cve),
        Column("is", page.rated, "severity", data=False),
        Column("ip", lambda f: f.ip, "address", style="cyan"),
        Column("endpoint", lambda f: f"{f.port}/{f.protocol}", "port", data=False, right=True),
        Column("port", lambda f: f.port, table=False),
        Column("protocol", lambda f: f.protocol, table=False),
        Column("software", _software, "software", data=False, flexible=True),
        Column("state", page.state),
        Column("certainty", page.sure, "sure", data=False, right=True),
        Column("says", page.says, "says", data=False, flexible=True, main=True),
        Column("age", lambda f: ago(f.opened, now), "opened", data=False, table=False, style="dim"),
        Column("priority", lambda f: f.priority.score, table=False),
        Column("priority_level", lambda f: f.priority.level, table=False),
        Column("severity", lambda f: f.severity, table=False),
        Column("cvss", lambda f: _rounded(f.cvss, 1), table=False),
        Column("cvss_version", lambda f: f.cvss_version, table=False),
        Column("epss", lambda f: _rounded(f.epss, 5), table=False),
        Column("epss_percentile", lambda f: _rounded(f.epss_percentile, 5), table=False),
        Column("kev", lambda f: f.kev, table=False),
        Column("ransomware", lambda f: f.ransomware, table=False),
        Column("level", lambda f: f.level, table=False),
        Column("confidence", lambda f: _rounded(f.confidence, 3), table=False),
        Column("patched", lambda f: f.patched, table=False),
        Column("service", lambda f: f.service, table=False),
        Column("product", lambda f: f.product, table=False),
        Column("version", lambda f: f.version, table=False),
        Column("title", lambda f: f.title, table=False),
        Column("opened", lambda f: f.opened, table=False),
        Column("known", lambda f: f.known, table=False),
        Column("closed", lambda f: f.closed, table=False),
        Column("closed_why", lambda f: f.closed_why, table=False),
        Column("cpe", lambda f: f.cpe, table=False),
        Column("range", lambda f: f.range, table=False),
        Column("source", lambda f: f.source, table=False),
        Column("reason", lambda f: f.reason, table=False),
        Column("triage", lambda f: f.triage and f.triage.status, table=False),
        Column("hostnames", lambda f: f.hostnames, table=False),
        Column("id", lambda f: f.id, table=False),
        Column("description", lambda f: f.description, table=False, data=False),
        Column("status", lambda f: f.status, table=False, data=False),
        Column("criterion", lambda f: f.criterion, table=False, data=False),
        Column("requires", lambda f: f.requires, table=False, data=False),
        Column("priority_reasons", lambda f: f.priority.reasons, table=False, data=False),
    ]


def _software(finding: FindingRecord) -> str:
    return " ".join(part for part in (finding.product or finding.service, finding.version) if part)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _least(name: str, most: int, of: str) -> Any:
    return typer.Option(f"--min-{name}", min=0, max=most, help=f"From this {of} on, 0 to {most}.")


def listed(
    context: typer.Context,
    *,
    query: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="QUERY...", help="Terms as in spectra search; all must hold.", autocompletion=completion.terms
        ),
    ] = None,
    severity: Annotated[str, typer.Option("--severity", metavar="A,B", help="critical, high, medium or low.")] = "",
    kev: Annotated[bool | None, typer.Option("--kev/--no-kev", help="Known to be exploited (CISA), or not.")] = None,
    min_cvss: Annotated[float | None, _least("cvss", 10, "CVSS score")] = None,
    min_epss: Annotated[float | None, _least("epss", 1, "probability of exploitation")] = None,
    min_priority: Annotated[float | None, _least("priority", 100, "priority")] = None,
    state: Annotated[
        Literal["open", "new", "reopened", "closed"],
        typer.Option("--state", help="open (all that are), new or reopened alone; or closed, the last first."),
    ] = "open",
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="Opened, known or closed since: 7d, 2026-03-01.")
    ] = "",
    level: Annotated[str, typer.Option("--level", metavar="A,B", help="How sure: confirmed, likely or possible.")] = "",
    patched: Annotated[
        Literal["", "no", "possibly"],
        typer.Option("--patched", help="no: without what a distribution may have repaired; possibly: only that."),
    ] = "",
    triaged: Annotated[
        Literal["none", "only", "all"],
        typer.Option("--triaged", help="none: without what was settled; only: nothing else; all: both."),
    ] = "none",
    sort: Annotated[str, typer.Option("--sort", help="priority, cvss, epss or opened.")] = "priority",
    limit: LimitOption = 50,
    everything: AllOption = False,
    json: JsonOption = False,
    csv: CsvOption = False,
    format: FormatOption = "",
    fields: FieldsOption = "",
    out: FileOption = None,
) -> None:
    """List findings: open ones, the most urgent first.

    Terms about weaknesses (vuln, severity, cvss, epss, kev) are about the finding itself, all others about its
    endpoint. A `?` beside how sure it is: a distribution may have repaired that version.
    """
    now = datetime.now(UTC)
    words = " ".join(unguarded(query or []))
    given: dict[str, object] = {
        "q": words, "severity": severity, "kev": None if kev is None else str(kev).lower(),
        "cvss": _at_least(min_cvss), "epss": _at_least(min_epss), "min_priority": min_priority,
        "state": state, "since": since and parse_when(since, now).isoformat().replace("+00:00", "Z"),
        "level": level, "patched": patched, "triaged": triaged, "sort": sort,
    }  # fmt: skip
    params = {name: str(value) for name, value in given.items() if value not in ("", None)}
    target = Target.of(json=json, csv=csv, fields=fields, path=out, format=format)
    _list(Machine.of(context), params, 0 if everything else limit, target)


def _at_least(number: float | None) -> str:
    return "" if number is None else f">={number:.9f}".rstrip("0").rstrip(".")


def _list(machine: Machine, asked: dict[str, str], limit: int, target: Target) -> None:
    from spectra.cli.paging import Paged, watched
    from spectra.model.findingrecords import FindingPage

    params: dict[str, str | int] = {**asked}
    with machine.client(notify=note) as client, pointing(asked.get("q", "")):
        pages = Paged(client, "/v0/findings", FindingPage, lambda page: page.findings, params=params, limit=limit)
        count = emit(watched(pages, target), columns(datetime.now(UTC)), target)
    finish(count, target, more=pages.more, what="finding", nothing="No finding.")


def show(
    context: typer.Context,
    *,
    id: Annotated[str, typer.Argument(metavar="ID", help="IP~PORT~PROTOCOL~CVE, as lists have it.")],
    at: Annotated[str, typer.Option("--at", metavar="TIME", help="As it was known then: 2h ago, 7d, 2025-11-01.")] = "",
    json: JsonOption = False,
) -> None:
    """Show one finding: why it is one, how urgent and why, its past, and all that is known of the CVE."""
    from spectra.cli.client import segment
    from spectra.cli.findingpage import page
    from spectra.model.findingrecords import FindingDetail

    now = datetime.now(UTC)
    params: dict[str, str | int] = {"at": parse_when(at, now).isoformat().replace("+00:00", "Z")} if at else {}
    with Machine.of(context).client(notify=note) as client:
        found = client.get(f"/v0/findings/{segment(id)}", FindingDetail, params)
    if json:
        emit([found], [], Target.of(json=True))
        return
    screen = console()
    for line in page(found, now, terminal_width()):
        screen.print(line)


def summary(context: typer.Context, *, json: JsonOption = False) -> None:
    """Count open findings by severity, with those that are exploited, new or settled, and the hosts that have any."""
    from spectra.model.findingrecords import FindingSummary

    with Machine.of(context).client(notify=note) as client:
        found = client.get("/v0/findings/summary", FindingSummary)
    if json:
        emit([found], [], Target.of(json=True))
        return
    screen = console()
    for line in _numbers(found):
        screen.print(line)


def _numbers(s: FindingSummary) -> list[str]:
    severities = ", ".join(f"{n:,} {name or 'unrated'}" for name, n in s.severity.items() if n)
    hosts = f"{'' if s.hosts_exact else 'about '}{plural(s.hosts, 'host')}"
    facts = [
        ("open", f"{plural(s.open, 'finding')} on {hosts}"),
        ("severity", severities),
        ("exploited", f"{s.kev:,} known to be exploited, {s.ransomware:,} by ransomware"),
        ("new", f"{'' if s.exact else 'at least '}{s.new:,} within 7 days"),
        ("patched", f"{s.possibly_patched:,} possibly, by a distribution"),
        ("settled", f"{s.settled:,} by triage, not counted above"),
    ]
    return [f" {name:<10}{value}" for name, value in facts if value]


findings.command(
    "list",
    cls=QueryCommand,
    epilog=examples(
        "spectra findings list severity:critical --kev",
        "spectra findings net:10.0.0.0/8 --min-epss 0.1 --patched no",
        "spectra findings --state new --since 3d --json",
        "spectra findings --state closed --since 7d",
        "spectra findings --triaged all --sort opened --csv -o findings.csv",
    ),
)(listed)
findings.command(
    "show",
    cls=Command,
    epilog=examples(
        "spectra findings show 192.0.2.7~22~tcp~CVE-2024-6387",
        "spectra findings show 192.0.2.7~22~tcp~CVE-2024-6387 --at 7d --json",
    ),
)(show)
findings.command(
    "summary", cls=Command, epilog=examples("spectra findings summary", "spectra findings summary --json")
)(summary)
