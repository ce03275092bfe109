"""Writes `docs/cli.md` from the commands themselves: `python -m spectra.cli.docs > docs/cli.md`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import typer.main
from typer.core import TyperCommand, TyperGroup

from spectra.cli.pages import page

WIDTH = 100
INTRO = """\
# The command line

Generated from the program by `python -m spectra.cli.docs`; a test compares the two.

Data goes to standard output, notes and progress to standard error. `--json` prints JSON lines; tables fit the terminal
and show hostile text harmless (`\\x1b` instead of an escape); CSV cells are never formulas. `NO_COLOR` is honoured.

The command finds the server of this machine by itself. Another one is named with `--server URL` (or the setting
`server`), and its token given in `SPECTRA_TOKEN`; the token of this machine is never sent elsewhere.
"""


def document() -> str:
    """The whole page: help of the root and of every command, in the order of the program."""
    os.environ["COLUMNS"] = str(WIDTH)
    os.environ["NO_COLOR"] = "1"
    from spectra.cli.main import app

    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    return "\n".join([INTRO, *_sections(root, "spectra", None)])


def _sections(command: TyperCommand | TyperGroup, name: str, parent: Any) -> Iterator[str]:
    context = typer.Context(command, info_name=name, parent=parent)
    title = context.command_path
    yield f"{'#' * (2 + title.count(' '))} `{title}`\n\n```text\n{page(command, context).rstrip()}\n```\n"
    if isinstance(command, TyperGroup):
        for inner, subcommand in command.commands.items():
            if isinstance(subcommand, TyperCommand | TyperGroup) and not subcommand.hidden:
                yield from _sections(subcommand, inner, context)


if __name__ == "__main__":
    sys.stdout.write(document())
