"""`wf.vuln_sync` on DBOS: the order of the steps of `flow.vulnsync`, each durable, one feed at a time.

What a workflow decides rests on what its steps gave alone: the same steps give the same when it is run again after
kill -9. Everything that waits ends with the engine, and goes on at its next start.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar, cast

import msgspec
from dbos import DBOS, SetEnqueueOptions, SetWorkflowID

from spectra.errors import SpectraError
from spectra.flow import nvdapi, runs
from spectra.flow.jobs import Stopped, noted, retryable, stopping
from spectra.flow.nvdapi import Window
from spectra.flow.runs import Run
from spectra.flow.vulnstage import Staged
from spectra.flow.vulnsync import SCORES, Head, Step, VulnSync, together
from spectra.model.records import WorkflowRecord, WorkflowStep
from spectra.model.vulnfeeds import NVD_API, Unread
from spectra.store.feeds import Validators
from spectra.store.vulnsources import Taken

T = TypeVar("T")
P = ParamSpec("P")

PREFIX: Final = "vulnsync-"
QUEUE: Final = "spectra-vulns"
_TRIES: Final = 12  # a step waits for about half an hour
_COUNTED: Final = ("store records", "store page", "store scores", "take back")
_LONGEST_STEP: Final = timedelta(minutes=30)  # a slow download, or scores that wait for another writer


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is to be done with a feed: `take` it from where it comes from, or take it back (`remove`).

    `staged` is the file of an upload. `force` also takes what is older, much smaller or of another kind.
    """

    do: str = "take"
    by: str = ""
    kind: str = ""
    staged: Staged | None = None
    force: bool = False


class SyncFailed(SpectraError):
    """A feed was not taken in whole; that is on record with it."""

    reason = "sync_failed"


