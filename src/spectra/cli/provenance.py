"""`spectra provenance`: the hash chain over everything that was ever accepted."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from spectra.cli.help import JsonOption, examples
from spectra.cli.local import Machine
from spectra.cli.output import json_line, note
from spectra.cli.pages import Command, Group
from spectra.cli.safe import safe
from spectra.errors import SpectraError

if TYPE_CHECKING:
    from spectra.model.records import ChainReport

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
provenance.command("show", cls=Command, epilog=examples("spectra provenance show --json"))(show)
