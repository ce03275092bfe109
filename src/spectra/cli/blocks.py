"""`spectra block`: networks and autonomous systems that may not use the server's API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from spectra.cli.help import JsonOption, examples
from spectra.cli.local import Machine
from spectra.cli.output import Column, Target, emit, note
from spectra.cli.pages import Command, Group
from spectra.cli.times import ago, parse_until, stamp
from spectra.errors import BadRequest, NotFound

if TYPE_CHECKING:
    from spectra.cli.client import Client
    from spectra.model.limits import BlockRecord

MIN_PREFIX = 8

block = typer.Typer(cls=Group, help="Keep networks and autonomous systems from using the API.")
WhatArgument = Annotated[str, typer.Argument(metavar="NETWORK|AS", help="192.0.2.0/24, 2001:db8::/32 or AS64500.")]


def _columns(now: datetime) -> list[Column[BlockRecord]]:
    return [
        Column("block_id", lambda b: b.block_id, table=False),
        Column("id", lambda b: b.block_id[:8], "block", data=False, style="cyan"),
        Column("target", _target, style="bold"),
        Column("reason", lambda b: b.reason, flexible=True),
        Column("targets", lambda b: b.targets, "not scanned"),
        Column("added", lambda b: ago(b.added, now), style="dim"),
        Column("added_by", lambda b: b.added_by, "by", flexible=True, optional=True),
        Column("until", lambda b: stamp(b.until) if b.until else "", optional=True),
    ]


def _target(record: BlockRecord) -> str:
    return record.network or f"AS{record.asn}"


def _print(records: list[BlockRecord], json: bool) -> None:
    emit(records, _columns(datetime.now(UTC)), Target.of(json=json))


def list_blocks(context: typer.Context, *, json: JsonOption = False) -> None:
    """List the blocks in force, oldest first."""
    with Machine.of(context).client(notify=note) as client:
        found = _standing(client)
    _print(found, json)
    if not found:
        note("Nothing is blocked.")


def _standing(client: Client) -> list[BlockRecord]:
    from spectra.cli.answers import BlockList

    return list(client.get("/v0/blocks", BlockList).blocks)


def add(
    context: typer.Context,
    *,
    what: WhatArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why, for those who read the list and the audit trail.")],
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="30d, or a date; for good if left out.")] = "",
    targets: Annotated[bool, typer.Option("--targets", help="Do not scan it either.")] = False,
    json: JsonOption = False,
) -> None:
    """Refuse everything that comes from a network or AS: 403, whatever is asked and by whom.

    In force at once, and within two seconds at every other coordinator. The server's own machine is never blocked, so
    that you cannot lock yourself out there.
    """
    from spectra.model.limits import BlockRecord

    body: dict[str, object] = {"reason": reason, "targets": targets, **_named(what)}
    if until:
        body["until"] = parse_until(until, datetime.now(UTC))
    with Machine.of(context).client(notify=note) as client:
        _print([client.post("/v0/blocks", BlockRecord, body)], json)


def _named(what: str) -> dict[str, object]:
    """The network or AS that somebody means; raises `BadRequest`."""
    from spectra.model.limits import asn_of, network_of

    asn = asn_of(what)
    return {"asn": asn} if asn else {"network": str(network_of(what))}


def remove(
    context: typer.Context,
    *,
    what: Annotated[
        str, typer.Argument(metavar="NETWORK|AS|ID", help="What is blocked, or the block's id or its first 8 digits.")
    ],
    json: JsonOption = False,
) -> None:
    """Take a block away."""
    from spectra.cli.client import segment
    from spectra.model.limits import BlockRecord

    with Machine.of(context).client(notify=note) as client:
        record = _one(_standing(client), what)
        _print([client.call("DELETE", f"/v0/blocks/{segment(record.block_id)}", BlockRecord)], json)


def _one(records: list[BlockRecord], what: str) -> BlockRecord:
    word = what.strip().lower()
    try:
        found = [record for record in records if _named(word) == _named(_target(record))]
    except BadRequest:
        found = []
    if not found and len(word) >= MIN_PREFIX:
        found = [record for record in records if record.block_id.startswith(word)]
    if not found:
        raise NotFound(f"{what} is not blocked", hint="`spectra block list` shows what is.")
    if len(found) > 1:
        raise BadRequest(f"{len(found)} blocks begin with {what}", field="block", hint="Give more digits.")
    return found[0]


block.command(
    "add",
    cls=Command,
    epilog=examples(
        "spectra block add 192.0.2.0/24 --reason 'floods the form' --until 30d",
        "spectra block add AS64500 --reason 'hosts the botnet' --targets",
    ),
)(add)
block.command("list", cls=Command, epilog=examples("spectra block list", "spectra block list --json"))(list_blocks)
block.command("remove", cls=Command, epilog=examples("spectra block remove 192.0.2.0/24"))(remove)
