"""How jobs, their targets and the attempts at those look: as columns of lists, and as the page of one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from spectra.cli.output import Column, plural, text
from spectra.cli.times import ago, span, stamp

if TYPE_CHECKING:
    from rich.text import Text

    from spectra.model.work import (
        ArtefactRecord,
        AttemptRecord,
        JobRecord,
        Loss,
        Permission,
        TargetCounts,
        TargetRecord,
        WorkerRecord,
    )

SHORT = 12
"""Characters of a job's id in tables: `job-` and eight digits."""
STYLES = {
    "running": "cyan",
    "paused": "yellow",
    "done": "green",
    "cancelled": "dim",
    "waiting": "dim",
    "leased": "cyan",
    "submitted": "cyan",
    "review": "red",
}
_ENDS = {"done": "green", "partial": "yellow", "late": "yellow", "cancelled": "dim", "": "cyan"}
_STATES = ("done", "leased", "submitted", "waiting", "review", "cancelled")
_WORDS = {"leased": "being scanned", "submitted": "being taken in", "review": "in review"}


def ended(counts: TargetCounts) -> int:
    """How many targets nothing more will happen to by itself."""
    return counts.done + counts.review + counts.cancelled


def state(job: JobRecord) -> Text:
    """The state of a job in a word: done is not well where a person has to look."""
    if job.state == "done" and job.counts.review:
        return text("review", "red")
    return text(job.state, STYLES.get(job.state, ""))


def counted(counts: TargetCounts) -> str:
    """`12 done, 2 being scanned, 1 in review`: what there is of each state."""
    numbers = ((name, getattr(counts, name)) for name in _STATES)
    return ", ".join(f"{number:,} {_WORDS.get(name, name)}" for name, number in numbers if number)


def job_columns(now: datetime) -> list[Column[JobRecord]]:
    """How a job looks in a line."""
    return [
        Column("job", lambda j: j.job, table=False),
        Column("short", lambda j: j.job[:SHORT], "job", data=False, style="cyan"),
        Column("is", state, data=False),
        Column("state", lambda j: j.state, table=False),
        Column("progress", lambda j: f"{ended(j.counts):,}/{j.total:,}", "targets", data=False, right=True),
        Column("total", lambda j: j.total, table=False),
        Column("done", lambda j: j.counts.done, table=False),
        Column("waiting", lambda j: j.counts.waiting, table=False),
        Column("leased", lambda j: j.counts.leased, table=False),
        Column("submitted", lambda j: j.counts.submitted, table=False),
        Column("review", lambda j: j.counts.review, table=False),
        Column("cancelled", lambda j: j.counts.cancelled, table=False),
        Column("found", lambda j: j.found, "open", right=True),
        Column("findings", lambda j: j.findings, right=True, optional=True),
        Column("what", lambda j: j.what, flexible=True, main=True),
        Column("preset", lambda j: j.preset),
        Column("priority", lambda j: j.priority, "prio", right=True, optional=True),
        Column("account", lambda j: j.account, "by", flexible=True, optional=True),
        Column("made", lambda j: ago(j.created, now), "asked", data=False, style="dim"),
        Column("created", lambda j: j.created, table=False),
        Column("ended", lambda j: j.ended, table=False),
        Column("scan_id", lambda j: j.scan_id, table=False),
        Column("schedule", lambda j: j.schedule, table=False),
        Column("reason", lambda j: j.reason, table=False),
        Column("waits_for", lambda j: j.waits_for, table=False),
    ]


