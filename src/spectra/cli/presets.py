"""`spectra presets`: the ways of scanning that jobs and schedules take by name."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from spectra.cli import completion
from spectra.cli.help import CsvOption, FieldsOption, JsonOption, examples
from spectra.cli.local import Machine
from spectra.cli.output import Column, Target, emit, finish, json_line, note, text
from spectra.cli.times import span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spectra.model.presets import BbotOptions, NmapOptions, Preset


def presets(
    context: typer.Context,
    *,
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="All that this one says.", autocompletion=completion.presets)
    ] = "",
    json: JsonOption = False,
    csv: CsvOption = False,
    fields: FieldsOption = "",
) -> None:
    """Show the ways of scanning by name: with which tools, which ports, how hard.

    One of your own is a YAML file in the folder `presets` beside the coordinator's config.yaml; its name is the file's.
    """
    from spectra.model.presets import Preset
    from spectra.model.workpages import PresetList

    target = Target.of(json=json, csv=csv, fields=fields)
    with Machine.of(context).client(notify=note) as client:
        if name:
            from spectra.cli.client import segment

            _show(client.get(f"/v0/presets/{segment(name)}", Preset), json)
            return
        found = client.get("/v0/presets", PresetList).presets
    finish(emit(found, COLUMNS, target), target, nothing="There are no presets.")


PRESETS_EXAMPLES = examples("spectra presets", "spectra presets web", "spectra presets --json")
COLUMNS: list[Column[Preset]] = [
    Column("name", lambda p: p.name, "preset", style="cyan"),
    Column("tools", lambda p: p.tools),
    Column("ports", lambda p: p.ports, flexible=True),
    Column("rate", lambda p: p.rate or "", "rate/s", right=True, optional=True),
    Column("raw", lambda p: p.raw, table=False),
    Column("chunk", lambda p: p.chunk, right=True, optional=True),
    Column("deadline", lambda p: span(timedelta(seconds=p.deadline_s)), data=False, right=True, optional=True),
    Column("deadline_s", lambda p: p.deadline_s, table=False),
    Column("timeout_s", lambda p: p.timeout_s, table=False),
    Column("privacy", lambda p: p.privacy.value, table=False),
    Column("description", lambda p: p.description, flexible=True, main=True),
]


def _show(preset: Preset, json: bool) -> None:
    if json:
        sys.stdout.write(json_line(preset) + "\n")
        return
    rows = [(name, value) for name, value in _rows(preset) if value]
    width = max(len(name) for name, _ in rows) + 2
    for name, value in rows:
        sys.stdout.write(f"{name + ':':<{width}}{text(value).plain}\n")


def _rows(preset: Preset) -> Iterator[tuple[str, str]]:
    yield "preset", preset.name
    yield "what", preset.description
    yield "tools", f"{', '.join(preset.tools)} (the first one that a machine has)"
    yield "ports", preset.ports
    yield "rate", f"{preset.rate:,} probes a second" if preset.rate else "as the coordinator says"
    yield "waits", f"{preset.timeout_s:g} s for an answer" if preset.timeout_s else ""
    yield "takes", f"{span(timedelta(seconds=preset.deadline_s))} at most for {preset.chunk} addresses"
    yield "needs", "raw sockets" if preset.raw else ""
    yield "keeps", "no banners, titles and certificates" if preset.privacy.value == "meta-only" else ""
    yield "nmap", ", ".join(_nmap(preset.nmap)) if "nmap" in preset.tools else ""
    yield "bbot", ", ".join(_bbot(preset.bbot)) if "bbot" in preset.tools else ""


def _nmap(options: NmapOptions) -> Iterator[str]:
    yield f"versions with intensity {options.intensity}" if options.versions else "no versions"
    yield f"timing {options.timing}"
    if options.system:
        yield "system"
    if options.scripts:
        yield f"scripts {', '.join(options.scripts)}"


def _bbot(options: BbotOptions) -> Iterator[str]:
    words = {"presets": options.presets, "flags": options.flags, "modules": options.modules, "not": options.exclude}
    yield from (f"{what} {', '.join(named)}" for what, named in words.items() if named)
    yield "touches the targets alone" if options.strict else "touches what it finds, too"
