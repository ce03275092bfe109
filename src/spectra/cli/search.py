"""`spectra search` and `spectra mesh query`: endpoints that match, as a table, JSON lines or CSV."""

from __future__ import annotations

import re
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

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
from spectra.cli.problems import ApiError
from spectra.cli.safe import safe
from spectra.cli.times import ago
from spectra.errors import BadRequest
from spectra.model import matchfields

if TYPE_CHECKING:
    from spectra.model.records import Match

_NEGATIVE = re.compile(r'-(?:[a-z_.]+:|["/]).', re.DOTALL)
_BARE_ID = re.compile(r"(?<!\S)CVE-[0-9]{4}-[0-9]{4,9}(?!\S)", re.IGNORECASE)
_GUARD = "\0"  # cannot occur in an argument, so it marks one without ambiguity

SortOption = Annotated[
    str, typer.Option("--sort", help="last_seen, first_seen, ip or port; -ip turns the order round.")
]


class QueryCommand(Command):
    """A command whose arguments may start with `-`, as in `-service:ssh`, without being options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Mark terms that exclude, so that the option parser leaves them alone."""
        return super().parse_args(ctx, [_GUARD + arg if _NEGATIVE.match(arg) else arg for arg in args])


def unguarded(words: list[str]) -> list[str]:
    """The words of a `QueryCommand` as they were typed."""
    return [word.removeprefix(_GUARD) for word in words]


def _product(match: Match) -> str:
    return " ".join(part for part in (match.product, match.version, match.extra and f"({match.extra})") if part)


def _where(match: Match) -> str:
    """`Paris FR AS64496 Example Net`."""
    if match.place is None:
        return ""
    asn = f"AS{match.place.asn}" if match.place.asn else ""
    return " ".join(part for part in (match.place.city, match.place.country, asn, match.place.org) if part)


def _says(match: Match) -> str:
    if match.sole:
        return f"(only {match.sole} says so)"
    return match.title or match.banner or (f"CN {match.certificate_cn}" if match.certificate_cn else "")


def _weak(match: Match) -> str:
    """`12 critical`: how many findings, and how bad the worst of them is; nothing where there are none."""
    return f"{match.findings} {match.worst}".rstrip() if match.findings else ""


def _data(name: str) -> Column[Match]:
    """A field by itself: in no table, and in CSV unless it is only there by name."""
    return Column(name, (matchfields.FIELDS | matchfields.FURTHER)[name], table=False, data=name in matchfields.FIELDS)


def columns(now: datetime) -> list[Column[Match]]:
    """Every field of a match, and the few that a table joins together."""
    return [
        Column("ip", lambda m: m.ip, "address", style="cyan"),
        Column("endpoint", lambda m: f"{m.port}/{m.protocol}", "port", data=False, right=True),
        _data("port"),
        _data("protocol"),
        _data("state"),
        _data("service"),
        Column("is", lambda m: m.service + ("/tls" if m.tunnel else ""), "service", data=False, style="green"),
        Column("software", _product, "product", data=False, flexible=True, main=True),
        _data("product"),
        _data("version"),
        _data("extra"),
        _data("tunnel"),
        Column("says", _says, "says", data=False, flexible=True, optional=True),
        Column("weak", _weak, "findings", data=False, optional=True, right=True),
        _data("findings"),
        _data("worst"),
        _data("title"),
        _data("banner"),
        _data("certificate_cn"),
        Column("names", lambda m: m.hostnames, "names", data=False, flexible=True, optional=True),
        _data("hostnames"),
        Column("where", _where, "where", data=False, flexible=True, optional=True),
        _data("asn"),
        _data("org"),
        _data("country"),
        _data("region"),
        _data("city"),
        _data("cloud"),
        _data("cloud_service"),
        _data("cloud_region"),
        _data("latitude"),
        _data("longitude"),
        _data("os"),
        _data("device"),
        _data("cpe"),
        _data("sole"),
        _data("first_seen"),
        _data("last_seen"),
        Column("seen", lambda m: ago(m.last_seen, now), "seen", data=False, style="dim"),
    ]


def ask(machine: Machine, query: str, sort: str, limit: int, target: Target) -> None:
    """Ask, print, and say on standard error what is not on the screen."""
    from spectra.cli.paging import Paged, watched
    from spectra.model.records import SearchPage

    with machine.client(notify=note) as client:
        params: dict[str, str | int] = {"q": query, "sort": sort}
        pages = Paged(client, "/v0/search", SearchPage, lambda page: page.matches, params=params, limit=limit)
        with pointing(query):
            count = emit(watched(pages, target, "searching"), columns(datetime.now(UTC)), target)
    finish(count, target, more=pages.more, what="endpoint", nothing="Nothing matches.")
    if ids := bare_ids(query):
        note(f"{ids[0]} was looked for in banners and titles; what has that weakness: vuln:{','.join(ids)}")


def bare_ids(query: str) -> list[str]:
    """The CVE ids that stand in `query` as words of their own, which find what says them and not what has them."""
    return [found[0].upper() for found in _BARE_ID.finditer(query)]


