"""`spectra observations`: what was accepted, from whom, and its original bytes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spectra.cli.help import CsvOption, FieldsOption, FileOption, JsonOption, examples
from spectra.cli.ids import LOOK_AT, resolve, short
from spectra.cli.local import Machine
from spectra.cli.output import Column, Target, console, emit, note, plural, replaced, text
from spectra.cli.pages import Command, Group
from spectra.cli.safe import safe
from spectra.cli.times import ago
from spectra.errors import BadRequest, SpectraError

if TYPE_CHECKING:
    from spectra.cli.client import Client
    from spectra.model.records import ObservationRecord

PAGE = 500
MAX_PROBLEMS = 50
STYLES = {"merged": "green", "accepted": "yellow", "failed": "red"}

observations = typer.Typer(cls=Group, help="Look at accepted submissions and their original output.")
IdArgument = Annotated[
    str, typer.Argument(metavar="ID", help="Whole or short, as `spectra observations list` prints it.")
]


def _kept(record: ObservationRecord) -> str:
    counts = record.counts
    shown = [plural(counts.hosts, "host"), plural(counts.endpoints, "endpoint")]
    shown += [f"{plural(counts.problems, 'record')} not kept"] if counts.problems else []
    return ", ".join(shown)


def _columns(now: datetime) -> list[Column[ObservationRecord]]:
    return [
        Column("observation_id", lambda o: o.observation_id, table=False),
        Column("id", lambda o: short(o.observation_id), data=False, style="cyan"),
        Column("status", lambda o: text(o.status, STYLES.get(o.status, ""))),
        Column("received", lambda o: o.received, table=False),
        Column("when", lambda o: ago(o.received, now), "received", data=False, style="dim"),
        Column("tool", lambda o: o.tool),
        Column("format", lambda o: o.format, table=False),
        Column("contributor", lambda o: o.contributor, flexible=True, optional=True),
        Column("kept", _kept, data=False, flexible=True),
        Column("hosts", lambda o: o.counts.hosts, table=False),
        Column("endpoints", lambda o: o.counts.endpoints, table=False),
        Column("problems", lambda o: o.counts.problems, table=False),
        Column("scan_id", lambda o: o.scan_id, table=False),
        Column("source", lambda o: o.source, flexible=True, optional=True),
        Column("output_sha256", lambda o: o.output_sha256, table=False),
        Column("output_size", lambda o: o.output_size, table=False),
        Column("error", lambda o: o.error, table=False),
    ]


def _pages(client: Client, limit: int) -> Iterator[ObservationRecord]:
    from spectra.cli.answers import ObservationList

    left, cursor = limit, ""
    while True:
        params: dict[str, str | int] = {"limit": min(left, PAGE) if limit else PAGE}
        page = client.get("/v0/observations", ObservationList, params | ({"cursor": cursor} if cursor else {}))
        yield from page.observations[: left if limit else None]
        left -= len(page.observations)
        if not page.next_cursor or (limit and left <= 0):
            return
        if page.next_cursor == cursor or not page.observations:
            raise SpectraError("the server's pages do not advance", reason="bad_answer")
        cursor = page.next_cursor


def list_observations(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Most to print; 0 prints all.")] = 50,
    json: JsonOption = False,
    csv: CsvOption = False,
    fields: FieldsOption = "",
    out: FileOption = None,
) -> None:
    """List accepted submissions, newest first."""
    target = Target.of(json=json, csv=csv, fields=fields, path=out)
    with Machine.of(context).client(notify=note) as client:
        if not emit(_pages(client, limit), _columns(datetime.now(UTC)), target):
            note("Nothing was submitted yet.")


def show(context: typer.Context, *, observation_id: IdArgument, json: JsonOption = False) -> None:
    """Show one submission: who, what, when, what was kept and what was not."""
    from spectra.cli.client import segment
    from spectra.model.records import ObservationRecord

    with Machine.of(context).client(notify=note) as client:
        record = client.get(f"/v0/observations/{segment(_whole(client, observation_id))}", ObservationRecord)
    if json:
        emit([record], [], Target.of(json=True))
    else:
        _print(record)


def _whole(client: Client, given: str) -> str:
    return resolve(given, lambda: (record.observation_id for record in _pages(client, LOOK_AT)))


def _print(record: ObservationRecord) -> None:
    import msgspec
    from rich.text import Text

    screen = console()
    screen.print(Text.assemble((f" {safe(record.observation_id)}", "bold")))
    for field in msgspec.structs.fields(record):
        value = getattr(record, field.name)
        if value in ("", None, ()) or field.name in ("observation_id", "problems"):
            continue
        shown = _kept(record) if field.name == "counts" else value
        screen.print(Text.assemble((f"   {field.name:<14}", "dim"), text(shown)))
    for problem in record.problems[:MAX_PROBLEMS]:
        where = f"line {problem.line}" if problem.line else ""
        place = " ".join(part for part in (where, safe(problem.field)) if part)
        screen.print(Text(f"   not kept: {place + ': ' if place else ''}{safe(problem.message)}", style="yellow"))
    if len(record.problems) > MAX_PROBLEMS:
        screen.print(Text(f"   and {len(record.problems) - MAX_PROBLEMS} more; --json prints all", style="dim"))


def raw(
    context: typer.Context,
    *,
    observation_id: IdArgument,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write there.")] = None,
) -> None:
    """Write the tool's original output, byte for byte."""
    from spectra.cli.client import segment

    if out is None and sys.stdout.isatty():
        raise BadRequest("the original bytes could drive this terminal", field="out", hint="Give -o FILE, or pipe it.")
    with Machine.of(context).client(notify=note) as client:
        chunks = client.chunks(f"/v0/observations/{segment(_whole(client, observation_id))}/raw")
        if out is None:
            for chunk in chunks:
                sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
            return
        size = 0
        with replaced(out) as stream:
            for chunk in chunks:
                size += stream.write(chunk)
    note(f"{size:,} bytes written to {out}")


observations.command("list", cls=Command, epilog=examples("spectra observations list --limit 10"))(list_observations)
observations.command("show", cls=Command, epilog=examples("spectra observations show ID"))(show)
observations.command("raw", cls=Command, epilog=examples("spectra observations raw ID -o scan.xml"))(raw)
