"""What a machine does with the orders it is handed: it asks when it has room, scans, signs, keeps and brings.

One thread holds the state and takes events; nothing in it waits for the network. Each order has a thread of its own
while it lasts, and one more (`errands.py`) speaks with coordinators. Whatever is lost on the way is mended by the next
`Ready`: it tells all that is held, and the coordinator acts on what is missing from it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import Final

import msgspec

from spectra.collect.attempts import Attempts, Made, Stopping
from spectra.collect.coordinators import Coordinators
from spectra.collect.errands import Errands
from spectra.collect.execution import Execution
from spectra.collect.lawbook import Lawbook
from spectra.collect.relaymemory import RelayKeeper
from spectra.collect.sandbox import Sandbox
from spectra.collect.spool import Spool
from spectra.collect.taskmessages import Execute, Lending, Moved
from spectra.collect.workstate import Scanning, WorkState
from spectra.errors import SetupError, SpectraError
from spectra.fabric import subjects, workmessages
from spectra.fabric.errors import MeshError
from spectra.fabric.nodefolder import NodeFolder
from spectra.fabric.workmessages import READY_S, Assign, Cancel, Doing, FromNode, Ready, Returned
from spectra.model.nodes import Standing
from spectra.model.work import Order

MAX_WAITING: Final = 1024
"""Messages that wait at once; what comes beyond that is sent again."""

DOING_EVERY_S: Final = 1.0
REMEMBERED: Final = 1024
"""Leases that were done with: an order for one of them is late, and not begun again."""

MOST_SPOOLED: Final = 400
TRY_AGAIN_S: Final = 60.0
_UNTRIED: Final = "this machine has only begun to look whether it can scan"
_MIB: Final = 1024 * 1024
_log = logging.getLogger("spectra.node")


@dataclass
class _Running:
    """A lease that is being scanned."""

    order: Order
    since: datetime
    stopping: Stopping = field(default_factory=Stopping)
    moved: Moved = field(default_factory=Moved)
    told_at: float = 0.0


@dataclass(frozen=True)
class _Heard:
    data: bytes


@dataclass(frozen=True)
class _Link:
    connected: bool


@dataclass(frozen=True)
class _Standing:
    standing: Standing


@dataclass(frozen=True)
class _Moved:
    lease: str
    moved: Moved


@dataclass(frozen=True)
class _Done:
    """An attempt has ended."""

    lease: str
    made: Made


@dataclass(frozen=True)
class _Brought:
    """A result left the spool: a coordinator has it, or refuses it."""

    lease: str
    refused: str = ""


@dataclass(frozen=True)
class _News:
    """Something to be told changed: the law that is known, or a problem."""


@dataclass(frozen=True)
class _Able:
    """Whether tasks can run here at all; empty: they can."""

    problem: str


@dataclass(frozen=True)
class _Stop:
    pass


_Event = _Heard | _Link | _Standing | _Moved | _Done | _Brought | _News | _Able | _Stop
Publish = Callable[[str, bytes], None]


class Worker:
    """Asks for work when it has room, does it, and brings what came of it to a coordinator, at once or later.

    `publish` says something over the fabric, from any thread, and never waits; `changed` is called when `state` did;
    `execute` does one order, by default in a sandbox.
    """

    def __init__(
        self,
        folder: NodeFolder,
        lending: Lending,
        incarnation: int,
        publish: Publish,
        *,
        changed: Callable[[], None] = lambda: None,
        execute: Execute | None = None,
    ) -> None:
        """Raises `SetupError` where the spool cannot be used, or the sandbox's user is not there."""
        self._folder = folder
        self._node = folder.state.name
        self._lending = lending
        self._incarnation = incarnation
        self._publish = publish
        self._changed = changed
        self._spool = Spool(folder.path / "spool", lending.spool_mb * _MIB)
        self._subject = subjects.work(self._node)
        # Base64 takes a third more, and an observation is in it twice (payload, envelope).
        each = lending.output_mb * _MIB * 16 // 9 + _MIB
        self._each = min(each, lending.spool_mb * _MIB // max(lending.slots, 1))
        self._sandbox = Sandbox(folder.path, lending.user, own=execute is not None)
        self._coordinators = Coordinators(folder)
        self._lawbook = Lawbook(folder.path, self._coordinators.law)
        self._events: SimpleQueue[_Event] = SimpleQueue()
        self._errands = Errands(
            self._spool, self._coordinators, self._lawbook, self._brought, lambda: self._events.put(_News())
        )
        most = max((self._each - _MIB // 2) * 9 // 16, 64 * 1024)
        self._attempts = Attempts(
            folder,
            self._sandbox,
            self._spool,
            execute or self._execution(most),
            most=most,
            note=self._errands.note,
        )
        self._running: dict[str, _Running] = {}
        self._past: OrderedDict[str, Returned | None] = OrderedDict()
        self._up = False
        self._standing: Standing | None = None
        self._unable = "" if execute is not None else _UNTRIED
        self._ready_at = 0.0
        self._try_at = 0.0
        self._stopping = False
        self._done = self._failed = 0
        self._state = WorkState(slots=lending.slots)
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def _execution(self, most: int) -> Execution:
        relays = RelayKeeper(self._folder.path) if self._lending.relays else None
        return Execution(self._sandbox, self._lending, self._lawbook, most, relays=relays)

    # --- from other threads ---

    @property
    def state(self) -> WorkState:
        """How it is, for who looks at the machine."""
        return self._state

    @property
    def tasks(self) -> int:
        """How many targets are being scanned."""
        return len(self._running)

    def start(self) -> None:
        """Begin: with what an agent before this one left."""
        self._thread.start()

    def heard(self, subject: str, data: bytes) -> None:
        """A message of a coordinator; on the link's thread."""
        del subject
        if self._events.qsize() < MAX_WAITING:
            self._events.put(_Heard(data))

    def link(self, connected: bool) -> None:
        """The link is up, or broke."""
        self._events.put(_Link(connected))

    def standing(self, standing: Standing) -> None:
        """What the mesh thinks of this node: only an active one asks."""
        self._events.put(_Standing(standing))

    def stop(self, timeout_s: float = 15.0) -> None:
        """End what runs, and keep what it found."""
        self._events.put(_Stop())
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _brought(self, lease: str, refused: str) -> None:
        self._events.put(_Brought(lease, refused))

    # --- the loop ---

    def _run(self) -> None:
        self._errands.start()
        while not (self._stopping and not self._running):
            try:
                self._step()
            except (SpectraError, OSError) as error:
                _log.warning("work: %s", error)
            except Exception:  # noqa: BLE001 - a node that stays reachable can be mended from afar
                _log.exception("the worker of this node failed and goes on")
        self._errands.stop()
        self._sandbox.close()
        self._tell()

    def _step(self) -> None:
        """Say what is due, then handle what has come, or comes before the next is due."""
        now = time.monotonic()
        if self._unable and now >= self._try_at:
            self._begin_trying(now)
        if now >= self._ready_at:
            self._say_ready()
        try:
            event = self._events.get(timeout=max(min(self._ready_at, self._next_try()) - time.monotonic(), 0.0))
            while True:
                self._handle(event)
                event = self._events.get_nowait()
        except Empty:
            return

    def _next_try(self) -> float:
        return self._try_at if self._unable else float("inf")

    def _handle(self, event: _Event) -> None:
        match event:
            case _Heard(data=data):
                self._hear(data)
            case _Link(connected=connected):
                self._up, self._ready_at = connected, 0.0
                if connected:
                    self._errands.hurry()
            case _Standing(standing=standing):
                self._standing, self._ready_at = standing, 0.0
                self._errands.hurry()
            case _Moved(lease=lease, moved=moved):
                self._on_moved(lease, moved)
            case _Done():
                self._on_done(event)
            case _Brought(lease=lease, refused=refused):
                if refused:
                    self._say(Returned(node=self._node, lease=lease, reason="result_refused", message=refused[:1000]))
                self._ready_at = 0.0
            case _Able(problem=problem):
                if problem and problem != self._unable:
                    _log.warning("%s", problem)
                self._unable, self._ready_at = problem, 0.0
            case _News():
                self._ready_at = 0.0
            case _Stop():
                self._stop_all()

    # --- orders ---

    def _hear(self, data: bytes) -> None:
        try:
            said = workmessages.to_node(data)
        except MeshError as error:
            _log.warning("an order that this version does not read: %s", error.message)
            return
        if isinstance(said, Cancel):
            self._cancel(said)
        else:
            self._take(said)

    def _take(self, said: Assign) -> None:
        self._coordinators.learn(said.apis)
        order = said.order
        self._ready_at = 0.0
        if order.lease in self._running or self._spool.holds(order.lease):
            return
        if order.lease in self._past:
            past = self._past[order.lease]
            if past is not None:
                self._say(past)
            return
        refusal = self._refusal()
        if refusal:
            self._say(Returned(node=self._node, lease=order.lease, reason=refusal[0], message=refusal[1][:1000]))
            return
        running = self._running[order.lease] = _Running(order, datetime.now(UTC))
        threading.Thread(target=self._work, args=(running,), name=f"task-{order.target}", daemon=True).start()

    def _refusal(self) -> tuple[str, str] | None:
        """Why no further order is begun now; not remembered, for it passes."""
        if self._stopping:
            return "leaving", "this machine's agent is ending"
        if self._unable:
            return "busy" if self._unable == _UNTRIED else "sandbox", self._unable
        if len(self._running) >= self._lending.slots:
            return "busy", f"all {self._lending.slots} slots are taken"
        if self._spool.room(self._each) <= len(self._running):
            return "spool_full", f"{len(self._spool)} results wait for a coordinator"
        return None

    def _cancel(self, said: Cancel) -> None:
        running = self._running.get(said.lease)
        if running is not None:
            running.stopping.stop("cancelled")
        self._ready_at = 0.0

    def _stop_all(self) -> None:
        self._stopping = True
        for running in self._running.values():
            running.stopping.stop("leaving")

    def _work(self, running: _Running) -> None:
        """On a thread of its own."""
        order = running.order
        made = self._attempts.make(order, running.stopping, lambda moved: self._moved(order.lease, moved))
        self._events.put(_Done(order.lease, made))

    def _moved(self, lease: str, moved: Moved) -> None:
        """On the same thread. A task that tells of nothing else all the time is not heard each time."""
        if self._events.qsize() < MAX_WAITING:
            self._events.put(_Moved(lease, moved))

    # --- what came of it ---

    def _on_moved(self, lease: str, moved: Moved) -> None:
        running = self._running.get(lease)
        if running is None:
            return
        running.moved = moved
        now = time.monotonic()
        if now - running.told_at >= DOING_EVERY_S:
            running.told_at = now
            note = "".join(c for c in moved.note if c.isprintable())[:200]
            self._say(Doing(node=self._node, lease=lease, fraction=moved.fraction, found=moved.found, note=note))

    def _on_done(self, done: _Done) -> None:
        self._running.pop(done.lease, None)
        said: Returned | None = None
        made = done.made
        if made.reason:
            said = Returned(node=self._node, lease=done.lease, reason=made.reason[:60], message=made.message[:1000])
            self._say(said)
        else:
            self._errands.hurry()
        self._past[done.lease] = said
        while len(self._past) > REMEMBERED:
            self._past.popitem(last=False)
        self._done += made.outcome == "done"
        self._failed += made.outcome in ("failed", "refused")
        self._ready_at = 0.0

    # --- saying so ---

    def _free(self) -> int:
        """How many orders more it would take."""
        if self._unable or self._stopping:
            return 0
        running = len(self._running)
        return max(min(self._lending.slots, self._spool.room(self._each)) - running, 0)

    def _say_ready(self) -> None:
        self._ready_at = time.monotonic() + READY_S
        self._tell()
        scanning = tuple(lease for lease, one in self._running.items() if one.stopping.why != "cancelled")
        self._say(
            Ready(
                node=self._node,
                incarnation=self._incarnation,
                slots=self._lending.slots,
                free=self._free(),
                scanning=scanning,
                spooled=self._spool.leases(MOST_SPOOLED),
                spooled_count=len(self._spool),
                spooled_bytes=self._spool.bytes,
                spool_full=self._spool.room(self._each) == 0,
                law=max(self._lawbook.version, 0),
            )
        )

    def _say(self, message: FromNode) -> None:
        """Where the mesh would not hear it, nothing is said: what waited would be untrue by then."""
        if self._up and self._standing == "active":
            with suppress(MeshError):
                self._publish(self._subject, workmessages.encode(message))

    def _tell(self) -> None:
        state = WorkState(
            slots=self._lending.slots,
            free=self._free(),
            scanning=tuple(
                Scanning(
                    one.order.lease,
                    one.order.target,
                    " ".join(one.order.targets)[:200],
                    one.order.preset.name,
                    one.since,
                    round(one.moved.fraction, 3),
                    one.moved.found,
                )
                for one in self._running.values()
            ),
            spooled=len(self._spool),
            spooled_bytes=self._spool.bytes,
            spool_full=self._spool.room(self._each) == 0,
            refused=self._spool.refused,
            done=self._done,
            failed=self._failed,
            law=self._lawbook.version,
            problem=self._errands.problem if self._unable in ("", _UNTRIED) else self._unable,
        )
        news = _still(state) != _still(self._state)
        self._state = state
        if news:
            self._changed()

    # --- whether tasks can run here ---

    def _begin_trying(self, now: float) -> None:
        self._try_at = now + TRY_AGAIN_S
        threading.Thread(target=self._try, name="worker-check", daemon=True).start()

    def _try(self) -> None:
        """On a thread of its own: it runs Python as another user."""
        try:
            self._sandbox.prepare()
            self._events.put(_Able(""))
        except (SetupError, OSError) as error:
            self._events.put(_Able(str(error)))


def _still(state: WorkState) -> WorkState:
    """Without what moves all the time: to tell of that, no disk is written to."""
    still = (msgspec.structs.replace(one, fraction=0.0, found=0) for one in state.scanning)
    return msgspec.structs.replace(state, scanning=tuple(still))
