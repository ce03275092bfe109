"""One attempt at one order, from its folder to its place in the spool. Runs on a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from spectra.collect import bundle
from spectra.collect.sandbox import Sandbox
from spectra.collect.spool import Spool
from spectra.collect.taskmessages import Execute, Executed, Hooks, Moved
from spectra.errors import SpectraError
from spectra.fabric.nodefolder import NodeFolder
from spectra.model.work import Order, Outcome

KEEP_TRYING_S: Final = 600.0
"""How long a full disk is waited for; the lease is held meanwhile."""

KEEP_EVERY_S: Final = 5.0
_log = logging.getLogger("spectra.node")


class Stopping:
    """Whether an attempt is to end before its time, and why: `cancelled` or `leaving`."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.why = ""

    def stop(self, why: str) -> None:
        """End it; the first reason counts."""
        self.why = self.why or why
        self.asked.set()


class Made(NamedTuple):
    """How an attempt went. With a `reason` the lease goes back; without, its result is in the spool."""

    outcome: Outcome
    reason: str = ""
    message: str = ""


class Attempts:
    """Makes the attempts of a machine. `most` bytes of output each; `note` hears of what keeps them from being kept."""

    def __init__(
        self,
        folder: NodeFolder,
        sandbox: Sandbox,
        spool: Spool,
        execute: Execute,
        *,
        most: int,
        note: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._sandbox = sandbox
        self._spool = spool
        self._execute = execute
        self._most = most
        self._note = note

    def make(self, order: Order, stopping: Stopping, moved: Callable[[Moved], None]) -> Made:
        """Do an order and keep its result. Never raises: whatever happens, the lease goes back at least."""
        try:
            return self._make(order, stopping, moved)
        except SpectraError as error:
            return Made("refused", error.reason[:60], str(error))
        except Exception as error:  # noqa: BLE001
            _log.exception("the attempt at target %d failed in a way nobody foresaw", order.target)
            return Made("failed", "agent", f"the agent failed: {error}")

    def _make(self, order: Order, stopping: Stopping, moved: Callable[[Moved], None]) -> Made:
        folder = self._sandbox.folder(order.lease)
        try:
            executed = self._execute(order, folder, Hooks(moved, stopping.asked))
            if executed.outcome == "refused" or (stopping.why and not executed.outputs):
                return Made("refused", stopping.why or executed.reason or "refused", executed.message)
            if stopping.why and executed.outcome == "partial":
                executed = msgspec.structs.replace(executed, reason=stopping.why)
            return Made(self._keep(order, stopping, folder, executed))
        finally:
            self._sandbox.remove(folder)
            self._spool.draft(order.lease).unlink(missing_ok=True)

    def _keep(self, order: Order, stopping: Stopping, folder: Path, executed: Executed) -> Outcome:
        """Sign it and put it into the spool. A full disk is waited for; output that is a lie fails the attempt."""
        deadline = time.monotonic() + KEEP_TRYING_S
        while True:
            try:
                self._seal(order, folder, executed)
            except OSError as error:
                self._note(f"the result of target {order.target} cannot be kept: {error}")
                if time.monotonic() > deadline or stopping.asked.wait(KEEP_EVERY_S):
                    raise
            except SpectraError as error:
                if executed.outcome == "failed" and not executed.outputs and not executed.artefacts:
                    raise
                executed = Executed(
                    outcome="failed",
                    reason=error.reason[:60],
                    message=str(error)[:2000],
                    started=executed.started,
                    finished=executed.finished,
                )
            else:
                return executed.outcome

    def _seal(self, order: Order, folder: Path, executed: Executed) -> None:
        draft = self._spool.draft(order.lease)
        uid = self._sandbox.who.uid
        node, files, out = str(self._folder.path), str(folder), str(draft)
        bundle.seal(bundle.Sealing(node, files, order, executed, uid, self._most, out))
        self._spool.put(order.lease)
