"""Machines at work for the tests of the dispatcher: a link without a wire, clocks that are set, and a real database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from spectra.fabric import subjects, workmessages
from spectra.fabric.workmessages import Assign, Cancel, FromNode, Ready, ToNode
from spectra.flow.dispatch import Dispatcher, Speaker
from spectra.flow.law import Law
from spectra.flow.orders import Rules
from spectra.flow.windows import Window
from spectra.flow.work import Bounds, Work
from spectra.model.nodes import Capabilities, Load, Tool
from spectra.model.work import JobRecord, JobRequest, Order
from spectra.store import nodes
from spectra.store.accounts import Act
from spectra.store.database import Database
from spectra.store.leases import Terms
from spectra.store.presence import Beat, Seen, heartbeats, set_presence
from tests.flow.desk import Clock
from tests.flow.ears import Refused, Wire
from tests.store.machines import member

ANN = "ann"


class NoSystems:
    """Nothing is known of autonomous systems but what a test says."""

    def __init__(self) -> None:
        self.known: dict[int, Sequence[str]] = {}

    def prefixes(self, asn: int) -> Sequence[str]:
        """The networks of an AS."""
        return self.known.get(asn, ())


class Yard:
    """A dispatcher and what people ask, without threads: a test says when it looks, and what time it is."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        terms: Terms | None = None,
        windows: tuple[Window, ...] = (),
        name: str = "hub",
    ) -> None:
        self.database = database
        self.clock = clock
        self.at = 1000.0
        self.wire = Wire()
        self.refused = Refused()
        self.systems = NoSystems()
        self.law = Law(database, self.systems, clock=clock)
        self.rules = Rules(terms or Terms(), windows=windows)
        self.work = Work(database, self.law, self.rules, Bounds(), clock=clock)
        self.dispatcher = Dispatcher(
            database,
            self.wire,
            self.refused,
            self.law,
            self.rules,
            own=Speaker(name, f"https://{name}"),
            clock=clock,
            steady=lambda: self.at,
        )
        self.dispatcher.subscribe()
        self.work.handed_out_by(self.dispatcher)
        self._read = 0

    def act(self) -> Act:
        """A person, now."""
        return Act(ANN, self.clock())

    def machine(self, name: str, *, tools: tuple[str, ...] = ("nmap",), **more: Any) -> str:
        """A machine of the mesh that is alive."""
        member(self.database, name)
        can = Capabilities(1, 512, "x86_64", "linux", "1.0", tools=tuple(Tool(tool) for tool in tools), **more)
        heartbeats(self.database, [Beat(name, self.clock(), Load(), capabilities=can)])
        set_presence(self.database, [Seen(name, "alive", self.clock())])
        return name

    def ask(self, *targets: str, **more: Any) -> JobRecord:
        """A job."""
        allow = more.pop("allow", ("10.0.0.0/8",))
        asked = JobRequest(targets=targets, consent="ticket 4711", allow=allow, **more)
        return self.work.ask(asked, self.act())

    def say(self, message: FromNode, subject: str = "") -> None:
        """A machine says something; the dispatcher has not looked yet."""
        self.wire.bring(subject or subjects.work(message.node), workmessages.encode(message))

    def ready(self, name: str, free: int = 1, *, scanning: Sequence[str] = (), **more: Any) -> list[Order]:
        """A machine says that it is ready, and gets these orders."""
        slots = max(2, free + len(scanning))
        self.say(Ready(node=name, incarnation=1, slots=slots, free=free, scanning=tuple(scanning), **more))
        return self.look().get(name, [])

    def look(self) -> dict[str, list[Order]]:
        """The dispatcher looks; the orders that machines get by that."""
        self.dispatcher.look()
        orders: dict[str, list[Order]] = {}
        for node, message in self.told():
            if isinstance(message, Assign):
                orders.setdefault(node, []).append(message.order)
        return orders

    def told(self) -> list[tuple[str, ToNode]]:
        """What machines were told since the last time."""
        new = [(s, d) for s, d in self.wire.published[self._read :] if s.startswith("spectra.assign.")]
        self._read = len(self.wire.published)
        return [(subjects.node_of(subject), workmessages.to_node(data)) for subject, data in new]

    def cancels(self) -> list[tuple[str, str]]:
        """Who was told to stop at which lease since the last time anything was read."""
        return [(node, message.lease) for node, message in self.told() if isinstance(message, Cancel)]

    def wait(self, seconds: float, *, step: float = 1.0) -> None:
        """Time passes, and the dispatcher looks at each step; what it says can be read after that."""
        left = seconds
        while left > 0:
            self.at += min(step, left)
            self.clock.advance(timedelta(seconds=min(step, left)))
            left -= step
            self.dispatcher.look()

    def quarantine(self, name: str) -> None:
        """The mesh holds a machine back."""
        nodes.quarantine(self.database, name, "looked odd", self.act())
        self.dispatcher.members_changed()