def target_columns(now: datetime, *, with_job: bool = False) -> list[Column[TargetRecord]]:
    """How a target looks in a line; with its job where the list is of all jobs."""
    return [
        Column("target", lambda t: t.target, right=True, style="cyan"),
        Column("short", lambda t: t.job[:SHORT], "job", table=with_job, data=False),
        Column("job", lambda t: t.job, table=False),
        Column("state", lambda t: text(t.state, STYLES.get(t.state, ""))),
        Column("done", lambda t: f"{t.fraction:.0%}" if t.state == "leased" else "", data=False, right=True),
        Column("fraction", lambda t: t.fraction, table=False),
        Column("what", lambda t: what(t.targets), data=False, flexible=True),
        Column("targets", lambda t: t.targets, table=False),
        Column("node", lambda t: t.node, flexible=True, optional=True),
        Column("attempts", lambda t: t.attempts, "tries", right=True),
        Column("found", lambda t: t.found, "open", right=True),
        Column("findings", lambda t: t.findings, right=True, optional=True),
        Column("reason", lambda t: t.reason or _later(t, now), flexible=True, main=True),
        Column("not_before", lambda t: t.not_before, table=False),
        Column("created", lambda t: t.created, table=False),
        Column("ended", lambda t: t.ended, table=False),
        Column("network", lambda t: t.network, table=False),
        Column("workflow_id", lambda t: t.workflow_id, table=False),
    ]


def what(targets: Iterable[str]) -> str:
    """`192.0.2.0/28 and 3 more`."""
    first, *rest = [*targets] or [""]
    return f"{first} and {len(rest):,} more" if rest else first


def _later(target: TargetRecord, now: datetime) -> str:
    waits = target.state == "waiting" and target.not_before is not None and target.not_before > now
    return f"again {ago(target.not_before, now)}" if waits and target.not_before else ""


def file_columns(now: datetime) -> list[Column[ArtefactRecord]]:
    """How a file of an attempt looks in a line."""
    return [
        Column("id", lambda a: a.id, right=True, style="cyan"),
        Column("kind", lambda a: a.kind),
        Column("name", lambda a: a.name, flexible=True, main=True),
        Column("size", lambda a: a.size, right=True),
        Column("media_type", lambda a: a.media_type, "type", optional=True, flexible=True),
        Column("short", lambda a: a.job[:SHORT], "job", data=False),
        Column("job", lambda a: a.job, table=False),
        Column("target", lambda a: a.target, right=True),
        Column("node", lambda a: a.node, flexible=True, optional=True),
        Column("made", lambda a: ago(a.created, now), "sent", data=False, style="dim"),
        Column("created", lambda a: a.created, table=False),
        Column("scan_id", lambda a: a.scan_id, table=False),
        Column("observation_id", lambda a: a.observation_id, table=False),
        Column("lease", lambda a: a.lease, table=False),
        Column("sha256", lambda a: a.sha256, table=False),
    ]


def worker_columns(now: datetime) -> list[Column[WorkerRecord]]:
    """How a machine looks in a line as far as work goes."""
    return [
        Column("node", lambda w: w.node, style="cyan", flexible=True, main=True),
        Column("is", lambda w: text("drained", "yellow") if w.draining else text("takes work", "green"), data=False),
        Column("draining", lambda w: w.draining, table=False),
        Column("running", lambda w: w.running, "scans", right=True),
        Column("slots", lambda w: w.slots, "of", right=True),
        Column("free", lambda w: w.free, right=True, table=False),
        Column("spooled", lambda w: w.spooled, right=True),
        Column("spool_full", lambda w: w.spool_full, table=False),
        Column("spooled_bytes", lambda w: w.spooled_bytes, table=False),
        Column("done", lambda w: w.done, right=True),
        Column("failed", lambda w: w.failed, right=True),
        Column("tools", lambda w: w.tools, flexible=True, optional=True),
        Column("asked", lambda w: ago(w.last_asked, now) if w.last_asked else "never", data=False, style="dim"),
        Column("last_asked", lambda w: w.last_asked, table=False),
    ]


# The page of one -----------------------------------------------------------------------------------------------------


def job_page(job: JobRecord, now: datetime) -> Iterator[Text]:
    """The lines of a job: only what is known."""
    from rich.text import Text

    yield Text.assemble(" ", (text(job.job).plain, "bold"), "  ", state(job))
    for name, value in _job_rows(job, now):
        if value:
            yield Text.assemble((f" {name:<12}", "dim"), text(value))


