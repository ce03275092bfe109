"""`spectra reports`: the reports there are, and those that a person has to finish."""

from __future__ import annotations

import json as jsonlib
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spectra.cli.help import (
    AllOption,
    CsvOption,
    FieldsOption,
    FileOption,
    FormatOption,
    JsonOption,
    LimitOption,
    examples,
)
from spectra.cli.local import Machine
from spectra.cli.output import Column, Target, emit, finish, json_line, note, text
from spectra.cli.pages import Command, Group
from spectra.cli.report import form_of, written
from spectra.cli.safe import safe
from spectra.cli.times import ago
from spectra.errors import BadRequest

if TYPE_CHECKING:
    from rich.text import Text

    from spectra.cli.client import Client
    from spectra.model.reports import PatternRecord, ReportRecord, ReviewDetail

_WHOLE = 27
"""Characters of an id."""
LOOK_AT = 1000
MAX_BODY = 256 * 1024
_STYLES = {"done": "green", "running": "cyan", "waiting": "dim", "incomplete": "red", "failed": "red"}
STATES = ("waiting", "running", "done", "incomplete", "finished", "failed")

reports = typer.Typer(cls=Group, help="Reports: list them, read them, and finish by hand what no model could.")
ReportArgument = Annotated[str, typer.Argument(metavar="ID", help="Its id, or the beginning of it.")]


def _columns(now: datetime) -> list[Column[ReportRecord]]:
    """How a report looks in a line."""
    return [
        Column("id", lambda r: r.id, style="cyan"),
        Column("is", _state, data=False),
        Column("state", lambda r: r.state, table=False),
        Column("pattern", lambda r: r.pattern),
        Column("version", lambda r: r.version, "v", right=True),
        Column("target", lambda r: r.target, flexible=True, main=True),
        Column("by", lambda r: r.by),
        Column("hosts", lambda r: r.hosts, right=True),
        Column("account", lambda r: r.account, optional=True),
        Column("made", lambda r: ago(r.changed, now), data=False),
        Column("created", lambda r: r.created, table=False),
        Column("changed", lambda r: r.changed, table=False),
        Column("why", lambda r: r.why, table=False),
        Column("sha256", lambda r: r.sha256, table=False),
    ]


def _state(record: ReportRecord) -> Text:
    return text(record.state, _STYLES.get(record.state, ""))


def list_reports(
    context: typer.Context,
    *,
    state: Annotated[str, typer.Option("--state", help=f"Only {', '.join(STATES[:-1])} or {STATES[-1]}.")] = "",
    ip: Annotated[str, typer.Option("--ip", metavar="IP", help="Only those that tell of this host.")] = "",
    target: Annotated[str, typer.Option("--target", help="Only those on this very target.")] = "",
    pattern: Annotated[str, typer.Option("--pattern", help="Only those by this pattern.")] = "",
    limit: LimitOption = 50,
    everything: AllOption = False,
    json: JsonOption = False,
    csv: CsvOption = False,
    fields: FieldsOption = "",
    out: FileOption = None,
    format: FormatOption = "",
) -> None:
    """List reports, the newest first; each version is one."""
    if state and state not in STATES:
        raise BadRequest(f"there is no state {state!r}", field="state", hint=f"One of {', '.join(STATES)}.")
    output = Target.of(json=json, csv=csv, fields=fields, path=out, format=format)
    given = {"state": state, "ip": ip, "target": target, "pattern": pattern}
    params: dict[str, str | int] = {name: word for name, word in given.items() if word}
    limit, nothing = 0 if everything else limit, "There are no reports. Make one: spectra report TARGET"
    _emit(context, "/v0/reports", params, limit=limit, output=output, nothing=nothing)


def _emit(
    context: typer.Context, path: str, params: dict[str, str | int], *, limit: int, output: Target, nothing: str
) -> int:
    from spectra.cli.paging import Paged, watched
    from spectra.model.reports import ReportPage

    with Machine.of(context).client(notify=note) as client:
        rows = Paged(client, path, ReportPage, lambda page: page.reports, params=params, limit=limit)
        count = emit(watched(rows, output), _columns(datetime.now(UTC)), output)
    finish(count, output, more=rows.more, what="report", nothing=nothing)
    return count


