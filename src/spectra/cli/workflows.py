"""`spectra workflows`: the durable work behind accepted submissions."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from spectra.cli.help import JsonOption, examples
from spectra.cli.ids import LOOK_AT, resolve, short
from spectra.cli.local import Machine
from spectra.cli.output import Column, Target, console, emit, json_line, note, plural, text
from spectra.cli.pages import Command, Group
from spectra.cli.safe import safe
from spectra.cli.times import ago, stamp

if TYPE_CHECKING:
    from rich.text import Text

    from spectra.cli.client import Client
    from spectra.model.correlation import Correlating
    from spectra.model.feeds import Relocating
    from spectra.model.records import WorkflowRecord
    from spectra.model.similar import Vectorizing

    Begun = Correlating | Relocating | Vectorizing

STYLES = {"done": "green", "failed": "red", "running": "cyan", "pending": "yellow"}
# What a workflow goes over, and what it does: wf.vuln_correlate counts services and what they are.
UNITS = {
    "wf.relocate": ("host", "looking hosts up"),
    "wf.vuln_correlate": ("service", "holding services against CVEs"),
    "wf.vuln_sync": ("record", "taking records in"),
    "wf.vuln_vectorize": ("text", "making vectors of texts"),
}
WATCH_EVERY_S = 0.5
WATCH_AT_MOST_S = 3600.0

workflows = typer.Typer(cls=Group, help="Follow the durable work behind submissions.")


def _columns(now: datetime) -> list[Column[WorkflowRecord]]:
    return [
        Column("id", lambda w: short(w.workflow_id), style="cyan"),
        Column("name", lambda w: w.name),
        Column("status", lambda w: text(w.status, STYLES.get(w.status, ""))),
        Column("created", lambda w: ago(w.created, now), style="dim"),
        Column("error", lambda w: w.error, flexible=True, optional=True, style="red"),
    ]


def list_workflows(
    context: typer.Context,
    *,
    status: Annotated[str, typer.Option("--status", help="pending, running, done or failed.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="Most to print.")] = 50,
    json: JsonOption = False,
) -> None:
    """List workflows, newest first."""
    from spectra.cli.answers import WorkflowList

    params: dict[str, str | int] = {"limit": limit} | ({"status": status} if status else {})
    with Machine.of(context).client(notify=note) as client:
        records = client.get("/v0/workflows", WorkflowList, params).workflows
    if not emit(records, _columns(datetime.now(UTC)), Target.of(json=json)):
        note("There are no workflows.")


def show(
    context: typer.Context,
    *,
    workflow_id: Annotated[
        str, typer.Argument(metavar="ID", help="Whole or short, as `spectra workflows list` prints it.")
    ],
    watch: Annotated[bool, typer.Option("--watch", help="Follow it until it ends; failing exits with 1.")] = False,
    json: JsonOption = False,
) -> None:
    """Show one workflow and its steps."""
    with Machine.of(context).client(notify=note) as client:
        record = None
        shown = 0
        for record in _versions(client, _whole(client, workflow_id), watch):
            if json:
                emit([record], [], Target.of(json=True))
            else:
                shown = _progress(record, shown)
    if watch and record is not None and record.status == "failed":
        raise typer.Exit(1)


def _whole(client: Client, given: str) -> str:
    from spectra.cli.answers import WorkflowList

    def known() -> Iterator[str]:
        return (w.workflow_id for w in client.get("/v0/workflows", WorkflowList, {"limit": LOOK_AT}).workflows)

    return resolve(given, known)


def _versions(client: Client, workflow_id: str, watch: bool) -> Iterator[WorkflowRecord]:
    """The workflow as it is, and with `watch` each time it has changed, until it ends or an hour has gone."""
    from spectra.cli.client import segment
    from spectra.model.records import WorkflowRecord

    never = threading.Event()
    last = None
    for _ in range(int(WATCH_AT_MOST_S / WATCH_EVERY_S)):
        record = client.get(f"/v0/workflows/{segment(workflow_id)}", WorkflowRecord)
        if record != last:
            yield record
        last = record
        if not watch or record.status in ("done", "failed"):
            return
        never.wait(WATCH_EVERY_S)
    note("Still running after an hour; look again later.")


def follow(client: Client, workflow_id: str, name: str) -> WorkflowRecord | None:
    """Draw how far a workflow that goes over everything is, until it ends; returns how it ended."""
    from spectra.cli.progress import bar

    record = None
    with bar(UNITS[name][1]) as progress:
        for record in _versions(client, workflow_id, watch=True):
            progress.move(record.done, max(record.total, 1), _share(record))
    return record


def tell(
    client: Client,
    begun: Begun,
    said: str,
    ended: Callable[[WorkflowRecord], str],
    *,
    name: str,
    watch: bool,
    json: bool,
) -> None:
    """Say that a workflow which goes over everything was begun (`said`), or with `watch` how it `ended`.

    Raises `typer.Exit` where it failed.
    """
    if not begun.started:
        note("One is running already.")
    if not watch:
        words = f"{said}, workflow {safe(begun.workflow_id)}"
        sys.stdout.write(f"{json_line(begun) if json else words}\n")
        note(f"Follow it with: spectra workflows show {safe(short(begun.workflow_id))} --watch")
        return
    record = follow(client, begun.workflow_id, name)
    if record is not None:
        words = f"{record.status}, {ended(record)}" if not record.error else f"{record.status}: {safe(record.error)}"
        sys.stdout.write(f"{json_line(record) if json else words}\n")
        if record.status == "failed":
            raise typer.Exit(1)


def _share(record: WorkflowRecord) -> str:
    return f"{record.done:,} of {plural(record.total, UNITS.get(record.name, ('host', ''))[0])}"


def _progress(record: WorkflowRecord, shown: int) -> int:
    """Print what is new: the head the first time, then the steps after the first `shown - 1`; returns the new count."""
    screen = console()
    if not shown:
        for line in _head(record):
            screen.print(line)
    for step in record.steps[max(shown - 1, 0) :]:
        screen.print("  ✗" if step.error else "  ✓", text(f"{step.name}: {step.error}" if step.error else step.name))
    if record.status in ("done", "failed"):
        ended = f"done, {_share(record)}" if record.total else "done"
        screen.print(" ", text(f"{record.status}: {record.error}" if record.error else ended, STYLES[record.status]))
    return len(record.steps) + 1


def _head(record: WorkflowRecord) -> Iterator[Text]:
    from rich.text import Text

    yield Text.assemble((safe(record.workflow_id), "bold"), f"  {safe(record.name)}  ", text(record.status))
    yield Text(f"  created {stamp(record.created)} UTC", style="dim")
    if record.total:
        yield Text(f"  {_share(record)}", style="dim")
    if record.observation_id:
        yield Text(f"  observation {safe(record.observation_id)}", style="dim")


workflows.command("list", cls=Command, epilog=examples("spectra workflows list --status failed"))(list_workflows)
workflows.command("show", cls=Command, epilog=examples("spectra workflows show ID --watch"))(show)
