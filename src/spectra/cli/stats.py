"""`spectra count` and `spectra stats`: how many there are, and of what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from spectra.cli import completion
from spectra.cli.help import CsvOption, FieldsOption, FileOption, FormatOption, JsonOption, examples
from spectra.cli.local import Machine
from spectra.cli.output import Column, Format, Target, console, emit, finish, json_line, note, plural, terminal_width
from spectra.cli.safe import safe
from spectra.cli.search import pointing, unguarded
from spectra.cli.times import ago

if TYPE_CHECKING:
    from rich.text import Text

    from spectra.model.facets import Facet, Overview, Total

DEFAULT_FACETS = "country:5,service:10,product:10,port:10"
BAR = 24
_BLOCKS = " ▏▎▍▌▋▊▉█"

ExactOption = Annotated[bool, typer.Option("--exact", help="Estimate nothing, however long that takes.")]
Words = Annotated[
    list[str],
    typer.Argument(metavar="QUERY...", help="Filters and words; all must hold.", autocompletion=completion.terms),
]


@dataclass(frozen=True)
class Bar:
    """One value of one facet; `share` of all endpoints that match. `value` is empty for those that have none listed."""

    facet: str
    value: str | int
    count: int
    share: float
    exact: bool
    label: str = ""


def count(context: typer.Context, *, query: Words, exact: ExactOption = False, json: JsonOption = False) -> None:
    """Count endpoints that match: the number alone on standard output, and the hosts beside it."""
    from spectra.model.facets import Count

    words = " ".join(unguarded(query))
    with Machine.of(context).client(notify=note) as client, pointing(words):
        found = client.get("/v0/count", Count, {"q": words} | ({"exact": "true"} if exact else {}))
    if json:
        typer.echo(json_line(found))
        return
    typer.echo(found.count)
    about = "" if found.exact else "about "
    hosts = "" if found.hosts_exact else "about "
    note(f"{about}{plural(found.count, 'endpoint')} on {hosts}{plural(found.hosts, 'host')}")


COUNT_EXAMPLES = examples("spectra count country:FR service:http", "spectra count port:445 since:7d --exact --json")


def stats(
    context: typer.Context,
    *,
    query: Annotated[
        list[str] | None,
        typer.Argument(metavar="QUERY", help="Filters and words.", autocompletion=completion.terms),
    ] = None,
    facets: Annotated[
        str, typer.Option("--facets", metavar="A:N,B:-N,C:UNIT", help="The most common, the rarest, a histogram.")
    ] = "",
    limit: Annotated[int, typer.Option("--limit", min=0, max=1000, help="Values of a facet without a number.")] = 0,
    exact: ExactOption = False,
    json: JsonOption = False,
    csv: CsvOption = False,
    format: FormatOption = "",
    fields: FieldsOption = "",
    out: FileOption = None,
) -> None:
    """Count what the graph holds, or what matches, by country, product, port ...

    Facets: country, region, city, asn, org, cloud, cloud_region, port, protocol, service, product, version, cpe, os,
    title, hostname, cert.issuer, cert.subject, of weaknesses vuln, severity, cvss and kev, and last_seen and first_seen
    by hour, day, week or month.
    """
    target = Target.of(json=json, csv=csv, fields=fields, path=out, format=format)
    words = " ".join(unguarded(query or []))
    ask = _Ask(Machine.of(context), words, with_limit(facets or DEFAULT_FACETS, limit), exact)
    if not words and not facets:
        overview = ask.overview()
        if target.format is Format.JSON and not target.path and not target.fields:
            typer.echo(json_line(overview))
            return
        if target.format is Format.TABLE and not target.path:
            _print(_overview(overview))
    total, found = ask.facets()
    if target.format is Format.TABLE and not target.path and not target.fields:
        _print(draw_facets(total, found, terminal_width()))
        return
    rows = list(bars(total, found))
    finish(emit(rows, _COLUMNS, target), target, what="value", nothing="Nothing matches.")


STATS_EXAMPLES = examples(
    "spectra stats",
    "spectra stats country:FR --facets product:20,port:10,version:-5",
    "spectra stats service:ssh --facets last_seen:day --csv -o days.csv",
)

_COLUMNS: list[Column[Bar]] = [
    Column("facet", lambda b: b.facet, style="dim"),
    Column("value", lambda b: b.value, main=True, flexible=True),
    Column("label", lambda b: b.label, flexible=True, optional=True),
    Column("count", lambda b: b.count, right=True),
    Column("share", lambda b: round(b.share, 4), right=True),
    Column("exact", lambda b: b.exact),
]


class _Ask:
    """One question to the server."""

    def __init__(self, machine: Machine, words: str, facets: str, exact: bool) -> None:
        self._machine = machine
        self._words = words
        self._params: dict[str, str | int] = {"q": words, "facets": facets, "limit": 0}
        if exact:
            self._params["exact"] = "true"

    def overview(self) -> Overview:
        """What the graph holds."""
        from spectra.model.facets import Overview

        with self._machine.client(notify=note) as client:
            return client.get("/v0/stats", Overview)

    def facets(self) -> tuple[Total, dict[str, Facet]]:
        """The total and the facets of what matches."""
        from spectra.model.facets import Total
        from spectra.model.records import SearchPage

        with self._machine.client(notify=note) as client, pointing(self._words):
            page = client.get("/v0/search", SearchPage, self._params)
        return page.total or Total(0, True), page.facets or {}


def with_limit(facets: str, limit: int) -> str:
    """`facets` with `limit` for each that says nothing after its name (0: the server's own)."""
    if not limit:
        return facets
    names = [part.strip() for part in facets.split(",")]
    timed = ("last_seen", "first_seen")
    return ",".join(part if ":" in part or part in timed else f"{part}:{limit}" for part in names)


def bars(total: Total, facets: dict[str, Facet]) -> Iterator[Bar]:
    """One row for each value."""
    for name, facet in facets.items():
        for value in facet.values:
            share = value.count / total.count if total.count else 0.0
            yield Bar(name, value.value, value.count, share, facet.exact, value.label)


# For people ----------------------------------------------------------------------------------------------------------


def _print(rows: Iterable[Text]) -> None:
    screen = console()
    for row in rows:
        screen.print(row)


def _overview(held: Overview) -> Iterator[Text]:
    from rich.text import Text

    now = datetime.now(UTC)
    facts = [
        ("hosts", f"{held.hosts:,}"),
        ("placed", f"{held.hosts_placed:,} of them have a known place"),
        ("endpoints", f"{held.endpoints:,} open"),
        ("services", f"{held.services:,} distinct"),
        ("certs", f"{held.certificates:,}"),
        ("names", f"{held.names:,}"),
        ("scans", f"{held.observations:,}"),
    ]
    if held.newest and held.oldest:
        facts.append(("seen", f"{ago(held.newest, now)} last, {ago(held.oldest, now)} at the longest"))
    facts += [
        ("feed", f"{f'{feed.name} {feed.version}'.strip()}, taken {ago(feed.updated, now)}") for feed in held.feeds
    ]
    for name, value in facts:
        yield Text.assemble((f" {name:<10}", "dim"), safe(value))


def draw_facets(total: Total, facets: dict[str, Facet], width: int) -> Iterator[Text]:
    """A section of bars for each facet, and the total; no line is wider than `width` cells."""
    from rich.text import Text

    if not any(facet.values for facet in facets.values()):
        yield Text(f" {_amount(total.count, total.exact)} match")
    for name, rows in groupby(bars(total, facets), key=lambda bar: bar.facet):
        facet = facets[name]
        yield Text()
        yield Text.assemble((f" {name.upper()}", "bold magenta"), "" if facet.exact else ("  estimated", "yellow"))
        yield from draw(list(rows), width)
        left = [f"{n:,} {what}" for n, what in ((facet.other, "in other values"), (facet.missing, "without")) if n]
        if left:
            yield Text(f" {', '.join(left)}", style="dim")
    yield Text()
    yield Text(f" {_amount(total.count, total.exact)}", style="dim")


def _amount(count: int, exact: bool) -> str:
    return ("" if exact else "about ") + plural(count, "open endpoint")


def draw(rows: list[Bar], width: int) -> Iterator[Text]:
    """The rows of one facet with bars, none wider than `width` cells; the longest bar is the largest count."""
    from rich.text import Text

    from spectra.cli.layout import cut

    most = max(row.count for row in rows)
    names = [Text(safe(f"{row.value} {row.label}".rstrip(), 200)) for row in rows]
    numbers = [f"{row.count:,}" for row in rows]
    n_width = max(len(number) for number in numbers)
    room = width - n_width - 13  # the share, the indent and gaps
    bar = min(BAR, max(room // 3, 0))
    name_width = min(max(name.cell_len for name in names), max(room - bar, 1))
    for row, name, number in zip(rows, names, numbers, strict=True):
        line = Text(" ", no_wrap=True)
        line.append_text(cut(name, name_width))
        line.append(f"  {number:>{n_width}}  {row.share:>6.1%}  ", style="cyan")
        line.append(_block(row.count / most * bar if most else 0.0), style="green")
        line.rstrip()
        yield line


def _block(cells: float) -> str:
    """A bar of `cells` cells, to an eighth; something is never nothing."""
    eighths = max(round(cells * 8), 1) if cells > 0 else 0
    return "█" * (eighths // 8) + _BLOCKS[eighths % 8].strip()
