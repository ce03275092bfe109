"""`spectra agents`: detectors over alerts, logs, findings and the history of scans."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from spectra.cli.help import JsonOption, examples
from spectra.cli.insights import columns
from spectra.cli.local import Machine
from spectra.cli.output import Column, Target, emit, finish, json_line, note, plural
from spectra.cli.pages import Command, Group
from spectra.errors import BadRequest

if TYPE_CHECKING:
    from spectra.model.agents import AgentRecord, AgentRun

MAX_BYTES: Final = 32 * 1024 * 1024
_UNITS: Final = {"findings": "finding", "store": "finding", "scan history": "look"}
OCTETS: Final = "application/octet-stream"

agents = typer.Typer(cls=Group, help="Have agents look at alerts, logs, findings and the history of scans.")


def list_agents(context: typer.Context, *, json: JsonOption = False) -> None:
    """List the agents: what each finds, and what it reads. They work without a language model."""
    from spectra.model.agents import AgentList

    with Machine.of(context).client(notify=note) as client:
        found = client.get("/v0/ai/agents", AgentList)
    target = Target.of(json=json)
    finish(emit(found.agents, _COLUMNS, target), target, what="agent")
    if not json:
        note(
            "A language model may add notes." if found.notes else "No language model is configured: there are no notes."
        )


def run(
    context: typer.Context,
    *,
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="As `spectra agents list` has it.")],
    file: Annotated[
        str, typer.Argument(metavar="[FILE]", help="Alerts or a log; - reads standard input.", show_default=False)
    ] = "",
    checklists: Annotated[
        str, typer.Option("--checklists", metavar="A,B", help="Of config-advisor: anssi, nis2, gdpr; all if left out.")
    ] = "",
    no_notes: Annotated[bool, typer.Option("--no-notes", help="Ask no language model for notes.")] = False,
    json: JsonOption = False,
) -> None:
    """Let an agent look, and keep what it concludes. Needs Pro."""
    from spectra.cli.client import segment
    from spectra.model.agents import AgentRun

    content = _content(file)
    params = {"note": "false" if no_notes else "true"} | ({"checklists": checklists} if checklists else {})
    with Machine.of(context).client(notify=note) as client:
        path = f"/v0/ai/agents/{segment(agent)}"
        result = client.slow("POST", path, AgentRun, content, params=params, media_type=OCTETS)
    if json:
        typer.echo(json_line(result))
        return
    _tell(result)


def _content(file: str) -> bytes:
    """The bytes of a file, or of standard input for `-`; none where no file is named."""
    if not file:
        return b""
    try:
        if file == "-":
            content = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(file).open("rb") as stream:
                content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadRequest(f"cannot read {file}: {error.strerror}", field="file") from error
    if len(content) > MAX_BYTES:
        raise BadRequest(f"{file} has more than {MAX_BYTES // 2**20} MB", field="file", hint="Give it in parts.")
    if not content.strip():
        raise BadRequest(f"{file} is empty", field="file")
    return content


def _tell(result: AgentRun) -> None:
    target = Target.of()
    shown = [one for one in result.insights if one.insight.severity != "info"] or list(result.insights)
    count = emit(shown, columns(datetime.now(UTC)), target)
    finish(count, target, what="insight", nothing="Nothing that would be worth a word.")
    unit = _UNITS.get(result.format, "")
    read = plural(result.lines, unit) if unit else f"{plural(result.lines, 'line')} of {result.format}"
    read += " read" + (f", {result.skipped} of them unknown" if result.skipped else "")
    more = f"; {result.left_out} more were left out" if result.left_out else ""
    note(f"{read}; {result.new} new, {result.again} known{more}. One in full: spectra insights show ID")


_COLUMNS: list[Column[AgentRecord]] = [
    Column("name", lambda a: a.name, "agent", style="cyan"),
    Column("title", lambda a: a.title, table=False),
    Column("reads", lambda a: a.reads, flexible=True),
    Column("input", lambda a: a.input, table=False),
    Column("does", lambda a: a.does, "finds", flexible=True, main=True),
]

agents.command("list", cls=Command, epilog=examples("spectra agents list"))(list_agents)
agents.command(
    "run",
    cls=Command,
    epilog=examples(
        "spectra agents run config-advisor --checklists nis2",
        "spectra agents run dns-guard /var/log/dnsmasq.log",
        "cscli alerts list -o json | spectra agents run threat-analyst -",
    ),
)(run)
