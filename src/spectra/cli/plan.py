"""`spectra mesh plan` and `spectra plan`: what to look at again, oldest first."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spectra.cli.help import (
    AllOption,
    CsvOption,
    FieldsOption,
    FileOption,
    FormatOption,
    JsonOption,
    examples,
)
from spectra.cli.local import Machine
from spectra.cli.output import Column, Format, Target, emit, json_line, note, plural
from spectra.cli.pages import Command, Group
from spectra.cli.search import QueryCommand, mesh, term
from spectra.cli.times import ago, span, stamp
from spectra.errors import BadRequest

if TYPE_CHECKING:
    from spectra.cli.client import Client
    from spectra.model.plans import Plan, PlanSummary
    from spectra.model.plans import Target as Stale

PAGE = 10_000
SHOWN = 20
_GUARD = "\0"  # how `QueryCommand` marks a term that excludes

WordsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="SELECTOR VALUE...", help="Such as city Paris; or a query, as for spectra search."),
]
CityOption = Annotated[str, typer.Option("--city", metavar="Paris", help="In this city.")]
CountryOption = Annotated[str, typer.Option("--country", metavar="FR", help="In this country.")]
RegionOption = Annotated[str, typer.Option("--region", metavar="NAME", help="In this region.")]
AsnOption = Annotated[str, typer.Option("--asn", metavar="3215", help="In this autonomous system.")]
CloudOption = Annotated[str, typer.Option("--cloud", metavar="aws", help="In this cloud, or aws/us-east-1.")]
ServiceOption = Annotated[str, typer.Option("--service", metavar="redis", help="This service.")]
PortOption = Annotated[str, typer.Option("--port", metavar="22,80", help="These ports.")]
CommonOption = Annotated[
    str, typer.Option("--common-port", metavar="6379", help="The same, or what ports are common for: redis.")
]
NetOption = Annotated[str, typer.Option("--net", metavar="CIDR", help="In this network.")]
ShownOption = Annotated[int, typer.Option("--limit", min=0, help="Most targets to print; 0 prints all.")]


def words_of(words: Sequence[str]) -> str:
    """The query that words stand for: `city Paris service ssh http`, or a query as it is.

    A name of a field begins a selector, its first word is a value whatever it is, further ones until the next name are
    alternatives. Raises `BadRequest` for a selector without a value.
    """
    from spectra.model.fields import NAMES

    given = [word.removeprefix(_GUARD) for word in words]
    if not given or _name(given[0]) not in NAMES:
        return " ".join(given)
    terms: list[tuple[str, list[str]]] = []
    for word in given:
        if _name(word) in NAMES and (not terms or terms[-1][1]):
            terms.append((_name(word), []))
        else:
            terms[-1][1].append(word)
    name, values = terms[-1]
    if not values:
        raise BadRequest(f"a value for {name} is missing", field=name, hint=f"Example: {NAMES[name].example}")
    return " ".join(term(name, values) for name, values in terms)


def _name(word: str) -> str:
    return word.lower().replace("-", "_")


def make(
    context: typer.Context,
    *,
    words: WordsArgument = None,
    min_age: Annotated[
        str, typer.Option("--min-age", metavar="5m", help="Stale is what is older; by service if left out.")
    ] = "",
    city: CityOption = "",
    country: CountryOption = "",
    region: RegionOption = "",
    asn: AsnOption = "",
    cloud: CloudOption = "",
    service: ServiceOption = "",
    port: PortOption = "",
    common_port: CommonOption = "",
    net: NetOption = "",
    limit: ShownOption = SHOWN,
    everything: AllOption = False,
    json: JsonOption = False,
    csv: CsvOption = False,
    format: FormatOption = "",
    fields: FieldsOption = "",
    out: FileOption = None,
) -> None:
    """Plan what to scan again: endpoints whose service has outlived its lifetime, the oldest first.

    Prints the plan's id, how much is stale, and the oldest targets. With --json the plan is the first line and each
    target a line of its own.
    """
    from spectra.model.plans import Plan

    target = Target.of(json=json, csv=csv, fields=fields, path=out, format=format)
    shown = 0 if everything else limit
    body: dict[str, object] = {"q": words_of(words or []), "min_age": min_age, "city": city, "country": country}
    body |= {"region": region, "asn": asn, "cloud": cloud, "service": service, "port": port, "net": net}
    body |= {"common_port": common_port, "limit": min(shown or PAGE, PAGE)}
    with Machine.of(context).client(notify=note) as client:
        plan = client.post("/v0/plan", Plan, {name: value for name, value in body.items() if value})
        _print(client, plan, shown, target)
    if plan.left:
        note(f"Next: spectra scan --plan {plan.plan_id} --submit")


def show(
    context: typer.Context,
    *,
    plan_id: Annotated[str, typer.Argument(metavar="ID", help="As `spectra plan list` prints it.")],
    limit: ShownOption = SHOWN,
    everything: AllOption = False,
    json: JsonOption = False,
    csv: CsvOption = False,
    format: FormatOption = "",
    fields: FieldsOption = "",
    out: FileOption = None,
) -> None:
    """Show a plan and the targets it still has: what was scanned since is gone from it."""
    target = Target.of(json=json, csv=csv, fields=fields, path=out, format=format)
    shown = 0 if everything else limit
    with Machine.of(context).client(notify=note) as client:
        _print(client, fetch(client, plan_id, min(shown or PAGE, PAGE)), shown, target)


def list_plans(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="Most plans to print.")] = 50,
    json: JsonOption = False,
    csv: CsvOption = False,
    format: FormatOption = "",
    fields: FieldsOption = "",
    out: FileOption = None,
) -> None:
    """List your plans, newest first. They expire after some days."""
    from spectra.model.plans import PlanList

    target = Target.of(json=json, csv=csv, fields=fields, path=out, format=format)
    with Machine.of(context).client(notify=note) as client:
        found = client.get("/v0/plan", PlanList, {"limit": limit})
    if not emit(found.plans, _plan_columns(datetime.now(UTC)), target):
        note("You have no plans. Make one: spectra mesh plan city Paris")


def fetch(client: Client, plan_id: str, limit: int, cursor: str = "") -> Plan:
    """A page of a plan as it is now."""
    from spectra.cli.client import segment
    from spectra.model.plans import Plan

    params: dict[str, str | int] = {"limit": limit} | ({"cursor": cursor} if cursor else {})
    return client.get(f"/v0/plan/{segment(plan_id)}", Plan, params)


def pages(client: Client, plan: Plan) -> Iterator[Plan]:
    """`plan` and the pages that follow it."""
    while True:
        yield plan
        if not plan.next_cursor:
            return
        plan = fetch(client, plan.plan_id, PAGE, plan.next_cursor)


def _print(client: Client, plan: Plan, shown: int, target: Target) -> None:
    """The plan, then as many of its targets as were asked for (0: all)."""
    if target.format is Format.TABLE:
        note(_headline(plan))
    elif target.format is Format.JSON and not target.path and not target.fields:
        sys.stdout.write(json_line(_summary(plan)) + "\n")
    every = chain.from_iterable(page.targets for page in pages(client, plan))
    count = emit(islice(every, shown or None), _columns(datetime.now(UTC)), target)
    if target.format is Format.TABLE and count < plan.left:
        note(f"{count:,} of {_number(plan.left, plan.exact)} shown, the oldest; --all prints all.")
    if target.path:
        note(f"{plural(count, 'target')} written to {target.path}")


def _summary(plan: Plan) -> dict[str, Any]:
    import msgspec

    return {name: value for name, value in msgspec.to_builtins(plan).items() if name not in ("targets", "next_cursor")}


def _headline(plan: Plan) -> str:
    """`plan-1f.. of 2025-11-01 12:30: 1,234 stale, 1,200 left`."""
    left = f", {_number(plan.left, plan.exact)} left" if plan.left != plan.stale_total else ""
    stale = _number(plan.stale_total, plan.exact)
    return f"{plan.plan_id} of {stamp(plan.at)}: {stale} stale {'by age' if plan.min_age_s else 'by service'}{left}"


def _number(count: int, exact: bool) -> str:
    return f"{count:,}" if exact else f"about {count:,}"


def _columns(now: datetime) -> list[Column[Stale]]:
    return [
        Column("ip", lambda t: t.ip, "address", style="cyan"),
        Column("endpoint", lambda t: f"{t.port}/{t.protocol}", "port", data=False, right=True),
        Column("port", lambda t: t.port, table=False),
        Column("protocol", lambda t: t.protocol, table=False),
        Column("service", lambda t: t.service, style="green", flexible=True),
        Column("last_seen", lambda t: t.last_seen, table=False),
        Column("stale_since", lambda t: t.stale_since, table=False),
        Column("seen", lambda t: ago(t.last_seen, now), "seen", data=False),
        Column("stale", lambda t: f"for {span(now - t.stale_since)}", "stale", data=False, style="dim"),
    ]


def _plan_columns(now: datetime) -> list[Column[PlanSummary]]:
    return [
        Column("plan_id", lambda p: p.plan_id, "id", style="cyan"),
        Column("created", lambda p: p.created, table=False),
        Column("made", lambda p: ago(p.created, now), data=False, style="dim"),
        Column("expires", lambda p: p.expires, table=False),
        Column("goes", lambda p: ago(p.expires, now), "expires", data=False, optional=True),
        Column("stale_total", lambda p: p.stale_total, "stale", right=True),
        Column("selects", _selects, data=False, flexible=True, main=True),
        Column("min_age_s", lambda p: p.min_age_s, table=False),
    ]


def _selects(plan: PlanSummary) -> str:
    held = [*([plan.selectors.q] if plan.selectors.q else []), *_said(plan)]
    return " ".join(held) or "everything"


def _said(plan: PlanSummary) -> Iterator[str]:
    for name, value in plan.selectors.filters.items():
        yield term(name, [value])
    if plan.selectors.common_port != "":
        yield term("common_port", [str(plan.selectors.common_port)])


mesh.command(
    "plan",
    cls=QueryCommand,
    epilog=examples(
        'spectra mesh plan city "Paris" --min-age 5m',
        "spectra mesh plan --service redis --common-port 6379 --country FR",
        "spectra mesh plan net:10.0.0.0/8 -service:http --all --csv -o stale.csv",
    ),
)(make)

plan = typer.Typer(cls=Group, help="Look at plans: what is to be scanned again.")
plan.command("list", cls=Command, epilog=examples("spectra plan list", "spectra plan list --json"))(list_plans)
plan.command("show", cls=Command, epilog=examples("spectra plan show ID", "spectra plan show ID --all --csv"))(show)