class Ended(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a sync ended: `outcome` is `updated`, `unchanged` or `removed`, or `failed`; the counts as in `Step`."""

    outcome: str
    done: int = 0
    added: int = 0
    changed: int = 0
    older: int = 0
    news: int = 0
    unread: int = 0
    error: str = ""


# DBOS finds workflow functions again after a restart by name: see flow/workflows.py.
_current: VulnSync | None = None


def _sync() -> VulnSync:
    if _current is None:
        raise AssertionError("a sync ran before the engine was started")
    return _current


def _step(name: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    return DBOS.step(name=name, retries_allowed=True, max_attempts=_TRIES, should_retry=retryable)


@DBOS.workflow(name="wf.vuln_sync")
def sync(name: str, order: dict[str, Any]) -> dict[str, Any]:
    """Take a feed in, or back; returns `Ended`, or raises `SyncFailed`."""
    with noted(DBOS.workflow_id or ""):
        wanted = msgspec.convert(order, Order)
        _note(name, DBOS.workflow_id or "")
        if wanted.do == "remove":
            ended = _forget(wanted)
        elif wanted.kind == NVD_API:
            ended = _kept(name, None, partial(_take_pages, name, wanted))
        else:
            ended = _take(name, wanted)
        if ended.error:
            raise SyncFailed(ended.error)
        return msgspec.to_builtins(ended)


def _alive() -> None:
    if stopping.is_set():
        raise Stopped


def _kept(name: str, staged: Staged | None, work: Callable[[], T]) -> T:
    """Do `work`; where that ends by an error that nobody foresaw, it is on record with the feed."""
    try:
        return work()
    except Exception as error:
        _fail(name, f"The sync ended: {error}", None, staged)
        raise


# --- a file ---


def _take(name: str, order: Order) -> Ended:
    staged, validators = order.staged, Validators()
    if staged is None:
        fetched = _kept(name, None, lambda: _fetch(name, order.force))
        if "staged" not in fetched:
            return _fail(name, fetched.get("error", ""), None, None)
        staged, validators = msgspec.convert(fetched["staged"], Staged), Validators(*fetched["validators"])
    return _kept(name, staged, partial(_take_file, name, order, staged, validators))


def _take_file(name: str, order: Order, staged: Staged, validators: Validators) -> Ended:
    head = msgspec.convert(_open(name, msgspec.to_builtins(staged), order.force), Head)
    if head.error:
        return _fail(name, head.error, None, staged)
    told = _scores(name, staged, head, order) if head.kind in SCORES else _records(staged)
    if told.error:
        return _fail(name, told.error, told, staged)
    taken = Taken(
        head.kind,
        version=told.head.version,
        built=told.head.built,
        sha256=staged.sha256,
        size=staged.size,
        records=told.done,
        by=order.by,
        validators=validators,
    )
    _finish(name, msgspec.to_builtins(taken), msgspec.to_builtins(told.unread))
    _close(msgspec.to_builtins(staged))
    return _ended("updated", told)


def _records(staged: Staged) -> Step:
    """All records of the file, in batches; returns the sum."""
    told = Step()
    plain = msgspec.to_builtins(staged)
    while not told.end:
        _alive()
        told = _sum(told, msgspec.convert(_store_records(plain, told.done), Step))
    return told


def _scores(name: str, staged: Staged, head: Head, order: Order) -> Step:
    told = msgspec.convert(_store_scores(name, msgspec.to_builtins(staged), head.kind, order.force), Step)
    if not told.error:
        _rescore_all()
    return told


def _rescore_all() -> None:
    """Copy the scores to every CVE. One that comes in meanwhile has the new ones already."""
    step = Step()
    while not step.end:
        _alive()
        step = msgspec.convert(_rescore(step.after), Step)


def _sum(told: Step, step: Step) -> Step:
    return Step(
        told.done + step.done,
        total=max(told.total, step.total),
        added=told.added + step.added,
        changed=told.changed + step.changed,
        older=told.older + step.older,
        news=told.news + step.news,
        unread=together(told.unread, step.unread),
        end=step.end,
        after=step.after,
        error=step.error,
        head=step.head,
    )


# --- the NVD's API ---


def _take_pages(name: str, order: Order) -> Ended:
    plan = _plan(name, order.force)
    told, waited = Step(), False
    for start, end in plan["windows"]:
        window, first, done = [start, end], 0, False
        while not done:
            page = _next_page(name, window, first, told.done, waited)
            if page.error:
                return _fail(name, page.error, told, None)
            told, first, done, waited = _sum(told, page), first + page.done, page.end, True
    taken = Taken(NVD_API, records=told.done, by=order.by, since=msgspec.convert(plan["now"], datetime))
    _finish(name, msgspec.to_builtins(taken), msgspec.to_builtins(told.unread))
    return _ended("updated", told)


def _next_page(name: str, window: list[str | None], first: int, before: int, waited: bool) -> Step:
    """One page, however often it takes; its error is one that does not pass, or did not."""
    failures = 0
    while True:
        pause = _sync().pause_s(failures)
        if waited or failures:
            stopping.wait(pause or 0)
        _alive()
        page = msgspec.convert(_store_page(name, window, first, before), Step)
        failures += 1
        if not page.error or not page.passing or _sync().pause_s(failures) is None:
            return page


# --- taking back ---


def _forget(order: Order) -> Ended:
    told = Step()
    while not told.end:
        _alive()
        told = _sum(told, msgspec.convert(_take_back(order.kind, told.after), Step))
    if order.kind in SCORES:
        _rescore_all()
    _close(None)
    return _ended("removed", told)


# --- how it ends ---


def _ended(outcome: str, told: Step) -> Ended:
    return Ended(outcome, told.done, told.added, told.changed, told.older, told.news, told.unread.count)


def _fail(name: str, error: str, told: Step | None, staged: Staged | None) -> Ended:
    """There was nothing new (no `error`), or it could not be taken in whole; what was taken stays."""
    _attempted(name, error, None if told is None else msgspec.to_builtins(told.unread))
    if staged is not None:
        _close(msgspec.to_builtins(staged))
    ended = _ended("failed" if error else "unchanged", told or Step())
    return msgspec.structs.replace(ended, error=error)


# --- steps ---


@_step("begin")
def _note(name: str, workflow_id: str) -> None:
    _sync().begin(name, workflow_id)


@_step("fetch")
def _fetch(name: str, force: bool) -> dict[str, Any]:
    return _sync().fetch(name, force)


@_step("recognise")
def _open(name: str, staged: dict[str, Any], force: bool) -> dict[str, Any]:
    return msgspec.to_builtins(_sync().head(name, msgspec.convert(staged, Staged), force))


@_step("store records")
def _store_records(staged: dict[str, Any], skip: int) -> dict[str, Any]:
    return msgspec.to_builtins(_sync().records(DBOS.workflow_id or "", msgspec.convert(staged, Staged), skip))


@_step("store scores")
def _store_scores(name: str, staged: dict[str, Any], kind: str, force: bool) -> dict[str, Any]:
    return msgspec.to_builtins(_sync().scores(name, msgspec.convert(staged, Staged), kind, force))


@_step("weigh")
def _rescore(after: int) -> dict[str, Any]:
    return msgspec.to_builtins(_sync().rescore(after))


@_step("ask for changes")
def _plan(name: str, force: bool) -> dict[str, Any]:
    since, now = _sync().since(name)
    return msgspec.to_builtins({"now": now, "windows": list(nvdapi.windows(None if force else since, now))})


@_step("store page")
def _store_page(name: str, window: list[str | None], first: int, before: int) -> dict[str, Any]:
    page = _sync().page(name, msgspec.convert(window, Window), first)
    return msgspec.to_builtins(msgspec.structs.replace(page, total=page.total and before - first + page.total))


@_step("take back")
def _take_back(kind: str, after: int) -> dict[str, Any]:
    return msgspec.to_builtins(_sync().forget(kind, after))


@_step("finish")
def _finish(name: str, taken: list[Any], unread: dict[str, Any]) -> None:
    _sync().finish(name, msgspec.convert(taken, Taken), msgspec.convert(unread, Unread))


@_step("put on record")
def _attempted(name: str, error: str, unread: dict[str, Any] | None) -> None:
    _sync().attempted(name, error, None if unread is None else msgspec.convert(unread, Unread))


@_step("discard file")
def _close(staged: dict[str, Any] | None) -> None:
    _sync().close(DBOS.workflow_id or "", None if staged is None else msgspec.convert(staged, Staged))


class VulnJob:
    """Syncs of feeds of weaknesses, for `flow.workflows` to run."""

    names: tuple[str, ...] = ("wf.vuln_sync",)
    queue: str = QUEUE
    lost_after: timedelta = _LONGEST_STEP

    def __init__(self, sync: VulnSync) -> None:
        self._sync = sync

    def enter(self) -> None:
        """Workflow functions work on these stores from now on."""
        global _current  # noqa: PLW0603
        _current = self._sync

    def leave(self) -> None:
        """The engine has ended."""
        global _current  # noqa: PLW0603
        _current = None
        self._sync.stop()

    def told(self, run: Run, steps: Sequence[Mapping[str, Any]]) -> WorkflowRecord:
        """A sync with how many records are through. Its steps stand there once each, however many batches they were."""
        done = total = 0
        errors: dict[str, str] = {}
        for step in steps:
            name, output = str(step["function_name"]), _dict(step["output"])
            if name in _COUNTED:
                done += output.get("done", 0)
                total = output.get("total", 0) or total
            errors[name] = str(step["error"] or "")
        record = runs.record(run, tuple(WorkflowStep(name, error) for name, error in errors.items()))
        if ended := _dict(run.output):
            done = total = ended.get("done", 0)
        return msgspec.structs.replace(record, done=done, total=max(done, total))


def _dict(told: object) -> dict[str, Any]:
    return cast("dict[str, Any]", told) if isinstance(told, dict) else {}


def begin(name: str, order: Order) -> tuple[str, bool]:
    """Start a sync of the feed `name`; returns its workflow, and False where one of that kind is under way already.

    A file that came waits its turn; fetching the same twice at a time would bring nothing.
    """
    mine = f"{PREFIX}{uuid.uuid4().hex}"
    once = f"{order.do}-{name}" if order.staged is None else mine
    with SetWorkflowID(mine), SetEnqueueOptions(deduplication_id=once, duplication_policy="return-existing"):
        found = DBOS.enqueue_workflow(QUEUE, sync, name, msgspec.to_builtins(order)).workflow_id
    return found, found == mine