def show(
    context: typer.Context,
    *,
    report: ReportArgument,
    format: Annotated[
        str, typer.Option("--format", "-f", metavar="FORMAT", help="md, html, pdf or json; else by the file's name.")
    ] = "",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write there instead of to standard output.")
    ] = None,
    record: Annotated[bool, typer.Option("--record", help="Print how it stands instead, as JSON.")] = False,
) -> None:
    """Print a report, or write it to a file."""
    from spectra.model.reports import ReportDetail

    form = form_of(format, out)
    if form == "pdf" and out is None and sys.stdout.isatty():
        raise BadRequest("a PDF is nothing for a terminal", field="out", hint="Give -o FILE, or pipe it.")
    with Machine.of(context).client(notify=note) as client:
        found = client.get(f"/v0/reports/{whole(client, report)}", ReportDetail)
        if record:
            sys.stdout.write(json_line(found) + "\n")
            return
        written(client, found, form, out)


def review(
    context: typer.Context,
    *,
    report: Annotated[str, typer.Argument(metavar="[ID]", help="One of them; without it, all are listed.")] = "",
    limit: LimitOption = 50,
    json: JsonOption = False,
) -> None:
    """List reports that a person has to finish, or show all that is needed to finish one."""
    from spectra.model.reports import ReviewDetail

    if not report:
        output, nothing = Target.of(json=json), "No report waits for a person."
        if _emit(context, "/v0/reports/review", {}, limit=limit, output=output, nothing=nothing):
            note("What is needed to finish one: spectra reports review ID")
        return
    with Machine.of(context).client(notify=note) as client:
        found = client.get(f"/v0/reports/{whole(client, report)}/review", ReviewDetail)
    if json:
        sys.stdout.write(json_line(found) + "\n")
        return
    for line in _review_lines(found):
        sys.stdout.write(f"{line}\n")
    note(f"Finish it: spectra reports finish {found.report.id} FILE (a draft: spectra reports draft {found.report.id})")


def _review_lines(found: ReviewDetail) -> list[str]:
    """What went wrong, then the facts."""
    lines = [f"{found.report.id}  {found.report.state}  {safe(found.document.title)}: {safe(found.report.target)}"]
    lines += [f"  {safe(found.report.why)}", "", "Attempts"]
    for attempt in found.report.tries:
        who = f"{safe(attempt.provider)} {safe(attempt.model)}".strip() or "no model"
        lines += [f"  {attempt.number}. {who}", *(f"     - {safe(reason)}" for reason in attempt.reasons)]
        lines += [f"     said: {safe(attempt.answer, 300)}"] if attempt.answer else []
    lines += ["", "Sections as they stand"]
    for section in found.document.sections:
        lines.append(f"  {safe(section.id)} ({safe(section.title)}), by {section.by}")
        lines += [f"    - {safe(one.title)}{': ' if one.title else ''}{safe(one.text)}" for one in section.statements]
    lines += ["", "Facts", *(f"  [{safe(fact.ref)}] {safe(fact.text)}" for fact in found.facts)]
    return lines


def draft(
    context: typer.Context,
    *,
    report: ReportArgument,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write there instead of to standard output.")
    ] = None,
) -> None:
    """Print the sections of an incomplete report as the JSON that `finish` reads, to be edited."""
    from spectra.model.reports import ReviewDetail

    with Machine.of(context).client(notify=note) as client:
        found = client.get(f"/v0/reports/{whole(client, report)}/review", ReviewDetail)
    refs = {fact.record: fact.ref for fact in reversed(found.facts)}
    sections: dict[str, object] = {}
    for section in found.document.sections:
        sections[section.id] = [
            {name: value for name, value in _said(one.title, one.weight, one.verdict).items() if value}
            | {"text": one.text, "cites": [refs.get(cite, cite) for cite in one.cites]}
            for one in section.statements
        ]
    body = jsonlib.dumps({"sections": sections, "note": ""}, indent=2, ensure_ascii=False) + "\n"
    if out is None:
        sys.stdout.write(jsonlib.dumps({"sections": sections, "note": ""}, indent=2) + "\n")
    else:
        out.write_text(body, "utf-8")
        note(f"Edit {out}, then: spectra reports finish {found.report.id} {out}")


