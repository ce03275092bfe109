"""`sweep`: hosts, firewalls and an address with nobody, in network namespaces of our own."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from uuid import uuid4

import pytest

from tests.collect.scanners.conftest import hosts, scan_apart

pytestmark = pytest.mark.fault

HOST, NOBODY, ELSEWHERE = "10.250.0.2", "10.250.0.3", "10.251.0.1"
OPEN, CLOSED, DROPPED, REJECTED, FORBIDDEN = 8080, 8081, 8082, 8083, 8084

SERVER = f"""
import socket, threading
servers = [socket.create_server(("{HOST}", port)) for port in ({OPEN}, {DROPPED})]
print("up", flush=True)
threading.Event().wait()
"""


def run(*command: str) -> subprocess.CompletedProcess[bytes]:
    """Run one command of set-up."""
    return subprocess.run(command, capture_output=True, timeout=30, check=False)


@dataclass(frozen=True)
class Net:
    """A scanner's namespace on a wire with a host's."""

    scanner: str
    host: str


@pytest.fixture
def net() -> Iterator[Net]:
    """Two namespaces; the host drops one port, rejects two in the two ways of a firewall, and serves one."""
    if shutil.which("iptables") is None or shutil.which("ip") is None:
        pytest.skip("ip and iptables are needed to make a network with a firewall")
    mark = uuid4().hex[:8]
    net = Net(f"sp-a-{mark}", f"sp-b-{mark}")
    with ExitStack() as stack:
        for name in (net.scanner, net.host):
            if run("ip", "netns", "add", name).returncode != 0:
                pytest.skip("network namespaces may not be made here")
            stack.callback(run, "ip", "netns", "del", name)
        inside = ("ip", "-n", net.scanner)
        steps = [
            (*inside, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", net.host),
            (*inside, "addr", "add", "10.250.0.1/24", "dev", "wire"),
            (*inside, "link", "set", "wire", "up"),
            ("ip", "-n", net.host, "addr", "add", f"{HOST}/24", "dev", "wire"),
            ("ip", "-n", net.host, "link", "set", "wire", "up"),
        ]
        table = ("ip", "netns", "exec", net.host, "iptables", "-A", "INPUT", "-p", "tcp", "--dport")
        steps += [
            (*table, str(DROPPED), "-j", "DROP"),
            (*table, str(REJECTED), "-j", "REJECT", "--reject-with", "tcp-reset"),
            (*table, str(FORBIDDEN), "-j", "REJECT", "--reject-with", "icmp-admin-prohibited"),
        ]
        for step in steps:
            done = run(*step)
            if done.returncode != 0:
                pytest.skip(f"the network cannot be made here: {done.stderr.decode().strip()}")
        server = subprocess.Popen(
            ["ip", "netns", "exec", net.host, sys.executable, "-c", SERVER],
            stdout=subprocess.PIPE,
        )
        stack.callback(server.wait, 10)
        stack.callback(server.kill)
        assert server.stdout is not None
        stack.callback(server.stdout.close)
        assert server.stdout.readline() == b"up\n"
        yield net


def states(raw_host: dict[str, object]) -> tuple[list[int], object]:
    """The open ports and `rest` of a host line."""
    listed = raw_host["ports"]
    assert isinstance(listed, list)
    return [port["port"] for port in listed], raw_host["rest"]


def test_filtered_closed_and_silent_are_told_apart(net: Net) -> None:
    """DROP is filtered and RST is closed; a host that only drops, and an address with nobody, are silent."""

    async def main() -> None:
        async def look(ports: str) -> dict[str, dict[str, object]]:
            return hosts(await scan_apart(ports, HOST, NOBODY, namespace=net.scanner))

        closed, mixed, dropped = await asyncio.gather(
            look(f"{OPEN},{CLOSED},{REJECTED}"), look(f"{OPEN},{CLOSED},{DROPPED}"), look(f"{DROPPED},{FORBIDDEN}")
        )
        assert states(closed[HOST]) == ([OPEN], "closed")
        assert states(mixed[HOST]) == ([OPEN], "filtered")
        assert dropped[HOST].get("silent") is True
        for found in (closed, mixed, dropped):
            assert found[NOBODY].get("silent") is True

    asyncio.run(main())


def test_an_address_without_a_route_is_not_called_silent(net: Net) -> None:
    """What this machine could not send says nothing about the target: no line, but a note."""

    async def main() -> None:
        raw = await scan_apart(f"{OPEN}-{FORBIDDEN},9000-9020", ELSEWHERE, HOST, namespace=net.scanner)
        assert ELSEWHERE not in hosts(raw)
        assert states(hosts(raw)[HOST])[0] == [OPEN]
        assert raw.notes == ("1 addresses could not be probed: [Errno 101] Network is unreachable",)

    asyncio.run(main())


def test_a_wire_cut_in_the_middle_ends_the_scan_all_the_same(net: Net) -> None:
    """The link goes down while a scan runs: it ends, and what it says is still whole lines."""

    async def main() -> None:
        task = asyncio.ensure_future(scan_apart("7000-7400", HOST, NOBODY, namespace=net.scanner))
        await asyncio.to_thread(run, "ip", "-n", net.scanner, "link", "set", "wire", "down")
        raw = await task
        assert raw.data.endswith(b'"stopped":false}\n')

    asyncio.run(main())
