"""`spectra alerts`: what rules found, and what people do about it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

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
from spectra.cli.local import Machine
from spectra.cli.outlets import deliveries, outlets
from spectra.cli.output import (
    Column,
    Target,
    console,
    emit,
    finish,
    json_line,
    note,
    plural,
    terminal_width,
    text,
)
from spectra.cli.pages import Command, Group
from spectra.cli.summarypage import wrapped
from spectra.cli.times import ago, parse_until, stamp
from spectra.errors import BadRequest

if TYPE_CHECKING:
    from rich.text import Text

    from spectra.model.alerts import AlertRecord, Mute

STYLES: Final = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan", "info": "dim"}
MAX_WIDTH: Final = 110

alerts = typer.Typer(cls=Group, help="Look at what rules found, look after it, and say what to watch for.")

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="As lists have it.")]
UntilOption = Annotated[
    str, typer.Option("--until", metavar="TIME", help="Until then: 7d, 2027-01-01; for good if left out.")
]
ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="A line about why.")]


def columns(now: datetime) -> list[Column[AlertRecord]]:
    """Of a table of alerts."""
    return [
        Column("id", lambda r: r.id, style="cyan"),
        Column("is", lambda r: text(r.severity, STYLES[r.severity]), "severity", data=False),
        Column("severity", lambda r: r.severity, table=False),
        Column("state", lambda r: r.state, optional=True),
        Column("rule", lambda r: r.rule, optional=True),
        Column("title", lambda r: r.title, flexible=True, main=True),
        Column("count", lambda r: r.count, right=True),
        Column("seen", lambda r: ago(r.last, now), "last", data=False, style="dim"),
        Column("kind", lambda r: r.kind, table=False),
        Column("key", lambda r: r.key, table=False),
        Column("first", lambda r: r.first, table=False),
        Column("last", lambda r: r.last, table=False),
        Column("told", lambda r: r.told, table=False),
        Column("acknowledged_by", lambda r: r.acknowledged_by, table=False),
        Column("comment", lambda r: r.comment, table=False),
        Column("why", lambda r: r.why, table=False),
        Column("resolved", lambda r: r.resolved, table=False),
    ]


def list_alerts(
    context: typer.Context,
    *,
    state: Annotated[
        str, typer.Option("--state", help="open (firing or acknowledged), firing, acknowledged, resolved, all.")
    ] = "open",
    rule: Annotated[str, typer.Option("--rule", metavar="NAME", help="Only of this rule.")] = "",
    severity: Annotated[str, typer.Option("--severity", help="That one or worse: critical, high, medium ...")] = "info",
    host: Annotated[str, typer.Option("--host", metavar="IP", help="That tell of this host.")] = "",
    limit: LimitOption = 100,
    everything: AllOption = False,
    json: JsonOption = False,
    csv: CsvOption = False,
    format: FormatOption = "",
    fields: FieldsOption = "",
    out: FileOption = None,
) -> None:
    """List alerts, the newest first."""
    from spectra.cli.paging import Paged, watched
    from spectra.model.alerts import AlertPage

    now = datetime.now(UTC)
    given = {"state": state, "rule": rule, "severity": severity, "ip": host}
    params: dict[str, str | int] = {name: value for name, value in given.items() if value}
    target = Target.of(json=json, csv=csv, fields=fields, path=out, format=format)
    with Machine.of(context).client(notify=note) as client:
        pages = Paged(
            client,
            "/v0/alerts",
            AlertPage,
            lambda page: page.alerts,
            params=params,
            limit=0 if everything else limit,
        )
        count = emit(watched(pages, target), columns(now), target)
    nothing = "There are none: spectra alerts rules list shows what is watched for."
    finish(count, target, more=pages.more, what="alert", nothing=nothing)


def show(context: typer.Context, *, alert: IdArgument, json: JsonOption = False) -> None:
    """Show one alert with all that it tells of."""
    from spectra.cli.client import segment
    from spectra.model.alerts import AlertRecord

    with Machine.of(context).client(notify=note) as client:
        record = client.get(f"/v0/alerts/{segment(alert)}", AlertRecord)
    if json:
        typer.echo(json_line(record))
        return
    out = console()
    for line in page(record, datetime.now(UTC), min(terminal_width(), MAX_WIDTH)):
        out.print(line, soft_wrap=True)


def page(record: AlertRecord, now: datetime, width: int) -> Iterator[Text]:
    """An alert as lines, none wider than `width` cells where words allow it."""
    yield text(f" {record.title}", STYLES[record.severity])
    yield text(f" {record.severity}, {record.state}, by the rule {record.rule}", "dim")
    yield text("")
    seen = f"Noticed {ago(record.first, now)}, last {ago(record.last, now)}, {plural(record.count, 'time')}."
    yield from wrapped(seen, " ", width)
    if record.acknowledged is not None:
        said = f": {record.comment}" if record.comment else ""
        yield from wrapped(
            f"{record.acknowledged_by} looks after it since {stamp(record.acknowledged)}{said}", " ", width
        )
    if record.resolved is not None:
        yield from wrapped(f"It is over since {stamp(record.resolved)}: {record.why}.", " ", width)
    yield text("")
    for one in record.subjects:
        over = f" (over since {stamp(one.over)})" if one.over else ""
        yield from wrapped(f"{stamp(one.at)}  {one.title}{over}", " • ", width, "   ")
    if len(record.subjects) < record.count and len(record.subjects) >= 500:
        yield text(" • and more", "dim")


def acknowledge(
    context: typer.Context,
    *,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="As lists have them.")],
    comment: Annotated[str, typer.Option("--note", metavar="TEXT", help="A line about it.")] = "",
    json: JsonOption = False,
) -> None:
    """Look after alerts: no more is told of them until they are over."""
    from spectra.model.alerts import AlertPage

    with Machine.of(context).client(notify=note) as client:
        found = client.post("/v0/alerts/ack", AlertPage, {"ids": ids, "comment": comment}).alerts
    for record in found:
        if json:
            typer.echo(json_line(record))
        else:
            note(f"{record.id} is {record.state}: {record.title}")


def mute(
    context: typer.Context,
    *,
    alert: Annotated[str, typer.Argument(metavar="[ID]", help="All that this alert tells of.")] = "",
    host: Annotated[str, typer.Option("--host", metavar="IP", help="What is about this host.")] = "",
    port: Annotated[str, typer.Option("--port", metavar="PORT", help="At this port of it: 443, 53/udp.")] = "",
    cve: Annotated[str, typer.Option("--cve", metavar="CVE", help="Only this weakness.")] = "",
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="This machine, feed, account or job.")] = "",
    kind: Annotated[str, typer.Option("--kind", metavar="KIND", help="Only of this kind, such as port.opened.")] = "",
    rule: Annotated[str, typer.Option("--rule", metavar="NAME", help="For this rule alone.")] = "",
    until: UntilOption = "",
    reason: ReasonOption = "",
    json: JsonOption = False,
) -> None:
    """Leave something out from now on: what an alert tells of, or what the options say."""
    from spectra.cli.client import segment
    from spectra.model.alerts import Mute, MuteList

    moment = parse_until(until, datetime.now(UTC)).isoformat() if until else None
    told = {"until": moment, "reason": reason}
    number, _, protocol = port.partition("/")
    if port and not number.isdecimal():
        raise BadRequest(f"{port!r} is no port.", field="port", hint="Write 443, or 53/udp.")
    about = {"rule": rule, "kind": kind, "ip": host, "cve": cve.upper(), "name": name}
    about |= {"port": int(number), "protocol": protocol or "tcp"} if port else {}
    if bool(alert) == any(about.values()):
        raise BadRequest("Say which alert, or what to leave out by --host, --cve, --name or --kind.", field="ID")
    with Machine.of(context).client(notify=note) as client:
        if alert:
            made = client.post(f"/v0/alerts/{segment(alert)}/mute", MuteList, told).mutes
        else:
            made = (client.post("/v0/alerts/mutes", Mute, about | told),)
    for one in made:
        typer.echo(json_line(one)) if json else note(f"Left out as {one.id}: {what(one)}.")


def unmute(context: typer.Context, *, ident: IdArgument) -> None:
    """Leave it out no longer: what is so still is told then."""
    from spectra.cli.client import segment
    from spectra.model.alerts import Mute

    with Machine.of(context).client(notify=note) as client:
        one = client.call("DELETE", f"/v0/alerts/mutes/{segment(ident)}", Mute)
    note(f"No longer left out: {what(one)}.")


def list_mutes(
    context: typer.Context, *, json: JsonOption = False, csv: CsvOption = False, fields: FieldsOption = ""
) -> None:
    """List what is left out, the newest first."""
    from spectra.model.alerts import MuteList

    now = datetime.now(UTC)
    target = Target.of(json=json, csv=csv, fields=fields)
    with Machine.of(context).client(notify=note) as client:
        found = client.get("/v0/alerts/mutes", MuteList).mutes
    listed: list[Column[Mute]] = [
        Column("id", lambda m: m.id, style="cyan"),
        Column("what", what, data=False, flexible=True, main=True),
        Column("ends", lambda m: ago(m.until, now) if m.until else "for good", "until", data=False),
        Column("by", lambda m: m.by, optional=True),
        Column("reason", lambda m: m.reason, flexible=True, optional=True),
        *(
            Column(name, lambda m, name=name: getattr(m, name), table=False)
            for name in ("rule", "kind", "ip", "port", "protocol", "cve", "name", "until", "at")
        ),
    ]
    count = emit(found, listed, target)
    finish(count, target, what="mute", nothing="Nothing is left out.")


def what(one: Mute) -> str:
    """What is left out, in words."""
    where = f"{one.ip}:{one.port}/{one.protocol}" if one.protocol else one.ip
    parts = [one.kind, one.cve, where and f"at {where}", one.name, one.rule and f"for the rule {one.rule}"]
    return " ".join(part for part in parts if part)


alerts.command(
    "list",
    cls=Command,
    epilog=examples("spectra alerts list --severity high", "spectra alerts list --state all --json"),
)(list_alerts)
alerts.command("show", cls=Command, epilog=examples("spectra alerts show alert-3f1c9a0417b2d5e8"))(show)
alerts.command(
    "ack", cls=Command, epilog=examples('spectra alerts ack alert-3f1c9a0417b2d5e8 --note "patching tonight"')
)(acknowledge)
alerts.command(
    "mute",
    cls=Command,
    epilog=examples(
        "spectra alerts mute alert-3f1c9a0417b2d5e8 --until 30d",
        "spectra alerts mute --host 192.0.2.7 --port 443 --cve CVE-2024-6387 --reason 'not reachable'",
    ),
)(mute)
alerts.command("unmute", cls=Command, epilog=examples("spectra alerts unmute mute-3f1c9a0417b2d5e8"))(unmute)
alerts.command("mutes", cls=Command, epilog=examples("spectra alerts mutes"))(list_mutes)
alerts.command(
    "deliveries",
    cls=Command,
    epilog=examples("spectra alerts deliveries", "spectra alerts deliveries --state waiting --outlet phone"),
)(deliveries)
alerts.add_typer(outlets, name="outlets")
