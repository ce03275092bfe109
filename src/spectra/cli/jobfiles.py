"""`spectra jobs logs`, `files` and `fetch`: what was kept of attempts."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spectra.cli import completion
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
from spectra.cli.jobs import JobArgument, whole
from spectra.cli.local import Machine
from spectra.cli.output import Target, console, emit, finish, json_line, note, plural, replaced
from spectra.cli.pages import Command
from spectra.cli.safe import safe
from spectra.cli.times import parse_when
from spectra.errors import BadRequest, Corrupt

if TYPE_CHECKING:
    from spectra.cli.client import Client
    from spectra.model.work import ArtefactRecord, TargetRecord

MAX_LOG_BYTES = 16 * 1024 * 1024
"""Of a log that is printed; larger ones are fetched."""

TargetOption = Annotated[int, typer.Option("--target", min=0, metavar="N", help="Only of this target.")]


def logs(
    context: typer.Context,
    *,
    job: JobArgument,
    target: TargetOption = 0,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Most targets to print; 0 prints all.")] = 20,
    json: JsonOption = False,
) -> None:
    """Print what became of a job's targets, attempt by attempt, and what the machines wrote down while they scanned.

    With --json each attempt is a line, with the text of its log.
    """
    from spectra.cli.paging import Paged
    from spectra.model.work import TargetRecord
    from spectra.model.workpages import TargetPage

    with Machine.of(context).client(notify=note) as client:
        known = whole(client, job)
        rows = Paged(
            client, f"/v0/jobs/{known}/targets", TargetPage, lambda page: page.targets, params={}, limit=limit, page=100
        )
        numbers = [target] if target else (one.target for one in rows)
        count = 0
        for number in numbers:
            record = client.get(f"/v0/targets/{number}", TargetRecord)
            if record.job != known:
                raise BadRequest(f"target {number} is none of {known}'s", field="target")
            _logs_of(client, record, json)
            count += 1
    if not target and rows.more:
        note(f"The first {plural(count, 'target')}; --limit 0 prints all, --target N one.")


def _logs_of(client: Client, target: TargetRecord, json: bool) -> None:
    from spectra.cli.jobpage import attempt_lines, what

    screen, now = console(), datetime.now(UTC)
    files = {file.lease: file for file in _files(client, {"target": target.target}) if file.kind == "log"}
    if not json:
        sys.stdout.write(f"target {target.target}: {safe(what(target.targets), 200)}, {target.state}\n")
    for attempt in target.history:
        log = _text(client, files[attempt.lease]) if attempt.lease in files else ""
        if json:
            sys.stdout.write(json_line({"target": target.target, "attempt": attempt, "log": log}) + "\n")
            continue
        for line in attempt_lines(attempt, now):
            screen.print(line)
        for line in log.splitlines():
            sys.stdout.write(f"   | {safe(line)}\n")
    sys.stdout.flush()


def _files(client: Client, params: dict[str, str | int]) -> Iterator[ArtefactRecord]:
    from spectra.cli.paging import Paged
    from spectra.model.workpages import ArtefactPage

    yield from Paged(client, "/v0/artefacts", ArtefactPage, lambda page: page.artefacts, params=params, limit=0)


def _text(client: Client, file: ArtefactRecord) -> str:
    if file.size > MAX_LOG_BYTES:
        return f"{file.size:,} bytes, too many to print: spectra jobs fetch {file.id}"
    return b"".join(client.chunks(f"/v0/artefacts/{file.id}/content")).decode("utf-8", "replace")


def files(
    context: typer.Context,
    *,
    job: Annotated[str, typer.Argument(metavar="[JOB]", help="Only of this job.", autocompletion=completion.jobs)] = "",
    target: TargetOption = 0,
    host: Annotated[str, typer.Option("--host", metavar="IP", help="Only of scans that saw this host.")] = "",
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="With --host: that saw it since then.")] = "",
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="With --host: that saw it by then.")] = "",
    scan: Annotated[str, typer.Option("--scan", metavar="SCAN_ID", help="Only of this scan.")] = "",
    observation: Annotated[str, typer.Option("--observation", metavar="ID", help="Only of this observation.")] = "",
    limit: LimitOption = 100,
    everything: AllOption = False,
    json: JsonOption = False,
    csv: CsvOption = False,
    fields: FieldsOption = "",
    out: FileOption = None,
    format: FormatOption = "",
) -> None:
    """List what was kept of attempts, newest first: logs, the tools' own output, captures.

    What a version of an endpoint rests on: --host with the times that `spectra host --history` has.
    """
    from spectra.cli.jobpage import file_columns
    from spectra.cli.paging import Paged, watched
    from spectra.model.workpages import ArtefactPage

    output = Target.of(json=json, csv=csv, fields=fields, path=out, format=format)
    with Machine.of(context).client(notify=note) as client:
        given = {"job": whole(client, job) if job else "", "target": target, "host": host, "scan": scan}
        given |= {"observation": observation, "since": _moment(since, host), "until": _moment(until, host)}
        params: dict[str, str | int] = {name: value for name, value in given.items() if value}
        limit = 0 if everything else limit
        rows = Paged(client, "/v0/artefacts", ArtefactPage, lambda page: page.artefacts, params=params, limit=limit)
        count = emit(watched(rows, output), file_columns(datetime.now(UTC)), output)
    finish(count, output, more=rows.more, what="file", nothing="Nothing was kept.")
    if count:
        note("Get one: spectra jobs fetch ID -o FILE")


def _moment(word: str, host: str) -> str:
    """A time as the server reads it."""
    if word and not host:
        raise BadRequest("a time says when a host was seen", field="host", hint="Say --host IP too.")
    return parse_when(word, datetime.now(UTC)).isoformat().replace("+00:00", "Z") if word else ""


def fetch(
    context: typer.Context,
    *,
    file: Annotated[int, typer.Argument(metavar="ID", min=1, help="As `spectra jobs files` has it.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write there instead of to standard output.")
    ] = None,
) -> None:
    """Get a file of an attempt as the machine sent it. Its bytes are checked against their hash."""
    from spectra.model.work import ArtefactRecord

    if out is None and sys.stdout.isatty():
        raise BadRequest("what a machine sent could act on your terminal", field="out", hint="Say -o FILE, or pipe it.")
    with Machine.of(context).client(notify=note) as client:
        record = client.get(f"/v0/artefacts/{file}", ArtefactRecord)
        pieces = _checked(client.chunks(f"/v0/artefacts/{file}/content"), record)
        if out is None:
            for piece in pieces:
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
            return
        with replaced(out) as stream:
            for piece in pieces:
                stream.write(piece)
    note(f"{record.kind} {record.name} of target {record.target}, {plural(record.size, 'byte')}, written to {out}")


def _checked(pieces: Iterator[bytes], record: ArtefactRecord) -> Iterator[bytes]:
    """`pieces` as they come; raises `Corrupt` at their end where they are not what the record says."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
        yield piece
    if digest.hexdigest() != record.sha256:
        raise Corrupt(f"file {record.id} does not hash to {record.sha256}", hint="Try again; then ask who runs it.")


def add_to(jobs: typer.Typer) -> None:
    """Put the commands on files into the group of jobs."""
    jobs.command(
        "logs", cls=Command, epilog=examples("spectra jobs logs 1f2e3d4c", "spectra jobs logs 1f2e3d4c --target 4711")
    )(logs)
    jobs.command(
        "files",
        cls=Command,
        epilog=examples("spectra jobs files 1f2e3d4c", "spectra jobs files --host 192.0.2.10 --json"),
    )(files)
    jobs.command(
        "fetch", cls=Command, epilog=examples("spectra jobs fetch 812 -o nmap.xml", "spectra jobs fetch 812 | less")
    )(fetch)
