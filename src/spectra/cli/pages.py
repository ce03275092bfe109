"""How help looks: panels drawn here, because Typer's own renderer loads markdown and syntax highlighting to do it.

`spectra --help` has to answer in less than 0.4 s. What a page shows is asked of Typer (names, types, defaults).
"""

from __future__ import annotations

import inspect
import io
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

from spectra.cli.output import terminal_width

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

MAX_WIDTH = 100
MAX_NAME = 30
INTERRUPTED = 130
"""The exit code of a process that SIGINT ended, as shells have it."""
Rows = list[tuple[str, str]]


class Command(TyperCommand):
    """A command whose help is drawn by this module."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The usage line of an error, as the help has it."""
        return list(_usage(self))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the page into click's formatter."""
        formatter.write(page(self, ctx))


class Group(TyperGroup):
    """A group whose help is drawn by this module, also where no command is given."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Ctrl-C at a prompt ends as anywhere else: click makes it an "Aborted!" with code 1."""
        try:
            return super().invoke(ctx)
        except typer.Abort as abort:
            if isinstance(abort.__context__, KeyboardInterrupt):
                sys.stderr.write("\n")
                raise typer.Exit(INTERRUPTED) from abort
            raise

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Show the help where nothing follows the group's name."""
        if not args and not ctx.resilient_parsing:
            typer.echo(self.get_help(ctx))
            raise typer.Exit
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the page into click's formatter."""
        formatter.write(page(self, ctx))


def page(command: TyperCommand | TyperGroup, context: Any) -> str:
    """The help of `command` as text, coloured where standard output is a terminal."""
    from rich.console import Console

    buffer = io.StringIO()
    screen = Console(
        file=buffer, width=min(terminal_width(), MAX_WIDTH), force_terminal=sys.stdout.isatty(), highlight=False
    )
    for part in _parts(command, context):
        screen.print(part, markup=False)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"


def _parts(command: TyperCommand | TyperGroup, context: Any) -> Iterator[RenderableType]:
    from rich.text import Text

    yield Text.assemble(("Usage: ", "yellow"), " ".join([context.command_path, *_usage(command)]))
    yield ""
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        yield Text(" ".join(paragraph.split()))
        yield ""
    if isinstance(command, TyperGroup):
        for title, rows in _commands(command, context).items():
            yield _panel(title, rows)
    for title, rows in _parameters(command, context).items():
        yield _panel(title, rows)
    if command.epilog:
        yield ""
        yield from (_epilog(line) for line in command.epilog.splitlines())


def _epilog(line: str) -> Text:
    from rich.text import Text

    if line.startswith("$ "):
        return Text(f"  {line}", style="green", no_wrap=True, overflow="ignore")
    return Text(line, style="bold" if line.endswith(":") else "")


def _commands(group: TyperGroup, context: Any) -> dict[str, Rows]:
    panels: dict[str, Rows] = {}
    for name, command in group.commands.items():
        if not command.hidden:
            panel = getattr(command, "rich_help_panel", None)
            title = panel if isinstance(panel, str) else "Commands"
            panels.setdefault(title, []).append((name, command.get_short_help_str(200)))
    return panels


def _usage(command: TyperCommand | TyperGroup) -> Iterator[str]:
    yield "[OPTIONS]"
    if isinstance(command, TyperGroup):
        yield "COMMAND [ARGS]..."
    for parameter in command.params:
        if isinstance(parameter, TyperArgument):
            label = _argument(parameter)
            yield label if parameter.required else f"[{label}]"


def _argument(parameter: TyperArgument) -> str:
    label = parameter.metavar or parameter.name.upper()
    return f"{label}..." if parameter.nargs == -1 and not label.endswith("...") else label


def _name(parameter: Any, shown: str) -> str:
    """`--limit N`, `QUERY...`: Typer's `<int range>` says it the way a programmer would."""
    if isinstance(parameter, TyperArgument):
        return _argument(parameter)
    for typer_word, word in (("<int range>", "N"), ("<int>", "N"), ("<float range>", "N"), ("<str>", "TEXT")):
        shown = shown.replace(typer_word, word)
    return shown.replace("<", "").replace(">", "")


def _parameters(command: TyperCommand | TyperGroup, context: Any) -> dict[str, Rows]:
    panels: dict[str, Rows] = {}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record:
            title = "Arguments" if isinstance(parameter, TyperArgument) else "Options"
            name, text = record
            panels.setdefault(title, []).append((_name(parameter, name), text))
    return dict(sorted(panels.items()))


def _panel(title: str, rows: Iterable[tuple[str, str]]) -> RenderableType:
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    rows = list(rows)
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(width=min(max(len(name) for name, _ in rows), MAX_NAME), overflow="fold")
    table.add_column(ratio=1)
    for name, text in rows:
        table.add_row(Text(name, style="cyan"), Text(text))
    return Panel(table, title=title, title_align="left", border_style="dim")
