"""`spectra searches`: queries kept under a name, here and on the dashboard."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from spectra.cli import completion
from spectra.cli.help import (
    AllOption,
    CsvOption,
    FieldsOption,
    FileOption,
    FormatOption,
    JsonOption,
    LimitOption,
    examples,
)
from spectra.cli.local import Machine
from spectra.cli.output import Column, Target, emit, finish, note
from spectra.cli.pages import Command, Group
from spectra.cli.search import QueryCommand, SortOption, ask, pointing, unguarded
from spectra.cli.times import ago

if TYPE_CHECKING:
    from spectra.model.saved import SavedSearch

searches = typer.Typer(cls=Group, help="Keep searches under a name. Everyone has their own.")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="What the search is called.")]


def columns(now: datetime) -> list[Column[SavedSearch]]:
    """Of a table of saved searches."""
    return [
        Column("name", lambda s: s.name, style="cyan"),
        Column("query", lambda s: s.query, flexible=True, main=True),
        Column("sort", lambda s: s.sort, "order"),
        Column("kept", lambda s: ago(s.changed, now), data=False, style="dim"),
        Column("created", lambda s: s.created, table=False),
        Column("changed", lambda s: s.changed, table=False),
    ]


@searches.command("list", cls=Command, epilog=examples("spectra searches list", "spectra searches list --json"))
def listed(
    context: typer.Context,
    *,
    json: JsonOption = False,
    csv: CsvOption = False,
    format: FormatOption = "",
    fields: FieldsOption = "",
    out: FileOption = None,
) -> None:
    """List what you keep, by name."""
    from spectra.model.saved import SavedSearches

    target = Target.of(json=json, csv=csv, fields=fields, path=out, format=format)
    with Machine.of(context).client(notify=note) as client:
        found = client.get("/v0/searches", SavedSearches).searches
    count = emit(found, columns(datetime.now(UTC)), target)
    finish(count, target, nothing="You keep no search yet. Keep one: spectra searches save NAME QUERY...")


@searches.command(
    "save",
    cls=QueryCommand,
    epilog=examples("spectra searches save 'exposed ssh' port:22 -net:10.0.0.0/8"),
)
def save(
    context: typer.Context,
    *,
    name: NameArgument,
    query: Annotated[
        list[str],
        typer.Argument(metavar="QUERY...", help="Filters and words; all must hold.", autocompletion=completion.terms),
    ],
    sort: SortOption = "last_seen",
) -> None:
    """Keep a search, in the place of one of that name."""
    from spectra.cli.client import segment
    from spectra.model.saved import SavedSearch, checked_name

    words = " ".join(unguarded(query))
    path = f"/v0/searches/{segment(checked_name(name))}"
    with Machine.of(context).client(notify=note) as client, pointing(words):
        kept = client.call("PUT", path, SavedSearch, {"query": words, "sort": sort})
    note(f"Kept as {kept.name}. Run it: spectra searches run '{kept.name}'")


@searches.command(
    "run",
    cls=QueryCommand,
    epilog=examples("spectra searches run 'exposed ssh'", "spectra searches run ssh country:FR"),
)
def run(
    context: typer.Context,
    *,
    name: NameArgument,
    query: Annotated[
        list[str] | None, typer.Argument(metavar="QUERY...", help="Further terms.", autocompletion=completion.terms)
    ] = None,
    limit: LimitOption = 100,
    everything: AllOption = False,
    json: JsonOption = False,
    csv: CsvOption = False,
    format: FormatOption = "",
    fields: FieldsOption = "",
    out: FileOption = None,
) -> None:
    """Search for what is kept under a name."""
    from spectra.cli.client import segment
    from spectra.model.saved import SavedSearch, checked_name

    target = Target.of(json=json, csv=csv, fields=fields, path=out, format=format)
    machine = Machine.of(context)
    with machine.client(notify=note) as client:
        kept = client.get(f"/v0/searches/{segment(checked_name(name))}", SavedSearch)
    words = " ".join([kept.query, *unguarded(query or [])]).strip()
    ask(machine, words, kept.sort, 0 if everything else limit, target)


@searches.command("remove", cls=Command, epilog=examples("spectra searches remove 'exposed ssh'"))
def remove(context: typer.Context, *, name: NameArgument) -> None:
    """Forget a search."""
    from spectra.cli.client import segment
    from spectra.model.saved import SavedSearch, checked_name

    with Machine.of(context).client(notify=note) as client:
        gone = client.call("DELETE", f"/v0/searches/{segment(checked_name(name))}", SavedSearch)
    note(f"{gone.name} is forgotten: {gone.query}")
