"""Simulated nodes: one process that says the heartbeats of many over a few connections, and answers their pings.

It speaks as the coordinator, who may publish on every subject: a thousand real nodes would be a thousand processes, and
their TLS handshakes, not the coordinator, would be measured. What the coordinator hears is the same.

    python -m spectra.bench.crowd '{"urls": [...], "cert": ..., "key": ..., "roots": ..., "names": [...], ...}'

Commands come on standard input, one a line: `silence NAME...` (as if their power was cut), `lose NAME...` (the same,
and their broker says that the connection broke), `speak NAME...`. It ends with its input.
"""

from __future__ import annotations

import heapq
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from spectra.fabric import messages, subjects
from spectra.fabric.errors import MeshError
from spectra.fabric.link import Link, TlsFiles
from spectra.fabric.messages import Lost, Pong
from spectra.fabric.natslink import NatsLink
from spectra.model.nodes import Capabilities, Heartbeat, Load, Tool

_ABLE = Capabilities(4, 1900, "aarch64", "linux", "bench", tools=(Tool("nmap", "7.95"), Tool("masscan", "1.3.2")))


class Plan(msgspec.Struct):
    """Who speaks how often, and where."""

    urls: list[str]
    cert: str
    key: str
    roots: str
    names: list[str]
    every_s: float = 5.0
    connections: int = 4


class Crowd:
    """The nodes of `names`. Their beats are spread over the interval, as those of machines that start at any time."""

    def __init__(self, names: Sequence[str], links: Sequence[Link], every_s: float) -> None:
        self._links = links
        self._every_s = every_s
        self._incarnation = int(time.time() * 1000)
        self._seqs = dict.fromkeys(names, -1)
        self._link = {name: links[n % len(links)] for n, name in enumerate(names)}
        self._silent: set[str] = set()
        self._lock = threading.Lock()
        began = time.monotonic()
        self._queue = [(began + every_s * n / len(names), name) for n, name in enumerate(names)]
        heapq.heapify(self._queue)

    def answer(self, subject: str, data: bytes) -> None:
        """A ping: who is not silent answers it."""
        name = subjects.node_of(subject)
        if name in self._seqs and name not in self._silent:
            pong = Pong(messages.ping(data).id, name, self._incarnation)
            self._say(name, subjects.reply(name), messages.encode(pong))

    def obey(self, line: str) -> None:
        """One command."""
        command, *names = line.split()
        with self._lock:
            if command == "speak":
                self._silent.difference_update(names)
                return
            self._silent.update(names)
        if command == "lose":
            for name in names:
                self._say(name, subjects.presence(name), messages.encode(Lost(1, name, incarnation=self._incarnation)))

    def beat(self, now: float) -> float:
        """Every heartbeat that is due; the time of the next."""
        while self._queue[0][0] <= now:
            due, name = self._queue[0]
            heapq.heapreplace(self._queue, (due + self._every_s, name))
            if name not in self._silent:
                self._seqs[name] += 1
                self._say(name, subjects.presence(name), messages.encode(self._heartbeat(name)))
        return self._queue[0][0]

    def _heartbeat(self, name: str) -> Heartbeat:
        seq = self._seqs[name]
        return Heartbeat(
            version=1,
            node=name,
            incarnation=self._incarnation,
            seq=seq,
            sent=datetime.now(UTC),
            load=Load(0.25, 900, 1),
            every_s=self._every_s,
            capabilities=None if seq else _ABLE,
        )

    def _say(self, name: str, subject: str, data: bytes) -> None:
        try:
            self._link[name].publish(subject, data)
        except MeshError as error:
            _complain(error)


def _complain(error: MeshError) -> None:
    print(error.message, file=sys.stderr)


def run(plan: Plan, commands: Iterator[str]) -> None:
    """Speak until `commands` end."""
    files = TlsFiles(Path(plan.cert), Path(plan.key), Path(plan.roots))
    links = [NatsLink(plan.urls, files, f"bench-{n}", _complain) for n in range(plan.connections)]
    crowd, stop = Crowd(plan.names, links, plan.every_s), threading.Event()
    links[0].subscribe("spectra.ctl.*", crowd.answer)

    def speak() -> None:
        while not stop.is_set():
            stop.wait(max(0.0, crowd.beat(time.monotonic()) - time.monotonic()))

    speaking = threading.Thread(target=speak, name="crowd", daemon=True)
    speaking.start()
    try:
        for line in commands:
            if line.strip():
                crowd.obey(line)
    finally:
        stop.set()
        speaking.join(10)
        for link in links:
            link.close()


if __name__ == "__main__":
    run(msgspec.json.decode(sys.argv[1], type=Plan), iter(sys.stdin.readline, ""))
