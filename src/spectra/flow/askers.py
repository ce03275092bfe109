"""Who may have work: machines by the name of their subject, with what they can do, as the store has them."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple, cast, get_args

from spectra.flow.membership import Refusals
from spectra.model.nodes import Capabilities, NodeRecord
from spectra.model.presets import ScanTool
from spectra.store import nodes
from spectra.store.database import Database
from spectra.store.leases import Asker

READ_S: Final = 5.0
"""How long what is known of a machine is good for: another coordinator may have thrown it out, or it has a new tool."""
_KEPT: Final = 20_000
_TOOLS: Final = frozenset(get_args(ScanTool))
_BUILT_IN: Final[ScanTool] = "connect"


class _Read(NamedTuple):
    record: NodeRecord | None
    at: float


class Askers:
    """Looks machines up, and counts those that may not speak."""

    def __init__(self, database: Database, refusals: Refusals, *, steady: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._refusals = refusals
        self._steady = steady
        self._read: OrderedDict[str, _Read] = OrderedDict()

    def forget(self) -> None:
        """Members may have changed. From any thread."""
        self._read = OrderedDict()

    def of(self, name: str) -> Asker | None:
        """The machine of this name as one that asks for work; None, and counted, where it may not have any."""
        record = self._record(name)
        if record is None or record.standing == "invited":
            self._refusals.note("unknown_node", name, "asked for work")
        elif record.standing != "active":
            self._refusals.note(record.standing, name, "asked for work")
        else:
            return asker(record)
        return None

    def _record(self, name: str) -> NodeRecord | None:
        known, now = self._read, self._steady()
        read = known.get(name)
        if read is None or now - read.at > READ_S:
            read = known[name] = _Read(nodes.find(self._database, name), now)
            known.move_to_end(name)
            while len(known) > _KEPT:
                known.popitem(last=False)
        return read.record


def asker(record: NodeRecord) -> Asker:
    """What a machine brings to work. One that did not say yet has the built-in scanner, as all do."""
    can = record.capabilities
    return Asker(
        record.name,
        tools_of(can),
        can.region if can else "",
        can.relay if can else False,
        can.raw if can else False,
    )


def tools_of(can: Capabilities | None) -> tuple[ScanTool, ...]:
    """The scanners among a machine's tools."""
    names = dict.fromkeys(tool.name for tool in can.tools) if can else {}
    return tuple(cast(ScanTool, name) for name in dict.fromkeys((_BUILT_IN, *names)) if name in _TOOLS)
