"""`spectra report`: has a report made, waits for it, and prints it or writes it to a file."""

from __future__ import annotations

import secrets
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spectra.cli.help import examples
from spectra.cli.local import Machine
from spectra.cli.output import note, plural, replaced
from spectra.cli.pages import INTERRUPTED
from spectra.cli.safe import safe, safe_lines
from spectra.cli.search import unguarded
from spectra.errors import BadRequest, SpectraError

if TYPE_CHECKING:
    from spectra.cli.client import Client
    from spectra.model.reports import Format, ReportRecord

FORMATS = ("md", "html", "pdf", "json")
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 2.0
MAX_FILE = 64 * 1024
MAX_FILES = 60
REPORT_EXAMPLES = examples(
    "spectra report 192.0.2.10",
    "spectra report 192.0.2.0/24 --pattern executive -o report.pdf",
    "spectra report product:nginx country:FR --format html -o nginx.html",
    "spectra report www.example.org --question 'What would an attacker try first?'",
    "spectra report --check-pattern ./patterns/shop",
)


class ReportFailed(SpectraError):
    """Nothing could be told of the target."""

    reason = "report_failed"


def report(
    context: typer.Context,
    *,
    query: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TARGET|QUERY]...", help="An address, a network, a name, or a query."),
    ] = None,
    format: Annotated[
        str, typer.Option("--format", "-f", metavar="FORMAT", help="md, html, pdf or json; else by the file's name.")
    ] = "",
    pattern: Annotated[
        str, typer.Option("--pattern", "-p", help="What is made of it; else what suits the newest scan.")
    ] = "",
    question: Annotated[str, typer.Option("--question", help="Something that it is to answer.")] = "",
    rules: Annotated[bool, typer.Option("--rules", help="Ask no language model.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for it, or print its id alone.")] = True,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write there instead of to standard output.")
    ] = None,
    check_pattern: Annotated[
        Path | None, typer.Option("--check-pattern", metavar="DIR", help="Only check the pattern in this folder.")
    ] = None,
) -> None:
    """Have a report made: what was found, what it amounts to, and what to do, with the sources of each sentence.

    Patterns: spectra reports patterns. Without a language model fixed rules write it.
    """
    from spectra.model.reports import ReportRecord

    if check_pattern is not None:
        raise typer.Exit(_check(context, check_pattern))
    target = " ".join(unguarded(query or [])).strip()
    if not target:
        raise BadRequest("what is the report to be on?", field="target", hint="An address, a network, a name, a query.")
    form = form_of(format, out)
    if form == "pdf" and out is None and sys.stdout.isatty():
        raise BadRequest("a PDF is nothing for a terminal", field="out", hint="Give -o FILE, or pipe it.")
    with Machine.of(context).client(notify=note) as client:
        body = {"target": target, "pattern": pattern, "question": question, "rules": rules}
        asked = client.post("/v0/reports", ReportRecord, body, key=secrets.token_hex(16)).id
        if not wait:
            sys.stdout.write(f"{asked}\n")
            return
        try:
            made = _made(client, asked)
        except KeyboardInterrupt:
            note(f"It is made all the same: spectra reports show {asked} -o FILE")
            raise typer.Exit(INTERRUPTED) from None
        written(client, made, form, out)


def _made(client: Client, report: str) -> ReportRecord:
    """The report once it is there; raises `ReportFailed` where nothing can be told."""
    from spectra.cli.progress import bar
    from spectra.model.reports import ReportRecord

    pause, wait_s = threading.Event(), _FIRST_WAIT_S
    with bar("report") as shown:
        while True:
            record = client.get(f"/v0/reports/{report}", ReportRecord)
            if record.state == "failed":
                raise ReportFailed(f"no report can be made: {safe(record.why)}")
            if record.state not in ("waiting", "running"):
                return record
            words = f"attempt {record.attempts + 1}" if record.attempts else record.state
            shown.move(record.attempts, None, words)
            pause.wait(wait_s)
            wait_s = min(wait_s * 1.5, _LONGEST_WAIT_S)


def form_of(word: str, out: Path | None) -> Format:
    """The form that is asked for, or that a file's name says; Markdown otherwise. Raises `BadRequest`."""
    from spectra.model.reports import FORMATS as KNOWN

    name = word.strip().lower() or (out.suffix.lower().lstrip(".") if out else "") or "md"
    name = {"markdown": "md", "htm": "html", "txt": "md"}.get(name, name)
    for known in KNOWN:
        if name == known:
            return known
    if not word:
        return "md"
    raise BadRequest(f"there is no format {word!r}", field="format", hint=f"Formats: {', '.join(FORMATS)}.")


def written(client: Client, record: ReportRecord, form: Format, out: Path | None) -> None:
    """Print a report, or write it to a file; and say how it stands."""
    pieces = client.chunks(f"/v0/reports/{record.id}/content?format={form}")
    if out is not None:
        with replaced(out) as stream:
            size = sum(stream.write(piece) for piece in pieces)
        note(f"{size:,} bytes written to {out}")
    elif sys.stdout.isatty():
        sys.stdout.write(safe_lines(b"".join(pieces).decode("utf-8", "replace")))
    else:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    note(f"{record.id}, version {record.version}, {record.pattern}: {_how(record)}")
    if record.state == "incomplete":
        note(f"Finish it by hand: spectra reports review {record.id}")


def _how(record: ReportRecord) -> str:
    why = f" ({safe(record.why)})" if record.why else ""
    if record.by == "model":
        return f"written by {safe(record.provider)} {safe(record.model)} in {plural(record.attempts, 'attempt')}"
    if record.by == "person":
        return f"completed by {safe(record.account)}{why}"
    return f"{'incomplete' if record.state == 'incomplete' else 'written by fixed rules'}{why}"


def _check(context: typer.Context, folder: Path) -> int:
    """Have a server check a pattern; the exit code."""
    from spectra.model.reports import PatternCheck

    body = {"name": folder.resolve().name, "files": _files(folder)}
    with Machine.of(context).client(notify=note) as client:
        found = client.post("/v0/reports/patterns/check", PatternCheck, body)
    for problem in found.problems:
        sys.stdout.write(f"{safe(problem)}\n")
    if found.ok:
        sys.stdout.write(f"{folder}: it holds, with {plural(found.examples, 'test')}\n")
    return 0 if found.ok else 1


def _files(folder: Path) -> dict[str, str]:
    """The texts of a pattern's folder by their paths in it; raises `BadRequest`."""
    if not folder.is_dir():
        raise BadRequest(f"{folder} is no folder", field="check-pattern")
    paths = sorted(
        [*folder.glob("*.yaml"), *folder.glob("*.md"), *folder.glob("*.json"), *folder.glob("examples/*.json")]
    )
    if len(paths) > MAX_FILES:
        raise BadRequest(f"{folder} has more than {MAX_FILES} files", field="check-pattern")
    found: dict[str, str] = {}
    for path in paths:
        try:
            with path.open("rb") as stream:
                data = stream.read(MAX_FILE + 1)
            found[path.relative_to(folder).as_posix()] = data.decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadRequest(f"{path}:1: it cannot be read: {error}", field="check-pattern") from error
        if len(data) > MAX_FILE:
            raise BadRequest(f"{path}:1: larger than {MAX_FILE} bytes", field="check-pattern")
    return found
