"""`spectra import`: existing scan output, signed and submitted file by file, resumable, with a word about each."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spectra.cli.help import JsonOption, examples
from spectra.cli.local import Machine
from spectra.cli.output import json_line, note, plural
from spectra.cli.problems import describe
from spectra.cli.safe import safe
from spectra.errors import BadRequest

if TYPE_CHECKING:
    from rich.text import Text

    from spectra.cli.progress import Bar
    from spectra.cli.sending import Outcome
    from spectra.cli.sources import Piece
    from spectra.model.envelope import Problem

ATTEMPTS = 8
SHOWN_PROBLEMS = 5


def import_(
    context: typer.Context,
    *,
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Files, folders, or - for standard input.")],
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Take in folders below folders.")] = False,
    source: Annotated[str, typer.Option("--source", metavar="NAME", help="Where it came from.")] = "",
    background: Annotated[bool, typer.Option("--async", help="Return once it is accepted, not merged.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Submit what the server already has once more.")] = False,
    json: JsonOption = False,
) -> None:
    """Submit existing output of nmap, naabu, masscan, BBOT, httpx or nuclei; the format is recognised by itself.

    Files may be compressed (.gz, .zst) or in a tar archive. What the server already has is skipped, so an import that
    was cut off is finished by running it again. Exits with 1 if a file failed; the others are kept.
    """
    from spectra.cli.sending import Wish

    machine = Machine.of(context)
    limit = machine.settings.gate.max_envelope_bytes
    wish = Wish(source=source, background=background, force=force, max_envelope=limit)
    if not _run(machine, _files(paths, recursive), set(paths), wish, json):
        raise typer.Exit(1)


IMPORT_EXAMPLES = examples(
    "spectra import scan.xml results.jsonl.zst",
    "spectra import -r ~/scans --source laptop",
    "nmap -oX - 192.0.2.0/28 | spectra import - --source nmap",
)


def _files(paths: list[str], recursive: bool) -> list[Path | None]:
    from spectra.cli.sources import find

    files = list(find(paths, recursive=recursive, tell=note))
    if not files:
        raise BadRequest("there is no file to import", field="paths", hint="-r looks into folders below, too.")
    return files


def _run(machine: Machine, files: list[Path | None], named: set[str], wish: Any, json: bool) -> bool:
    """Send all files and print each outcome; returns whether all are on the server."""
    from spectra.cli.progress import bar
    from spectra.cli.sending import Sender

    stop = threading.Event()
    totals = _Totals()
    with bar("importing") as progress:
        reader = _Reader(files, named, progress)
        client = machine.client(attempts=ATTEMPTS, patient=True, stop=stop, notify=progress.note)
        with client, closing(Sender(client, machine.signer(), wish)) as sender:
            try:
                for outcome in sender.outcomes(reader):
                    totals.add(outcome)
                    _report(outcome, json, progress)
            except KeyboardInterrupt:
                progress.note("Interrupted. Run the same command again to go on: what was accepted is skipped.")
                raise
            finally:
                stop.set()
    note(totals.words())
    return not totals.failed


class _Reader:
    """The pieces of each file in turn, moving the bar."""

    def __init__(self, files: list[Path | None], named: set[str], progress: Bar) -> None:
        self._files = files
        self._named = named
        self._progress = progress

    def __iter__(self) -> Iterator[tuple[str, Iterator[Piece]]]:
        from spectra.cli.recognition import scans_only
        from spectra.cli.sources import pieces

        for number, path in enumerate(self._files):
            self._progress.move(number, len(self._files), f"{number} of {len(self._files)} files")
            yield str(path or "stdin"), scans_only(pieces(path), named=path is None or str(path) in self._named)
        self._progress.move(len(self._files), len(self._files))


class _Totals:
    """How many files ended how."""

    def __init__(self) -> None:
        self.kept = self.known = self.skipped = self.failed = 0

    def add(self, outcome: Outcome) -> None:
        """Count one file."""
        if outcome.failed:
            self.failed += 1
        elif outcome.receipts:
            self.kept += 1
        elif outcome.known:
            self.known += 1
        else:
            self.skipped += 1

    def words(self) -> str:
        """`3 imported, 1 already known, 1 failed`."""
        named = (("imported", self.kept), ("already known", self.known), ("skipped", self.skipped))
        shown = [f"{count} {name}" for name, count in (*named, ("failed", self.failed)) if count]
        return ", ".join(shown) or "nothing to do"


def _report(outcome: Outcome, json: bool, progress: Bar) -> None:
    from rich.text import Text

    if json:
        progress.print(Text(json_line(_as_json(outcome))))
        return
    progress.print(_line(outcome))
    problems = [problem for receipt in outcome.receipts for problem in receipt.problems]
    for problem in problems[:SHOWN_PROBLEMS]:
        progress.print(Text(f"    not kept: {_place(problem)}{safe(problem.message)}", style="yellow"))
    told = sum(receipt.counts.problems for receipt in outcome.receipts)
    if (more := max(told, len(problems)) - min(len(problems), SHOWN_PROBLEMS)) > 0 and outcome.receipts:
        which = outcome.receipts[0].observation_id
        progress.print(Text(f"    and {more} more: spectra observations show {safe(which)}", style="dim"))
    for error in outcome.errors:
        for line in describe(error):
            progress.print(Text(f"    {line.removeprefix('spectra: ').strip()}", style="red"))
    for receipt in outcome.receipts:
        if receipt.error:
            progress.print(Text(f"    {safe(receipt.error)}", style="red"))


def _place(problem: Problem) -> str:
    parts = [f"line {problem.line}" if problem.line else "", safe(problem.field)]
    named = ", ".join(part for part in parts if part)
    return f"{named}: " if named else ""


def _line(outcome: Outcome) -> Text:
    from rich.text import Text

    name = safe(outcome.name)
    if outcome.failed:
        return Text.assemble(("✗ ", "red"), f"{name}  failed{_partly(outcome)}")
    if outcome.skipped:
        return Text.assemble(("- ", "dim"), f"{name}  skipped: {safe(outcome.skipped)}")
    if outcome.known and not outcome.receipts:
        return Text.assemble(("= ", "dim"), f"{name}  already known, skipped")
    return Text.assemble(("✓ ", "green"), f"{name}  {kept(outcome)}{_partly(outcome)}")


def _partly(outcome: Outcome) -> str:
    total = len(outcome.receipts) + len(outcome.known) + len(outcome.errors)
    good = total - len(outcome.errors) - sum(r.status == "failed" for r in outcome.receipts)
    if total <= 1:
        return ""
    return f", {good} of {total} parts kept" if outcome.failed else f", in {total} parts"


def kept(outcome: Outcome) -> str:
    """`nmap_xml: 12 hosts, 40 endpoints, 3 names`, over all pieces of a file."""
    formats = ", ".join(dict.fromkeys(safe(r.format) for r in outcome.receipts if r.format))
    counts = [receipt.counts for receipt in outcome.receipts]
    sums = (
        ("host", "", sum(c.hosts for c in counts)),
        ("endpoint", "", sum(c.endpoints for c in counts)),
        ("name", "", sum(c.hostnames for c in counts)),
        ("silent address", "silent addresses", sum(c.silent for c in counts)),
        ("record not kept", "records not kept", sum(c.problems for c in counts)),
    )
    if all(receipt.status == "accepted" for receipt in outcome.receipts):
        return "accepted: " + ", ".join(f"spectra workflows show {safe(r.workflow_id)}" for r in outcome.receipts)
    shown = ", ".join(plural(count, one, many) for one, many, count in sums if count) or "nothing in it"
    return f"{formats}: {shown}" if formats else shown


def _as_json(outcome: Outcome) -> dict[str, Any]:
    status = "failed" if outcome.failed else "skipped" if outcome.skipped else "kept" if outcome.receipts else "known"
    value: dict[str, Any] = {"file": outcome.name.encode("utf-8", "replace").decode(), "status": status}
    value["receipts"] = outcome.receipts
    value["known"] = outcome.known
    value["errors"] = [{"reason": error.reason, "message": str(error)} for error in outcome.errors]
    return value
