"""Keeps a node a member: its certificate renewed, its roots and places those of the moment, its state proved.

All of it is HTTP, which may take seconds, so it has a thread of its own: heartbeats go on meanwhile. What comes of it
is told by `tell`, as events.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from spectra.collect.inventory import Inventory
from spectra.errors import SpectraError
from spectra.fabric import enrol
from spectra.fabric.errors import MeshError
from spectra.fabric.nodefolder import NodeFolder
from spectra.identity.renewal import due, next_attempt
from spectra.model.nodes import Capabilities, Standing
from spectra.model.registration import Welcome

LOOK_EVERY_S: Final = 900.0
"""How often roots, places, standing and the scanners of this machine are looked at, +-20 %."""

FIRST_LOOK_S: Final = 2.0
LONGEST_LOOK_S: Final = 60.0
"""While the link is away, a node asks whether it was thrown out: after 2 s, 4 s and so on up to a minute."""

LONGEST_WAIT_S: Final = 60.0
_RANDOM = random.SystemRandom()
_log = logging.getLogger("spectra.node")


@dataclass(frozen=True)
class Certified:
    """The certificate: until when, and when it will be renewed. `news`: links have to take it up."""

    not_after: datetime
    renew_at: datetime
    news: bool


@dataclass(frozen=True)
class Able:
    """What this machine can do, told anew."""

    capabilities: Capabilities


@dataclass(frozen=True)
class Known:
    """What the coordinator thinks of this node. `moved`: the fabric is somewhere else; `roots`: there are new ones."""

    standing: Standing
    reason: str
    moved: bool
    roots: bool


@dataclass(frozen=True)
class Proved:
    """How the last proof of this machine's state went, and what the mesh thinks of the node since."""

    ok: bool
    what: str
    standing: Standing | None = None


@dataclass(frozen=True)
class Thrown:
    """The mesh threw this node out."""

    why: str


@dataclass(frozen=True)
class Failed:
    """Something did not work now and will be tried again; empty: it works again."""

    what: str


Event = Certified | Able | Known | Proved | Thrown | Failed
Prove = Callable[[NodeFolder, datetime], tuple[Proved, float]]
"""Proves the machine's state to the coordinator; also says in how many seconds to do it again (0: never)."""


@dataclass(frozen=True)
class Clock:
    """The two clocks: what the world calls now, and one (in seconds) that nobody sets."""

    now: Callable[[], datetime]
    monotonic: Callable[[], float]


