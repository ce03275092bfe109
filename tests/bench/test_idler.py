"""A machine that does nothing does so at once, unless it is told to wait."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from spectra.bench.idler import HOLD, idle
from spectra.collect.taskmessages import Hooks, Moved
from spectra.model.presets import Preset
from spectra.model.work import Order, Permission

ORDER = Order(
    lease="0" * 32,
    job="job-" + "0" * 20,
    target=1,
    attempt=1,
    scan_id="scan",
    targets=("127.1.0.1",),
    ports="22",
    preset=Preset(name="bench", description="Nothing.", tools=("connect",)),
    permission=Permission("bench", "made up", datetime.now(UTC)),
    rate=1,
    deadline_s=60,
    lease_s=60,
)


def ignored(_: Moved) -> None:
    """Nothing of it is told."""


def test_an_order_is_done_at_once(tmp_path: Path) -> None:
    """With nothing found."""
    done = idle(tmp_path / HOLD)(ORDER, tmp_path, Hooks(ignored, threading.Event()))
    assert (done.outcome, done.outputs) == ("done", ())


def test_it_is_held_until_the_file_goes(tmp_path: Path) -> None:
    """Or until it is stopped."""
    hold = tmp_path / HOLD
    hold.touch()
    stop, gone = threading.Event(), threading.Event()
    with ThreadPoolExecutor(2) as pool:
        stopped = pool.submit(idle(hold), ORDER, tmp_path, Hooks(ignored, stop))
        released = pool.submit(idle(hold), ORDER, tmp_path, Hooks(ignored, gone))
        stop.set()
        assert stopped.result(60).outcome == "done"
        assert not released.done()
        hold.unlink()
        assert released.result(60).outcome == "done"
