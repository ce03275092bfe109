"""`spectra bench --work`: handing targets out, losing who works on them, and bringing results late.

Coordinator, machines and everything between them are real; only the scans are not (`idler`).
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import msgspec

from spectra.bench.idler import HOLD
from spectra.bench.leasing import lease_ms
from spectra.bench.load import checked, client_of
from spectra.bench.mesh import Machine, join
from spectra.bench.saying import Say, silent
from spectra.bench.server import BenchServer, scratch, serving
from spectra.errors import SpectraError
from spectra.fabric.nodefolder import NodeFolder
from spectra.model.work import JobRecord, TargetRecord

MACHINES: Final = 4
_TASKS: Final = 1000
_WAITING: Final = 100_000
_SLOTS: Final = 4  # of a machine, as many as it gets by default
_SPOOLING: Final = 64  # and where it is to keep many results
_WITHIN_S: Final = 300.0
_LOOK_S: Final = 0.02
_SETTLED_S: Final = 2.0
_ASK_S: Final = 0.2  # while all are at work, who asks takes of it


class Result(msgspec.Struct, kw_only=True):
    """The keys of the JSON object. `_ms` are milliseconds of the database alone, `_s` seconds.

    `lease_ms_*`: giving one target to a machine while `waiting` of a hundred jobs wait. `tasks_per_s`: targets of one
    job from the request for it until the last is done, each leased, signed, submitted and judged by its own workflow.
    `redispatch_s`: from SIGKILL of a machine until another has its target. That is `redispatch_silence_s` until its
    lease (of `lease_s`, counted from the last that was heard) has run out, and `redispatch_pause_s` until the next has
    it. `resume_after_kill_s`: from SIGKILL of the coordinator in the middle of work until it gives out the
    next target, `resume_start_s` of it for its start. `spool_drain_per_s`: results a second, of `spooled` that machines
    kept while it was away, from the first that is brought to the last.
    """

    machines: int
    waiting: int
    lease_ms_p50: float
    lease_ms_p95: float
    tasks: int
    tasks_per_s: float
    lease_s: float
    redispatch_s: float
    redispatch_silence_s: float
    redispatch_pause_s: float
    resume_after_kill_s: float
    resume_start_s: float
    spooled: int
    spool_drain_per_s: float


class Redispatched(msgspec.Struct):
    """See `Result`."""

    total_s: float
    silence_s: float
    pause_s: float


def run(
    tasks: int = _TASKS,
    *,
    waiting: int = _WAITING,
    machines: int = MACHINES,
    slots: int = _SLOTS,
    spooling: int = _SPOOLING,
    lease_s: float = 60.0,
    say: Say | None,
) -> Result:
    """Measure everything with a scratch server and `machines` that do `tasks` no-op scans."""
    tell = say or silent
    settings = {"SPECTRA_WORK__LEASE_S": str(lease_s), "SPECTRA_WORK__PER_NODE": "64"}
    with scratch() as data_dir, ExitStack() as stack:
        tell("starting the server")
        with serving(data_dir, settings) as server, client_of(server) as client:
            tell(f"{waiting} targets wait")
            leased = lease_ms(server, waiting)
            tell("machines join")
            joined = [join(client, data_dir.parent / "machines", f"machine-{n}") for n in range(machines)]
            crew = stack.enter_context(Crew(joined, slots))
            tell("they work")
            rate = tasks_per_s(client, tasks)
            tell("a machine is killed")
            again = redispatched(client, crew)
            tell("the coordinator is killed")
            killed = _kill_in_the_middle(server, client, crew)
        with serving(data_dir, settings) as server, client_of(server) as client:
            resumed = _resumed(client, killed)
            start_s = server.start_s
            tell("results are spooled while it is away")
            crew.restart(spooling)
            _occupy(client, crew, spooling * machines)
        crew.release()
        count = _spooled(crew)
        with serving(data_dir, settings):
            tell("they are brought")
            drained = drain_per_s(crew, count)
        return Result(
            machines=machines,
            waiting=waiting,
            lease_ms_p50=round(leased.p50, 2),
            lease_ms_p95=round(leased.p95, 2),
            tasks=tasks,
            tasks_per_s=round(rate, 1),
            lease_s=lease_s,
            redispatch_s=round(again.total_s, 1),
            redispatch_silence_s=round(again.silence_s, 1),
            redispatch_pause_s=round(again.pause_s, 1),
            resume_after_kill_s=round(resumed, 2),
            resume_start_s=round(start_s, 2),
            spooled=count,
            spool_drain_per_s=round(drained, 1),
        )


class Crew:
    """The processes of machines that do nothing with what they are given, until the block ends."""

    def __init__(self, joined: Sequence[Machine], slots: int) -> None:
        self._folders: dict[str, NodeFolder] = {machine.name: machine.folder for machine in joined}
        self._slots = slots
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Crew:
        try:
            for name in self._folders:
                self.begin(name)
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def begin(self, name: str) -> None:
        """Start the process of a machine."""
        folder = self._folders[name].path
        for mark in folder.glob("held-*"):  # of one that was killed
            mark.unlink()
        command = [sys.executable, "-P", "-m", "spectra.bench.idler", str(folder), str(self._slots)]
        with (folder / "idler.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def kill(self, name: str) -> None:
        """As if its power was cut."""
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def restart(self, slots: int) -> None:
        """End all in order, and start them with so many slots each."""
        self.end()
        self._slots = slots
        self.__enter__()

    def end(self) -> None:
        """End every process."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    def hold(self) -> None:
        """Scans do not end from now on."""
        for folder in self._folders.values():
            (folder.path / HOLD).touch()

    def release(self) -> None:
        """Scans end at once again."""
        for folder in self._folders.values():
            (folder.path / HOLD).unlink(missing_ok=True)

    @property
    def slots(self) -> int:
        """Of all that run."""
        return self._slots * len(self._processes)

    @property
    def held(self) -> int:
        """Orders that have arrived and do not end."""
        return sum(len(list(folder.path.glob("held-*"))) for folder in self._folders.values())

    @property
    def spooled(self) -> int:
        """Results that wait on their disks."""
        return sum(len(list((folder.path / "spool").glob("*.bundle"))) for folder in self._folders.values())


