"""`spectra provenance entries` and `entry`: the chain entry by entry, and the proof of one."""

from __future__ import annotations

import hashlib
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from spectra.cli.help import AllOption, CsvOption, FieldsOption, JsonOption, LimitOption, examples
from spectra.cli.local import Machine
from spectra.cli.output import Column, Target, emit, json_line, note
from spectra.cli.pages import Command
from spectra.cli.safe import safe
from spectra.cli.times import ago

if TYPE_CHECKING:
    from spectra.model.chain import ChainEntry, ChainProof


def entries(
    context: typer.Context,
    *,
    kind: Annotated[
        str, typer.Option("--kind", metavar="KIND", help="block.added, or all of a noun: key, job, observation ...")
    ] = "",
    subject: Annotated[str, typer.Option("--subject", metavar="ID", help="What it is about.")] = "",
    limit: LimitOption = 50,
    every: AllOption = False,
    json: JsonOption = False,
    csv: CsvOption = False,
    fields: FieldsOption = "",
) -> None:
    """List entries of the chain with their hashes, newest first: submissions too."""
    from spectra.cli.paging import Paged
    from spectra.model.chain import ChainPage

    now, target = datetime.now(UTC), Target.of(json=json, csv=csv, fields=fields)
    params: dict[str, str | int] = {"kind": kind, "subject": subject}
    columns: list[Column[ChainEntry]] = [
        Column("seq", lambda one: one.seq, right=True, style="cyan"),
        Column("at", lambda one: ago(datetime.fromisoformat(one.at), now), data=False, style="dim"),
        Column("time", lambda one: one.at, table=False),
        Column("kind", lambda one: one.kind),
        Column("about", lambda one: "(withheld)" if one.withheld else one.subject, flexible=True, main=True),
        Column("hash", lambda one: one.hash, flexible=True, optional=True, style="dim"),
        Column("previous", lambda one: one.previous, table=False),
    ]
    with Machine.of(context).client(notify=note) as client:
        path = "/v0/provenance/entries"
        rows = Paged(client, path, ChainPage, lambda page: page.entries, params=params, limit=0 if every else limit)
        if not emit(rows, columns, target):
            note("Nothing of that is in the chain.")


def entry(
    context: typer.Context,
    *,
    seq: Annotated[int, typer.Argument(metavar="ENTRY", min=1, help="Its number.")],
    json: JsonOption = False,
) -> None:
    """Prove one entry: its hash, computed again here, and its place; exits with 1 where it does not hold."""
    from spectra.model.chain import ChainProof

    with Machine.of(context).client(notify=note) as client:
        proof = client.get(f"/v0/provenance/entries/{seq}", ChainProof)
    sys.stdout.write(f"{json_line(proof)}\n" if json else _words(proof))
    if not (_hashes(proof) and proof.follows and proof.followed is not False):
        raise typer.Exit(1)


def _hashes(proof: ChainProof) -> bool:
    """Whether it hashes to its hash: computed here, where the text was told; else what the server says."""
    if not proof.text:
        return proof.hashes
    try:
        previous = bytes.fromhex(proof.entry.previous)
    except ValueError:
        return False
    return hashlib.sha256(previous + proof.text.encode() + proof.entry.at.encode()).hexdigest() == proof.entry.hash


def _words(proof: ChainProof) -> str:
    one = proof.entry
    about = "withheld: it takes the scope audit:read" if one.withheld else safe(one.subject)
    followed = "nothing follows it yet" if proof.followed is None else _said(proof.followed, "the next one follows it")
    held = (_said(_hashes(proof), "it hashes to its hash"), _said(proof.follows, "it follows the one before"), followed)
    lines = (
        f"entry {one.seq}  {safe(one.kind)}  {safe(one.at)}",
        f"about     {about}",
        f"hash      {safe(one.hash)}",
        f"previous  {safe(one.previous)}",
        f"proof     {', '.join(held)}",
        *([f"says      {safe(proof.text)}"] if proof.text else []),
    )
    return "".join(f"{line}\n" for line in lines)


def _said(holds: bool, what: str) -> str:
    return what if holds else f"BROKEN: not so that {what}"


def add_to(group: typer.Typer) -> None:
    """Put both commands into the group of the chain."""
    group.command(
        "entries",
        cls=Command,
        epilog=examples("spectra provenance entries", "spectra provenance entries --kind node --json"),
    )(entries)
    group.command("entry", cls=Command, epilog=examples("spectra provenance entry 4711"))(entry)
