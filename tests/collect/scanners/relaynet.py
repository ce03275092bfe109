"""A network with relays: a scanner, two SOCKS5 servers (microsocks, a real one), an exit of a tunnel, and a target.

All are namespaces on one bridge of 10.252.0.0/24; the target has six addresses with an SSH greeting on port 22 and
decides by nftables whose packets it drops.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

import msgspec
import pytest

from spectra.bench.labscan import Task, Told
from spectra.bench.quality import read
from tests.support.waiting import eventually

NETWORK: Final = "10.252.0.0/24"
SCANNER, FIRST, SECOND, EXIT = (f"10.252.0.{n}" for n in (1, 2, 3, 4))
TARGETS: Final = tuple(f"10.252.0.{n}" for n in range(101, 107))
FIRST_RELAY, SECOND_RELAY = (f"socks5://{address}:1080" for address in (FIRST, SECOND))
PORT: Final = 22
ASKED: Final = "22,1000-1002"
INSIDE, OUTSIDE = "10.253.0.2", "10.253.0.1"  # the ends of the tunnel

_SERVER: Final = f"""
import socket, threading
server = socket.create_server(("0.0.0.0", {PORT}), backlog=500)
print("up", flush=True)
def greet(sock):
    with sock:
        sock.sendall(b"SSH-2.0-OpenSSH_9.2p1\\r\\n")
        sock.recv(100)
while True:
    threading.Thread(target=greet, args=(server.accept()[0],), daemon=True).start()
