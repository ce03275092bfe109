"""`spectra insights`: what agents concluded, with what it rests on, and what people decided about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

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
from spectra.cli.ids import short
from spectra.cli.local import Machine
from spectra.cli.output import Column, Target, console, emit, finish, json_line, note, terminal_width, text
from spectra.cli.pages import Command, Group
from spectra.cli.summarypage import wrapped
from spectra.cli.times import ago, parse_when, stamp

if TYPE_CHECKING:
    from rich.text import Text

    from spectra.model.insights import InsightRecord

STYLES: Final = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan", "info": "dim"}
MAX_WIDTH: Final = 110

insights = typer.Typer(cls=Group, help="Look at what agents concluded, and decide about it.")

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="As lists have it; eight digits of it are enough.")]


def columns(now: datetime) -> list[Column[InsightRecord]]:
    """Of a table of insights."""
    return [
        Column("id", lambda r: r.insight.id, table=False),
        Column("short", lambda r: short(r.insight.id), "insight", data=False, style="cyan"),
        Column("is", lambda r: text(r.insight.severity, STYLES[r.insight.severity]), "severity", data=False),
        Column("severity", lambda r: r.insight.severity, table=False),
        Column("score", lambda r: r.insight.score, right=True, optional=True),
        Column("agent", lambda r: r.insight.agent, optional=True),
        Column("kind", lambda r: r.insight.kind, optional=True),
        Column("title", lambda r: r.insight.title, flexible=True, main=True),
        Column("seen", lambda r: ago(r.last_seen, now), data=False, style="dim"),
        Column("state", lambda r: r.resolution or r.state, optional=True),
        Column("what", lambda r: r.insight.what, table=False),
        Column("advice", lambda r: r.insight.advice, table=False),
        Column("note", lambda r: r.insight.note, table=False),
        Column("label", lambda r: r.insight.label, table=False),
        Column("subjects", lambda r: r.insight.subjects, table=False),
        Column("at", lambda r: r.insight.at, table=False),
        Column("first_seen", lambda r: r.first_seen, table=False),
        Column("last_seen", lambda r: r.last_seen, table=False),
        Column("times", lambda r: r.times, table=False),
        Column("statement", lambda r: r.statement, table=False),
    ]


def list_insights(
    context: typer.Context,
    *,
    agent: Annotated[str, typer.Option("--agent", metavar="NAME", help="Only of this agent.")] = "",
    severity: Annotated[
        str, typer.Option("--severity", help="That one or worse: critical, high, medium, low, info.")
    ] = "low",
    subject: Annotated[
        str, typer.Option("--about", metavar="RECORD", help="About this record, such as host:192.0.2.1.")
    ] = "",
    kind: Annotated[str, typer.Option("--kind", metavar="KIND", help="Such as dns_tunnel.")] = "",
    state: Annotated[str, typer.Option("--state", help="open, resolved or all.")] = "open",
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="Seen since then: 7d, 2027-01-01.")] = "",
    limit: LimitOption = 100,
    everything: AllOption = False,
    json: JsonOption = False,
    csv: CsvOption = False,
    format: FormatOption = "",
    fields: FieldsOption = "",
    out: FileOption = None,
) -> None:
    """List insights, the worst first, of equal severity the newest. Needs Pro."""
    from spectra.cli.paging import Paged, watched
    from spectra.model.insights import InsightPage

    now = datetime.now(UTC)
    given = {"agent": agent, "severity": severity, "subject": subject, "kind": kind, "state": state}
    params: dict[str, str | int] = {name: value for name, value in given.items() if value}
    if since:
        params["since"] = parse_when(since, now).isoformat()
    target = Target.of(json=json, csv=csv, fields=fields, path=out, format=format)
    with Machine.of(context).client(notify=note) as client:
        pages = Paged(
            client,
            "/v0/insights",
            InsightPage,
            lambda page: page.insights,
            params=params,
            limit=0 if everything else limit,
        )
        count = emit(watched(pages, target), columns(now), target)
    nothing = "There are none: spectra agents run NAME makes some."
    finish(count, target, more=pages.more, what="insight", nothing=nothing)


def show(context: typer.Context, *, insight: IdArgument, json: JsonOption = False) -> None:
    """Show one insight: what it says, what it rests on, and the numbers with their thresholds."""
    from spectra.cli.client import segment
    from spectra.model.insights import InsightRecord

    with Machine.of(context).client(notify=note) as client:
        record = client.get(f"/v0/insights/{segment(insight)}", InsightRecord)
    _print(record, json)


def resolve(
    context: typer.Context,
    *,
    insight: IdArgument,
    resolution: Annotated[
        str, typer.Option("--as", metavar="WHY", help="fixed (opens again if seen again), false_positive or accepted.")
    ] = "fixed",
    comment: Annotated[str, typer.Option("--note", metavar="TEXT", help="A line about it.")] = "",
    json: JsonOption = False,
) -> None:
    """Put on record that nothing is left to do about an insight."""
    from spectra.cli.client import segment
    from spectra.model.insights import InsightRecord

    body = {"resolution": resolution.replace("-", "_"), "comment": comment}
    with Machine.of(context).client(notify=note) as client:
        record = client.post(f"/v0/insights/{segment(insight)}/resolve", InsightRecord, body)
    if json:
        _print(record, json)
    else:
        note(f"{short(record.insight.id)} is resolved as {resolution}.")


def _print(record: InsightRecord, json: bool) -> None:
    if json:
        typer.echo(json_line(record))
        return
    out = console()
    for line in page(record, min(terminal_width(), MAX_WIDTH)):
        out.print(line, soft_wrap=True)


def page(record: InsightRecord, width: int) -> Iterator[Text]:
    """An insight as lines, none wider than `width` cells where words allow it."""
    one = record.insight
    yield text(f" {one.title}", STYLES[one.severity])
    yield text(f" {one.severity}, score {one.score} of 100, by {one.agent} ({one.kind}), {one.label}", "dim")
    yield text("")
    yield from wrapped(one.what, "   ", width)
    yield from _part("What to do", [one.advice] if one.advice else [], width)
    yield from _part(f"Note of {one.note_by}, a language model", [one.note] if one.note else [], width)
    yield from _part("Rests on", [_basis(told.record, told.line, told.says) for told in one.evidence], width)
    yield from _part(
        "Numbers",
        [f"{f.name} {f.value}" + (f" (threshold {f.threshold})" if f.threshold else "") for f in one.features],
        width,
    )
    yield from _part("Sources", [f"{s.url} at {stamp(s.fetched_at)}, sha256 {s.sha256}" for s in one.sources], width)
    yield from _part("Records", one.subjects, width)
    yield text("")
    seen = f"Seen {record.times} times, first {stamp(record.first_seen)}, last {stamp(record.last_seen)}."
    decided = (
        f" {record.resolution} by {record.resolved_by}: {record.comment or 'no word'}." if record.resolution else ""
    )
    yield from wrapped(f"{seen}{decided} Signed in {short(record.statement)}.", " ", width)


def _part(title: str, rows: Sequence[str], width: int) -> Iterator[Text]:
    if rows:
        yield text(f" {title}", "bold")
        for row in rows:
            yield from wrapped(row, " • ", width, "   ")


def _basis(record: str, line: int, says: str) -> str:
    where = f"line {line}" if line else record
    return f"{says} [{where}]" if where else says


insights.command(
    "list",
    cls=Command,
    epilog=examples("spectra insights list --severity high", "spectra insights list --about host:192.0.2.1"),
)(list_insights)
insights.command("show", cls=Command, epilog=examples("spectra insights show 3f1c9a04"))(show)
insights.command(
    "resolve", cls=Command, epilog=examples('spectra insights resolve 3f1c9a04 --as accepted --note "our scanner"')
)(resolve)
