"""`spectra explain`: a host in three points, from its facts alone."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final

import typer

from spectra.cli.help import JsonOption, examples
from spectra.cli.hosts import canonical_address
from spectra.cli.local import Machine
from spectra.cli.output import Target, console, emit, note, terminal_width
from spectra.cli.pages import Command, Group
from spectra.cli.safe import safe
from spectra.errors import BadRequest

if TYPE_CHECKING:
    from rich.text import Text

    from spectra.cli.client import Client
    from spectra.model.explanations import Explanation, Risk

MAX_WIDTH: Final = 110
MAX_HOSTS: Final = 10
_STYLE: Final = {"high": "bold red", "medium": "yellow", "low": "cyan"}
_BASIS: Final = "From the facts of the graph, by fixed rules; no language model was asked."

explain = typer.Typer(cls=Group, help="Explain a host: what it is, what to mind, what to do next.")


def ip(
    context: typer.Context,
    *,
    address: Annotated[str, typer.Argument(metavar="IP", help="The address of a host.")],
    json: JsonOption = False,
) -> None:
    """Explain the host at an address."""
    canonical = canonical_address(address)
    if not canonical:
        raise BadRequest(f"{address!r} is not an IP address", hint=f"For a name: spectra explain host {address}")
    with Machine.of(context).client(notify=note) as client:
        _print([_asked(client, canonical)], json=json)


def host(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A hostname.")],
    json: JsonOption = False,
) -> None:
    """Explain the hosts that go by a name."""
    from spectra.cli.client import segment
    from spectra.model.records import NameRecord

    with Machine.of(context).client(notify=note) as client:
        if address := canonical_address(name):
            _print([_asked(client, address)], json=json)
            return
        record = client.get(f"/v0/hostname/{segment(name.strip().lower().rstrip('.'))}", NameRecord)
        if not record.addresses:
            note(f"No address is known for {record.name}: scan it.")
        _print([_asked(client, address) for address in record.addresses[:MAX_HOSTS]], json=json)
        if len(record.addresses) > MAX_HOSTS:
            note(f"{record.name} has {len(record.addresses)} addresses; these are the first {MAX_HOSTS}.")


explain.command("ip", cls=Command, epilog=examples("spectra explain ip 192.0.2.10"))(ip)
explain.command("host", cls=Command, epilog=examples("spectra explain host www.example.org --json"))(host)


def _asked(client: Client, address: str) -> Explanation:
    from spectra.cli.client import segment
    from spectra.model.explanations import Explanation

    return client.get(f"/v0/explain/ip/{segment(address)}", Explanation)


def _print(found: list[Explanation], *, json: bool) -> None:
    if json:
        emit(found, [], Target.of(json=True))
        return
    screen = console()
    for explanation in found:
        for line in page(explanation, min(terminal_width(), MAX_WIDTH)):
            screen.print(line)
    if found:
        note(_BASIS)


def page(explanation: Explanation, width: int) -> Iterator[Text]:
    """The three points as lines, none wider than `width` cells."""
    from rich.text import Text

    yield Text(f" {safe(explanation.ip)}", style="bold cyan")
    yield Text()
    yield Text(" • Summary", style="bold")
    yield from _wrapped(explanation.summary, "   ", width)
    yield Text(" • Risks", style="bold")
    for risk in explanation.risks:
        yield from _risk(risk, width)
    if not explanation.risks:
        yield Text("   None that the facts show.")
    yield Text(" • Next steps", style="bold")
    for number, step in enumerate(explanation.next_steps, 1):
        yield from _wrapped(step, f"   {number}. ", width, "      ")
    yield Text()


def _risk(risk: Risk, width: int) -> Iterator[Text]:
    where = f"{risk.where}: " if risk.where else ""
    lines = list(_wrapped(f"{where}{risk.says}", f"   {risk.level:<6}  ", width, " " * 11))
    lines[0].stylize(_STYLE.get(risk.level, ""), 3, 3 + len(risk.level))
    yield from lines


def _wrapped(text: str, indent: str, width: int, following: str = "") -> Iterator[Text]:
    from rich.text import Text

    lines = textwrap.wrap(
        safe(text),
        max(width, 20),
        initial_indent=indent,
        subsequent_indent=following or indent,
        break_on_hyphens=False,
    )
    yield from (Text(line) for line in lines or [indent])
