"""A machine of the mesh whose scans find nothing and take no time: what is left is what work costs besides scanning.

    python -P -m spectra.bench.idler FOLDER SLOTS

`FOLDER` is the folder of a node that has joined. Everything but the scan is as in any agent. While there is a file
`hold` in the folder, scans do not end.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Final

from spectra.collect.agent import Agent, Options
from spectra.collect.linking import connect
from spectra.collect.taskmessages import Execute, Executed, Hooks, Lending
from spectra.fabric.nodefolder import NodeFolder
from spectra.model.work import Order

HOLD: Final = "hold"
_LOOK_S: Final = 0.05


def idle(hold: Path) -> Execute:
    """Does nothing with an order, and does not end while there is the file `hold`."""

    def execute(order: Order, folder: Path, hooks: Hooks) -> Executed:
        del folder
        mark = hold.with_name(f"held-{order.lease}")  # who asks knows then that the order has arrived
        mark.touch()
        while hold.exists() and not hooks.stop.wait(_LOOK_S):
            pass
        mark.unlink(missing_ok=True)
        return Executed(outcome="done", tool="bench")

    return execute


def main(words: Sequence[str]) -> int:
    """Be that machine until a signal ends it."""
    folder = NodeFolder(Path(words[0]))
    agent = Agent(
        folder, Options(tpm="off", work=Lending(slots=int(words[1]))), connect, execute=idle(folder.path / HOLD)
    )

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        agent.stop()

    signal.signal(signal.SIGTERM, stop)
    agent.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
