"""`spectra bench --mesh`: joining, renewing and revoking real machines, and hearing a thousand simulated ones.

The machines that join are processes as a user starts them, on this machine: what they take of it is in the numbers.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import httpx
import msgspec

from spectra.bench.load import checked, client_of
from spectra.bench.presence import simulated
from spectra.bench.saying import Say, silent
from spectra.bench.server import running
from spectra.errors import SpectraError
from spectra.fabric import enrol
from spectra.fabric.errors import MeshError
from spectra.fabric.natslink import NatsLink
from spectra.fabric.nodefolder import NodeFolder

MACHINES: Final = 4
_RENEWALS: Final = 200
_WITHIN_S: Final = 120.0
_LOOK_S: Final = 0.02


class Result(msgspec.Struct, kw_only=True):
    """The keys of the JSON object. Shares are of one core; `_s` are seconds, the 95th percentile of a sample where
    there is one.

    `join_s`: from the command `spectra join` until the coordinator hears the node (median, one after the other).
    `revoke_effective_s`: from the request to revoke until the node's open connection to the fabric is cut.
    `presence_detect_s`: from a cut of its power until a node is dead; `_suspect_s` until it is suspect, `_lost_s` until
    it is so where its broker lost it, `_back_s` until it is alive again. `nodes_*` are of the coordinator's process.
    """

    join_s: float
    renewals_per_s: float
    revoke_effective_s: float
    nodes_simulated: int
    nodes_idle_cpu_share: float
    nodes_cpu_share: float
    nodes_busy_cpu_share: float
    nodes_rss_mb: float
    nodes_rss_grown_mb: float
    nodes_false_suspects: int
    nodes_false_deaths: int
    presence_suspect_s: float
    presence_detect_s: float
    presence_lost_s: float
    presence_back_s: float


class Machine(NamedTuple):
    """A node that joined, and what it took."""

    name: str
    folder: NodeFolder
    join_s: float


def run(
    count: int = 1000, *, seconds: float = 60.0, machines: int = MACHINES, renewals: int = _RENEWALS, say: Say | None
) -> Result:
    """Measure everything with a scratch server, some real machines and `count` simulated nodes."""
    tell = say or silent
    tell("starting the server")
    with running() as server, client_of(server) as client:
        tell("machines join")
        folder = server.data_dir.parent / "machines"
        joined = [join(client, folder, f"machine-{n}") for n in range(machines)]
        tell("certificates are renewed")
        renewed = renewals_per_s(joined, renewals)
        tell("a machine is revoked")
        revoked = revoke_effective_s(client, joined[0])
        place = joined[0].folder.state.fabric.nats
        found = simulated(server, place, count, seconds=seconds, say=tell)
        return Result(
            join_s=round(statistics.median(one.join_s for one in joined), 2),
            renewals_per_s=round(renewed, 1),
            revoke_effective_s=round(revoked, 2),
            nodes_simulated=found.nodes,
            nodes_idle_cpu_share=round(found.idle_cpu_share, 3),
            nodes_cpu_share=round(found.cpu_share, 3),
            nodes_busy_cpu_share=round(found.busy_cpu_share, 3),
            nodes_rss_mb=round(found.rss_mb),
            nodes_rss_grown_mb=round(found.rss_grown_mb, 1),
            nodes_false_suspects=found.false_suspects,
            nodes_false_deaths=found.false_deaths,
            presence_suspect_s=round(found.suspect_s, 1),
            presence_detect_s=round(found.detect_s, 1),
            presence_lost_s=round(found.lost_s, 1),
            presence_back_s=round(found.back_s, 1),
        )


def join(client: httpx.Client, folder: Path, name: str) -> Machine:
    """One machine joins as a user has it join, and is stopped when the coordinator has heard it."""
    invitation = checked(client.post("/v0/nodes/tokens", json={"name": name})).json()
    data_dir = folder / name
    began = time.perf_counter()
    with _joining(str(invitation["token"]), data_dir) as process:
        _until(
            lambda: checked(client.get(f"/v0/nodes/{name}")).json()["presence"] == "alive",
            lambda: process.poll() is None,
            lambda: f"{name} does not join: {_end_of(data_dir.with_suffix('.log'))}",
        )
        return Machine(name, NodeFolder(data_dir / "node"), time.perf_counter() - began)


@contextlib.contextmanager
def _joining(token: str, data_dir: Path) -> Generator[subprocess.Popen[bytes]]:
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    others = {name: value for name, value in os.environ.items() if not name.upper().startswith("SPECTRA_")}
    with data_dir.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "spectra", "join", token, "--data-dir", str(data_dir)],
            stdout=log,
            stderr=log,
            env=others | {"SPECTRA_DATA_DIR": str(data_dir)},
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def renewals_per_s(joined: Sequence[Machine], count: int) -> float:
    """Certificates a second, every machine renewing its own again and again; each time on a connection of its own."""
    each = max(1, count // len(joined))

    def work(machine: Machine) -> None:
        for _ in range(each):
            enrol.renew(machine.folder, datetime.now(UTC))

    began = time.perf_counter()
    with ThreadPoolExecutor(len(joined)) as pool:
        list(pool.map(work, joined))
    return each * len(joined) / (time.perf_counter() - began)


def revoke_effective_s(client: httpx.Client, machine: Machine) -> float:
    """Seconds from the request until the machine's connection is cut; afterwards the CA must not know it any more."""
    opened, cut = threading.Event(), threading.Event()
    link = NatsLink(
        [machine.folder.state.fabric.nats],
        machine.folder.tls,
        machine.name,
        _ignored,
        on_change=lambda up: (opened if up else cut).set(),
    )
    try:
        if not opened.wait(_WITHIN_S):
            raise SpectraError(f"{machine.name} cannot connect to the fabric.", reason="bench")
        began = time.perf_counter()
        checked(client.post(f"/v0/nodes/{machine.name}/revoke", json={"reason": "measured"}))
        if not cut.wait(_WITHIN_S):
            raise SpectraError(f"{machine.name} is revoked and still connected.", reason="bench")
        seconds = time.perf_counter() - began
    finally:
        link.close()
    try:
        enrol.renew(machine.folder, datetime.now(UTC))
    except MeshError:
        return seconds
    raise SpectraError(f"{machine.name} is revoked and got a certificate.", reason="bench")


def _until(check: Callable[[], bool], possible: Callable[[], bool], otherwise: Callable[[], str]) -> None:
    deadline, pause = time.monotonic() + _WITHIN_S, threading.Event()
    while not check():
        if not possible() or time.monotonic() > deadline:
            raise SpectraError(otherwise(), reason="bench")
        pause.wait(_LOOK_S)


def _end_of(path: Path) -> str:
    return path.read_text("utf-8", "replace")[-2000:] if path.exists() else ""


def _ignored(_: MeshError) -> None:
    """A revoked machine is told so again and again."""
