"""The dispatcher: machines say that they are ready, and get what waits; what they hold is kept alive, or taken back.

One thread. The link's puts messages into a bounded inbox, and this one looks at them as soon as there are any, and at
least twice a second. All coordinators subscribe with one queue, so that each message is heard by one of them; what they
decide is in the database, and nothing relies on being the only one. Any message may be lost: a machine's next `Ready`
tells what it holds, and both sides act on that.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from spectra.errors import NotFound, SpectraError
from spectra.fabric import subjects, workmessages
from spectra.fabric.errors import MeshError
from spectra.fabric.link import Link
from spectra.fabric.workmessages import READY_S, Assign, Cancel, Doing, Ready, Returned, ToNode
from spectra.flow.askers import Askers
from spectra.flow.inbox import Arrived, Inbox
from spectra.flow.law import Law
from spectra.flow.membership import Refusals
from spectra.flow.orders import Orders, Rules
from spectra.flow.settling import Settling
from spectra.flow.waking import Waking
from spectra.mesh.hearing import Moment
from spectra.store import coordinators, jobs, leases, workers
from spectra.store.database import Database
from spectra.store.jobs import Held
from spectra.store.leases import Asker, Leased, Said
from spectra.store.workers import Asked

_log = logging.getLogger("spectra.work")

QUEUE: Final = "coordinators"
LOOK_S: Final = 0.5
"""How often we look at least: leases run out, windows open, and targets have waited long enough."""
UPKEEP_S: Final = 1.0
RESEND_S: Final = 2.0
"""An order that its machine does not list so long after it was sent was lost on the way."""
ROOM_S: Final = 1.5 * READY_S
"""How long what a machine said of its room is good for."""
ALIVE_S: Final = 30.0
"""How long a coordinator without a beat is told to machines as one that takes results."""
_EACH: Final = 32  # messages of one machine that wait at once
_REMEMBERED: Final = 20_000  # machines served and orders sent
_FORBIDDEN: Final = 100  # targets in one look that may not be scanned any more
_MANY: Final = 8  # machines whose leases are asked for in one statement rather than one by one
_PAUSE_S: Final = 1.0  # after trouble
_APIS: Final = 16
_LOST: Final = "it is not yours any more: it was cancelled, or not heard of for too long"


class Speaker(NamedTuple):
    """This coordinator: its name as a node, and where machines bring their results."""

    name: str
    api_url: str


class Holds(NamedTuple):
    """Why nothing is handed out or taken back here at the moment."""

    database: bool
    fabric: bool
    window: bool
    settling: bool

    def words(self) -> tuple[str, ...]:
        """The names of those that hold."""
        return tuple(name for name, held in zip(self._fields, self, strict=True) if held)


class _Room:
    """What a machine would take: `free` slots, said at `at`.

    `most` is how many leases it may hold, whoever gave them: of two coordinators that remember its room, one may not
    know what the other gave it. Results that wait are no scans.
    """

    __slots__ = ("asker", "at", "free", "most")

    def __init__(self, asker: Asker, ready: Ready, missing: int, at: float, per_node: int) -> None:
        self.asker = asker
        self.free = ready.free - missing
        self.at = at
        self.most = min(per_node, ready.slots) + len(ready.spooled)


class _Heard(NamedTuple):
    """What one look took from the inbox, of machines that may speak: of each, the newest `Ready`, and all else."""

    ready: dict[str, tuple[Asker, Ready]]
    doing: dict[str, dict[str, Said]]
    returned: list[Returned]


class Dispatcher(Waking):
    """Hands targets out. `look` is one look; `start` takes one after the other until `stop`."""

    def __init__(
        self,
        database: Database,
        link: Link,
        refusals: Refusals,
        law: Law,
        rules: Rules,
        *,
        own: Speaker,
        clock: Callable[[], datetime],
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__("spectra-dispatch")
        self._database = database
        self._link = link
        self._refusals = refusals
        self._law = law
        self._rules = rules
        self._own = own
        self._clock = clock
        self._steady = steady
        self._orders = Orders(database, law, rules, clock)
        self._askers = Askers(database, refusals, steady=steady)
        self._inbox = Inbox(each=_EACH)
        self._settling = Settling(rules.terms.lease_s, steady())
        self._rooms: dict[str, _Room] = {}
        self._served: OrderedDict[str, None] = OrderedDict()
        self._sent: OrderedDict[str, float] = OrderedDict()
        self._more = threading.Event()
        self._spread = threading.Event()
        self._kept_up = float("-inf")
        self._law_version = 0
        self._shut: tuple[str, ...] = ()
        self._window = False
        self._apis: tuple[str, ...] = ()
        self._troubled = False

    # --- from any thread ---

    def start(self) -> None:
        """Begin to hear and to hand out."""
        self.subscribe()
        super().start()

    def subscribe(self) -> None:
        """Have the link bring what machines and other coordinators say."""
        self._link.subscribe(subjects.EVERY_WORK, self._receive, queue=QUEUE)
        self._link.subscribe(subjects.WAITING, self._nudged)

    def more(self) -> None:
        """Targets may wait that did not before: other coordinators are told, too. Never waits."""
        self._more.set()
        self._spread.set()
        self._awake.set()

    def members_changed(self) -> None:
        """Somebody came, went, or may do something else. Never waits."""
        self._askers.forget()

    def cancelled(self, held: Iterable[Held], why: str) -> None:
        """Tell machines to stop at what they do not hold any more. Who does not hear it is told at its next `Ready`."""
        for one in held:
            self._say(one.node, Cancel(one.lease, why[:1000]))

    @property
    def holds(self) -> Holds:
        """Why nothing is handed out or taken back at the moment."""
        settling = self._settling
        return Holds(
            settling.database_away, not self._link.connected, self._window, not settling.settled(self._steady())
        )

    # --- one look ---

    def look(self) -> None:
        """1. what came; 2. who lives and what is held; 3. what has run out; 4. who gets what.

        Raises `SpectraError` where the database is away: machines say again what was not looked at.
        """
        now = self._steady()
        connected = self._link.connected
        self._settling.looked(now, connected=connected)
        arrived, dropped = self._inbox.take()
        for subject, count in dropped.items():
            self._refusals.note(
                "flood", subjects.speaker(subject), f"said more than can be looked at on {subject}", count
            )
        try:
            heard = self._sorted(arrived)
            self._take(heard, now)
            self._upkeep(now)
            if self._spread.is_set():
                self._spread.clear()
                self._tell_others()
            if self._more.is_set():
                self._more.clear()
                self._hand_out(list(self._rooms), now)
            else:
                self._hand_out(list(heard.ready), now)
        except SpectraError:
            self._settling.failed(now)
            self._kept_up = float("-inf")  # the next look asks the database, whatever else there is to do
            raise
        self._settling.answered(self._steady())

    def _run(self) -> None:
        while not self._stop.is_set():
            self._awake.wait(LOOK_S)
            self._awake.clear()
            if not self._guarded():
                self._stop.wait(_PAUSE_S)

    def _guarded(self) -> bool:
        """Look once; trouble is told when it begins, and its end too."""
        try:
            self.look()
        except SpectraError as error:
            if not self._troubled:
                _log.warning("no work is handed out: %s", error.message, extra={"error.type": error.reason})
            self._troubled = True
            return False
        except Exception:  # noqa: BLE001 - one message too strange must not end all work
            _log.exception("work: a look failed")
            return False
        if self._troubled:
            _log.info("work is handed out again")
            self._troubled = False
        return True

    def _receive(self, subject: str, data: bytes) -> None:
        """On the link's thread."""
        self._inbox.put(subject, data, Moment(self._steady(), self._clock()))
        self._awake.set()

    def _nudged(self, _: str, data: bytes) -> None:
        """On the link's thread: another coordinator knows of targets that wait."""
        if data != self._own.name.encode():
            self._more.set()
            self._awake.set()

    def _tell_others(self) -> None:
        if self._link.connected:
            self._link.publish(subjects.WAITING, self._own.name.encode())

    # --- what came ---

    def _sorted(self, arrived: Sequence[Arrived]) -> _Heard:
        """Who says it, may they, and what is it."""
        heard = _Heard({}, defaultdict(dict), [])
        for one in arrived:
            name = subjects.speaker(one.subject)
            asker = self._askers.of(name)
            if asker is None:
                continue
            try:
                said = workmessages.from_node(one.data, one.subject)
            except MeshError as error:
                self._refusals.note(error.reason, name, error.message)
                continue
            if isinstance(said, Ready):
                heard.ready[name] = asker, said
            elif isinstance(said, Doing):
                heard.doing[name][said.lease] = Said(said.lease, said.fraction, said.found, said.note)
            else:
                heard.returned.append(said)
        return heard

    def _take(self, heard: _Heard, now: float) -> None:
        """Note who is there, keep alive what they hold, and take back what they return."""
        wall = self._clock()
        workers.asked(self._database, [_asked(ready) for _, ready in heard.ready.values()], wall)
        for said in heard.returned:
            self._returned(said, wall)
        held = self._held(list({**heard.ready, **heard.doing}))
        overdue = self._overdue(held, wall)
        for name, doing in heard.doing.items():
            leases.progress(self._database, name, [one for one in doing.values() if one.lease not in overdue], wall)
        for name, (asker, ready) in heard.ready.items():
            listed = {*ready.scanning, *ready.spooled}
            self._renew(name, ready, overdue, wall)
            missing = [one for one in held.get(name, ()) if one.lease not in listed]
            for one in missing:
                self._resend(asker, one, now, wall)
            self._rooms[name] = _Room(asker, ready, len(missing), now, self._rules.terms.per_node)

    def _held(self, names: Sequence[str]) -> dict[str, list[Held]]:
        found: dict[str, list[Held]] = defaultdict(list)
        if len(names) > _MANY:
            for one in leases.held(self._database):
                found[one.node].append(one)
        else:
            for name in names:
                found[name] = leases.held(self._database, name)
        return found

    def _overdue(self, held: Mapping[str, Sequence[Held]], wall: datetime) -> frozenset[str]:
        """Leases that last longer than any scan may: a machine that hangs would keep them alive for ever."""
        most = timedelta(seconds=self._rules.deadline_s + self._rules.terms.lease_s)
        return frozenset(one.lease for found in held.values() for one in found if wall - one.leased > most)

    def _renew(self, name: str, ready: Ready, overdue: frozenset[str], wall: datetime) -> None:
        """What is not its any more, or takes too long, it is told to stop; results that wait are sent all the same."""
        late = overdue.intersection(ready.scanning)
        listed = sorted({*ready.scanning, *ready.spooled} - late)
        lost = set(leases.renew(self._database, name, listed, wall)) if listed else set[str]()
        for lease in ready.scanning:
            if lease in lost:
                self._say(name, Cancel(lease, _LOST))
            elif lease in late:
                self._say(name, Cancel(lease, "it takes longer than any scan may"))

    def _returned(self, said: Returned, wall: datetime) -> None:
        state = leases.give_back(
            self._database,
            said.node,
            said.lease,
            reason=said.reason,
            message=said.message,
            terms=self._rules.terms,
            now=wall,
        )
        self._sent.pop(said.lease, None)
        if state is not None:
            _log.info("%s gave a target back: %s", said.node, said.reason, extra={"event.reason": said.message})
            self.more()

    def _resend(self, asker: Asker, held: Held, now: float, wall: datetime) -> None:
        """An order that its machine does not know of, if it had the time to arrive."""
        sent = self._sent.get(held.lease)
        age = now - sent if sent is not None else (wall - held.leased).total_seconds()
        if age < RESEND_S or not self._link.connected:
            return
        try:
            leased = leases.order_of(self._database, held.lease, self._rules.terms)
        except NotFound:
            return
        self._send(asker, leased, now)

    # --- what has run out ---

    def _upkeep(self, now: float) -> None:
        """Whatever time alone changes."""
        every = min(UPKEEP_S, self._rules.terms.lease_s / 10)
        if now - self._kept_up < every:
            return
        self._kept_up = now
        wall = self._clock()
        self._law_version = self._law.version()
        self._window = not self._orders.hours.own_open(wall)
        shut = self._orders.hours.shut(jobs.windows(self._database), wall)
        if set(self._shut) - set(shut):
            self._more.set()
        self._shut = shut
        self._apis = self._living(wall)
        self._rooms = {name: room for name, room in self._rooms.items() if now - room.at <= ROOM_S}
        if self._settling.settled(now):
            gone = leases.expire(self._database, self._rules.terms, wall)
            if gone:
                _log.warning("%d leases ran out: nothing was heard of them", len(gone))
                self.cancelled(gone, "nothing was heard of it for too long")
                self.more()

    def _living(self, wall: datetime) -> tuple[str, ...]:
        """Where results may be brought: here first."""
        others = [
            one.api_url for one in coordinators.alive(self._database, wall, ALIVE_S) if one.name != self._own.name
        ]
        return tuple(dict.fromkeys(url for url in (self._own.api_url, *others) if url))[:_APIS]

    # --- who gets what ---

    def _hand_out(self, names: Sequence[str], now: float) -> None:
        """One target a turn to every machine with room, whoever was served longest ago first, until nothing is left."""
        if not self._link.connected or self._window:
            return
        if names:
            self._law_version = self._law.version()
        wanted = set(names)
        turn = [name for name in names if name not in self._served]
        turn += [name for name in self._served if name in wanted]
        left = _FORBIDDEN
        while turn and left > 0:
            again: list[str] = []
            for name in turn:
                given, sent = self._serve(self._rooms[name], now)
                left -= given and not sent
                if given and left > 0:
                    again.append(name)
            turn = again
        if left <= 0:
            self._more.set()  # the law changed for much of a job: what else there is to do comes between

    def _serve(self, room: _Room, now: float) -> tuple[bool, bool]:
        """Give one target to a machine: whether there was one, and whether it may be scanned, so that it was sent."""
        if room.free <= 0:
            return False, False
        terms = self._rules.terms._replace(per_node=room.most)
        given = leases.lease(self._database, room.asker, terms, self._clock(), shut=self._shut)
        if not given:
            return False, False
        name = room.asker.node
        self._served.pop(name, None)
        self._served[name] = None
        while len(self._served) > _REMEMBERED:
            self._served.popitem(last=False)
        sent = self._send(room.asker, given[0], now)
        room.free -= sent
        return True, sent

    def _send(self, asker: Asker, leased: Leased, now: float) -> bool:
        order = self._orders.make(leased, self._law_version, relay=asker.relay)
        if order is None:
            return False
        self._sent.pop(leased.lease, None)
        self._sent[leased.lease] = now
        while len(self._sent) > _REMEMBERED:
            self._sent.popitem(last=False)
        self._say(asker.node, Assign(order, self._apis))
        return True

    def _say(self, node: str, message: ToNode) -> None:
        try:
            self._link.publish(subjects.assign(node), workmessages.encode(message))
        except MeshError as error:
            _log.warning("%s could not be told: %s", node, error.message)


def _asked(ready: Ready) -> Asked:
    spooled = max(ready.spooled_count, len(ready.spooled))
    return Asked(ready.node, ready.slots, ready.free, spooled, ready.spooled_bytes, ready.spool_full)
