"""`spectra alerts rules`: what is watched for, and what a rule would have told in the past."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from spectra.cli import completion
from spectra.cli.help import CsvOption, FieldsOption, JsonOption, examples
from spectra.cli.local import Machine
from spectra.cli.output import Column, Target, console, emit, finish, json_line, note, plural, text
from spectra.cli.pages import Command, Group
from spectra.cli.plan import words_of
from spectra.cli.search import QueryCommand
from spectra.cli.times import ago, parse_span, stamp
from spectra.errors import BadRequest

if TYPE_CHECKING:
    from spectra.model.alerts import RuleRecord, Trial

rules = typer.Typer(cls=Group, help="Say what to watch for, and whom to tell.")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Small letters, digits and hyphens.")]
QueryArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="QUERY...", help="Which hosts and services; all if left out.", autocompletion=completion.terms
    ),
]
OnOption = Annotated[
    list[str] | None,
    typer.Option("--on", metavar="KIND", help="What to watch for, such as port.opened; may be given again."),
]
SeverityOption = Annotated[str, typer.Option("--severity", help="critical, high, medium, low or info.")]
ToOption = Annotated[
    list[str] | None,
    typer.Option("--to", metavar="OUTLET", help="Whom to tell; '*' is every outlet. The dashboard alone if left out."),
]
GroupOption = Annotated[
    str, typer.Option("--group", help="What makes one alert: each thing, or all of a host, network, rule.")
]
ThresholdOption = Annotated[int, typer.Option("--threshold", min=1, metavar="N", help="Tell once it is so many.")]
WindowOption = Annotated[str, typer.Option("--within", metavar="TIME", help="So many within this time.")]
QuietOption = Annotated[
    str, typer.Option("--quiet", metavar="HOURS", help="Send nothing then but what is critical: 22:00-07:00.")
]
ZoneOption = Annotated[str, typer.Option("--zone", metavar="ZONE", help="Of these hours, such as Europe/Paris.")]
DaysOption = Annotated[int, typer.Option("--days", min=1, max=90, metavar="N", help="How far back.")]


def list_rules(
    context: typer.Context, *, json: JsonOption = False, csv: CsvOption = False, fields: FieldsOption = ""
) -> None:
    """List the rules, by name."""
    from spectra.model.alerts import RuleList

    target = Target.of(json=json, csv=csv, fields=fields)
    with Machine.of(context).client(notify=note) as client:
        found = client.get("/v0/alerts/rules", RuleList).rules
    listed: list[Column[RuleRecord]] = [
        Column("name", lambda r: r.rule.name, style="cyan", main=True),
        Column("severity", lambda r: r.rule.severity),
        Column("watches", lambda r: ", ".join(r.rule.on), "watches for", data=False, flexible=True),
        Column("query", lambda r: r.rule.query, flexible=True, optional=True),
        Column("tells", lambda r: ", ".join(r.rule.outlets) or "dashboard", data=False),
        Column("state", _state, data=False),
        Column("firing", lambda r: r.firing, right=True),
        Column("on", lambda r: r.rule.on, table=False),
        Column("outlets", lambda r: r.rule.outlets, table=False),
        Column("enabled", lambda r: r.rule.enabled, table=False),
        Column("trouble", lambda r: r.trouble, table=False),
        Column("changed", lambda r: r.changed, table=False),
        Column("by", lambda r: r.by, table=False),
        Column("rule", lambda r: r.rule, table=False),
    ]
    count = emit(found, listed, target)
    finish(count, target, what="rule", nothing="Nothing is watched for: spectra alerts rules add makes a rule.")


def _state(record: RuleRecord) -> str:
    return "trouble" if record.trouble else "on" if record.rule.enabled else "off"


def show(context: typer.Context, *, name: NameArgument, json: JsonOption = False) -> None:
    """Show one rule with all it says."""
    from spectra.cli.client import segment
    from spectra.model.alerts import RuleRecord

    with Machine.of(context).client(notify=note) as client:
        record = client.get(f"/v0/alerts/rules/{segment(name)}", RuleRecord)
    if json:
        typer.echo(json_line(record))
        return
    import msgspec

    out = console()
    for key, value in msgspec.to_builtins(record.rule).items():
        told = ", ".join(map(str, cast("list[object]", value))) if isinstance(value, list | tuple) else value
        out.print(text(f" {key:14} {'' if told is None else told}"), soft_wrap=True)
    now = datetime.now(UTC)
    out.print(text(f" {'changed':14} {ago(record.changed, now)} by {record.by}", "dim"))
    if record.trouble:
        out.print(text(f" {'trouble':14} {record.trouble}", "red"), soft_wrap=True)


def add(
    context: typer.Context,
    *,
    name: NameArgument,
    query: QueryArgument = None,
    on: OnOption = None,
    severity: SeverityOption = "medium",
    to: ToOption = None,
    group: GroupOption = "host",
    threshold: ThresholdOption = 1,
    within: WindowOption = "1h",
    quiet: QuietOption = "",
    zone: ZoneOption = "UTC",
    resolved: Annotated[bool, typer.Option("--resolved", help="Tell also when it is over.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Put it in the place of the rule of that name.")] = False,
    json: JsonOption = False,
) -> None:
    """Watch for something: kinds of things (--on), at hosts and services that a query holds for."""
    from spectra.cli.client import segment
    from spectra.model.alerts import RuleRecord

    body = _body(name, query, on, severity=severity, group=group, threshold=threshold, within=within)
    body |= {"outlets": to or [], "quiet": _quiet(quiet, zone), "resolved": resolved}
    with Machine.of(context).client(notify=note) as client:
        if replace:
            record = client.call("PUT", f"/v0/alerts/rules/{segment(name)}", RuleRecord, body)
        else:
            record = client.post("/v0/alerts/rules", RuleRecord, body)
    typer.echo(json_line(record)) if json else note(f"{name} watches for {', '.join(record.rule.on)}.")


def remove(context: typer.Context, *, name: NameArgument) -> None:
    """Watch for it no longer; its alerts are resolved."""
    from spectra.cli.client import segment
    from spectra.model.alerts import RuleRecord

    with Machine.of(context).client(notify=note) as client:
        client.call("DELETE", f"/v0/alerts/rules/{segment(name)}", RuleRecord)
    note(f"{name} is removed.")


def enable(context: typer.Context, *, name: NameArgument) -> None:
    """Switch a rule on."""
    _switch(context, name, True)


def disable(context: typer.Context, *, name: NameArgument) -> None:
    """Switch a rule off; its alerts are resolved."""
    _switch(context, name, False)


def _switch(context: typer.Context, name: str, on: bool) -> None:
    import msgspec

    from spectra.cli.client import segment
    from spectra.model.alerts import RuleRecord

    path = f"/v0/alerts/rules/{segment(name)}"
    with Machine.of(context).client(notify=note) as client:
        rule = client.get(path, RuleRecord).rule
        client.call("PUT", path, RuleRecord, msgspec.to_builtins(msgspec.structs.replace(rule, enabled=on)))
    note(f"{name} is switched {'on' if on else 'off'}.")


def try_out(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A rule there is; with --on, one that is not kept.")],
    query: QueryArgument = None,
    on: OnOption = None,
    group: GroupOption = "host",
    threshold: ThresholdOption = 1,
    within: WindowOption = "1h",
    days: DaysOption = 7,
    json: JsonOption = False,
) -> None:
    """Say what a rule would have told in the past days."""
    import msgspec

    from spectra.cli.client import segment
    from spectra.model.alerts import RuleRecord, Trial

    with Machine.of(context).client(notify=note) as client:
        body: dict[str, Any]
        if on:
            body = _body(name, query, on, severity="medium", group=group, threshold=threshold, within=within)
        else:
            body = msgspec.to_builtins(client.get(f"/v0/alerts/rules/{segment(name)}", RuleRecord).rule)
        told = client.post("/v0/alerts/rules/test", Trial, {"rule": body, "days": days})
    if json:
        typer.echo(json_line(told))
        return
    _print(told)


def _print(told: Trial) -> None:
    out = console()
    for one in told.alerts:
        out.print(text(f" {stamp(one.first)}  {one.title}"), soft_wrap=True)
        out.print(text(f"   {plural(one.count, 'time')}, {plural(one.messages, 'message')}", "dim"))
    note(
        f"From {stamp(told.from_)} on: {plural(told.alerts_total, 'alert')} and {plural(told.messages, 'message')}"
        f" of {plural(told.things, 'thing')}."
    )
    for line in told.notes:
        note(line)
    if not told.complete:
        note("What was before was not looked at: there is too much of it.")


def _body(
    name: str, query: list[str] | None, on: list[str] | None, *, severity: str, group: str, threshold: int, within: str
) -> dict[str, Any]:
    from spectra.model.alerts import KINDS

    if not on:
        raise BadRequest("Say what to watch for by --on.", field="--on", hint=f"There are {', '.join(KINDS)}.")
    wrong = [kind for kind in on if kind not in KINDS]
    if wrong:
        raise BadRequest(f"Nothing is called {wrong[0]!r}.", field="--on", hint=f"There are {', '.join(KINDS)}.")
    return {
        "name": name,
        "on": on,
        "query": words_of(query or []),
        "severity": severity,
        "group": group,
        "threshold": threshold,
        "window_s": int(parse_span(within).total_seconds()),
    }


def _quiet(hours: str, zone: str) -> dict[str, str] | None:
    if not hours:
        return None
    start, dash, end = hours.partition("-")
    if not dash:
        raise BadRequest(f"{hours!r} are no hours.", field="--quiet", hint="Write 22:00-07:00.")
    return {"start": start.strip(), "end": end.strip(), "zone": zone}


def add_to(alerts: typer.Typer) -> None:
    """Put the group below `spectra alerts`, with `test` also on its own."""
    alerts.add_typer(rules, name="rules")
    alerts.command("test", cls=QueryCommand, epilog=_TEST)(try_out)


_TEST = examples(
    "spectra alerts test exploited-weakness --days 30",
    "spectra alerts test try --on port.opened port:3389 --days 14",
)
rules.command("list", cls=Command, epilog=examples("spectra alerts rules list"))(list_rules)
rules.command("show", cls=Command, epilog=examples("spectra alerts rules show feed-too-old"))(show)
rules.command(
    "add",
    cls=QueryCommand,
    epilog=examples(
        "spectra alerts rules add rdp --on port.opened port:3389 --severity high --to '*'",
        "spectra alerts rules add many --on host.new --group rule --threshold 20 --within 10m",
    ),
)(add)
rules.command("remove", cls=Command, epilog=examples("spectra alerts rules remove rdp"))(remove)
rules.command("enable", cls=Command, epilog=examples("spectra alerts rules enable rdp"))(enable)
rules.command("disable", cls=Command, epilog=examples("spectra alerts rules disable rdp"))(disable)
rules.command(
    "test", cls=QueryCommand, epilog=examples("spectra alerts rules test try --on port.opened port:3389 --days 14")
)(try_out)