def _job_rows(job: JobRecord, now: datetime) -> Iterator[tuple[str, str]]:
    yield "what", f"{job.what} ({plural(job.addresses, 'address', 'addresses')})" if job.addresses else job.what
    yield "how", f"preset {job.preset}, ports {job.ports}, priority {job.priority}"
    yield "asked", f"{ago(job.created, now)} by {job.account}{f', schedule {job.schedule}' if job.schedule else ''}"
    yield "may", _permission(job.permission)
    yield "where", _where(job)
    yield "when", ", ".join(job.windows)
    yield "targets", f"{job.total:,}: {counted(job.counts)}"
    yield "found", f"{plural(job.found, 'open endpoint')}, {plural(job.findings, 'finding')}"
    yield "waits", job.waits_for
    yield "ended", f"{stamp(job.ended)} UTC, after {span(job.ended - job.created)}" if job.ended else ""
    yield "why", job.reason
    for part in job.left_out:
        yield "left out", part
    yield "scan", job.scan_id


def _permission(permission: Permission) -> str:
    until = f" until {stamp(permission.expires)} UTC" if permission.expires else ""
    special = f", special-use {', '.join(permission.allow)}" if permission.allow else ""
    return f"{permission.reason} ({permission.by}){until}{special}"


def _where(job: JobRecord) -> str:
    wanted = job.constraints
    parts = [f"on {wanted.node}" if wanted.node else "", f"in {wanted.region}" if wanted.region else ""]
    return ", ".join([*(part for part in parts if part), *(["through a relay"] if wanted.relay else [])])


def target_page(target: TargetRecord, now: datetime) -> Iterator[Text]:
    """The lines of a target and of every attempt at it."""
    from rich.text import Text

    head = f"target {target.target} of {target.job}"
    yield Text.assemble(" ", (text(head).plain, "bold"), "  ", text(target.state, STYLES.get(target.state, "")))
    for name, value in _target_rows(target, now):
        if value:
            yield Text.assemble((f" {name:<12}", "dim"), text(value))
    for attempt in target.history:
        yield from attempt_lines(attempt, now)


def _target_rows(target: TargetRecord, now: datetime) -> Iterator[tuple[str, str]]:
    yield "what", ", ".join(target.targets)
    yield "found", f"{plural(target.found, 'open endpoint')}, {plural(target.findings, 'finding')}"
    yield "again", ago(target.not_before, now) if target.state == "waiting" and target.not_before else ""
    yield "why", target.reason
    yield "workflow", target.workflow_id


def attempt_lines(attempt: AttemptRecord, now: datetime) -> Iterator[Text]:
    """An attempt in a line, and below it why it ended so and what was lost on the way."""
    from rich.text import Text

    how = attempt.end or "running"
    lasted = span((attempt.ended or now) - attempt.leased)
    tool = f" with {attempt.tool} {attempt.tool_version}".rstrip() if attempt.tool else ""
    yield Text.assemble(
        (f" attempt {attempt.attempt}  ", "bold"),
        text(how, _ENDS.get(attempt.end, "red")),
        "  ",
        text(f"{attempt.node}{tool}, {lasted}, {ago(attempt.leased, now)}, {plural(attempt.found, 'open endpoint')}"),
    )
    why = ": ".join(part for part in (attempt.reason, attempt.message) if part)
    for said in (why, attempt.note if not attempt.end else "", *_loss(attempt.stats.loss if attempt.stats else None)):
        if said:
            yield Text.assemble("   ", text(said, "dim"))
    for observation in attempt.observations:
        yield Text.assemble("   ", text(f"observation {observation}", "dim"))


def _loss(loss: Loss | None) -> Iterator[str]:
    if loss is None or not loss.compared:
        return
    lost = f"{loss.answered:,} of {plural(loss.compared, 'endpoint')} that did not answer"
    yield f"{lost} by {loss.via or 'the direct way'} did by {loss.vantage or 'another'}"
    if loss.dropping:
        rotated = f", another relay was taken {plural(loss.rotated, 'time')}" if loss.rotated else ""
        yield f"dropped on the way to {', '.join(loss.dropping)}{rotated}"
