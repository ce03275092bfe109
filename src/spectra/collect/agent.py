"""The process of a node: it says that it lives and what it can do, answers pings, and stays a member.

One loop takes events (from the link's thread, the keeper's and signal handlers) and beats in between; nothing in it
waits for the network. While the coordinator or the fabric is away it goes on for ever: the link connects again, the
keeper asks again. It ends when it is told to, or when the mesh threw it out.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import Final, Literal

import msgspec

from spectra.collect import agentstate
from spectra.collect.agentstate import AgentState
from spectra.collect.inventory import Inventory
from spectra.collect.keeper import (
    Able,
    Certified,
    Clock,
    Failed,
    Keeper,
    Known,
    Prove,
    Proved,
    Thrown,
    inventory_of,
)
from spectra.collect.keeper import Event as Told
from spectra.collect.taskmessages import Execute, Lending
from spectra.collect.worker import Worker
from spectra.errors import SpectraError
from spectra.fabric import messages, subjects
from spectra.fabric.errors import MeshError
from spectra.fabric.link import Link
from spectra.fabric.messages import Lost, Pong
from spectra.fabric.nodefolder import NodeFolder, NodeState
from spectra.model.nodes import Capabilities, FabricPlace, Heartbeat, Transport

MAX_WAITING: Final = 256
"""Events that wait at once; more pings than that are not answered."""

TELL_EVERY: Final = 60
"""Capabilities come along with every so many heartbeats: the first may have been lost."""

JUMP_S: Final = 30.0
"""The wall clock and the steady one went apart by more: somebody set the clock, or the machine slept."""

WRITE_EVERY_S: Final = 60.0
_log = logging.getLogger("spectra.node")


class Options(msgspec.Struct, frozen=True):
    """What the settings and the join say of this agent."""

    heartbeat_s: float = 5.0
    region: str = ""
    relay: bool = False
    transport: Transport = "mqtt"
    tpm: str = "auto"
    work: Lending = Lending()


class Hooks(msgspec.Struct, frozen=True):
    """What a link tells the agent, from its own thread."""

    changed: Callable[[bool], None]
    failed: Callable[[MeshError], None]
    heard: Callable[[str, bytes], None]


Connect = Callable[[NodeFolder, NodeState, Transport, Lost, Hooks], Link | None]
"""Opens the link of a node, with its last will; None where the mesh has no fabric."""

Ending = Literal["stopped", "revoked"]
SYSTEM: Final = Clock(lambda: datetime.now(UTC), time.monotonic)


@dataclass(frozen=True)
class _Stop:
    pass


@dataclass(frozen=True)
class _Up:
    connected: bool


@dataclass(frozen=True)
class _Pinged:
    id: str


@dataclass(frozen=True)
class _Worked:
    """Something of the work changed."""


_Event = _Stop | _Up | _Pinged | _Worked | Told


class Agent:
    """One node's agent; `run` works until `stop` (from any thread or signal handler) or until it is revoked."""

    def __init__(
        self,
        folder: NodeFolder,
        options: Options,
        connect: Connect,
        *,
        inventory: Inventory | None = None,
        prove: Prove | None = None,
        execute: Execute | None = None,
        clock: Clock = SYSTEM,
    ) -> None:
        """`execute` does an order; by default a task in a sandbox does."""
        state = folder.state
        self._folder = folder
        self._node = state.name
        self._options = options
        self._connect = connect
        self._clock = clock
        self._inventory = inventory or Inventory()
        self._events: SimpleQueue[_Event] = SimpleQueue()  # its `put` may interrupt itself: safe in signal handlers
        what = inventory_of(self._inventory, region=options.region, relay=options.relay)
        self._keeper = Keeper(folder, what, self._events.put, clock=clock, prove=prove)
        self._link: Link | None = None
        self._ending: Ending | None = None
        self._why = ""
        self._incarnation = int(clock.now().timestamp() * 1000)
        self._seq = 0
        self._worker = self._make_worker(execute)
        self._capabilities: Capabilities | None = None
        self._tell_in = 0
        self._told = AgentState(os.getpid(), clock.now(), state.name, state.mesh, transport=options.transport)
        self._changed = True
        self._written = 0.0
        self._wall, self._steady = clock.now(), clock.monotonic()

    @property
    def why(self) -> str:
        """Why it was revoked, as the mesh said it."""
        return self._why

    def stop(self) -> None:
        """Say good-bye and end."""
        self._events.put(_Stop())

    def run(self) -> Ending:
        """Work until told to end; how it ended."""
        self._open()
        self._keeper.start()
        if self._worker is not None:
            self._worker.start()
        beat_at = self._clock.monotonic()
        try:
            while self._ending is None:
                self._watch_clock()
                if self._clock.monotonic() >= beat_at:
                    self._beat()
                    beat_at = self._clock.monotonic() + self._options.heartbeat_s
                self._write()
                self._take(beat_at - self._clock.monotonic())
        finally:
            self._close()
        return self._ending

    # --- events ---

    def _take(self, timeout_s: float) -> None:
        """Wait for an event, then handle all that are there."""
        try:
            event = self._events.get(timeout=max(timeout_s, 0.0))
            while True:
                self._handle(event)
                event = self._events.get_nowait()
        except Empty:
            return

    def _handle(self, event: _Event) -> None:
        match event:
            case _Stop():
                self._ending = self._ending or "stopped"
            case _Pinged(id=ping):
                self._publish(subjects.reply(self._node), messages.encode(Pong(ping, self._node, self._incarnation)))
            case _Up(connected=connected):
                self._on_link(connected)
            case _Worked():
                self._changed = True
            case Certified():
                self._on_certificate(event)
            case Able(capabilities=found):
                if found != self._capabilities:
                    self._capabilities, self._tell_in = found, 0
            case Known():
                self._on_known(event)
            case Proved(ok=ok, what=what, standing=standing):
                self._note(proof=what if ok else f"failed: {what}")
                if standing is not None and standing != self._told.standing:
                    self._on_known(Known(standing, "" if ok else what, moved=False, roots=False))
            case Thrown(why=why):
                self._ending, self._why = "revoked", why
            case Failed(what=what):
                self._note(problem=what, problem_at=self._clock.now() if what else None)

    def _on_link(self, connected: bool) -> None:
        _log.info("the mesh is reached" if connected else "the mesh is out of reach; trying again")
        self._keeper.link(connected)
        if self._worker is not None:
            self._worker.link(connected)
        self._note(
            connected=connected, since=self._clock.now(), **({"problem": "", "problem_at": None} if connected else {})
        )
        if connected:
            self._tell_in = 0
            self._beat()

    def _on_certificate(self, event: Certified) -> None:
        self._note(not_after=event.not_after, renew_at=event.renew_at)
        if event.news:
            self._note(renewals=self._told.renewals + 1)
            self._reload()

    def _on_known(self, event: Known) -> None:
        if event.standing != self._told.standing and (event.standing != "active" or self._told.standing):
            _log.warning("the mesh says that this node is %s. %s", event.standing, event.reason)
        released = event.standing == "active" and self._told.standing == "quarantined"
        self._note(standing=event.standing, standing_reason=event.reason)
        if self._worker is not None:
            self._worker.standing(event.standing)
        if event.moved or (self._link is None and event.standing == "active"):
            self._reopen()
        elif event.roots or released:  # a quarantined node's subscriptions were refused
            self._reload()

    def _note(self, **values: object) -> None:
        changed = {name: value for name, value in values.items() if getattr(self._told, name) != value}
        if changed:
            self._told = msgspec.structs.replace(self._told, **changed)
            self._changed = True

    # --- the link ---

    def _open(self) -> None:
        state = self._folder.state
        transport = speaks(state.fabric, self._options.transport)
        hooks = Hooks(
            changed=lambda up: self._events.put(_Up(up)),
            failed=lambda error: self._events.put(Failed(f"the link: {error.message}")),
            heard=self._heard,
        )
        will = Lost(version=1, node=self._node, incarnation=self._incarnation)
        try:
            self._link = self._connect(self._folder, state, transport, will, hooks)
        except SpectraError as error:
            self._note(problem=f"the link: {error.message}", problem_at=self._clock.now())
        self._note(transport=transport, place=place_of(state.fabric, transport))
        if self._link is not None:
            self._link.subscribe(subjects.control(self._node), hooks.heard)
            self._link.subscribe(subjects.ALL, hooks.heard)
            if self._worker is not None:
                self._link.subscribe(subjects.assign(self._node), self._worker.heard)

    def _heard(self, subject: str, data: bytes) -> None:
        """On the link's thread. What is no ping is somebody else's: later versions say more."""
        try:
            ping = messages.ping(data)
        except MeshError:
            return
        if self._events.qsize() < MAX_WAITING:
            self._events.put(_Pinged(ping.id))

    def _publish(self, subject: str, data: bytes) -> None:
        if self._link is None:
            return
        try:
            self._link.publish(subject, data)
        except MeshError as error:
            self._note(problem=f"the link: {error.message}", problem_at=self._clock.now())

    def _reload(self) -> None:
        if self._link is not None:
            self._link.reload()

    def _reopen(self) -> None:
        """The fabric is somewhere else now."""
        link, self._link = self._link, None
        if link is not None:
            link.close()
        self._open()

    # --- work ---

    def _make_worker(self, execute: Execute | None) -> Worker | None:
        """None where this machine lends nothing."""
        lending = self._options.work
        if not lending.slots:
            return None
        return Worker(
            self._folder,
            lending,
            self._incarnation,
            self._say,
            changed=lambda: self._events.put(_Worked()),
            execute=execute,
        )

    def _say(self, subject: str, data: bytes) -> None:
        """For the worker's threads. Raises `MeshError` for what cannot be said."""
        link = self._link
        if link is not None:
            link.publish(subject, data)

    # --- saying that we live ---

    def _beat(self, *, leaving: bool = False) -> None:
        telling = self._capabilities is not None and self._tell_in <= 0 and not leaving
        heartbeat = Heartbeat(
            version=1,
            node=self._node,
            incarnation=self._incarnation,
            seq=self._seq,
            sent=self._clock.now(),
            load=self._inventory.load(self._worker.tasks if self._worker is not None else 0),
            every_s=self._options.heartbeat_s,
            capabilities=self._capabilities if telling else None,
            leaving=leaving,
        )
        self._publish(subjects.presence(self._node), messages.encode(heartbeat))
        self._seq += 1
        self._tell_in = TELL_EVERY if telling else self._tell_in - 1
        self._told.heartbeats, self._told.heartbeat_at = self._seq, heartbeat.sent

    def _watch_clock(self) -> None:
        wall, steady = self._clock.now(), self._clock.monotonic()
        jump = (wall - self._wall).total_seconds() - (steady - self._steady)
        self._wall, self._steady = wall, steady
        if abs(jump) > JUMP_S:
            _log.warning("the clock jumped by %.0f s, or this machine slept", jump)
            self._keeper.woke_late()
            self._reload()  # a connection that slept may be dead without knowing

    # --- the end ---

    def _close(self) -> None:
        ending = self._ending or "stopped"
        if self._worker is not None:
            self._worker.stop()
        if self._link is not None:
            if ending == "stopped":
                self._beat(leaving=True)
            self._link.close()
        self._keeper.stop()
        self._note(ended=ending, connected=False, standing=ending if ending == "revoked" else self._told.standing)
        self._note(standing_reason=self._why or self._told.standing_reason)
        self._write(last=True)

    def _write(self, *, last: bool = False) -> None:
        due = self._clock.monotonic() - self._written >= WRITE_EVERY_S
        if last or self._changed or due:
            self._changed, self._written = False, self._clock.monotonic()
            self._told.work = self._worker.state if self._worker is not None else None
            agentstate.write(self._folder.path, self._told)


def speaks(places: FabricPlace, wanted: Transport) -> Transport:
    """What a node speaks: what it wants, or the other one where only that is there."""
    if place_of(places, wanted):
        return wanted
    other: Transport = "nats" if wanted == "mqtt" else "mqtt"
    return other if place_of(places, other) else wanted


def place_of(places: FabricPlace, transport: Transport) -> str:
    """Where the fabric is for a transport; empty where it is not."""
    return places.mqtt if transport == "mqtt" else places.nats
