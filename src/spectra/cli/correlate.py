"""`spectra feeds correlate`: holding all stored services against all known weaknesses again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from spectra.cli.help import JsonOption, examples
from spectra.cli.local import Machine
from spectra.cli.output import note, plural
from spectra.cli.pages import Command

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
    from spectra.cli.workflows import tell
    from spectra.model.correlation import Correlating

    with Machine.of(context).client(notify=note) as client:
        begun = client.slow("POST", "/v0/correlate", Correlating)
        said = "All services are held against all CVEs again"
        tell(client, begun, said, _ended, name="wf.vuln_correlate", watch=watch, json=json)


def _ended(record: WorkflowRecord) -> str:
    return f"{plural(record.done, 'service')} and what they are"


def add_to(group: typer.Typer) -> None:
    """Make it a command of `spectra feeds`."""
    group.command("correlate", cls=Command, epilog=examples("spectra feeds correlate --watch"))(correlate)