def tasks_per_s(client: httpx.Client, count: int) -> float:
    """Targets a second, once every machine is ready."""
    _wait_done(client, _ask(client, 8))
    began = time.perf_counter()
    _wait_done(client, _ask(client, count))
    return count / (time.perf_counter() - began)


def redispatched(client: httpx.Client, crew: Crew) -> Redispatched:
    """Kill the machine that has a target, and wait until another has it; the work is done in the end."""
    crew.hold()
    job = _ask(client, 1)
    _until(lambda: _job(client, job).counts.leased == 1, "nobody takes a target")
    number = _targets(client, job)[0].target
    name = _target(client, number).node
    killed = datetime.now(UTC)
    crew.kill(name)
    _until(lambda: len(_target(client, number).history) > 1, f"nobody else takes the target of {name}")
    first, second = _target(client, number).history[:2]
    if first.ended is None or second.node == name:
        raise SpectraError(f"The target went to {second.node} although {name} has it.", reason="bench")
    crew.release()
    crew.begin(name)
    _wait_done(client, job)
    return Redispatched(
        (second.leased - killed).total_seconds(),
        (first.ended - killed).total_seconds(),
        (second.leased - first.ended).total_seconds(),
    )


def drain_per_s(crew: Crew, count: int) -> float:
    """Results a second from the first that is brought to the last."""
    _until(lambda: crew.spooled < count, "no result is brought")
    began, before = time.perf_counter(), crew.spooled
    _until(lambda: crew.spooled == 0, "the spools do not empty")
    return max(before, 1) / (time.perf_counter() - began)


