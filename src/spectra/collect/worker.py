"""What a machine does with the orders it is handed: slots, progress, results. (Skeleton.)"""

from __future__ import annotations

from collections.abc import Callable

from spectra.collect.taskmessages import Execute, Lending
from spectra.fabric.nodefolder import NodeFolder
from spectra.model.nodes import Standing


class Worker:
    """Asks for work when it has room, does it, and brings what came of it to the coordinator, at once or later.

    `publish` says something over the fabric and never waits; `execute` does one order (by default in a sandbox).
    """

    def __init__(
        self,
        folder: NodeFolder,
        lending: Lending,
        incarnation: int,
        publish: Callable[[str, bytes], None],
        *,
        execute: Execute | None = None,
    ) -> None:
        raise NotImplementedError

    def start(self) -> None:
        """Begin."""
        raise NotImplementedError

    def heard(self, subject: str, data: bytes) -> None:
        """A message of the coordinator; on the link's thread."""
        raise NotImplementedError

    def link(self, connected: bool) -> None:
        """The link is up, or broke."""
        raise NotImplementedError

    def standing(self, standing: Standing) -> None:
        """What the mesh thinks of this node: only an active one asks."""
        raise NotImplementedError

    def stop(self, timeout_s: float = 15.0) -> None:
        """End what runs, keep what was found."""
        raise NotImplementedError

    @property
    def tasks(self) -> int:
        """How many targets are being scanned."""
        raise NotImplementedError
