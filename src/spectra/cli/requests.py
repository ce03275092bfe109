"""`spectra scope requests|approve|reject`: what strangers ask for at the server's public do-not-scan form."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from spectra.cli.help import AllOption, JsonOption, LimitOption, examples
from spectra.cli.local import Machine
from spectra.cli.output import Column, Target, emit, note, text
from spectra.cli.pages import Command
from spectra.cli.times import ago
from spectra.errors import BadRequest, NotFound

if TYPE_CHECKING:
    from spectra.cli.client import Client
    from spectra.model.limits import DoNotScanRequest

PATH = "/v0/do-not-scan/requests"
MIN_PREFIX = 8
STYLES = {"pending": "yellow", "approved": "green", "rejected": "red"}

WhichArgument = Annotated[
    str, typer.Argument(metavar="ID|NETWORK", help="The request's id, its first 8 digits, or the network it is about.")
]
NoteOption = Annotated[str, typer.Option("--note", help="Why; it stands in the audit trail.")]


def _columns(now: datetime) -> list[Column[DoNotScanRequest]]:
    return [
        Column("request_id", lambda r: r.request_id, table=False),
        Column("id", lambda r: r.request_id[:8], "request", data=False, style="cyan"),
        Column("network", lambda r: r.network, style="bold"),
        Column("status", lambda r: text(r.status, STYLES.get(r.status, ""))),
        Column("contact", lambda r: r.contact, flexible=True),
        Column("reason", lambda r: r.reason, flexible=True),
        Column("source", lambda r: r.source, "from", optional=True),
        Column("received", lambda r: ago(r.received, now), style="dim"),
        Column("decided_by", lambda r: r.decided_by, "by", optional=True),
    ]


def _print(records: list[DoNotScanRequest], json: bool) -> None:
    emit(records, _columns(datetime.now(UTC)), Target.of(json=json))


def list_requests(
    context: typer.Context,
    *,
    status: Annotated[
        Literal["pending", "approved", "rejected", "all"], typer.Option("--status", help="Only those of this status.")
    ] = "pending",
    limit: LimitOption = 100,
    every: AllOption = False,
    json: JsonOption = False,
) -> None:
    """List who asked the server's operator not to be scanned, newest first."""
    with Machine.of(context).client(notify=note) as client:
        found = _known(client, "" if status == "all" else status, 0 if every else limit)
    _print(found, json)
    if not found:
        note("There is no request." if status == "all" else f"No request is {status}.")


def _known(client: Client, status: str, limit: int) -> list[DoNotScanRequest]:
    from spectra.cli.answers import RequestList
    from spectra.cli.paging import Paged

    pages = Paged(client, PATH, RequestList, lambda page: page.requests, params={"status": status}, limit=limit)
    return list(pages)


def approve(context: typer.Context, *, which: WhichArgument, why: NoteOption = "", json: JsonOption = False) -> None:
    """Grant a request: nobody who asks this server scans its network from now on."""
    _decide(context, which, "approve", why, json)


def reject(context: typer.Context, *, which: WhichArgument, why: NoteOption = "", json: JsonOption = False) -> None:
    """Turn a request down."""
    _decide(context, which, "reject", why, json)


def _decide(context: typer.Context, which: str, verb: str, why: str, json: bool) -> None:
    from spectra.cli.client import segment
    from spectra.model.limits import DoNotScanRequest

    with Machine.of(context).client(notify=note) as client:
        record = _one(_known(client, "pending", 0), which.strip().lower())
        path = f"{PATH}/{segment(record.request_id)}/{verb}"
        _print([client.post(path, DoNotScanRequest, {"note": why})], json)


def _one(records: list[DoNotScanRequest], which: str) -> DoNotScanRequest:
    found = [record for record in records if record.network == which]
    if not found and len(which) >= MIN_PREFIX:
        found = [record for record in records if record.request_id.startswith(which)]
    if not found:
        raise NotFound(f"no request that waits is {which}", hint="`spectra scope requests` shows them.")
    if len(found) > 1:
        raise BadRequest(f"{len(found)} requests are {which}", field="request", hint="Give the id of one.")
    return found[0]


def add_to(scope: typer.Typer) -> None:
    """Make the commands part of `spectra scope`."""
    commands = (
        ("requests", list_requests, examples("spectra scope requests", "spectra scope requests --status all --json")),
        ("approve", approve, examples("spectra scope approve 192.0.2.0/24 --note 'ticket 4711'")),
        ("reject", reject, examples("spectra scope reject 0f1e2d3c --note 'not theirs'")),
    )
    for name, function, epilog in commands:
        scope.command(name, cls=Command, epilog=epilog)(function)
