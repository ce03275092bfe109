"""`spectra up`, `down` and `status` where nothing, a stand-in or a failing start is on the other side."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from spectra.cli import node
from spectra.engines.lifecycle import RunState, read_state, write_state
from spectra.engines.processes import alive, identity
from tests.cli.conftest import Run
from tests.cli.standin import TOKEN, StandIn, problem
from tests.cli.test_client import closed_port

STATUS = {
    "version": "0.1.0",
    "started": "2025-11-01T12:00:00Z",
    "database": {"kind": "embedded", "version": "18.4", "restarts": 2},
    "counts": {"hosts": 1200, "endpoints": 3600, "services": 7, "certificates": 3, "observations": 12, "later": 1},
    "chain": {"entries": 12, "head": "ab" * 32},
}


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that stands for a running Spectra: it ends when it is asked to."""
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as process:
        yield process
        process.kill()


def record(data_dir: Path, pid: int, url: str) -> None:
    """Say that `pid` serves `data_dir` at `url`."""
    write_state(data_dir, RunState(pid, url, datetime.now(UTC), "0.1.0", identity(pid)))


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_not_running(run: Run, data_dir: Path, flags: tuple[str, ...]) -> None:
    """Status exits with 3 and says what to do; a script gets an object all the same."""
    result = run("status", *flags)
    assert result.code == 3
    assert "spectra up --detach" in result.err
    assert (json.loads(result.out)["running"] is False) if flags else result.out == ""


def test_running(run: Run, server: StandIn, data_dir: Path) -> None:
    """Where it runs, since when, and what it holds; for people and for scripts."""
    url = read_url(data_dir)
    record(data_dir, os.getpid(), url)
    server.say("GET", "/v0/status", STATUS)
    result = run("status")
    assert result.code == 0
    for part in (url, f"pid {os.getpid()}", "embedded PostgreSQL 18.4, restarted 2 times", "1,200 hosts", "12 entries"):
        assert part in result.out
    value = json.loads(run("status", "--json").out)
    assert (value["running"], value["counts"]["hosts"], value["url"]) == (True, 1200, url)


def read_url(data_dir: Path) -> str:
    """The URL in the credential."""
    from spectra.identity.tokens import LocalCredential

    return LocalCredential.load(data_dir / "credential.json").url


def test_running_but_silent(run: Run, server: StandIn, data_dir: Path) -> None:
    """A process that lives and does not answer is told apart from none."""
    record(data_dir, os.getpid(), f"http://127.0.0.1:{closed_port()}")
    result = run("status", "--json")
    assert result.code == 3
    assert json.loads(result.out) == {"running": True, "reachable": False}
    assert "does not answer" in result.err


def test_a_later_port_is_found(run: Run, server: StandIn, data_dir: Path) -> None:
    """A start with another port is found by its run state, with the token of this machine."""
    from spectra.identity.tokens import LocalCredential

    own = LocalCredential.load(data_dir / "credential.json")
    LocalCredential("http://127.0.0.1:1", own.token, own.contributor, own.key_file).save(data_dir / "credential.json")
    record(data_dir, os.getpid(), own.url)
    server.say("GET", "/v0/status", STATUS)
    assert run("status").code == 0
    assert server.requests[0].token == TOKEN


