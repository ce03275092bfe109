"""What a job waits for, in words: why nothing of it moves at the moment. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from spectra.flow.askers import asker
from spectra.model.nodes import NodeRecord
from spectra.model.presets import Preset
from spectra.model.work import JobRecord, WorkerRecord, WorkStatus

_GONE: Final = ("dead", "left")


class Situation(NamedTuple):
    """How things stand: `opens` is when its time window opens (None: open), `again` when the first of its targets is
    tried again after a failure (None: now).
    """

    status: WorkStatus
    nodes: Sequence[NodeRecord]
    opens: datetime | None
    again: datetime | None
    now: datetime


class _Machine(NamedTuple):
    node: NodeRecord
    worker: WorkerRecord


def why(job: JobRecord, preset: Preset, at: Situation) -> str:
    """Why nothing of `job` is being scanned; empty where something is, or where it is just not its turn yet."""
    if job.state != "running" or not job.counts.waiting or job.counts.leased:
        return ""
    if held := _held(at):
        return held
    machines, lack = _able(job, preset, at)
    return lack or _busy(machines) or _later(at)


def _held(at: Situation) -> str:
    """What keeps all of it from every machine."""
    if at.status.paused:
        reason = f": {at.status.paused_reason}" if at.status.paused_reason else ""
        return f"all work is paused by {at.status.paused_by or 'somebody'}{reason}"
    if "fabric" in at.status.holds:
        return "the fabric is away: no machine can be told of work"
    return f"its time window opens at {_time(at.opens)}" if at.opens is not None else ""


def _later(at: Situation) -> str:
    """What keeps it from machines that could take it."""
    if at.again is not None and at.again > at.now:
        return f"its targets failed, and are tried again at {_time(at.again)}"
    if at.status.counts.leased:
        return "its networks have as many scans as they may have at once, or other jobs come first"
    return ""


def _able(job: JobRecord, preset: Preset, at: Situation) -> tuple[list[_Machine], str]:
    """The machines that can do it; where there are none, what they lack."""
    by_name = {node.name: node for node in at.nodes}
    wanted = job.constraints
    if wanted.node and (lack := _pinned(wanted.node, by_name.get(wanted.node))):
        return [], lack
    machines = [
        _Machine(node, worker)
        for worker in at.status.workers
        if (node := by_name.get(worker.node)) is not None and worker.slots and worker.last_asked is not None
    ]
    tools = " or ".join(preset.tools)
    tests: list[tuple[Callable[[_Machine], bool], str]] = [
        (lambda m: True, "no machine of the mesh scans: `spectra node token` lets one join"),
        (lambda m: m.node.standing == "active", "every machine that scans is quarantined: `spectra node release`"),
        (lambda m: m.node.presence not in _GONE, "no machine that scans is alive"),
        (lambda m: m.node.name == (wanted.node or m.node.name), f"{wanted.node} does not scan (worker.slots)"),
        (
            lambda m: asker(m.node).region == (wanted.region or asker(m.node).region),
            f"no machine that scans is in {wanted.region}",
        ),
        (lambda m: asker(m.node).relay or not wanted.relay, "no machine that could take it sends through a relay"),
        (lambda m: not set(preset.tools).isdisjoint(asker(m.node).tools), f"no machine that could take it has {tools}"),
        (lambda m: asker(m.node).raw or not preset.raw, "no machine that could take it may open raw sockets"),
        (lambda m: not m.worker.draining, "every machine that could take it drains"),
        (lambda m: not m.worker.spool_full, "the spool of every machine that could take it is full"),
    ]
    for holds, lack in tests:
        machines = [machine for machine in machines if holds(machine)]
        if not machines:
            return [], lack
    return machines, ""


def _pinned(name: str, node: NodeRecord | None) -> str:
    if node is None:
        return f"there is no machine {name}"
    if node.standing != "active":
        return f"{name} is {node.standing}"
    if node.presence in _GONE:
        return f"{name} is {node.presence}"
    return ""


def _busy(machines: Sequence[_Machine]) -> str:
    if any(machine.worker.free for machine in machines):
        return ""
    if len(machines) == 1:
        return f"{machines[0].node.name} is busy"
    return f"all {len(machines)} machines that could take it are busy"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
