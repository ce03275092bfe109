"""`spectra enrich`: what others say of the CVEs of a host, or of one, looked up by the server."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from spectra.cli.help import JsonOption, examples
from spectra.cli.hosts import canonical_address
from spectra.cli.local import Machine
from spectra.cli.output import Target, console, emit, note, plural, terminal_width
from spectra.cli.pages import Command, Group
from spectra.cli.safe import safe
from spectra.errors import BadRequest

if TYPE_CHECKING:
    from rich.text import Text

    from spectra.model.enrichment import Enrichment
    from spectra.model.insights import InsightRecord

MAX_WIDTH: Final = 110
_STYLE: Final = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan"}

enrich = typer.Typer(cls=Group, help="Look up what others say of a CVE, or of a host's most urgent ones.")


def ip(
    context: typer.Context,
    *,
    address: Annotated[str, typer.Argument(metavar="IP", help="The address of a host.")],
    json: JsonOption = False,
) -> None:
    """Look up the CVEs of a host's most urgent findings."""
    canonical = canonical_address(address)
    if not canonical:
        raise BadRequest(f"{address!r} is not an IP address")
    _enriched(context, "ip", canonical, json=json)


def cve(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Argument(metavar="CVE", help="Such as CVE-2024-6387.")],
    json: JsonOption = False,
) -> None:
    """Look up a CVE."""
    _enriched(context, "cve", name.strip().upper(), json=json)


enrich.command("ip", cls=Command, epilog=examples("spectra enrich ip 192.0.2.10"))(ip)
enrich.command("cve", cls=Command, epilog=examples("spectra enrich cve CVE-2024-6387 --json"))(cve)


def _enriched(context: typer.Context, kind: Literal["ip", "cve"], value: str, *, json: bool) -> None:
    import msgspec

    from spectra.model.enrichment import EnrichAsk, Enrichment

    body = msgspec.json.encode(EnrichAsk(kind, value))
    with Machine.of(context).client(notify=note) as client:
        found = client.slow("POST", "/v0/ai/enrich", Enrichment, body)
    if json:
        emit([found], [], Target.of(json=True))
        return
    screen = console()
    for record in found.insights:
        for line in page(record, min(terminal_width(), MAX_WIDTH)):
            screen.print(line)
    _remarks(found)


def page(record: InsightRecord, width: int) -> Iterator[Text]:
    """An insight as lines, none wider than `width` cells."""
    from rich.text import Text

    told = record.insight
    yield Text(f" {safe(told.title)}", style="bold cyan")
    yield Text(f"   {told.severity}, score {told.score}", style=_STYLE.get(told.severity, ""))
    yield from _wrapped(told.what, width)
    if told.advice:
        yield from _wrapped(f"To do: {told.advice}", width)
    if told.note:
        yield from _wrapped(f"{safe(told.note_by)} notes: {told.note}", width, style="italic")
    for source in told.sources:
        yield Text(f"   {safe(source.url)}  {source.fetched_at:%Y-%m-%d %H:%M}", style="dim", no_wrap=True)
    yield Text()


def _wrapped(text: str, width: int, style: str = "") -> Iterator[Text]:
    from rich.text import Text

    for line in textwrap.wrap(
        safe(text), max(width, 20), initial_indent="   ", subsequent_indent="   ", break_on_hyphens=False
    ):
        yield Text(line, style=style)


def _remarks(found: Enrichment) -> None:
    if not found.insights:
        note("Nothing is known of it that could be looked up.")
    for failed in found.failed:
        note(f"{safe(failed.url)}: {safe(failed.says)}")
    if found.refused:
        told = ", ".join(sorted({f"{call.tool} ({call.reason})" for call in found.refused}))
        note(f"{plural(len(found.refused), 'call')} of a model refused: {told}. A page may have told it to.")
    if found.why:
        note(f"No model added a note: {found.why}.")
