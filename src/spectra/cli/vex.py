"""`spectra findings vex`: VEX documents of findings and decisions, written and read."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from spectra.cli import completion
from spectra.cli.help import JsonOption, examples
from spectra.cli.local import Machine
from spectra.cli.output import json_line, note, plural, replaced
from spectra.cli.pages import Command, Group
from spectra.cli.safe import safe, safe_json
from spectra.cli.search import QueryCommand, pointing, unguarded
from spectra.cli.times import stamp
from spectra.errors import BadRequest

if TYPE_CHECKING:
    from spectra.model.vex import VexReport

SHOWN = 20
"""Problems, and products that are nothing here, that are printed one by one."""

vex = typer.Typer(cls=Group, help="Exchange decisions with other tools as OpenVEX or CycloneDX.")


def export(
    context: typer.Context,
    *,
    query: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="QUERY...", help="Which findings, as in spectra findings.", autocompletion=completion.terms
        ),
    ] = None,
    format: Annotated[
        Literal["openvex", "cyclonedx"], typer.Option("--format", "-f", help="openvex (0.2.0) or cyclonedx (1.6).")
    ] = "openvex",
    decided: Annotated[bool, typer.Option("--decided", help="Only what somebody decided.")] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write there.")] = None,
) -> None:
    """Write open findings, and what was decided about them, as one VEX document: at most 10,000.

    Decisions are told for the place that they hold for. What nobody decided is affected, with what there is to do, or
    under investigation where it is only possible.
    """
    import json

    words = " ".join(unguarded(query or []))
    given = {"format": format, "q": words, "decided": "true" if decided else ""}
    params: dict[str, str | int] = {name: value for name, value in given.items() if value}
    with Machine.of(context).client(notify=note) as client, pointing(words):
        found: dict[str, Any] = client.get("/v0/vex", dict[str, Any], params)
    text = safe_json(json.dumps(found, indent=2, ensure_ascii=False)) + "\n"
    if out is None:
        sys.stdout.write(text)
    else:
        with replaced(out) as stream:
            stream.write(text.encode())
    said = len(found.get("statements") or found.get("vulnerabilities") or [])
    note(f"{plural(said, 'statement')}{f' written to {out}' if out else ''}")


def import_(
    context: typer.Context,
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="OpenVEX or CycloneDX in JSON; - reads it.")],
    json: JsonOption = False,
) -> None:
    """Read a VEX document: its statements become decisions, with the document as their origin.

    Products are found by address, host name, CPE name and package URL. What is about nothing here is told. A statement
    does not undo what somebody here decided after it was made. A later version of a document takes the place of the
    one before; an older one is refused.
    """
    from spectra.model.vex import MAX_BYTES, VexReport

    data = _read(file, MAX_BYTES)
    with Machine.of(context).client(notify=note) as client:
        report = client.slow("POST", "/v0/vex", VexReport, data)
    if json:
        sys.stdout.write(f"{json_line(report)}\n")
        return
    for number, line in enumerate(_lines(report)):
        sys.stdout.write(f"{'  ' if number > 1 else ''}{safe(line, 400)}\n")


def _read(file: Path, most: int) -> bytes:
    if str(file) == "-":
        data = sys.stdin.buffer.read(most + 1)
    else:
        try:
            with file.open("rb") as stream:
                data = stream.read(most + 1)
        except OSError as error:
            raise BadRequest(f"{file} cannot be read: {error.strerror}", field="file") from error
    if len(data) > most:
        raise BadRequest(f"{file} has more than {most:,} bytes", field="file", hint="Split the document.")
    return data


def _lines(r: VexReport) -> Iterator[str]:
    version = f"version {r.version}" + (f" of {stamp(r.issued)} UTC" if r.issued else "")
    yield f"{r.id}, {version}{f' by {r.author}' if r.author else ''}"
    counts = ((r.decided, "decided"), (r.replaced, "in place of another"), (r.unchanged, "as before"))
    more = ((r.kept, "kept as decided here since"), (r.removed, "said no more"), (r.undecided, "not decided there"))
    told = [f"{count:,} {words}" for count, words in (*counts, *more) if count]
    yield f"{plural(r.statements, 'statement')}: {', '.join(told) or 'nothing to decide'}"
    for problem in r.problems[:SHOWN]:
        yield f"{problem.field}: {problem.message}"
    yield from _more(r.problems_total, "problem")
    for one in r.unmatched[:SHOWN]:
        yield f"statement {one.index}, {one.product}: {one.why}"
    yield from _more(r.unmatched_total, "product")


def _more(total: int, what: str) -> Iterator[str]:
    if total > SHOWN:
        yield f"and {plural(total - SHOWN, f'more {what}', f'more {what}s')}; --json tells up to 1,000"


vex.command(
    "export",
    cls=QueryCommand,
    epilog=examples(
        "spectra findings vex export -o findings.openvex.json",
        "spectra findings vex export net:10.0.0.0/8 --decided --format cyclonedx -o vex.cdx.json",
    ),
)(export)
vex.command(
    "import",
    cls=Command,
    epilog=examples(
        "spectra findings vex import vendor.openvex.json",
        "curl -s https://example.org/vex | spectra findings vex import -",
    ),
)(import_)


def add_to(group: typer.Typer) -> None:
    """Make it a group of `spectra findings`."""
    group.add_typer(vex, name="vex")
