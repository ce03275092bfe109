"""The user's story on a fresh machine: start, scan, import, search, look back, verify, stop; nothing left running."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from spectra.engines import lifecycle
from tests.support import samples
from tests.support.running import Running, first_spectra

pytestmark = [pytest.mark.e2e, pytest.mark.engine]

BANNER = b"220 mail.story.example ESMTP Postfix\r\n"


@pytest.fixture
def listener() -> Iterator[int]:
    """A service on loopback that greets; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        ended = threading.Event()

        def greet() -> None:
            while not ended.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.sendall(BANNER)

        thread = threading.Thread(target=greet)
        thread.start()
        yield server.getsockname()[1]
        ended.set()
        thread.join()


def of_node(running: Running) -> list[int]:
    """Every process with this node's folder on its command line or as its working folder."""
    found: list[int] = []
    for process in psutil.process_iter():
        try:
            if str(running.folder) in " ".join(process.cmdline()) or process.cwd().startswith(str(running.folder)):
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def samples_of(folder: Path, ip: str) -> Path:
    """Two days of a host: a web server is upgraded, beside it runs a Redis."""
    day = timedelta(days=1)
    folder.mkdir()
    first = samples.nmap(
        samples.nmap_host(ip, 80, product="nginx"),
        samples.nmap_host("198.51.100.1", 6379, product="Redis", name="redis"),
    )
    (folder / "day1.xml").write_bytes(first)
    second = samples.nmap(samples.nmap_host(ip, 80, at=samples.T0 + day, product="Caddy"), at=samples.T0 + day)
    (folder / "day2.xml").write_bytes(second)
    lines = [{"host": "198.51.100.2", "ip": "198.51.100.2", "port": 8080, "protocol": "tcp"}]
    (folder / "naabu.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture
def running() -> Iterator[Running]:
    """A folder where Spectra was never started."""
    with first_spectra() as one:
        yield one


def test_the_story(running: Running, listener: int, tmp_path: Path) -> None:
    """With the command line alone, and without one value carried from one command to the next by hand."""
    ip = "198.51.100.7"
    assert running.run("status").returncode == 3
    url = running.cli("up", "--detach").strip()
    assert url == running.url

    scan = ("scan", "127.0.0.1", "--scanner", "connect", "--ports", str(listener), "--submit", "--json")
    assert running.run(*scan).returncode != 0, "loopback is special-use: not without being allowed"
    allowed = (*scan, "--allow", "127.0.0.0/8", "--consent", "my own machine")
    assert running.cli(*allowed)
    (match,) = running.rows("search", f"ip:127.0.0.1 port:{listener}", "--json")
    assert "Postfix" in json.dumps(match)

    folder = samples_of(tmp_path / "samples", ip)
    outcomes = running.rows("import", folder, "--json")
    assert [o["status"] for o in outcomes] == ["kept"] * 3
    again = running.rows("import", folder, "--json")
    assert [o["status"] for o in again] == ["known"] * 3, "resumable: nothing is sent twice"

    assert {m["ip"] for m in running.rows("search", "net:198.51.100.0/24", "--json")} == {
        ip,
        "198.51.100.1",
        "198.51.100.2",
    }
    (redis,) = running.rows("mesh", "query", "service", "redis", "--output", "json")
    assert redis["ip"] == "198.51.100.1"

    def product(*options: str) -> str:
        (host,) = running.rows("host", ip, "--json", *options)
        return host["endpoints"][0]["service"]["product"]

    assert product() == "Caddy"
    assert product("--at", "2026-03-01T18:00:00Z") == "nginx"
    (host,) = running.rows("host", ip, "--history", "--json")
    assert [v["service"]["product"] for v in host["endpoints"][0]["history"]] == ["nginx"]
    assert len(host["sightings"]) == 2
    shown = running.cli("host", ip, "--history")
    assert "nginx" in shown
    assert "Caddy" in shown
    assert running.run("host", "192.0.2.1").returncode == 4

    report = running.rows("provenance", "verify", "--deep", "--json")[-1]
    assert report["ok"]
    (status,) = running.rows("status", "--json")
    assert status["running"]
    assert status["counts"]["observations"] == 4
    assert status["database"]["kind"] == "embedded"

    state = lifecycle.running_state(running.data_dir)
    assert state is not None
    assert running.run("down").returncode == 0
    assert not psutil.pid_exists(state.pid) or psutil.Process(state.pid).status() == psutil.STATUS_ZOMBIE
    assert of_node(running) == []
    assert running.run("status").returncode == 3


def test_what_was_kept_is_there_after_a_night(running: Running, tmp_path: Path) -> None:
    """Down and up again: the same token, the same hosts, one unbroken chain; up twice is one Spectra."""
    running.cli("up", "--detach")
    running.cli("import", samples_of(tmp_path / "samples", "198.51.100.9"))
    before = running.rows("search", "state:open", "--json")
    running.cli("down")
    first = running.cli("up", "--detach")
    assert running.cli("up", "--detach") == first
    assert running.rows("search", "state:open", "--json") == before
    assert running.rows("provenance", "verify", "--json")[-1]["ok"]
    running.cli("down")
    assert of_node(running) == []