"""


def do(*command: str, stdin: str = "") -> str:
    """One command of set-up; skips where this machine does not let us."""
    done = subprocess.run(command, input=stdin.encode(), capture_output=True, timeout=30, check=False)
    if done.returncode != 0:
        pytest.skip(f"the network cannot be made here: {done.stderr.decode().strip()}")
    return done.stdout.decode()


class RelayNet:
    """The network, and how to scan in it."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack, self._mark = stack, uuid4().hex[:6]
        self._spaces: dict[str, str] = {}
        hub = self._space("hub")
        do("ip", "-n", hub, "link", "add", "bridge", "type", "bridge", "mcast_snooping", "0")
        do("ip", "-n", hub, "link", "set", "bridge", "up")
        for number, (name, addresses) in enumerate(
            (("scan", (SCANNER,)), ("first", (FIRST,)), ("second", (SECOND,)), ("exit", (EXIT,)), ("target", TARGETS))
        ):
            space = self._space(name)
            do("ip", "-n", hub, "link", "add", f"w{number}", "type", "veth", "peer", "name", "wire", "netns", space)
            do("ip", "-n", hub, "link", "set", f"w{number}", "master", "bridge", "up")
            do("ip", "-n", space, "-batch", "-", stdin="".join(f"addr add {a}/24 dev wire\n" for a in addresses))
            do("ip", "-n", space, "link", "set", "wire", "up")
        server = self.start("target", sys.executable, "-c", _SERVER)
        assert server.stdout is not None
        assert server.stdout.readline() == b"up\n"

    def socks(self, *names: str) -> None:
        """Start a real SOCKS5 server in these namespaces."""
        if shutil.which("microsocks") is None:
            pytest.skip("microsocks is not installed")
        for name in names:
            self.start(name, "microsocks", "-p", "1080")
            eventually(lambda name=name: do(*self.enter(name), "ss", "-Hltn", "sport = :1080").strip(), 20)

    def drop(self, *rules: str) -> None:
        """What the target drops from now on, in nftables' words."""
        lines = "".join(f"  {rule} drop\n" for rule in rules)
        text = f"table inet t {{\n chain input {{\n  type filter hook input priority 0;\n{lines} }}\n}}\n"
        do(*self.enter("target"), "nft", "-f", "-", stdin=text)

    def scan(self, task: Task, tool: str = "connect") -> Told:
        """A scan by the scanner's namespace."""
        done = self._scan(task, tool)
        assert done.returncode == 0, done.stderr.decode()
        return msgspec.json.decode(done.stdout, type=Told)

    def failure(self, task: Task) -> str:
        """What a scan that fails says last."""
        done = self._scan(task, "connect")
        assert done.returncode != 0
        return done.stderr.decode().strip().splitlines()[-1]

    def _scan(self, task: Task, tool: str) -> subprocess.CompletedProcess[bytes]:
        command = [*self.enter("scan"), sys.executable, "-m", "spectra.bench.labscan", tool]
        return subprocess.run(command, input=msgspec.json.encode(task), capture_output=True, timeout=120, check=False)

    def tunnel(self, folder: Path) -> str:
        """A WireGuard tunnel from the scanner to the exit, by which the targets can be reached; its interface."""
        if shutil.which("wireguard-go") is None or shutil.which("wg") is None or not Path("/dev/net/tun").exists():
            pytest.skip("wireguard-go, wg and /dev/net/tun are needed for a tunnel")
        names = {end: f"wg{self._mark}{end[0]}" for end in ("scan", "exit")}
        keys = {end: self._key(folder / end) for end in names}
        ends = (("scan", INSIDE, "exit", f"{NETWORK},{OUTSIDE}/32"), ("exit", OUTSIDE, "scan", f"{INSIDE}/32"))
        for end, address, other, allowed in ends:
            self.start(end, "wireguard-go", "--foreground", names[end])
            eventually(lambda end=end: Path("/var/run/wireguard", f"{names[end]}.sock").exists(), 20)
            peer = ["endpoint", f"{EXIT}:51820"] if end == "scan" else []
            words = ["wg", "set", names[end], "private-key", str(folder / end), "listen-port", "51820"]
            do(*self.enter(end), *words, "peer", keys[other], "allowed-ips", allowed, *peer)
            do("ip", "-n", self._spaces[end], "addr", "add", f"{address}/24", "dev", names[end])
            do("ip", "-n", self._spaces[end], "link", "set", names[end], "up", "mtu", "1380")
        do("ip", "-n", self._spaces["scan"], "route", "add", NETWORK, "dev", names["scan"], "metric", "500")
        do("ip", "-n", self._spaces["target"], "route", "add", "10.253.0.0/24", "via", EXIT)
        do(*self.enter("exit"), "sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
        return names["scan"]

    def start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        """A process in one of the namespaces, ended with the network."""
        process = subprocess.Popen(
            [*self.enter(name), *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._stack.callback(_end, process)
        return process

    def enter(self, name: str) -> Sequence[str]:
        """The words to put before a command."""
        return ("ip", "netns", "exec", self._spaces[name])

    def _space(self, name: str) -> str:
        made = f"sp-{self._mark}-{name}"
        do("ip", "netns", "add", made)
        self._stack.callback(subprocess.run, ["ip", "netns", "del", made], capture_output=True, timeout=30, check=False)
        do("ip", "-n", made, "link", "set", "lo", "up")
        self._spaces[name] = made
        return made

    def _key(self, path: Path) -> str:
        path.touch(0o600)
        path.write_text(do("wg", "genkey"))
        return do("wg", "pubkey", stdin=path.read_text()).strip()


def opened(told: Told) -> set[str]:
    """The targets on which the service was found open and recognised."""
    found = {place: service for output in told.outputs for place, service in read(output.data).items()}
    return {ip for (ip, port), service in found.items() if port == PORT and service.product == "OpenSSH"}


@contextmanager
def relay_net() -> Generator[RelayNet]:
    """The network until the block ends."""
    if os.geteuid() != 0 or not hasattr(socket, "SO_BINDTODEVICE"):
        pytest.skip("network namespaces take root")
    for tool in ("ip", "nft", "ss"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is needed to make a network")
    with ExitStack() as stack:
        yield RelayNet(stack)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
