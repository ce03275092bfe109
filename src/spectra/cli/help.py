"""How help is written: panels, examples and the options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NODE = "This node"
COLLECT = "Collect"
LOOK = "Look"
TRUST = "Trust and scope"
MESH = "Mesh"

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON lines.")]
CsvOption = Annotated[bool, typer.Option("--csv", help="Print CSV, with cells no spreadsheet runs.")]
FieldsOption = Annotated[str, typer.Option("--fields", metavar="A,B", help="Only these fields, in this order.")]
FileOption = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="FILE", help="Write there; .csv, .json or .jsonl decides the format."),
]
FormatOption = Annotated[
    str, typer.Option("--output", "-f", "--format", metavar="FORMAT", help="table, json or csv; like --json, --csv.")
]
LimitOption = Annotated[int, typer.Option("--limit", min=0, help="Most rows to print; 0 prints all.")]
AllOption = Annotated[bool, typer.Option("--all", help="Print all, like --limit 0.")]


def examples(*calls: str) -> str:
    """An epilog that shows whole commands."""
    return "\n".join(["Examples:", *(f"$ {call}" for call in calls)])


EXIT_CODES = (
    "Exit codes:\n  0 it worked, 1 it failed, 2 the command was not understood, 3 nothing answers (not running?),\n"
    "  4 what was asked for is not there, 130 interrupted\n\nBegin with:\n$ spectra up --detach\n"
    "$ spectra scan 127.0.0.1 --allow 127.0.0.0/8 --submit\n$ spectra search port:22"
)
