"""A network of the test's own for tools that send raw packets: a machine to scan from, and one that is scanned."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from spectra.collect.scanners.base import RawOutput
from spectra.ingest.parsers import Context, parse
from spectra.model.envelope import Privacy
from spectra.model.observation import HostSeen, Problem
from tests.mesh.netns import Net, net, run

T = TypeVar("T")

NETWORK: Final = "10.250.7.0/24"
TARGET: Final = "10.250.7.2"
SECOND: Final = "10.250.7.12"
TARGET6: Final = "fd00:250::2"
NOBODY: Final = "10.250.7.77"
PORTS: Final = (21, 8080)
"""What listens on both addresses of the target."""

_SERVER: Final = """
import socket, sys, threading
def chatter():  # masscan looks at its clock when it hears a packet; a network without any makes it wait for long
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        while not threading.Event().wait(0.05):
            sock.sendto(b"", ("10.250.7.1", 9))
threading.Thread(target=chatter).start()
def serve(listening):
    while True:
        peer, _ = listening.accept()
        with peer:
            peer.sendall(b"220 ready, this is vsFTPd 3.0.3\\r\\n")
for port in map(int, sys.argv[1:]):
    listening = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    threading.Thread(target=serve, args=(listening,)).start()
print("up", flush=True)
"""


class Ground:
    """Where scans are made from, with one target on the wire."""

    def __init__(self, made: Net) -> None:
        self._net = made

    def inside(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` returns, run in the namespace that the target is reached from."""
        return self._net.inside(lambda: asyncio.run(work))


@contextmanager
def ground() -> Generator[Ground]:
    """The network; skips the test where it cannot be made."""
    with net() as made:
        enter = made.board("target")
        run(*enter, "ip", "addr", "add", f"{SECOND}/24", "dev", "wire")
        run(*enter, "ip", "addr", "add", f"{TARGET6}/64", "dev", "wire", "nodad")
        run("ip", "-n", made.hq, "addr", "add", "fd00:250::1/64", "dev", "bridge", "nodad")
        run("ip", "-n", made.hq, "addr", "add", "10.251.0.1/16", "dev", "bridge")
        run("ip", "-n", made.hq, "route", "add", "10.252.0.0/16", "via", TARGET)
        run("ip", "-n", made.hq, "route", "add", "10.253.0.0/16", "via", SECOND)
        command = [*enter, sys.executable, "-c", _SERVER, *map(str, PORTS)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert server.stdout is not None
        try:
            assert server.stdout.readline() == b"up\n"
            yield Ground(made)
        finally:
            server.kill()
            server.wait(timeout=30)
            server.stdout.close()


def read(raw: RawOutput) -> tuple[str, dict[str, HostSeen]]:
    """The format that the gate recognises an output as, and the hosts it reads from it; nothing may be a problem."""
    name, records = parse(io.BytesIO(raw.data), Context(datetime.now(UTC), Privacy.FULL))
    hosts: dict[str, HostSeen] = {}
    for record in records:
        assert not isinstance(record, Problem)
        if isinstance(record, HostSeen):
            hosts[str(record.ip)] = record
    return name, hosts


def open_ports(host: HostSeen) -> set[int]:
    """Its open TCP ports."""
    return {one.port for one in host.endpoints if one.state == "open"}
