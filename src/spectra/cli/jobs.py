"""`spectra jobs`: scans that machines do, how far they are, and steering them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

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
from spectra.cli.local import Machine
from spectra.cli.output import Target, console, emit, finish, json_line, note, plural, terminal_width, text
from spectra.cli.pages import Command, Group
from spectra.errors import BadRequest, NotFound

if TYPE_CHECKING:
    from rich.text import Text

    from spectra.cli.client import Client
    from spectra.model.work import JobRecord, TargetRecord, WorkStatus

STATES = ("running", "paused", "done", "cancelled")
TARGET_STATES = ("waiting", "leased", "submitted", "done", "review", "cancelled")
LOOK_AT = 1000
"""Newest jobs among which a short id is looked for."""
SHOWN = 20
_WHOLE = re.compile(r"job-[0-9a-f]{20}")
_LEAST = 4


class JobsGroup(Group):
    """A group that lists where no command of it is named: `spectra jobs --state running`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `list` before options alone."""
        listing = not args or (args[0].startswith("-") and args[0] not in ("--help", "-h"))
        if listing and not ctx.resilient_parsing:
            args = ["list", *args]
        return super().parse_args(ctx, args)


jobs = typer.Typer(cls=JobsGroup, help="Scans that machines do; lists them where no command is named.")

JobArgument = Annotated[
    str,
    typer.Argument(metavar="JOB", help="Its id, or the beginning of that.", autocompletion=completion.jobs),
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; it stands on record.")]
TargetNumber = Annotated[int, typer.Argument(metavar="TARGET", min=1, help="Its number, as lists of targets have it.")]


def list_jobs(
    context: typer.Context,
    *,
    state: Annotated[str, typer.Option("--state", help="Only running, paused, done or cancelled.")] = "",
    account: Annotated[str, typer.Option("--by", metavar="ACCOUNT", help="Only what this account asked for.")] = "",
    limit: LimitOption = 50,
    everything: AllOption = False,
    json: JsonOption = False,
    csv: CsvOption = False,
    fields: FieldsOption = "",
    out: FileOption = None,
    format: FormatOption = "",
) -> None:
    """List jobs, the newest first: how many of their targets have ended, and how many endpoints are open there."""
    from spectra.cli.jobpage import job_columns
    from spectra.cli.paging import Paged, watched
    from spectra.model.workpages import JobPage

    target = Target.of(json=json, csv=csv, fields=fields, path=out, format=format)
    params = {name: word for name, word in (("state", one_of("state", state, STATES)), ("account", account)) if word}
    with Machine.of(context).client(notify=note) as client:
        limit = 0 if everything else limit
        rows = Paged(client, "/v0/jobs", JobPage, lambda page: page.jobs, params={**params}, limit=limit)
        count = emit(watched(rows, target), job_columns(datetime.now(UTC)), target)
    nothing = "There is no such job." if params else "There are no jobs. Make one: spectra scan TARGET --remote"
    finish(count, target, more=rows.more, what="job", nothing=nothing)


def show(context: typer.Context, *, job: JobArgument, json: JsonOption = False) -> None:
    """Show a job: what it is, who asked and may, how far it is, and the targets that are at work or have failed."""
    from spectra.cli import jobpage
    from spectra.cli.layout import lines

    now = datetime.now(UTC)
    with Machine.of(context).client(notify=note) as client:
        record = get(client, whole(client, job))
        if json:
            sys.stdout.write(json_line(record) + "\n")
            return
        _print(jobpage.job_page(record, now))
        rows = [*_some(client, record, "leased"), *_some(client, record, "review")]
    columns = [column for column in jobpage.target_columns(now) if column.table]
    cells = ([text(column.value(row)) for column in columns] for row in rows)
    _print(lines([column.slot for column in columns], cells, terminal_width()) if rows else ())
    if record.counts.leased + record.counts.review > len(rows):
        note(f"More of them: spectra jobs targets {record.job}")


def _some(client: Client, job: JobRecord, state: str) -> list[TargetRecord]:
    from spectra.model.workpages import TargetPage

    if not getattr(job.counts, state):
        return []
    return client.get(f"/v0/jobs/{job.job}/targets", TargetPage, {"state": state, "limit": SHOWN}).targets


def targets(
    context: typer.Context,
    *,
    job: JobArgument,
    state: Annotated[
        str, typer.Option("--state", help="Only waiting, leased, submitted, done, review or cancelled.")
    ] = "",
    limit: LimitOption = 100,
    everything: AllOption = False,
    json: JsonOption = False,
    csv: CsvOption = False,
    fields: FieldsOption = "",
    out: FileOption = None,
    format: FormatOption = "",
) -> None:
    """List the targets of a job: what one machine scans at a time, who does or did, and why one failed."""
    target = Target.of(json=json, csv=csv, fields=fields, path=out, format=format)
    params: dict[str, str | int] = {"state": word} if (word := one_of("state", state, TARGET_STATES)) else {}
    with Machine.of(context).client(notify=note) as client:
        path = f"/v0/jobs/{whole(client, job)}/targets"
        _emit_targets(client, path, params, 0 if everything else limit, target, nothing="There is no such target.")


def review(
    context: typer.Context,
    *,
    limit: LimitOption = 100,
    everything: AllOption = False,
    json: JsonOption = False,
    csv: CsvOption = False,
    fields: FieldsOption = "",
    out: FileOption = None,
    format: FormatOption = "",
) -> None:
    """List the targets of all jobs that a person has to look at: every attempt at them failed, and why."""
    target = Target.of(json=json, csv=csv, fields=fields, path=out, format=format)
    limit = 0 if everything else limit
    with Machine.of(context).client(notify=note) as client:
        nothing = "Nothing is in review."
        if _emit_targets(client, "/v0/review", {}, limit, target, nothing=nothing, with_job=True):
            note("Every attempt of one: spectra jobs target TARGET. Try again: spectra jobs retry JOB")


def _emit_targets(
    client: Client,
    path: str,
    params: dict[str, str | int],
    limit: int,
    target: Target,
    *,
    nothing: str,
    with_job: bool = False,
) -> int:
    from spectra.cli.jobpage import target_columns
    from spectra.cli.paging import Paged, watched
    from spectra.model.workpages import TargetPage

    rows = Paged(client, path, TargetPage, lambda page: page.targets, params=params, limit=limit)
    count = emit(watched(rows, target), target_columns(datetime.now(UTC), with_job=with_job), target)
    finish(count, target, more=rows.more, what="target", nothing=nothing)
    return count


def show_target(context: typer.Context, *, target: TargetNumber, json: JsonOption = False) -> None:
    """Show one target with every attempt at it: which machine, when, with what, and how that ended."""
    from spectra.cli.jobpage import target_page
    from spectra.model.work import TargetRecord

    with Machine.of(context).client(notify=note) as client:
        record = client.get(f"/v0/targets/{target}", TargetRecord)
    if json:
        sys.stdout.write(json_line(record) + "\n")
    else:
        _print(target_page(record, datetime.now(UTC)))


def watch(context: typer.Context, *, job: JobArgument, json: JsonOption = False) -> None:
    """Follow a job until it has ended: exits with 0 where all of it is done, with 1 where a part failed or was ended.

    Ctrl-C ends the watching; the job goes on.
    """
    from spectra.cli.watching import watch

    machine = Machine.of(context)
    with machine.client(notify=note) as client:
        known = get(client, whole(client, job)).job
    with machine.client(attempts=1, notify=note) as client:
        raise typer.Exit(watch(client, known, json=json))


def cancel(context: typer.Context, *, job: JobArgument, reason: ReasonOption = "", json: JsonOption = False) -> None:
    """End a job: nothing of it is begun any more, and machines that scan a part of it stop. What was found stays."""
    _steer(context, job, "cancel", {"reason": reason}, json)


def pause(
    context: typer.Context,
    *,
    job: Annotated[
        str, typer.Argument(metavar="[JOB]", help="Its id, or the beginning.", autocompletion=completion.jobs)
    ] = "",
    everything: Annotated[bool, typer.Option("--all", help="Hand out nothing at all, of whatever job.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why nothing is handed out; with --all.")] = "",
    json: JsonOption = False,
) -> None:
    """Hand out no more of a job, or with --all of any. What machines scan already goes on."""
    if _one_of_two(job, everything=everything):
        _steer_all(context, "pause", {"reason": reason}, json)
    else:
        _steer(context, job, "pause", None, json)


def resume(
    context: typer.Context,
    *,
    job: Annotated[
        str, typer.Argument(metavar="[JOB]", help="Its id, or the beginning.", autocompletion=completion.jobs)
    ] = "",
    everything: Annotated[bool, typer.Option("--all", help="Hand out work again, after pause --all.")] = False,
    json: JsonOption = False,
) -> None:
    """Go on with a paused job, or with --all with everything that was not paused by itself."""
    if _one_of_two(job, everything=everything):
        _steer_all(context, "resume", None, json)
    else:
        _steer(context, job, "resume", None, json)


def priority(
    context: typer.Context,
    *,
    job: JobArgument,
    to: Annotated[int, typer.Argument(metavar="N", min=-100, max=100, help="-100 to 100; 0 is usual.")],
    json: JsonOption = False,
) -> None:
    """Have a job sooner or later than others: targets of the highest priority get their turn first."""
    _steer(context, job, "priority", {"priority": to}, json)


def retry(
    context: typer.Context,
    *,
    job: JobArgument,
    targets: Annotated[
        list[int] | None, typer.Argument(metavar="[TARGET]...", min=1, help="Only these of its targets, by number.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Try targets of a job again that failed for good or were cancelled; all of them if none is named."""
    from spectra.model.workpages import Retried

    with Machine.of(context).client(notify=note) as client:
        done = client.post(f"/v0/jobs/{whole(client, job)}/retry", Retried, {"targets": targets or []})
    if json:
        sys.stdout.write(json_line(done) + "\n")
    else:
        sys.stdout.write(f"{done.job.job}: {plural(done.retried, 'target')} to be tried again\n")
    if not done.retried:
        note("None of them failed for good or was cancelled.")