def _said(title: str, weight: str, verdict: str) -> dict[str, str]:
    return {"title": title, "weight": weight, "verdict": verdict}


def finish_report(
    context: typer.Context,
    *,
    report: ReportArgument,
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="JSON as `spectra reports draft` prints it.")],
    json: JsonOption = False,
) -> None:
    """Complete an incomplete report by hand: the sections that FILE has take the place of those there are.

    It becomes a version of its own, marked as a person's.
    """
    from spectra.model.reports import ReportRecord

    body = _body(file)
    with Machine.of(context).client(notify=note) as client:
        record = client.post(f"/v0/reports/{whole(client, report)}/finish", ReportRecord, body)
    sys.stdout.write(json_line(record) + "\n" if json else f"{record.id} version {record.version}: {record.state}\n")


def _body(file: str) -> object:
    """The JSON in a file, or from standard input; raises `BadRequest`."""
    try:
        if file == "-":
            data = sys.stdin.buffer.read(MAX_BODY + 1)
        else:
            with Path(file).open("rb") as stream:
                data = stream.read(MAX_BODY + 1)
    except OSError as error:
        raise BadRequest(f"cannot read {file}: {error.strerror}", field="file") from error
    if len(data) > MAX_BODY:
        raise BadRequest(f"{file} is larger than {MAX_BODY} bytes", field="file")
    try:
        return jsonlib.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"{file} is not JSON: {error}", field="file") from error


def patterns(context: typer.Context, *, json: JsonOption = False) -> None:
    """List the patterns that reports are made by."""
    from spectra.model.reports import PatternPage

    columns: list[Column[PatternRecord]] = [
        Column("name", lambda p: p.name, style="cyan"),
        Column("title", lambda p: p.title),
        Column("purpose", lambda p: p.purpose, flexible=True, main=True),
        Column("scans", lambda p: ", ".join(p.scans), optional=True),
        Column("whose", lambda p: "built in" if p.built_in else "own", data=False),
    ]
    with Machine.of(context).client(notify=note) as client:
        found = client.get("/v0/reports/patterns", PatternPage).patterns
    emit(found, columns, Target.of(json=json))


def whole(client: Client, given: str) -> str:
    """The id of the report that `given` is or begins; raises `BadRequest` where that is none, or several."""
    from spectra.model.reports import ReportPage

    start = given if given.startswith("report-") else f"report-{given}"
    if len(start) == _WHOLE:
        return start
    found = [one.id for one in client.get("/v0/reports", ReportPage, {"limit": LOOK_AT}).reports]
    fitting = [one for one in found if one.startswith(start)]
    if len(fitting) == 1:
        return fitting[0]
    said = f"{len(fitting)} reports begin with {given}" if fitting else f"there is no report {given}"
    raise BadRequest(said, field="report", hint="`spectra reports list` has their ids.")


reports.command("list", cls=Command, epilog=examples("spectra reports list --state incomplete --json"))(list_reports)
reports.command("show", cls=Command, epilog=examples("spectra reports show 1f2e3d4c -o report.pdf"))(show)
reports.command(
    "review", cls=Command, epilog=examples("spectra reports review", "spectra reports review 1f2e3d4c --json")
)(review)
reports.command("draft", cls=Command, epilog=examples("spectra reports draft 1f2e3d4c -o draft.json"))(draft)
reports.command("finish", cls=Command, epilog=examples("spectra reports finish 1f2e3d4c draft.json"))(finish_report)
reports.command("patterns", cls=Command, epilog=examples("spectra reports patterns"))(patterns)