@contextmanager
def pointing(query: str) -> Generator[None]:
    """Where the server could not read `query`, a mark shows at which column before the error is told."""
    try:
        yield
    except ApiError as error:
        _point(query, error)
        raise


def _point(query: str, error: ApiError) -> None:
    """Show where in the query the server stumbled (`column` is 1-based)."""
    column = error.problem.column
    if error.status == 400 and column and query and safe(query) == query:
        sys.stderr.write(f"  {query}\n  {' ' * (min(column, len(query) + 1) - 1)}^\n")


def search(
    context: typer.Context,
    *,
    query: Annotated[
        list[str],
        typer.Argument(metavar="QUERY...", help="Filters and words; all must hold.", autocompletion=completion.terms),
    ],
    sort: SortOption = "last_seen",
    limit: LimitOption = 100,
    everything: AllOption = False,
    json: JsonOption = False,
    csv: CsvOption = False,
    format: FormatOption = "",
    fields: FieldsOption = "",
    out: FileOption = None,
) -> None:
    """Find endpoints: by address, port, service, product, name, place, certificate, or what they say.

    Terms are field:value; the shell completes them. Fields: ip, net, port, protocol, state, service, product, version,
    cpe, os, hostname, mac, vendor, title, country, region, city, asn, org, cloud, cert.subject (.issuer, .san, .sha256,
    .serial, .expires, .expired), since, before, last_seen, first_seen, scan, contributor, and of weaknesses vuln,
    severity, cvss, epss, kev and has:finding: what they ask holds for one of them. A comma means or, a leading `-`
    means not, bare words are looked for in banners and titles, "exact words" in this order, /regex/ by pattern.
    """
    words = " ".join(unguarded(query))
    target = Target.of(json=json, csv=csv, fields=fields, path=out, format=format)
    ask(Machine.of(context), words, sort, 0 if everything else limit, target)


SEARCH_EXAMPLES = examples(
    "spectra search port:22,2222 product:openssh",
    "spectra search service:http -product:nginx net:10.0.0.0/8",
    """spectra search 'since:7d "welcome to"' --sort ip --csv -o found.csv""",
    "spectra search service:redis --all --json --fields ip,port,version",
    "spectra search kev:true 'cvss:>8' -vuln:CVE-2024-6387",
)

mesh = typer.Typer(cls=Group, help="Ask the mesh.")


# Short forms of terms; each is also an option. Any other field of the language can be the selector too.
_SHORT = ("service", "city", "country", "asn", "port", "product", "since")


def _option(name: str, shown: str) -> Any:
    return typer.Option(f"--{name}", metavar=shown, help=f"And this {name}.")


def query(
    context: typer.Context,
    *,
    selector: Annotated[
        str,
        typer.Argument(
            help="What to select by: any field, such as service, port, city.", autocompletion=completion.names
        ),
    ] = "",
    values: Annotated[list[str] | None, typer.Argument(metavar="VALUE...", help="Any of these.")] = None,
    service: Annotated[str, _option("service", "http")] = "",
    city: Annotated[str, _option("city", "London")] = "",
    country: Annotated[str, _option("country", "FR")] = "",
    asn: Annotated[str, _option("asn", "64496")] = "",
    port: Annotated[str, _option("port", "22,80")] = "",
    product: Annotated[str, _option("product", "nginx")] = "",
    since: Annotated[str, typer.Option("--since", metavar="7d", help="Seen within this time.")] = "",
    sort: SortOption = "last_seen",
    limit: LimitOption = 100,
    everything: AllOption = False,
    json: JsonOption = False,
    csv: CsvOption = False,
    format: FormatOption = "",
    fields: FieldsOption = "",
    out: FileOption = None,
) -> None:
    """Select endpoints by their properties: a short form of `spectra search`."""
    given = [(selector, values or [])] if selector else []
    said = (service, city, country, asn, port, product, since)
    given += [(name, [value]) for name, value in zip(_SHORT, said, strict=True) if value]
    _check(selector, values or [], any(said))
    target = Target.of(json=json, csv=csv, fields=fields, path=out, format=format)
    terms = " ".join(term(name, held) for name, held in given)
    ask(Machine.of(context), terms, sort, 0 if everything else limit, target)


def _check(selector: str, values: list[str], otherwise: bool) -> None:
    """Raises `BadRequest` unless there is something to select by and the selector is a field of the language."""
    from spectra.model.fields import FIELDS, NAMES, suggest_field

    if not selector and not otherwise:
        raise BadRequest("there is nothing to select by", hint="Try: spectra mesh query --service http --since 7d")
    if selector and selector not in NAMES:
        near = suggest_field(selector)
        hint = f"Did you mean {near}?" if near else f"Selectors: {', '.join(FIELDS)}."
        raise BadRequest(f"there is no selector {selector[:40]!r}", field="selector", hint=hint)
    if selector and not values:
        example = f"Example: {NAMES[selector].example}"
        raise BadRequest(f"a value for {selector} is missing", field="values", hint=example)


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
    epilog=examples(
        "spectra mesh query service redis --city Paris",
        'spectra mesh query service http --city "London" --since 7d --output json',
        "spectra mesh query --port 22,2222 --country FR --csv -o found.csv",
    ),
)(query)