def status(context: typer.Context, *, json: JsonOption = False) -> None:
    """Show whether work is handed out, what holds it up, how much there is, and the machines that do it."""
    from spectra.model.work import WorkStatus

    with Machine.of(context).client(notify=note) as client:
        _tell_status(client.get("/v0/work", WorkStatus), json)


HOLDS = {
    "database": "the database is away",
    "fabric": "the fabric that machines are reached by is away",
    "window": "no time window is open",
}
"""What keeps work from being handed out. While a coordinator is `settling`, only leases do not run out."""
NO_MACHINE = "No machine of the mesh takes work: `spectra node token` prints the command by which one joins."


def held(work: WorkStatus) -> Iterator[str]:
    """Why nothing is handed out at the moment, in words; nothing where work is."""
    if work.paused:
        why = f": {work.paused_reason}" if work.paused_reason else ""
        yield f"Work was paused by {work.paused_by}{why}. Go on: spectra jobs resume --all"
    for hold in _holding(work):
        yield f"Nothing is handed out: {HOLDS[hold]}."
    if not any(worker.slots for worker in work.workers):
        yield NO_MACHINE


def _holding(work: WorkStatus) -> list[str]:
    return [hold for hold in work.holds if hold in HOLDS]


def _tell_status(work: WorkStatus, json: bool) -> None:
    from spectra.cli.jobpage import counted, worker_columns

    if json:
        sys.stdout.write(json_line(work) + "\n")
        return
    sys.stdout.write(f"{'paused' if work.paused else 'held up' if _holding(work) else 'handed out'}: ")
    sys.stdout.write(f"{counted(work.counts) or 'no targets'}\n")
    emit(work.workers, worker_columns(datetime.now(UTC)), Target())
    for line in held(work):
        note(line)


