"""`spectra alerts outlets` and `spectra alerts deliveries`: where messages of alerts go, and what is on its way."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spectra.cli.help import AllOption, CsvOption, FieldsOption, JsonOption, LimitOption, examples
from spectra.cli.local import Machine
from spectra.cli.output import Column, Target, emit, finish, json_line, note, text
from spectra.cli.pages import Command, Group
from spectra.cli.times import ago
from spectra.errors import BadRequest, SpectraError

if TYPE_CHECKING:
    from rich.text import Text

    from spectra.model.alerts import DeliveryRecord
    from spectra.model.outlets import OutletRecord

outlets = typer.Typer(cls=Group, help="Where messages of alerts go besides the dashboard.")
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="As `spectra alerts outlets list` has it.")]
KINDS = ("xmpp", "xmpp-room", "webhook", "email")
STATES = ("waiting", "delivered", "failed", "dropped")
_STYLES = {
    "waiting": "cyan",
    "delivered": "green",
    "failed": "red",
    "dropped": "dim",
    "works": "green",
    "trouble": "red",
}


def list_outlets(
    context: typer.Context, *, json: JsonOption = False, csv: CsvOption = False, fields: FieldsOption = ""
) -> None:
    """List outlets, with what waits there and how the last try went."""
    from spectra.model.outlets import OutletList

    output = Target.of(json=json, csv=csv, fields=fields)
    with Machine.of(context).client(notify=note) as client:
        found = client.get("/v0/outlets", OutletList).outlets
    count = emit(found, _columns(datetime.now(UTC)), output)
    nothing = "There are no outlets. Make one: spectra alerts outlets add phone xmpp somebody@example.org"
    finish(count, output, more=False, what="outlet", nothing=nothing)


def add(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Small letters, digits and hyphens.")],
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"{', '.join(KINDS[:-1])} or {KINDS[-1]}.")],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="A JID, a room's, a URL or a mail address.")],
    secret_file: Annotated[
        Path | None,
        typer.Option("--secret-file", metavar="FILE", help="What a webhook is signed with, or a room's password."),
    ] = None,
    remark: Annotated[str, typer.Option("--note", metavar="TEXT", help="A line about it.")] = "",
    off: Annotated[bool, typer.Option("--off", help="Do not use it yet.")] = False,
    json: JsonOption = False,
) -> None:
    """Make an outlet, or put another in its place. The secret of a new webhook is printed this once."""
    from spectra.model.outlets import OutletMade

    if kind not in KINDS:
        raise BadRequest(f"there is no kind {kind!r}", field="kind", hint=f"One of {', '.join(KINDS)}.")
    body: dict[str, Any] = {"kind": kind, "target": target, "enabled": not off, "note": remark}
    if secret_file is not None:
        body["secret"] = _line_of(secret_file)
    with Machine.of(context).client(notify=note) as client:
        made = client.call("PUT", _path(name), OutletMade, body=body)
    if json:
        sys.stdout.write(json_line(made) + "\n")
        return
    _tell(made.outlet, json=False)
    if made.secret:
        note("Whoever receives its messages checks them by this secret, which is not shown again:")
        sys.stdout.write(f"{made.secret}\n")


def show(context: typer.Context, *, name: NameArgument, json: JsonOption = False) -> None:
    """Print an outlet."""
    from spectra.model.outlets import OutletRecord

    with Machine.of(context).client(notify=note) as client:
        _tell(client.get(_path(name), OutletRecord), json=json)


def try_out(context: typer.Context, *, name: NameArgument, json: JsonOption = False) -> None:
    """Send a message that says that it is a test; exit code 1 where it did not arrive."""
    from spectra.model.outlets import OutletTried

    with Machine.of(context).client(notify=note) as client:
        tried = client.post(f"{_path(name)}/test", OutletTried, {})
    if json:
        sys.stdout.write(json_line(tried) + "\n")
    elif tried.delivered:
        sys.stdout.write(f"It arrived, in {tried.took_ms:.0f} ms.\n")
    if not tried.delivered:
        raise SpectraError(tried.error, reason="undelivered")


def remove(context: typer.Context, *, name: NameArgument) -> None:
    """Remove an outlet; what waits there is not sent any more."""
    from spectra.model.outlets import OutletRecord

    with Machine.of(context).client(notify=note) as client:
        gone = client.call("DELETE", _path(name), OutletRecord)
    note(f"The outlet {gone.name} is gone.")


def deliveries(
    context: typer.Context,
    *,
    outlet: Annotated[str, typer.Option("--outlet", metavar="NAME", help="Only those by this outlet.")] = "",
    state: Annotated[str, typer.Option("--state", help=f"Only {', '.join(STATES[:-1])} or {STATES[-1]}.")] = "",
    limit: LimitOption = 50,
    everything: AllOption = False,
    json: JsonOption = False,
    csv: CsvOption = False,
    fields: FieldsOption = "",
) -> None:
    """List messages and where they are, the newest first."""
    from spectra.cli.paging import Paged, watched
    from spectra.model.alerts import DeliveryPage

    if state and state not in STATES:
        raise BadRequest(f"there is no state {state!r}", field="state", hint=f"One of {', '.join(STATES)}.")
    output = Target.of(json=json, csv=csv, fields=fields)
    params: dict[str, str | int] = {k: v for k, v in {"outlet": outlet, "state": state}.items() if v}
    with Machine.of(context).client(notify=note) as client:
        rows = Paged(
            client,
            "/v0/deliveries",
            DeliveryPage,
            lambda page: page.deliveries,
            params=params,
            limit=0 if everything else limit,
        )
        count = emit(watched(rows, output), _messages(datetime.now(UTC)), output)
    finish(count, output, more=rows.more, what="message", nothing="There are no messages.")


def _columns(now: datetime) -> list[Column[OutletRecord]]:
    return [
        Column("name", lambda o: o.name, style="cyan", main=True),
        Column("kind", lambda o: o.kind),
        Column("target", lambda o: o.target, flexible=True),
        Column("is", _is, data=False),
        Column("enabled", lambda o: o.enabled, table=False),
        Column("waiting", lambda o: o.waiting, right=True),
        Column("arrived", lambda o: ago(o.delivered, now) if o.delivered else "never", data=False),
        Column("delivered", lambda o: o.delivered, table=False),
        Column("trouble", lambda o: o.ready or o.error, flexible=True),
    ]


def _messages(now: datetime) -> list[Column[DeliveryRecord]]:
    return [
        Column("when", lambda d: ago(d.at, now), data=False),
        Column("at", lambda d: d.at, table=False),
        Column("notification", lambda d: d.notification, table=False),
        Column("alert", lambda d: d.alert, table=False),
        Column("rule", lambda d: d.rule),
        Column("title", lambda d: d.title, flexible=True, main=True),
        Column("outlet", lambda d: d.outlet),
        Column("is", lambda d: text(d.state, _STYLES.get(d.state, "")), data=False),
        Column("state", lambda d: d.state, table=False),
        Column("attempts", lambda d: d.attempts, "tries", right=True),
        Column("next", lambda d: d.next, table=False),
        Column("error", lambda d: d.error, flexible=True),
    ]


def _is(one: OutletRecord) -> Text:
    state = "off" if not one.enabled else "trouble" if one.ready or one.error else "works" if one.delivered else "new"
    return text(state, _STYLES.get(state, ""))


def _tell(one: OutletRecord, *, json: bool) -> None:
    if json:
        sys.stdout.write(json_line(one) + "\n")
        return
    now = datetime.now(UTC)
    rows = [
        ("outlet", f"{one.name}, {'on' if one.enabled else 'off'}"),
        ("to", f"{one.target} ({one.kind})"),
        ("waiting", f"{one.waiting:,}" + (f", the oldest since {ago(one.since, now)}" if one.since else "")),
        ("arrived", ago(one.delivered, now) if one.delivered else "never"),
        ("trouble", one.ready or one.error),
        ("note", one.note),
    ]
    for name, value in rows:
        if value:
            sys.stdout.write(f"{name + ':':<9}{text(value).plain}\n")


def _line_of(file: Path) -> str:
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"{file} cannot be read", field="secret-file") from error


def _path(name: str) -> str:
    from spectra.cli.client import segment

    return f"/v0/outlets/{segment(name)}"


outlets.command("list", cls=Command, epilog=examples("spectra alerts outlets list"))(list_outlets)
outlets.command(
    "add",
    cls=Command,
    epilog=examples(
        "spectra alerts outlets add phone xmpp somebody@example.org",
        "spectra alerts outlets add team xmpp-room ops@conference.example.org",
        "spectra alerts outlets add hook webhook https://example.org/hooks/spectra",
    ),
)(add)
outlets.command("show", cls=Command, epilog=examples("spectra alerts outlets show phone"))(show)
outlets.command("test", cls=Command, epilog=examples("spectra alerts outlets test phone"))(try_out)
outlets.command("remove", cls=Command, epilog=examples("spectra alerts outlets remove phone"))(remove)
