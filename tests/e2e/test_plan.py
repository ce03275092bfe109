"""A plan from its making to its end: seen long ago, planned, scanned again, gone from the plan."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest

from tests.support import samples
from tests.support.running import Running

pytestmark = [pytest.mark.e2e, pytest.mark.engine]

HOSTS = [f"127.0.7.{n}" for n in range(1, 7)]
AWAY = "127.0.8.1"
SCAN = ("--scanner", "connect", "--allow", "127.0.0.0/8", "--consent", "my own machine", "--timeout", "1")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A service that greets like SSH on every host of this module but the one that is away; its port."""
    ended = threading.Event()
    with ExitStack() as stack:
        first = stack.enter_context(socket.create_server((HOSTS[0], 0)))
        number: int = first.getsockname()[1]
        servers = [first, *(stack.enter_context(socket.create_server((ip, number))) for ip in HOSTS[1:])]
        threads = [threading.Thread(target=greet, args=(server, ended)) for server in servers]
        for thread in threads:
            thread.start()
        yield number
        ended.set()
        for thread in threads:
            thread.join()


def greet(server: socket.socket, ended: threading.Event) -> None:
    """Say hello to everybody until `ended`."""
    server.settimeout(0.1)
    while not ended.is_set():
        try:
            connection, _ = server.accept()
        except TimeoutError:
            continue
        with connection:
            connection.sendall(b"SSH-2.0-OpenSSH_9.6p1\r\n")


@pytest.fixture(scope="module")
def seen(running: Running, port: int) -> int:
    """All hosts were seen a week ago: with the port that still answers, and with one that has closed since."""
    at = datetime.now(UTC) - timedelta(days=7)
    hosts = [samples.nmap_host(ip, port, port + 1, at=at, name="ssh") for ip in HOSTS]
    response = running.submit(running.seal(samples.nmap(*hosts, at=at)))
    assert response.status_code == 200, response.text
    return port


def test_a_plan_is_worked_off(running: Running, seen: int) -> None:
    """Planned, scanned in two goes on exactly the ports that were asked, and empty; the graph is fresh."""
    first, *targets = running.rows("mesh", "plan", "net", "127.0.7.0/24", "--min-age", "5m", "--json", "--all")
    plan_id = first["plan_id"]
    assert first["stale_total"] == len(targets) == 2 * len(HOSTS)
    assert {(t["ip"], t["port"]) for t in targets} == {(ip, p) for ip in HOSTS for p in (seen, seen + 1)}
    stale = json.loads(running.cli("coverage", "net", "127.0.7.0/24", "--json"))
    assert (stale["fresh"], stale["stale"]) == (0, 12)

    refused = running.run("scan", "--plan", plan_id, "--submit", "--scanner", "connect")
    assert refused.returncode == 1
    assert "special-use" in refused.stderr

    part = running.run("scan", "--plan", plan_id, "--submit", "--max", "5", *SCAN)
    assert part.returncode == 0, part.stderr
    assert f"5 targets scanned, 7 left in {plan_id}. Run it again to go on." in part.stderr
    (shown, *left) = running.rows("plan", "show", plan_id, "--json", "--all")
    assert (shown["left"], shown["stale_total"], len(left)) == (7, 12, 7)

    rest = running.run("scan", "--plan", plan_id, "--submit", *SCAN)
    assert rest.returncode == 0, rest.stderr
    assert f"7 targets scanned, 0 left in {plan_id}." in rest.stderr
    assert "Nothing is left" in running.run("scan", "--plan", plan_id, "--submit", *SCAN).stderr
    (shown,) = running.rows("plan", "show", plan_id, "--json")
    assert (shown["left"], shown["stale_total"]) == (0, 12)

    found = running.rows("search", "net:127.0.7.0/24", "--json", "--all")
    assert {(m["ip"], m["port"]) for m in found} == {(ip, seen) for ip in HOSTS}, "the other port has closed"
    assert all("OpenSSH" in m["product"] for m in found)
    fresh = json.loads(running.cli("coverage", "net", "127.0.7.0/24", "--json"))
    assert (fresh["fresh"], fresh["stale"]) == (6, 0)
    assert fresh["gaps"]["never_seen"] == []


def test_a_host_that_is_away_leaves_the_plan_too(running: Running, seen: int) -> None:
    """Its port is closed now, and a scan says so; banners stay here with meta-only."""
    at = datetime.now(UTC) - timedelta(days=7)
    running.submit(running.seal(samples.scan_of(AWAY, seen, at=at)))
    plan_id = running.rows("mesh", "plan", f"ip:{AWAY}", "--json")[0]["plan_id"]
    done = running.run("scan", "--plan", plan_id, "--submit", "--privacy", "meta-only", *SCAN)
    assert done.returncode == 0, done.stderr
    assert running.rows("plan", "show", plan_id, "--json")[0]["left"] == 0


def test_what_is_on_the_list_is_not_planned_and_not_scanned(running: Running, seen: int) -> None:
    """The server's do-not-scan list keeps a host out of plans; this machine's own keeps it from being scanned."""
    ip, at = "127.0.9.1", datetime.now(UTC) - timedelta(days=7)
    running.submit(running.seal(samples.scan_of(ip, seen, at=at)))
    plan_id = running.rows("mesh", "plan", f"ip:{ip}", "--json")[0]["plan_id"]
    running.cli("scope", "deny", ip)
    refused = running.run("scan", "--plan", plan_id, "--submit", *SCAN)
    assert refused.returncode == 1
    assert "do-not-scan" in refused.stderr
    running.cli("scope", "deny", ip, "--remove")
    with running.client() as client:
        response = client.post("/v0/do-not-scan/entries", json={"network": f"{ip}/32", "reason": "asked"})
        assert response.status_code in (200, 201), response.text
    assert running.rows("plan", "show", plan_id, "--json")[0]["left"] == 0
    assert running.rows("mesh", "plan", f"ip:{ip}", "--json")[0]["stale_total"] == 0