# What several need ---------------------------------------------------------------------------------------------------


def whole(client: Client, given: str) -> str:
    """The id of the job that `given` is or begins; raises `NotFound` where there is none, `BadRequest` for several."""
    from spectra.model.workpages import JobPage

    if _WHOLE.fullmatch(given):
        return given
    start = given if given.startswith("job-") else f"job-{given}"
    if len(start) < len("job-") + _LEAST:
        raise BadRequest(f"{given!r} is too short", field="job", hint=f"Give at least {_LEAST} digits of its id.")
    found = [job.job for job in client.get("/v0/jobs", JobPage, {"limit": LOOK_AT}).jobs if job.job.startswith(start)]
    if not found:
        raise NotFound(f"there is no job {given}", hint="`spectra jobs --all` lists them.")
    if len(found) > 1:
        raise BadRequest(f"{len(found)} jobs begin with {given}", field="job", hint="Give more of the id.")
    return found[0]


def get(client: Client, job: str) -> JobRecord:
    """The job as it is."""
    from spectra.model.work import JobRecord

    return client.get(f"/v0/jobs/{job}", JobRecord)


def one_of(field: str, word: str, known: tuple[str, ...]) -> str:
    """`word` if there is such a one, or empty; raises `BadRequest`."""
    if word and word not in known:
        raise BadRequest(f"there is no {field} {word!r}", field=field, hint=f"One of {', '.join(known)}.")
    return word