def test_the_token_stays_here(run: Run, server: StandIn, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another server never gets this machine's token, only the one meant for it."""
    url = read_url(data_dir).replace("127.0.0.1", "localhost")
    server.say("GET", "/v0/provenance", {"entries": 0, "head": ""})
    assert run("--server", url, "provenance", "show").code == 0
    assert server.requests[-1].token == ""
    monkeypatch.setenv("SPECTRA_TOKEN", "spk_theirs")
    run("--server", url, "provenance", "show")
    assert server.requests[-1].token == "spk_theirs"
    monkeypatch.delenv("SPECTRA_TOKEN")
    monkeypatch.setenv("SPECTRA_SERVER", read_url(data_dir))
    run("provenance", "show")
    assert server.requests[-1].token == TOKEN


def test_status_says_where_the_mesh_listens(run: Run, server: StandIn, data_dir: Path) -> None:
    """Its name, where machines join and what carries messages; a fabric that is off is left out."""
    mesh = {"name": "mesh-lab", "node": "coordinator-1", "url": "https://192.0.2.1:8766"}
    server.say("GET", "/v0/status", STATUS | {"mesh": mesh})
    out = run("--server", read_url(data_dir), "status").out
    assert "mesh-lab, machines join at https://192.0.2.1:8766" in out
    assert "messages" not in out
    server.say("GET", "/v0/status", STATUS | {"mesh": mesh | {"nats": "tls://192.0.2.1:4222", "mqtt": "mqtts://b:1"}})
    assert "messages by tls://192.0.2.1:4222, mqtts://b:1" in run("--server", read_url(data_dir), "status").out
    assert json.loads(run("--server", read_url(data_dir), "status", "--json").out)["mesh"]["name"] == "mesh-lab"


def test_status_of_another_server(run: Run, server: StandIn, data_dir: Path) -> None:
    """With --server no process is looked for on this machine."""
    server.say("GET", "/v0/status", STATUS)
    assert run("--server", read_url(data_dir), "status").code == 0
    assert run("--server", f"http://127.0.0.1:{closed_port()}", "status").code == 3
    assert run("--server", "not a url", "status").code == 2


def test_down(run: Run, data_dir: Path, sleeper: subprocess.Popen[bytes]) -> None:
    """The recorded process is asked to end; with none there is nothing to do."""
    assert "not running" in run("down").err
    record(data_dir, sleeper.pid, "http://127.0.0.1:1")
    result = run("down")
    assert (result.code, result.err) == (0, "Spectra has stopped.\n")
    assert sleeper.wait(10) != 0
    assert read_state(data_dir) is None


def test_down_has_patience_and_an_end(run: Run, data_dir: Path) -> None:
    """A process that does not end in time is told, with exit code 1."""
    code = "import signal; signal.signal(15, lambda *_: None); print(flush=True)\nwhile True: signal.pause()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as stubborn:
        assert stubborn.stdout is not None
        stubborn.stdout.readline()
        record(data_dir, stubborn.pid, "http://127.0.0.1:1")
        result = run("down", "--timeout", "0.1")
        stubborn.kill()
    assert result.code == 1
    assert "still stopping after 0.1 s" in result.err


def test_up_where_it_runs(run: Run, data_dir: Path, sleeper: subprocess.Popen[bytes]) -> None:
    """A second start is refused; a detached one finds what it wanted."""
    record(data_dir, sleeper.pid, "http://127.0.0.1:1")
    refused = run("up")
    assert refused.code == 1
    assert f"pid {sleeper.pid}" in refused.err
    found = run("up", "--detach")
    assert (found.code, found.out) == (0, "http://127.0.0.1:1\n")


def test_a_failing_start_shows_its_log(run: Run, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A detached start that ends shows the last lines of this start's log, not of earlier ones."""
    (data_dir / "log").mkdir(parents=True)
    (data_dir / "log" / "spectra.log").write_text("an earlier failure\n")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    result = run("up", "--detach")
    assert result.code == 1
    assert "ended with code 1 while starting" in result.err
    assert "earlier" not in result.err
    monkeypatch.setattr(sys, "executable", "/bin/echo")
    result = run("up", "--detach", "--port", "0")
    assert "| -m spectra up --port 0 --data-dir" in result.err
    assert f"Log: {data_dir}/log/spectra.log" in result.err


def test_a_start_that_never_gets_ready_ends(
    run: Run, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait is bounded, and what was started is stopped."""
    script = tmp_path / "slow"
    script.write_text("#!/bin/sh\necho $$\nexec sleep 600\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    monkeypatch.setattr(node, "READY_WITHIN_S", 0.5)
    result = run("up", "--detach")
    assert result.code == 1
    assert "not ready within" in result.err
    pid = int((data_dir / "log" / "spectra.log").read_text())
    assert not alive(pid)


def test_a_start_that_cannot_be(run: Run, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that is not there is a clear error."""
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    result = run("up", "--detach")
    assert result.code == 1
    assert "cannot start Spectra" in result.err


def test_ready(server: StandIn, data_dir: Path) -> None:
    """Ready is what the server says, and nothing else."""
    url = read_url(data_dir)
    server.say("GET", "/health/ready", problem(503, "the database is away"), {"status": "ok"})
    assert [node.is_ready(url), node.is_ready(url)] == [False, True]
    assert not node.is_ready(f"http://127.0.0.1:{closed_port()}")
    assert not node.is_ready("http://[")


def test_unused_ports_are_closed() -> None:
    """The helper above names a port on which nothing listens."""
    with pytest.raises(OSError), socket.create_connection(("127.0.0.1", closed_port()), timeout=1):
        pass
