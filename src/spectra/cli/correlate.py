"""`spectra feeds correlate`: holding all stored services against all known weaknesses again."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from spectra.cli.help import JsonOption, examples
from spectra.cli.ids import short
from spectra.cli.local import Machine
from spectra.cli.output import json_line, note, plural
from spectra.cli.pages import Command
from spectra.cli.safe import safe

if TYPE_CHECKING:
    from spectra.model.records import WorkflowRecord


def correlate(
    context: typer.Context,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it until it ends; failing exits with 1.")] = False,
    json: JsonOption = False,
) -> None:
    """Name all stored services again and hold them against all CVEs: durable, one at a time.

    Not needed after a sync or a scan, which are followed by themselves. What stays true keeps its date.
    """
    from spectra.cli.workflows import follow
    from spectra.model.correlation import Correlating

    with Machine.of(context).client(notify=note) as client:
        begun = client.slow("POST", "/v0/correlate", Correlating)
        if not begun.started:
            note("One is running already.")
        if not watch:
            words = f"All services are held against all CVEs again, workflow {safe(begun.workflow_id)}"
            sys.stdout.write(f"{json_line(begun) if json else words}\n")
            note(f"Follow it with: spectra workflows show {safe(short(begun.workflow_id))} --watch")
            return
        record = follow(client, begun.workflow_id, "wf.vuln_correlate")
    if record is not None:
        sys.stdout.write(f"{json_line(record) if json else _words(record)}\n")
        if record.status == "failed":
            raise typer.Exit(1)


def _words(record: WorkflowRecord) -> str:
    if record.error:
        return f"{record.status}: {safe(record.error)}"
    return f"{record.status}, {plural(record.done, 'service')} and what they are"


def add_to(group: typer.Typer) -> None:
    """Make it a command of `spectra feeds`."""
    group.command("correlate", cls=Command, epilog=examples("spectra feeds correlate --watch"))(correlate)
