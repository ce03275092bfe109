"""`spectra schedule`: stale endpoints of a selection, scanned by machines again and again."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from spectra.cli import completion
from spectra.cli.help import CsvOption, FieldsOption, JsonOption, examples
from spectra.cli.local import Machine
from spectra.cli.output import Column, Target, emit, finish, json_line, note, text
from spectra.cli.pages import Command, Group
from spectra.cli.plan import words_of
from spectra.cli.scanremote import (
    NodeOption,
    PresetOption,
    RegionOption,
    RelayOption,
    WindowOption,
)
from spectra.cli.search import QueryCommand
from spectra.cli.times import ago, parse_span, span, stamp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spectra.model.work import Schedule

schedule = typer.Typer(cls=Group, help="Have machines scan what is stale of a selection, again and again.")
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="As `spectra schedule list` has it.")]


def add(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Small letters, digits and hyphens.")],
    query: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="QUERY...",
            help="Which endpoints: as for spectra mesh plan; all if left out.",
            autocompletion=completion.terms,
        ),
    ] = None,
    every: Annotated[str, typer.Option("--every", metavar="TIME", help="How often: 6h, 1d, 1w.")] = "1d",
    consent: Annotated[str, typer.Option("--consent", metavar="REASON", help="Who agreed to these scans, and why.")],
    preset: PresetOption = "services",
    min_age: Annotated[
        str, typer.Option("--min-age", metavar="TIME", help="Stale is what is older; by service if left out.")
    ] = "",
    most: Annotated[
        int, typer.Option("--max", min=1, max=1_000_000, metavar="N", help="Most endpoints of one turn.")
    ] = 10_000,
    priority: Annotated[int, typer.Option("--priority", min=-100, max=100, help="Of its jobs; people's have 0.")] = -10,
    allow: Annotated[
        list[str] | None, typer.Option("--allow", metavar="CIDR", help="Allow this special-use network.")
    ] = None,
    node: NodeOption = "",
    region: RegionOption = "",
    relay: RelayOption = False,
    window: WindowOption = None,
    json: JsonOption = False,
) -> None:
    """Make a schedule, or put another in its place. Each turn is a plan and a job; nothing stale, no job.

    Whoever makes it answers for its scans: each job has their account and this consent.
    """
    from spectra.model.work import Schedule

    place = {"node": node, "region": region, "relay": relay}
    body = {
        "query": words_of(query or []),
        "every_s": parse_span(every).total_seconds(),
        "consent": consent,
        "preset": preset,
        "min_age_s": int(parse_span(min_age).total_seconds()) if min_age else 0,
        "max_endpoints": most,
        "priority": priority,
        "allow": allow or [],
        "constraints": {name: value for name, value in place.items() if value},
        "windows": window or [],
    }
    with Machine.of(context).client(notify=note) as client:
        made = client.call("PUT", _path(name), Schedule, body)
    _tell(made, json)
    note(f"How it goes: spectra schedule show {name}. Now: spectra schedule run {name}")


def list_schedules(
    context: typer.Context, *, json: JsonOption = False, csv: CsvOption = False, fields: FieldsOption = ""
) -> None:
    """List schedules by name: how often each runs, when it did last, and when it does next."""
    from spectra.model.workpages import ScheduleList

    target = Target.of(json=json, csv=csv, fields=fields)
    with Machine.of(context).client(notify=note) as client:
        found = client.get("/v0/schedules", ScheduleList).schedules
    nothing = "There are no schedules: spectra schedule add NAME QUERY --every 1d --consent REASON"
    finish(emit(found, _columns(datetime.now(UTC)), target), target, nothing=nothing)


def _columns(now: datetime) -> list[Column[Schedule]]:
    return [
        Column("name", lambda s: s.name, "schedule", style="cyan"),
        Column("is", lambda s: text("paused", "yellow") if s.paused else text("on", "green"), data=False),
        Column("paused", lambda s: s.paused, table=False),
        Column("query", lambda s: s.query or "everything", flexible=True, main=True),
        Column("often", lambda s: span(timedelta(seconds=s.every_s)), "every", data=False, right=True),
        Column("every_s", lambda s: s.every_s, table=False),
        Column("preset", lambda s: s.preset),
        Column("priority", lambda s: s.priority, "prio", right=True, optional=True),
        Column("next", lambda s: ago(s.next_run, now) if s.next_run and not s.paused else "", data=False),
        Column("next_run", lambda s: s.next_run, table=False),
        Column("last", lambda s: ago(s.last_run, now) if s.last_run else "never", data=False, style="dim"),
        Column("last_run", lambda s: s.last_run, table=False),
        Column("last_job", lambda s: s.last_job, table=False),
        Column("last_error", lambda s: s.last_error, "trouble", flexible=True, optional=True, style="red"),
        Column("account", lambda s: s.account, "by", flexible=True, optional=True),
    ]


def show(context: typer.Context, *, name: NameArgument, json: JsonOption = False) -> None:
    """Show a schedule: what it scans and how, who may, and how its last turn went."""
    from spectra.model.work import Schedule

    with Machine.of(context).client(notify=note) as client:
        _tell(client.get(_path(name), Schedule), json)


def run(context: typer.Context, *, name: NameArgument, json: JsonOption = False) -> None:
    """Have a turn of a schedule as soon as can be; one that was paused goes on. The next is counted from now."""
    _steer(context, name, "/run", json)
    note(f"Its job: spectra schedule show {name}, spectra jobs")


def pause(context: typer.Context, *, name: NameArgument, json: JsonOption = False) -> None:
    """Let a schedule rest. Jobs that it has made go on."""
    _steer(context, name, "/pause", json)


def resume(context: typer.Context, *, name: NameArgument, json: JsonOption = False) -> None:
    """Let a schedule go on. A turn that was missed is had now, once."""
    _steer(context, name, "/resume", json)


def remove(context: typer.Context, *, name: NameArgument, json: JsonOption = False) -> None:
    """Remove a schedule, and show it as it was. Jobs that it has made go on."""
    from spectra.model.work import Schedule

    with Machine.of(context).client(notify=note) as client:
        _tell(client.call("DELETE", _path(name), Schedule), json)


def _steer(context: typer.Context, name: str, verb: str, json: bool) -> None:
    from spectra.model.work import Schedule

    with Machine.of(context).client(notify=note) as client:
        _tell(client.call("POST", f"{_path(name)}{verb}", Schedule), json)


def _path(name: str) -> str:
    from spectra.cli.client import segment

    return f"/v0/schedules/{segment(name)}"


def _tell(one: Schedule, json: bool) -> None:
    if json:
        sys.stdout.write(json_line(one) + "\n")
        return
    rows = [(name, value) for name, value in _rows(one, datetime.now(UTC)) if value]
    width = max(len(name) for name, _ in rows) + 2
    for name, value in rows:
        sys.stdout.write(f"{name + ':':<{width}}{text(value).plain}\n")


def _rows(one: Schedule, now: datetime) -> Iterator[tuple[str, str]]:
    aged = f" not seen for {span(timedelta(seconds=one.min_age_s))}" if one.min_age_s else " that is stale"
    yield "schedule", f"{one.name}, {'paused' if one.paused else 'on'}"
    yield "what", f"{one.query or 'everything'}{aged}, {one.max_endpoints:,} endpoints at most"
    yield "how", f"every {span(timedelta(seconds=one.every_s))}, preset {one.preset}, priority {one.priority}"
    yield "may", f"{one.consent} ({one.account}){_allowed(one.allow)}"
    yield "where", ", ".join(_where(one))
    yield "when", ", ".join(one.windows)
    yield "next", f"{ago(one.next_run, now)}, {stamp(one.next_run)} UTC" if one.next_run and not one.paused else ""
    yield "last", ago(one.last_run, now) if one.last_run else "never"
    yield "last job", one.last_job or ("none: nothing was stale" if one.last_run else "")
    yield "trouble", one.last_error


def _allowed(networks: Sequence[str]) -> str:
    return f", special-use {', '.join(networks)}" if networks else ""


def _where(one: Schedule) -> Iterator[str]:
    wanted = one.constraints
    if wanted.node:
        yield f"on {wanted.node}"
    if wanted.region:
        yield f"in {wanted.region}"
    if wanted.relay:
        yield "through a relay"


schedule.command(
    "add",
    cls=QueryCommand,
    epilog=examples(
        "spectra schedule add lab net:192.168.0.0/16 --every 6h --consent 'my own network' --allow 192.168.0.0/16",
        "spectra schedule add paris city Paris service ssh --every 1w --min-age 30d --consent 'contract 17'",
    ),
)(add)
schedule.command("list", cls=Command, epilog=examples("spectra schedule list", "spectra schedule list --json"))(
    list_schedules
)
schedule.command("show", cls=Command, epilog=examples("spectra schedule show lab"))(show)
schedule.command("run", cls=Command, epilog=examples("spectra schedule run lab"))(run)
schedule.command("pause", cls=Command, epilog=examples("spectra schedule pause lab"))(pause)
schedule.command("resume", cls=Command, epilog=examples("spectra schedule resume lab"))(resume)
schedule.command("remove", cls=Command, epilog=examples("spectra schedule remove lab"))(remove)