class _Killed(msgspec.Struct):
    job: str
    at: datetime
    leased: int


def _kill_in_the_middle(server: BenchServer, client: httpx.Client, crew: Crew) -> _Killed:
    """SIGKILL the coordinator while every slot is taken and as many targets wait; scans end from then on."""
    crew.hold()
    job = _ask(client, 3 * crew.slots)
    _until(lambda: _job(client, job).counts.leased == crew.slots, "not every slot is taken")
    killed = _Killed(job, datetime.now(UTC), crew.slots)
    os.kill(server.pid, signal.SIGKILL)
    crew.release()
    return killed


def _resumed(client: httpx.Client, killed: _Killed) -> float:
    """Seconds until the next target was given out; all of them are done in the end."""
    _wait_done(client, killed.job)
    leased = sorted(
        attempt.leased
        for target in _targets(client, killed.job)
        for attempt in _target(client, target.target).history
        if attempt.leased > killed.at
    )
    if not leased:
        raise SpectraError("Nothing was given out after the coordinator was killed.", reason="bench")
    return (leased[0] - killed.at).total_seconds()


def _occupy(client: httpx.Client, crew: Crew, count: int) -> None:
    """Have every slot taken."""
    crew.hold()
    job = _ask(client, count)
    _until(lambda: _job(client, job).counts.leased == count and crew.held == count, "not every slot is taken")


def _spooled(crew: Crew) -> int:
    """How many results wait, once every scan has ended and no more of them come: what the coordinator took back before
    it went is in none.
    """
    count, since = -1, time.monotonic()

    def settled() -> bool:
        nonlocal count, since
        if (found := crew.spooled) != count:
            count, since = found, time.monotonic()
        return crew.held == 0 and count > 0 and time.monotonic() - since > _SETTLED_S

    _until(settled, "the results are not spooled")
    return count


# --- what the server is asked ---


def _addresses() -> Iterator[str]:
    """Of loopback, each in a network of its own: no limit of a network is in the way. Nothing is sent there."""
    for number in itertools.cycle(range(256, 65_000)):
        yield f"127.{number >> 8}.{number & 255}.1"


_FRESH = _addresses()


def _ask(client: httpx.Client, count: int) -> str:
    wanted: dict[str, Any] = {
        "targets": list(itertools.islice(_FRESH, count)),
        "preset": "services",
        "consent": "measured on this machine",
        "allow": ["127.0.0.0/8"],
    }
    response = checked(client.post("/v0/jobs", json=wanted))
    return msgspec.json.decode(response.content, type=JobRecord, strict=False).job


def _job(client: httpx.Client, job: str) -> JobRecord:
    return msgspec.json.decode(checked(client.get(f"/v0/jobs/{job}")).content, type=JobRecord)


def _targets(client: httpx.Client, job: str) -> list[TargetRecord]:
    found = checked(client.get(f"/v0/jobs/{job}/targets", params={"limit": 1000})).json()["targets"]
    return msgspec.convert(found, list[TargetRecord])


def _target(client: httpx.Client, number: int) -> TargetRecord:
    return msgspec.json.decode(checked(client.get(f"/v0/targets/{number}")).content, type=TargetRecord)


def _wait_done(client: httpx.Client, job: str) -> None:
    def done() -> bool:
        record = _job(client, job)
        return record.counts.done == record.total

    _until(done, f"{job} does not end", every_s=_ASK_S)


def _until(check: Callable[[], bool], otherwise: str, *, every_s: float = _LOOK_S) -> None:
    deadline, pause = time.monotonic() + _WITHIN_S, threading.Event()
    while not check():
        if time.monotonic() > deadline:
            raise SpectraError(f"After {_WITHIN_S:.0f} s {otherwise}.", reason="bench")
        pause.wait(every_s)
