"""How well the coordinator hears: what a thousand nodes cost it, who is dead to it by mistake, how soon it notices.

The nodes are rows in the store and one process that speaks for them (`crowd`); everything from nats-server on is real.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from spectra.bench.crowd import Plan
from spectra.bench.load import spread
from spectra.bench.saying import Say
from spectra.bench.server import BenchServer
from spectra.engines.postgres import PostgresServer
from spectra.errors import SpectraError
from spectra.fabric.nodefolder import NodeFolder
from spectra.identity.keys import SigningKey
from spectra.identity.names import node_uri
from spectra.model.nodes import Capabilities, CertificateRecord, Presence
from spectra.store import jointokens, nodes, presence
from spectra.store.accounts import Act
from spectra.store.database import Database
from spectra.store.jointokens import NewToken

CONNECTIONS: Final = 4
EVERY_S: Final = 5.0
_SAMPLE: Final = 20  # nodes that are cut off
_LOOK_S: Final = 0.1
_PATIENCE_S: Final = 120.0
_ABLE: Final = Capabilities(4, 1900, "aarch64", "linux", "bench")
_SPIN: Final = "while True: pass"


class Simulated(NamedTuple):
    """Shares are of one core: 0.05 is a twentieth. Seconds are from the moment a node was cut off (or speaks again)
    until the store says so; `detect_s` until it is dead.
    """

    nodes: int
    idle_cpu_share: float
    cpu_share: float
    busy_cpu_share: float
    rss_mb: float
    rss_grown_mb: float
    false_suspects: int
    false_deaths: int
    suspect_s: float
    detect_s: float
    lost_s: float
    back_s: float


def simulated(server: BenchServer, url: str, count: int = 1000, *, seconds: float = 60.0, say: Say) -> Simulated:
    """Have `count` nodes speak to `server`, whose fabric is at `url`: `seconds` long, and as long again while a core is
    kept busy; then cut some off.
    """
    with Database(PostgresServer(server.data_dir).url, pool_size=2) as database:
        say(f"{count} nodes join")
        names = enrolled(database, server, count)
        idle, rss = cpu_share(server.pid, min(10.0, seconds)), server.rss_mb()
        with speaking(server, url, names) as command:
            _await(database, names, "alive")
            say("they speak")
            share = cpu_share(server.pid, seconds)
            say("a core is kept busy")
            with Watch(database, names) as watch, busy_core():
                busy = cpu_share(server.pid, seconds)
            say("some are cut off")
            suspect, dead, back = _cut_off(database, names[:_SAMPLE], command)
            lost = _lost(database, names[_SAMPLE : 2 * _SAMPLE], command)
            return Simulated(
                nodes=count,
                idle_cpu_share=idle,
                cpu_share=share,
                busy_cpu_share=busy,
                rss_mb=server.rss_mb(),
                rss_grown_mb=server.rss_mb() - rss,
                false_suspects=len(watch.seen["suspect"] | watch.seen["dead"]),
                false_deaths=len(watch.seen["dead"]),
                suspect_s=spread(suspect).p95,
                detect_s=spread(dead).p95,
                lost_s=spread(lost).p95,
                back_s=spread(back).p95,
            )


def enrolled(database: Database, server: BenchServer, count: int) -> list[str]:
    """Rows of so many nodes that joined, as the CA and the API would have made them; their names."""
    now = datetime.now(UTC)
    mesh = NodeFolder(server.data_dir / "mesh" / "node").state.mesh
    token = NewToken(secrets.token_hex(16), "worker", now + timedelta(hours=1), reusable=True)
    jointokens.add(database, token, "", Act(server.contributor, now))
    names = [f"n{n:05}" for n in range(count)]
    for name in names:
        certificate = CertificateRecord(secrets.token_hex(8), secrets.token_hex(32), now, now + timedelta(days=1))
        uri, key = node_uri(mesh, name), SigningKey.generate().public
        nodes.enrol(database, token=token.id, name=name, uri=uri, certificate=certificate, now=now)
        nodes.join(
            database,
            name,
            keyid=key.keyid,
            public_key=key.raw,
            capabilities=_ABLE,
            transport="mqtt",
            nonce=secrets.token_hex(16),
            now=now,
        )
    return names


@contextlib.contextmanager
def speaking(server: BenchServer, url: str, names: Sequence[str]) -> Generator[Callable[[str, Iterable[str]], None]]:
    """The crowd, until the block ends; yields what commands it: `silence`, `lose` or `speak`, and who."""
    tls = NodeFolder(server.data_dir / "mesh" / "node").tls
    plan = Plan([url], str(tls.cert), str(tls.key), str(tls.roots), list(names), EVERY_S, CONNECTIONS)
    command = [sys.executable, "-P", "-m", "spectra.bench.crowd", msgspec.json.encode(plan).decode()]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)
    assert process.stdin is not None
    pipe = process.stdin

    def tell(what: str, whom: Iterable[str]) -> None:
        pipe.write(f"{what} {' '.join(whom)}\n")
        pipe.flush()

    try:
        yield tell
    finally:
        with contextlib.suppress(BrokenPipeError):
            pipe.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def busy_core() -> Generator[None]:
    """A process that takes all it gets of a core."""
    process = subprocess.Popen([sys.executable, "-c", _SPIN])
    try:
        yield
    finally:
        process.kill()
        process.wait()


class Watch:
    """Who of `names` was seen in each presence while the block lasted: whoever was it for half a second."""

    def __init__(self, database: Database, names: Iterable[str]) -> None:
        self._database = database
        self._names = frozenset(names)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bench-watch", daemon=True)
        self.seen: dict[Presence, set[str]] = {"suspect": set(), "dead": set()}

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._stop.wait(0.5):
            for known in presence.every(self._database):
                if known.name in self._names and known.presence in self.seen:
                    self.seen[known.presence].add(known.name)


def cpu_share(pid: int, seconds: float) -> float:
    """What a process took of one core in the next `seconds` (Linux; 0 elsewhere)."""
    began, before = time.monotonic(), _cpu_s(pid)
    threading.Event().wait(seconds)
    return (_cpu_s(pid) - before) / (time.monotonic() - began)


def _cpu_s(pid: int) -> float:
    """User and system time so far, of all its threads: proc(5), fields 14 and 15 of `stat`."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return 0.0
    fields = stat.read_text("latin-1").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _cut_off(
    database: Database, names: Sequence[str], command: Callable[[str, Iterable[str]], None]
) -> tuple[list[float], list[float], list[float]]:
    """Seconds of each until it is suspect, until it is dead, and until it is alive after it speaks again."""
    command("silence", names)
    began = time.monotonic()
    suspect = _await(database, names, "suspect", began)
    dead = _await(database, names, "dead", began)
    command("speak", names)
    return suspect, dead, _await(database, names, "alive", time.monotonic())


def _lost(database: Database, names: Sequence[str], command: Callable[[str, Iterable[str]], None]) -> list[float]:
    """Seconds of each until it is suspect after its broker lost it; it speaks again."""
    command("lose", names)
    seconds = _await(database, names, "suspect", time.monotonic())
    command("speak", names)
    _await(database, names, "alive")
    return seconds


def _await(database: Database, names: Sequence[str], wanted: Presence, began: float | None = None) -> list[float]:
    """Seconds since `began` (or now) until each was seen so. Raises `SpectraError` where that takes minutes."""
    since = time.monotonic() if began is None else began
    found: dict[str, float] = {}
    pause = threading.Event()
    while len(found) < len(names):
        now = time.monotonic() - since
        if now > _PATIENCE_S:
            raise SpectraError(f"{len(names) - len(found)} nodes are not {wanted} after {now:.0f} s.", reason="bench")
        states = {known.name: known.presence for known in presence.every(database)}
        for name in names:
            if states.get(name) == wanted or (wanted == "suspect" and states.get(name) == "dead"):
                found.setdefault(name, now)
        pause.wait(_LOOK_S)
    return list(found.values())