class Keeper:
    """One thread that asks and renews, from `start` to `stop`."""

    def __init__(
        self,
        folder: NodeFolder,
        inventory: Callable[[], Capabilities],
        tell: Callable[[Event], None],
        *,
        clock: Clock,
        prove: Prove | None = None,
    ) -> None:
        self._folder = folder
        self._inventory = inventory
        self._tell = tell
        self._clock = clock
        self._prove = prove
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="node-keeper", daemon=True)
        self._connected = False
        self._serial = 0
        self._failed = ""
        self._failures = 0
        self._retry_at: datetime | None = None
        self._guard = threading.Lock()
        self._look_wish: float | None = None
        self._late = False
        self._standing: Standing | None = None
        self._looks = 0
        self._look_at = 0.0
        self._list_at = 0.0
        self._prove_at = 0.0

    def start(self) -> None:
        """Begin: with what this machine can do, and what the coordinator thinks of it."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End the thread. A request that is under way ends by itself: it keeps nothing from stopping."""
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout_s)

    def link(self, connected: bool) -> None:
        """Hear that the link is up or broke. The broker throws a revoked node out, so a break is looked into."""
        if connected != self._connected:
            self._connected = connected
            pause = _RANDOM.uniform(5, LONGEST_LOOK_S) if connected else FIRST_LOOK_S * _RANDOM.uniform(0.5, 1.5)
            with self._guard:
                self._look_wish = self._clock.monotonic() + pause
            self._wake.set()

    def woke_late(self) -> None:
        """The clock jumped, or the machine slept: whatever is due is done now, and what failed is tried again."""
        with self._guard:
            self._late = True
        self._wake.set()

    def _heed(self) -> None:
        """Take over what other threads wish, which may come while a request is under way."""
        with self._guard:
            wish, self._look_wish = self._look_wish, None
            late, self._late = self._late, False
        if wish is not None:
            self._look_at, self._looks = wish if self._standing else min(wish, self._look_at), 0
        if late:
            self._retry_at = None
            self._look_at = self._prove_at = 0.0

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                pause = self._step()
            except SpectraError as error:  # such as a folder that was removed under us
                self._fail(str(error))
                pause = LONGEST_WAIT_S
            except Exception:  # noqa: BLE001 - a node that stays reachable can be mended from afar
                _log.exception("the keeper of this node failed and goes on")
                pause = LONGEST_WAIT_S
            self._wake.wait(min(max(pause, 0.05), LONGEST_WAIT_S))

    def _step(self) -> float:
        """Do what is due; seconds until the next."""
        self._heed()
        self._keep_certificate()
        if self._clock.monotonic() >= self._list_at:
            self._list_at = self._clock.monotonic() + _spread(LOOK_EVERY_S)
            self._tell(Able(self._inventory()))
        if not self._stopping and self._clock.monotonic() >= self._look_at:
            self._look()
        if not self._stopping and self._prove is not None and self._clock.monotonic() >= self._prove_at:
            self._prove_state(self._prove)
        now, at = self._clock.now(), self._clock.monotonic()
        renewal = self._retry_at or self._renew_at()
        times = [self._look_at - at, self._list_at - at, (renewal - now).total_seconds()]
        return min([*times, self._prove_at - at] if self._prove else times)

    # --- the certificate ---

    def _renew_at(self) -> datetime:
        leaf = self._folder.certificate
        return due(leaf.not_valid_before_utc, leaf.not_valid_after_utc, str(leaf.serial_number))

    def _keep_certificate(self) -> None:
        """Renew it where that is due; also see that somebody else (`spectra node renew`) did."""
        now = self._clock.now()
        if now >= (self._retry_at or self._renew_at()):
            self._renew(now)
        leaf = self._folder.certificate
        if leaf.serial_number != self._serial:
            news, self._serial = self._serial != 0, leaf.serial_number
            self._tell(Certified(leaf.not_valid_after_utc, self._renew_at(), news))

    def _renew(self, now: datetime) -> None:
        try:
            leaf = enrol.renew(self._folder, now)
        except MeshError as error:
            if self._thrown(error):
                return
            self._failures += 1
            self._retry_at = self._again(now)
            self._fail(f"renewing the certificate: {error.message}")
            self._look_at = 0.0  # a CA that only says no: the coordinator says whether we are thrown out
            return
        self._failures, self._retry_at = 0, None
        if self._renew_at() <= now:  # a CA whose certificates are due at once is not asked all the time
            self._retry_at = self._again(now)
        self._prove_at = 0.0
        _log.info("the certificate was renewed until %s", leaf.not_valid_after_utc.isoformat())
        self._works()
        self._take_new_roots(now)

    def _again(self, now: datetime) -> datetime:
        leaf = self._folder.certificate
        return next_attempt(max(self._failures, 1), now, leaf.not_valid_after_utc, self._folder.state.name)

    def _take_new_roots(self, now: datetime) -> None:
        try:
            enrol.refresh_roots(self._folder, now)
        except MeshError as error:
            self._fail(f"asking for the roots: {error.message}")

    # --- what the coordinator says ---

    def _look(self) -> None:
        now = self._clock.now()
        try:
            said = enrol.myself(self._folder, now)
            self._take(said, now)
        except MeshError as error:
            if not self._thrown(error):
                self._fail(f"asking the coordinator: {error.message}")
            self._looks += 1
            pause = patience(self._looks)
        else:
            content = self._connected and self._standing == "active"
            self._looks = 0 if content else self._looks + 1
            pause = LOOK_EVERY_S if content else patience(self._looks)
        self._look_at = self._clock.monotonic() + _spread(pause)

    def _take(self, said: Welcome, now: datetime) -> None:
        if said.node.standing == "revoked":
            self._throw(said.node.reason)
            return
        state = self._folder.state
        roots = enrol.take_roots(self._folder, said.roots)
        if state.ca_url != state.api_url:  # a CA of its own: it knows its roots best
            roots = enrol.refresh_roots(self._folder, now) or roots
        moved = said.fabric != state.fabric
        if moved:
            self._folder.write_state(msgspec.structs.replace(state, fabric=said.fabric))
        self._standing = said.node.standing
        self._tell(Known(said.node.standing, said.node.reason, moved, roots))
        self._works()

    def _thrown(self, error: MeshError) -> bool:
        if enrol.is_revoked(error):
            self._throw(error.message)
            return True
        return False

    def _throw(self, why: str) -> None:
        self._stopping = True
        self._folder.write_state(msgspec.structs.replace(self._folder.state, revoked=self._clock.now()))
        self._tell(Thrown(why))

    # --- the proof of this machine's state ---

    def _prove_state(self, prove: Prove) -> None:
        try:
            proved, again_s = prove(self._folder, self._clock.now())
        except SpectraError as error:
            if isinstance(error, MeshError) and self._thrown(error):
                return
            proved, again_s = Proved(False, error.message), LONGEST_LOOK_S
        self._prove_at = self._clock.monotonic() + (_spread(again_s) if again_s > 0 else LOOK_EVERY_S)
        self._tell(proved)

    def _fail(self, what: str) -> None:
        """Logged when it is news: a coordinator that is away for a week fills no disk."""
        if what != self._failed:
            _log.warning("%s", what)
        self._failed = what
        self._tell(Failed(what))

    def _works(self) -> None:
        self._failed = ""
        self._tell(Failed(""))


def patience(looks: int) -> float:
    """Seconds before the next look where so many have brought nothing good."""
    return min(FIRST_LOOK_S * 2.0 ** min(looks, 10), LONGEST_LOOK_S)


def _spread(seconds: float) -> float:
    """+-20 %, so that nodes that began together do not ask together."""
    return seconds * _RANDOM.uniform(0.8, 1.2)


def inventory_of(inventory: Inventory, *, region: str, relay: bool) -> Callable[[], Capabilities]:
    """What to ask the inventory for."""
    return lambda: inventory.capabilities(region=region, relay=relay)