def _one_of_two(job: str, *, everything: bool) -> bool:
    if bool(job) == everything:
        raise BadRequest("which job?", field="job", hint="Name one, or say --all.")
    return everything


def _steer(context: typer.Context, job: str, verb: str, body: object, json: bool) -> None:
    from spectra.model.work import JobRecord

    with Machine.of(context).client(notify=note) as client:
        record = client.call("POST", f"/v0/jobs/{whole(client, job)}/{verb}", JobRecord, body)
    _tell_job(record, json)


def _tell_job(job: JobRecord, json: bool) -> None:
    from spectra.cli.jobpage import counted

    line = f"{job.job} {job.state}, priority {job.priority}: {counted(job.counts)}"
    sys.stdout.write(f"{json_line(job) if json else line}\n")


def _steer_all(context: typer.Context, verb: str, body: object, json: bool) -> None:
    from spectra.model.work import WorkStatus

    with Machine.of(context).client(notify=note) as client:
        _tell_status(client.call("POST", f"/v0/work/{verb}", WorkStatus, body), json)


def _print(rows: Iterable[Text]) -> None:
    screen = console()
    for row in rows:
        screen.print(row)


jobs.command(
    "list",
    cls=Command,
    epilog=examples("spectra jobs", "spectra jobs --state running", "spectra jobs list --by alice --json"),
)(list_jobs)
jobs.command("show", cls=Command, epilog=examples("spectra jobs show job-1f2e3d4c", "spectra jobs show 1f2e --json"))(
    show
)
jobs.command("watch", cls=Command, epilog=examples("spectra jobs watch 1f2e3d4c && echo done"))(watch)
jobs.command(
    "targets",
    cls=Command,
    epilog=examples("spectra jobs targets 1f2e3d4c --state review", "spectra jobs targets 1f2e3d4c --all --csv"),
)(targets)
jobs.command("target", cls=Command, epilog=examples("spectra jobs target 4711"))(show_target)
jobs.command("review", cls=Command, epilog=examples("spectra jobs review", "spectra jobs review --json"))(review)
jobs.command("cancel", cls=Command, epilog=examples("spectra jobs cancel 1f2e3d4c --reason 'wrong network'"))(cancel)
jobs.command(
    "retry", cls=Command, epilog=examples("spectra jobs retry 1f2e3d4c", "spectra jobs retry 1f2e3d4c 4711 4712")
)(retry)
jobs.command(
    "pause", cls=Command, epilog=examples("spectra jobs pause 1f2e3d4c", "spectra jobs pause --all --reason 'move'")
)(pause)
jobs.command("resume", cls=Command, epilog=examples("spectra jobs resume 1f2e3d4c", "spectra jobs resume --all"))(
    resume
)
jobs.command("priority", cls=Command, epilog=examples("spectra jobs priority 1f2e3d4c 50"))(priority)
jobs.command("status", cls=Command, epilog=examples("spectra jobs status", "spectra jobs status --json"))(status)
