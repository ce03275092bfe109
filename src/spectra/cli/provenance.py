"""`spectra provenance`: the hash chain over everything that was ever accepted or decided."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from spectra.cli.help import AllOption, JsonOption, LimitOption, examples
from spectra.cli.local import Machine
from spectra.cli.output import Column, Target, emit, json_line, note
from spectra.cli.pages import Command, Group
from spectra.cli.safe import safe
from spectra.cli.times import ago
from spectra.errors import SpectraError

if TYPE_CHECKING:
    from spectra.model.limits import Act
    from spectra.model.records import ChainReport

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

provenance = typer.Typer(cls=Group, help="Check the hash chain over everything that was accepted.")


def show(context: typer.Context, *, json: JsonOption = False) -> None:
    """Print how many entries the chain has and the hash of the newest: note it elsewhere to anchor it."""
    from spectra.cli.answers import Chain

    with Machine.of(context).client(notify=note) as client:
        chain = client.get("/v0/provenance", Chain)
    sys.stdout.write(f"{json_line(chain)}\n" if json else f"{chain.entries} entries, head {safe(chain.head)}\n")


def verify(
    context: typer.Context,
    *,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep/--quick", help="Also build the graph again and compare every row, or only chain and originals."
        ),
    ] = True,
    json: JsonOption = False,
) -> None:
    """Walk the chain with its signatures, originals and rows; exits with 1 and names the first entry that is broken."""
    params: dict[str, str | int] = {"deep": "true" if deep else "false"}
    with Machine.of(context).client(notify=note) as client:
        report = _walk(client.lines("POST", "/v0/provenance/verify", params))
    sys.stdout.write(f"{json_line(report)}\n" if json else f"{_words(report)}\n")
    if not report.ok:
        raise typer.Exit(1)


def log(
    context: typer.Context,
    *,
    kind: Annotated[
        str, typer.Option("--kind", metavar="KIND", help="block.added, or all of a noun: key, block, feed ...")
    ] = "",
    subject: Annotated[
        str, typer.Option("--subject", metavar="ID", help="What it is about: a key's id, a block's.")
    ] = "",
    limit: LimitOption = 50,
    every: AllOption = False,
    json: JsonOption = False,
) -> None:
    """List what those with privileges did, newest first: to keys, accounts, blocks, feeds, the do-not-scan list."""
    from spectra.cli.answers import ActList
    from spectra.cli.paging import Paged

    now = datetime.now(UTC)
    params: dict[str, str | int] = {"kind": kind, "subject": _id(subject)}
    with Machine.of(context).client(notify=note) as client:
        rows = Paged(client, "/v0/audit", ActList, lambda p: p.acts, params=params, limit=0 if every else limit)
        if not emit(rows, _columns(now), Target.of(json=json)):
            note("Nothing of that is on record.")


def _columns(now: datetime) -> list[Column[Act]]:
    return [
        Column("seq", lambda a: a.seq, right=True, style="dim"),
        Column("at", lambda a: ago(a.at, now)),
        Column("kind", lambda a: a.kind, style="bold"),
        Column("by", _by, flexible=True),
        Column("what", _what, flexible=True, main=True),
        Column("subject", lambda a: a.subject, table=False),
        Column("hash", lambda a: a.hash, table=False),
    ]


def _id(subject: str) -> str:
    """`subject` as the chain has it: without the dashes of a block's or request's id."""
    return subject.replace("-", "") if _UUID.fullmatch(subject) else subject


def _by(act: Act) -> str:
    """Who did it, as far as the entry says; the newest of several."""
    named = ("removed_by", "decided_by", "by", "added_by")
    return next((str(act.detail[name]) for name in named if act.detail.get(name)), "")


def _what(act: Act) -> str:
    """What it is about in the words of the entry, else its id."""
    named = (act.detail.get(name) for name in ("network", "asn", "name", "contributor", "account"))
    return " ".join([*(str(value) for value in named if value), act.subject[:16]])


def _walk(lines: Iterable[bytes]) -> ChainReport:
    """Draw the progress until the report comes; a walk that ends without one is an error, not a success."""
    import msgspec

    from spectra.cli.answers import VerifyLine
    from spectra.cli.progress import bar

    decoder = msgspec.json.Decoder(VerifyLine)
    with bar("verifying") as progress:
        for line in lines:
            try:
                said = decoder.decode(line)
            except msgspec.DecodeError as error:
                raise SpectraError(f"the server's line is not understood: {error}", reason="bad_answer") from error
            if said.report:
                return said.report
            if said.error:
                raise SpectraError(f"the chain could not be verified: {said.error.detail}", reason=said.error.reason)
            if said.progress:
                progress.move(said.progress.done, said.progress.total, f"{said.progress.done} of {said.progress.total}")
    raise SpectraError("the server stopped before the chain was verified", reason="bad_answer", hint="Run it again.")


def _words(report: ChainReport) -> str:
    if report.ok:
        depth = "and every row of the graph " if report.deep else ""
        return (
            f"intact: {report.entries} entries, {report.observations} observations {depth}hold"
            f" ({report.blobs} blobs), head {safe(report.head)}"
        )
    where = "" if report.broken_seq is None else f" at entry {report.broken_seq}"
    what = f", observation {safe(report.broken_observation)}" if report.broken_observation else ""
    return f"BROKEN{where}{what}: {safe(report.reason) or 'it does not hold'}"


provenance.command("verify", cls=Command, epilog=examples("spectra provenance verify --deep"))(verify)
provenance.command(
    "log", cls=Command, epilog=examples("spectra provenance log", "spectra provenance log --kind block --json")
)(log)
provenance.command("show", cls=Command, epilog=examples("spectra provenance show --json"))(show)
