"""`spectra search` and `spectra mesh query`: endpoints that match, as a table, JSON lines or CSV."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from spectra.cli.help import CsvOption, FieldsOption, FileOption, JsonOption, examples
from spectra.cli.local import Machine
from spectra.cli.output import Column, Target, emit, note
from spectra.cli.pages import Command, Group
from spectra.cli.problems import ApiError
from spectra.cli.safe import safe
from spectra.cli.times import ago
from spectra.errors import SpectraError

if TYPE_CHECKING:
    from spectra.cli.client import Client
    from spectra.model.records import Match

PAGE = 1000
Selector = Literal["service", "port", "product", "version", "hostname", "ip", "net", "protocol", "title"]
_NEGATIVE = re.compile(r'-(?:[a-z_.]+:|").', re.DOTALL)
_GUARD = "\0"  # cannot occur in an argument, so it marks one without ambiguity

SortOption = Annotated[
    str, typer.Option("--sort", help="last_seen, first_seen, ip or port; -ip turns the order round.")
]
LimitOption = Annotated[int, typer.Option("--limit", min=0, help="Most matches to print; 0 prints all.")]


class QueryCommand(Command):
    """A command whose arguments may start with `-`, as in `-service:ssh`, without being options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Mark terms that exclude, so that the option parser leaves them alone."""
        return super().parse_args(ctx, [_GUARD + arg if _NEGATIVE.match(arg) else arg for arg in args])


class Pages:
    """Matches over as many pages as `limit` asks for (0: all). `more` tells whether the server had further ones."""

    def __init__(self, client: Client, params: dict[str, str | int], limit: int) -> None:
        self._client = client
        self._params = params
        self._limit = limit
        self.more = False

    def __iter__(self) -> Iterator[Match]:
        from spectra.model.records import SearchPage

        left = self._limit
        cursor = ""
        while True:
            ask = min(left, PAGE) if self._limit else PAGE
            page = self._client.get("/v0/search", SearchPage, {**self._params, "limit": ask} | _cursor(cursor))
            yield from page.matches[:ask]
            left -= len(page.matches)
            self.more = bool(page.next_cursor)
            if not self.more or (self._limit and left <= 0):
                return
            if page.next_cursor == cursor or not page.matches:
                raise SpectraError("the server's pages do not advance", reason="bad_answer")
            cursor = page.next_cursor


def _cursor(cursor: str) -> dict[str, str | int]:
    return {"cursor": cursor} if cursor else {}


def _product(match: Match) -> str:
    return " ".join(part for part in (match.product, match.version, match.extra and f"({match.extra})") if part)


def _says(match: Match) -> str:
    return match.title or match.banner or (f"CN {match.certificate_cn}" if match.certificate_cn else "")


def columns(now: datetime) -> list[Column[Match]]:
    """Every field of a match, and the few that a table joins together."""
    return [
        Column("ip", lambda m: m.ip, "address", style="cyan"),
        Column("endpoint", lambda m: f"{m.port}/{m.protocol}", "port", data=False, right=True),
        Column("port", lambda m: m.port, table=False),
        Column("protocol", lambda m: m.protocol, table=False),
        Column("state", lambda m: m.state, table=False),
        Column("service", lambda m: m.service + ("/tls" if m.tunnel else ""), table=False),
        Column("is", lambda m: m.service + ("/tls" if m.tunnel else ""), "service", data=False, style="green"),
        Column("software", _product, "product", data=False, flexible=True, main=True),
        Column("product", lambda m: m.product, table=False),
        Column("version", lambda m: m.version, table=False),
        Column("extra", lambda m: m.extra, table=False),
        Column("tunnel", lambda m: m.tunnel, table=False),
        Column("says", _says, "says", data=False, flexible=True, optional=True),
        Column("title", lambda m: m.title, table=False),
        Column("banner", lambda m: m.banner, table=False),
        Column("certificate_cn", lambda m: m.certificate_cn, table=False),
        Column("names", lambda m: m.hostnames, "names", data=False, flexible=True, optional=True),
        Column("hostnames", lambda m: m.hostnames, table=False),
        Column("first_seen", lambda m: m.first_seen, table=False),
        Column("last_seen", lambda m: m.last_seen, table=False),
        Column("seen", lambda m: ago(m.last_seen, now), "seen", data=False, style="dim"),
    ]


def ask(machine: Machine, query: str, sort: str, limit: int, target: Target) -> None:
    """Ask, print, and say on standard error what is not on the screen."""
    with machine.client(notify=note) as client:
        pages = Pages(client, {"q": query, "sort": sort}, limit)
        try:
            count = emit(pages, columns(datetime.now(UTC)), target)
        except ApiError as error:
            _point(query, error)
            raise
    if count == 0:
        note("Nothing matches.")
    elif pages.more:
        note(f"{count} shown, there are more: --limit 0 prints all.")
    if target.path:
        note(f"{count} written to {target.path}")


def _point(query: str, error: ApiError) -> None:
    """Show where in the query the server stumbled (`column` is 1-based)."""
    column = error.problem.column
    if error.status == 400 and column and query and safe(query) == query:
        sys.stderr.write(f"  {query}\n  {' ' * (min(column, len(query) + 1) - 1)}^\n")


def search(
    context: typer.Context,
    *,
    query: Annotated[list[str], typer.Argument(metavar="QUERY...", help="Filters and words; all must hold.")],
    sort: SortOption = "last_seen",
    limit: LimitOption = 100,
    everything: Annotated[bool, typer.Option("--all", help="Print all matches, like --limit 0.")] = False,
    json: JsonOption = False,
    csv: CsvOption = False,
    fields: FieldsOption = "",
    out: FileOption = None,
) -> None:
    """Find endpoints: by address, port, service, product, name, or what they say.

    Filters: ip, net, port, protocol, state, service, product, version, hostname, title, since, before, scan,
    contributor. A comma means or, a leading `-` means not, bare words are looked for in banners and titles, "exact
    words" in this order.
    """
    words = " ".join(word.removeprefix(_GUARD) for word in query)
    target = Target.of(json=json, csv=csv, fields=fields, path=out)
    ask(Machine.of(context), words, sort, 0 if everything else limit, target)


SEARCH_EXAMPLES = examples(
    "spectra search port:22,2222 product:openssh",
    "spectra search service:http -product:nginx net:10.0.0.0/8",
    """spectra search 'since:7d "welcome to"' --sort ip --csv -o found.csv""",
    "spectra search service:redis --all --json --fields ip,port,version",
)

mesh = typer.Typer(cls=Group, help="Ask the mesh.")


def query(
    context: typer.Context,
    *,
    selector: Annotated[Selector, typer.Argument(help="What to select by.")],
    values: Annotated[list[str], typer.Argument(metavar="VALUE...", help="Any of these.")],
    since: Annotated[str, typer.Option("--since", metavar="7d", help="Seen within this time.")] = "",
    service: Annotated[str, typer.Option("--service", help="And this service.")] = "",
    port: Annotated[str, typer.Option("--port", help="And this port.")] = "",
    sort: SortOption = "last_seen",
    limit: LimitOption = 100,
    output: Annotated[Literal["table", "json", "csv"], typer.Option("--output", help="Format.")] = "table",
    fields: FieldsOption = "",
    out: FileOption = None,
) -> None:
    """Select endpoints by one property: a short form of `spectra search`."""
    given = ((selector, values), ("since", [since]), ("service", [service]), ("port", [port]))
    terms = " ".join(term(name, held) for name, held in given if held != [""])
    target = Target.of(json=output == "json", csv=output == "csv", fields=fields, path=out)
    ask(Machine.of(context), terms, sort, limit, target)


def term(name: str, values: list[str]) -> str:
    """A term of the query language: `port:22,80`, `product:"Apache httpd",nginx`."""
    return f"{name}:{','.join(_quoted(value) for value in values)}"


def _quoted(value: str) -> str:
    if value and not re.search(r'[\s"\\]', value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


mesh.command(
    "query",
    cls=Command,
    epilog=examples("spectra mesh query service redis --since 7d --output json", "spectra mesh query port 22 2222"),
)(query)
