"""`wf.notify`: an outlet's turn. It sends what is due there, one message after the other, each try a step.

The outbox is the delivery's row. Who writes one calls `wake`; what nobody was woken for is found by a look every few
seconds, by any coordinator. A turn has a number, and its workflow is named by it: however many coordinators begin it,
it runs once. A message whose try was under way when a process died is sent again with the same id, by which whoever
receives it can tell; no message is left out.

What cannot be delivered is tried again after 5 s, then twice as long each time, at most 15 minutes; after `keep_days`
it is given up. Where an outlet cannot be reached at all, the messages behind the first wait with it.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import msgspec
from dbos import DBOS

from spectra.act.notify.outlets import OutletError, Outlets
from spectra.errors import SpectraError
from spectra.flow import runs
from spectra.flow.jobs import Stopped, noted, retryable, stopping
from spectra.flow.recovery import begin_once
from spectra.flow.runner import Runner
from spectra.flow.runs import Run
from spectra.flow.waking import Waking
from spectra.model.alerts import Message
from spectra.model.outlets import MAX_OUTLETS, OutletKind, OutletTried
from spectra.model.records import WorkflowRecord, WorkflowStep
from spectra.store import deliveries, outlets
from spectra.store.accounts import Act
from spectra.store.database import Database
from spectra.store.deliveries import Task, Turn

_log = logging.getLogger("spectra.notify")

NAME: Final = "wf.notify"
THREADS: Final = 4
"""Outlets that are sent to at once."""
BATCH: Final = 50
"""Messages of one turn; then the next begins."""
_TRIES: Final = 8
_FIRST_PAUSE_S: Final = 5.0
_LONGEST_PAUSE_S: Final = 15 * 60.0
_LOOK_S: Final = 15.0
_PRUNE_S: Final = 3600.0
_STUCK: Final = timedelta(seconds=30)
_SEND: Final = "send a message"

Step = Literal["sent", "not sent", "away", "nothing"]

# Workflow functions are found by name after a restart, so they are module functions; what they work on is set when the
# engine starts.
_current: NotifyJob | None = None


def _job() -> NotifyJob:
    if _current is None:
        raise AssertionError("a message was to be sent before the engine was started")
    return _current


@DBOS.workflow(name=NAME)
def send_what_is_due(num: int, name: str, number: int) -> int:
    """An outlet's turn; how many messages arrived."""
    turn = Turn(num, name, number)
    arrived = 0
    with noted(turn.workflow):
        for _ in range(BATCH):
            if stopping.is_set():
                raise Stopped
            outcome = _send(num, name, number)
            arrived += outcome == "sent"
            if outcome in ("nothing", "away"):
                break
        _end(num, name, number)
    return arrived


@DBOS.step(name=_SEND, retries_allowed=True, max_attempts=_TRIES, interval_seconds=0.5, should_retry=retryable)
def _send(num: int, name: str, number: int) -> Step:
    return _job().try_next(Turn(num, name, number))


@DBOS.step(name="end the turn", retries_allowed=True, max_attempts=_TRIES, interval_seconds=0.5, should_retry=retryable)
def _end(num: int, name: str, number: int) -> None:
    deliveries.end(_job().database, Turn(num, name, number))


