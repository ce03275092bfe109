"""Following a job until all of its targets have ended: a bar for a person, a JSON line a change for a program."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from spectra.cli.output import json_line, note, plural
from spectra.cli.pages import INTERRUPTED
from spectra.cli.problems import ApiError, Unreachable
from spectra.errors import SpectraError

if TYPE_CHECKING:
    from spectra.cli.client import Client
    from spectra.cli.progress import Bar
    from spectra.model.work import JobRecord, TargetRecord

EVERY_S = 1.0
MOST_SHOWN = 200
"""Targets that are being scanned whose own progress the bar takes into account."""


def passing(error: SpectraError) -> str:
    """What to say of trouble that a watch outlives: a server that is away or starts again. Raises any other."""
    if isinstance(error, Unreachable) or (isinstance(error, ApiError) and error.status >= 500):
        return f"{datetime.now(UTC):%H:%M:%S} {error.message}: going on"
    raise error


def watch(client: Client, job: str, *, json: bool) -> int:
    """Follow a job to its end; the exit code: 0 where all of it is done, 1 where a part is in review or was cancelled,
    130 after Ctrl-C, which ends the watching and not the job.
    """
    pause = threading.Event()
    try:
        last = _follow(client, job, lambda: pause.wait(EVERY_S), json=json)
    except KeyboardInterrupt:
        note(f"{job} goes on without you. Follow it: spectra jobs watch {job}")
        note(f"End it: spectra jobs cancel {job}")
        return INTERRUPTED
    return tell(last, json=json)


def _follow(client: Client, job: str, pause: Callable[[], object], *, json: bool) -> JobRecord:
    from spectra.cli.progress import bar

    with bar("scanning") as shown:
        last: JobRecord | None = None
        for record, running in versions(client, job, pause, shown.note):
            if json and record != last:
                sys.stdout.write(json_line(record) + "\n")
                sys.stdout.flush()
            if record.waits_for and (last is None or record.waits_for != last.waits_for):
                shown.note(f"Nothing of it moves yet: {record.waits_for}.")
            last = record
            _move(shown, record, running)
        if last is None:
            raise AssertionError("a job has a version")
        return last


def _move(shown: Bar, record: JobRecord, running: list[TargetRecord]) -> None:
    from spectra.cli.jobpage import ended

    done = ended(record.counts)
    nodes = len({target.node for target in running})
    on = f" on {plural(nodes, 'machine')}" if nodes else ""
    words = f"{done:,} of {plural(record.total, 'target')}{on}, {plural(record.found, 'endpoint')}"
    shown.move(done + sum(target.fraction for target in running), max(record.total, 1), words)


def versions(
    client: Client, job: str, pause: Callable[[], object], say: Callable[[str], None]
) -> Iterator[tuple[JobRecord, list[TargetRecord]]]:
    """The job as it is, with the targets that are being scanned, again and again until all of it has ended.

    What is wrong for a while is said once: the server may be starting anew.
    """
    from spectra.model.work import JobRecord
    from spectra.model.workpages import TargetPage

    trouble = ""
    while True:
        try:
            record = client.get(f"/v0/jobs/{job}", JobRecord)
            running: list[TargetRecord] = []
            if record.counts.leased:
                asked: dict[str, str | int] = {"state": "leased", "limit": MOST_SHOWN}
                running = client.get(f"/v0/jobs/{job}/targets", TargetPage, asked).targets
            trouble = ""
        except SpectraError as error:
            said = passing(error)
            if not trouble:
                say(said)
            trouble = said
        else:
            yield record, running
            if record.state in ("done", "cancelled") and not record.counts.submitted:
                return
        pause()


def tell(job: JobRecord, *, json: bool) -> int:
    """Say how a job has ended, and where what it found is; the exit code."""
    from spectra.cli.jobpage import counted

    counts = job.counts
    if not json:
        found = f"{plural(job.found, 'open endpoint')}, {plural(job.findings, 'finding')}"
        sys.stdout.write(f"{job.job}: {counted(counts) or 'nothing to do'}; {found}\n")
    if counts.review:
        note(f"{plural(counts.review, 'target')} failed for good. Why: spectra jobs targets {job.job} --state review")
        note(f"Try again: spectra jobs retry {job.job}")
    if counts.done:
        note(f"Next: spectra search scan:{job.scan_id}")
    return int(bool(counts.review or counts.cancelled or job.state == "cancelled"))
