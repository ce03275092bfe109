"""`spectra place`: countries, regions, cities, networks and clouds, and what is in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

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
from spectra.cli.layout import Slot, lines
from spectra.cli.local import Machine
from spectra.cli.output import Column, Target, console, emit, finish, json_line, note, plural, terminal_width
from spectra.cli.pages import Command, Group
from spectra.cli.safe import safe
from spectra.errors import BadRequest

if TYPE_CHECKING:
    from rich.text import Text

    from spectra.model.geography import Area, AreaRecord

place = typer.Typer(cls=Group, help="Look at places: countries, regions, cities, networks, clouds.")

COLUMNS: list[Column[AreaRecord]] = [
    Column("kind", lambda a: a.kind, table=False),
    Column("name", lambda a: a.name, style="bold", flexible=True, main=True),
    Column("label", lambda a: a.label, flexible=True, optional=True),
    Column("country", lambda a: a.country, optional=True),
    Column("hosts", lambda a: a.hosts, right=True, style="cyan"),
    Column("endpoints", lambda a: a.endpoints, right=True),
    Column("query", lambda a: a.query, style="dim", flexible=True, optional=True),
    Column("path", lambda a: a.path, table=False),
]


@place.command(
    "asn", cls=Command, epilog=examples("spectra place asn 13335", "spectra place asn --limit 20 --csv -o systems.csv")
)
def asn(
    context: typer.Context,
    *,
    number: Annotated[str, typer.Argument(metavar="[NUMBER]", help="AS13335 or 13335; none: the list.")] = "",
    limit: LimitOption = 50,
    everything: AllOption = False,
    json: JsonOption = False,
    csv: CsvOption = False,
    format: FormatOption = "",
    fields: FieldsOption = "",
    out: FileOption = None,
) -> None:
    """Show an autonomous system, or list those with the most hosts."""
    target = Target.of(json=json, csv=csv, fields=fields, path=out, format=format)
    bare = number.strip().lower().removeprefix("as")
    if number and not (bare.isascii() and bare.isdigit()):
        raise BadRequest(f"{number[:40]!r} is not the number of an autonomous system", field="number")
    _Look(Machine.of(context), target).at(["asn", bare], 0 if everything else limit)


@place.command("country", cls=Command, epilog=examples("spectra place country FR", "spectra place country --all"))
def country(
    context: typer.Context,
    *,
    code: Annotated[str, typer.Argument(metavar="[CODE]", help="Two letters; none: the list.")] = "",
    limit: LimitOption = 50,
    everything: AllOption = False,
    json: JsonOption = False,
    csv: CsvOption = False,
    format: FormatOption = "",
    fields: FieldsOption = "",
    out: FileOption = None,
) -> None:
    """Show a country, or list those with the most hosts."""
    target = Target.of(json=json, csv=csv, fields=fields, path=out, format=format)
    _Look(Machine.of(context), target).at(["country", code], 0 if everything else limit)


@place.command("region", cls=Command, epilog=examples("spectra place region FR Bretagne", "spectra place region FR"))
def region(
    context: typer.Context,
    *,
    code: Annotated[str, typer.Argument(metavar="[CODE]", help="The country.")] = "",
    name: Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="None: the list.")] = None,
    limit: LimitOption = 50,
    everything: AllOption = False,
    json: JsonOption = False,
    csv: CsvOption = False,
    format: FormatOption = "",
    fields: FieldsOption = "",
    out: FileOption = None,
) -> None:
    """Show a region of a country, or list those with the most hosts."""
    target = Target.of(json=json, csv=csv, fields=fields, path=out, format=format)
    _Look(Machine.of(context), target).inside("region", code, " ".join(name or []), 0 if everything else limit)


@place.command("city", cls=Command, epilog=examples("spectra place city FR Paris", "spectra place city FR --limit 20"))
def city(
    context: typer.Context,
    *,
    code: Annotated[str, typer.Argument(metavar="[CODE]", help="The country.")] = "",
    name: Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="None: the list.")] = None,
    limit: LimitOption = 50,
    everything: AllOption = False,
    json: JsonOption = False,
    csv: CsvOption = False,
    format: FormatOption = "",
    fields: FieldsOption = "",
    out: FileOption = None,
) -> None:
    """Show a city of a country, or list those with the most hosts."""
    target = Target.of(json=json, csv=csv, fields=fields, path=out, format=format)
    _Look(Machine.of(context), target).inside("city", code, " ".join(name or []), 0 if everything else limit)


@place.command("cloud", cls=Command, epilog=examples("spectra place cloud aws eu-west-1", "spectra place cloud"))
def cloud(
    context: typer.Context,
    *,
    provider: Annotated[str, typer.Argument(metavar="[PROVIDER]", help="Such as aws; none: the list.")] = "",
    region: Annotated[str, typer.Argument(metavar="[REGION]", help="One of its regions.")] = "",
    limit: LimitOption = 50,
    everything: AllOption = False,
    json: JsonOption = False,
    csv: CsvOption = False,
    format: FormatOption = "",
    fields: FieldsOption = "",
    out: FileOption = None,
) -> None:
    """Show a cloud or one of its regions, or list those with the most hosts."""
    target = Target.of(json=json, csv=csv, fields=fields, path=out, format=format)
    _Look(Machine.of(context), target).at(["cloud", provider, region], 0 if everything else limit)


class _Look:
    """What is asked of the server, and how it is printed."""

    def __init__(self, machine: Machine, target: Target) -> None:
        self._machine = machine
        self._target = target

    def inside(self, kind: str, code: str, name: str, limit: int) -> None:
        """A region or city, or the list of those of a country."""
        if name:
            self.at([kind, code, name], limit)
        else:
            self._list(kind, {"country": code} if code else {}, limit)

    def at(self, steps: list[str], limit: int) -> None:
        """The page at `steps`, or the list where there is only a kind."""
        kind, *names = [step for step in steps if step]
        self._page([kind, *names]) if names else self._list(kind, {}, limit)

    def _list(self, kind: str, params: dict[str, str | int], limit: int) -> None:
        from spectra.cli.paging import Paged, watched
        from spectra.model.geography import AreaPage

        with self._machine.client(notify=note) as client:
            rows = Paged(client, f"/v0/{kind}", AreaPage, lambda page: page.areas, params=params, limit=limit)
            count = emit(watched(rows, self._target), COLUMNS, self._target)
        finish(count, self._target, more=rows.more, what="place", nothing="No host has a known place.")

    def _page(self, steps: list[str]) -> None:
        from spectra.cli.client import segment
        from spectra.cli.output import Format
        from spectra.model.geography import Area

        with self._machine.client(notify=note) as client:
            found = client.get("/v0/" + "/".join(segment(step) for step in steps), Area)
        target = self._target
        if target.format is Format.JSON and not target.fields and not target.path:
            typer.echo(json_line(found))
        elif target.format is Format.TABLE and not target.fields and not target.path:
            screen = console()
            for row in area_page(found, terminal_width()):
                screen.print(row)
        else:
            rows = [found.area, *(row for rows in found.relations.values() for row in rows)]
            finish(emit(rows, COLUMNS, target), target, what="place")


_TITLES = {
    "country": "countries",
    "region": "regions",
    "city": "cities",
    "asn": "networks",
    "cloud": "clouds",
    "cloud_region": "cloud regions",
    "cloud_service": "cloud services",
}
_RELATED = (
    Slot("name", style="bold", flexible=True, main=True),
    Slot("label", flexible=True, optional=True),
    Slot("hosts", right=True, style="cyan"),
    Slot("endpoints", right=True),
    Slot("query", style="dim", flexible=True, optional=True),
)


def area_page(area: Area, width: int) -> Iterator[Text]:
    """The lines of an area's page, none wider than `width` cells."""
    from rich.text import Text

    from spectra.cli.stats import draw_facets

    own = area.area
    where = ", ".join(part for part in (own.label, own.country) if part)
    head = [
        Text.assemble(" ", (safe(own.name), "bold"), f"  {safe(where)}" if where else ""),
        Text(f" {plural(own.hosts, 'host')}, {plural(own.endpoints, 'open endpoint')}"),
        Text(f" spectra search {safe(own.query)!r}", style="dim"),
    ]
    for line in head:
        line.truncate(width, overflow="ellipsis")
        yield line
    for kind, rows in area.relations.items():
        yield Text()
        yield Text(f" {_TITLES.get(kind, kind).upper()}", style="bold magenta")
        yield from lines(_RELATED, _cells(rows), width)
    yield from draw_facets(area.total, area.top, width)


def _cells(rows: Iterable[AreaRecord]) -> Iterator[list[Text]]:
    from rich.text import Text

    for row in rows:
        values = (row.name, row.label, f"{row.hosts:,}", f"{row.endpoints:,}", row.query)
        yield [Text(safe(value, 200)) for value in values]