class NotifyJob:
    """The `Job` of the workflow. `first_pause_s` is waited after a first try that failed."""

    names: tuple[str, ...] = (NAME,)
    queue: str = ""
    lost_after: timedelta = timedelta(minutes=5)  # longer than any try may take

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime],
        *,
        outlets: Callable[[Callable[[tuple[OutletKind, ...]], None]], Outlets],
        keep: timedelta = timedelta(days=3),
        first_pause_s: float = _FIRST_PAUSE_S,
    ) -> None:
        self.database = database
        self.clock = clock
        self.outlets = outlets(self.back)
        self._keep = keep
        self._first_pause_s = first_pause_s
        self._runner = Runner[Turn]("spectra-notify", self._begin, threads=THREADS, waiting=MAX_OUTLETS)
        self._looker = _Looker(self)

    # The engine ------------------------------------------------------------------------------------------------------

    def enter(self) -> None:
        """Workflows work on this from now on."""
        global _current  # noqa: PLW0603
        _current = self
        self._runner.start()

    def leave(self) -> None:
        """The engine has ended."""
        global _current  # noqa: PLW0603
        _current = None

    def halt(self) -> None:
        """The engine is about to end: no more is begun, and connections are ended."""
        self._looker.stop()
        self._runner.stop()
        self.outlets.close()

    def sweep(self) -> int:
        """Let turns end whose workflow failed: the next sends what they did not. Returns how many began. From the first
        sweep on, when the engine has started, what is due is looked for in between.
        """
        self._looker.begin()
        now = self.clock()
        due = deliveries.due(self.database, now)
        if not due:
            return 0
        known = DBOS.list_workflows(workflow_ids=[turn.workflow for turn in due], load_input=False)
        bad = {w.workflow_id for w in known if w.status in runs.ENDED_BADLY and _older(w, now)}
        for turn in due:
            if turn.workflow in bad:
                _log.warning("an outlet's turn failed; the next begins", extra={"outlet": turn.name})
                deliveries.end(self.database, turn)
        return self.look()

    def told(self, run: Run, steps: Sequence[Mapping[str, Any]]) -> WorkflowRecord:
        """The workflow with the messages it tried to send."""
        errors = {str(step["function_name"]): str(step["error"] or "") for step in steps}
        record = runs.record(run, tuple(WorkflowStep(name, error) for name, error in errors.items()))
        tried = sum(step["function_name"] == _SEND for step in steps)
        return msgspec.structs.replace(record, done=tried, total=tried)

    # Sending ---------------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """There may be something to send. Never waits."""
        self._looker.wake()

    def back(self, kinds: tuple[OutletKind, ...]) -> None:
        """Outlets of these kinds can be reached again: what waits there does not wait any longer."""
        with contextlib.suppress(SpectraError):
            deliveries.hasten(self.database, kinds, self.clock())
        self.wake()

    def look(self) -> int:
        """Begin the turns of outlets that have something to send; how many were not begun yet by this process."""
        return sum(self._runner.put(turn) for turn in deliveries.due(self.database, self.clock()))

    def try_next(self, turn: Turn) -> Step:
        """Try to send the next message of a turn, and note what came of it."""
        now = self.clock()
        task = deliveries.take(self.database, turn, now)
        if task is None:
            return "nothing"
        try:
            self.outlets.send(task.outlet, task.message)
        except OutletError as error:
            return self._failed(task, error)
        except Exception as error:  # noqa: BLE001 - whatever it is about, others must not wait behind it for good
            _log.exception("a message could not be sent", extra={"outlet": task.outlet.name})
            return self._failed(task, OutletError(f"It cannot be sent: {type(error).__name__}."))
        deliveries.delivered(self.database, task, self.clock())
        return "sent"

    def try_out(self, name: str, act: Act) -> OutletTried:
        """Send a message that says that it is a test, now; on record. Raises `NotFound` (`unknown_outlet`)."""
        outlet = outlets.whole(self.database, name)
        outlets.tested(self.database, name, act)
        message = _test_message(name, act)
        began = time.monotonic()
        error = ""
        try:
            self.outlets.send(outlet, message)
        except OutletError as refused:
            error = str(refused)
        took_ms = round(1000 * (time.monotonic() - began), 1)
        outlets.tried(self.database, outlet.num, self.clock(), error)
        if not error and deliveries.hasten(self.database, (), self.clock(), outlet=name):
            self.wake()
        return OutletTried(outlet=name, delivered=not error, message=message.id, took_ms=took_ms, error=error)

    def _failed(self, task: Task, error: OutletError) -> Step:
        now = self.clock()
        said = str(error)
        extra = {"outlet": task.outlet.name, "notification": task.message.id, "attempts": task.attempts + 1}
        if not error.retryable or now - task.at > self._keep:
            _log.warning("a message is given up: %s", said, extra=extra)
            deliveries.given_up(self.database, task, said, now)
            return "not sent"
        pause = min(self._first_pause_s * 2 ** min(task.attempts, 20), _LONGEST_PAUSE_S)
        _log.info("a message is tried again in %.0f s: %s", pause, said, extra=extra)
        again = now + timedelta(seconds=pause)
        deliveries.postponed(self.database, task, said, again, now, all_of_it=error.away)
        return "away" if error.away else "not sent"

    def _begin(self, turn: Turn) -> None:
        """Run the turn on this thread, unless some process began it; then look whether there is another."""
        with contextlib.suppress(Stopped):  # the next start goes on with it
            begin_once(turn.workflow, lambda: send_what_is_due(*turn))
            self.wake()


class _Looker(Waking):
    """Looks for what is due whenever it is woken, when the next message is, and every few seconds."""

    def __init__(self, job: NotifyJob) -> None:
        super().__init__("spectra-notify-look")
        self._job = job
        self._pruned = 0.0
        self._first = threading.Lock()

    def begin(self) -> None:
        """Start, once."""
        if self._first.acquire(blocking=False):
            self.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            pause = _LOOK_S
            try:
                self._job.look()
                pause = self._pause()
                if time.monotonic() - self._pruned > _PRUNE_S:
                    deliveries.prune(self._job.database, self._job.clock())
                    self._pruned = time.monotonic()
            except SpectraError as error:
                _log.debug("no look for messages: %s", error.message)
            except Exception:  # noqa: BLE001 - the next look may find what this could not
                _log.warning("no look for messages", exc_info=True)
            self._awake.wait(pause)
            self._awake.clear()

    def _pause(self) -> float:
        """Until the next message is due. What is due now is being sent, and wakes this when it was."""
        following = deliveries.next_due(self._job.database)
        left = (following - self._job.clock()).total_seconds() if following is not None else _LOOK_S
        return min(left, _LOOK_S) if left > 0 else 1.0


def _older(run: Run, now: datetime) -> bool:
    return now - runs.time_of(run.updated_at) > _STUCK


def _test_message(name: str, act: Act) -> Message:
    return Message(
        id=f"test-{secrets.token_hex(10)}",
        alert="",
        rule="",
        told="test",
        severity="info",
        title=f"Spectra reaches you by {name}",
        lines=(f"{act.by} has tried this outlet. Nothing has happened.",),
        path="/outlets",
        at=act.now,
    )
