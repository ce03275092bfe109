"""`spectra join`, as a person at a new machine meets it: no server of its own, no credential, a token."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from spectra.cli.join import launch_of, lending_of
from spectra.collect.joining import PAUSES_S
from spectra.engines.lifecycle import running_state
from spectra.engines.processes import wait_for_exit
from spectra.errors import BadRequest
from spectra.fabric.nodefolder import NodeFolder, NodeState
from spectra.settings import ScanSettings, Settings
from spectra.settings.work import WorkerSettings
from tests.cli.conftest import Run
from tests.support.coordinator import MESH, Coordinator, coordinator, serving
from tests.support.waiting import eventually


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Coordinator]:
    """A coordinator at work, of a mesh without a fabric."""
    with serving(coordinator(tmp_path / "mesh")) as running:
        yield running


@pytest.fixture
def folder(data_dir: Path) -> NodeFolder:
    """Where this machine's node is kept."""
    return NodeFolder(data_dir / "node")


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """No programs of this machine are asked for their versions, and nobody is waited for."""
    monkeypatch.setattr("spectra.collect.inventory.TOOLS", {})
    monkeypatch.setattr("spectra.collect.joining.PAUSES_S", (0.0,) * len(PAUSES_S))


def test_one_command(run: Run, mesh: Coordinator, folder: NodeFolder) -> None:
    """Standard output is the node's identity, for scripts; the rest is for people."""
    joined = run("join", mesh.token(), "--no-start", "--region", "attic", "--tpm", "off")
    assert (joined.code, joined.out) == (0, f"spiffe://{MESH}/node/board-1\n")
    assert "spectra node run --detach" in joined.err
    member = mesh.members["board-1"]
    assert member.standing == "active"
    assert member.capabilities is not None
    assert member.capabilities.region == "attic"
    assert (folder.state.region, folder.state.tpm) == ("attic", "off")
    again = run("join", mesh.token("board-2"), "--no-start")
    assert again.code == 1
    assert "spectra node leave" in again.err


def test_a_token_from_a_file(run: Run, mesh: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no other user of the machine sees it in the list of processes."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{mesh.token()}\n"))
    assert run("join", "-", "--no-start").code == 0


def test_without_a_token(run: Run) -> None:
    """Where to get one."""
    missing = run("join", "--no-start")
    assert missing.code == 2
    assert "spectra node token" in missing.err
    assert run("join", "x", "--transport", "carrier-pigeon").code == 2


def test_it_goes_on_where_it_broke_off(run: Run, mesh: Coordinator, folder: NodeFolder) -> None:
    """The coordinator went away after it had issued the certificate: nobody needs another token."""
    mesh.away.add("/v0/mesh/nodes")
    broken = run("join", mesh.token(), "--no-start")
    assert broken.code == 3
    assert "is busy" in broken.err
    refused = run("node", "run")
    assert refused.code == 1
    assert "Go on with `spectra join`" in refused.err
    mesh.away.clear()
    assert run("join", "--no-start").code == 0
    assert folder.state.registered


def test_a_wrong_fingerprint_and_a_wrong_clock(run: Run, mesh: Coordinator, folder: NodeFolder, tmp_path: Path) -> None:
    """What is wrong, and what to do; nothing is left behind."""
    token = mesh.token()
    mesh.authority = coordinator(tmp_path / "other").authority
    wrong = run("join", token, "--no-start")
    assert wrong.code == 1
    assert "is not the one that the token names" in wrong.err
    with serving(coordinator(tmp_path / "tomorrow", skew=timedelta(minutes=10))) as ahead:
        late = run("join", ahead.token(), "--no-start")
    assert late.code == 1
    assert "10 min behind" in late.err
    assert "timedatectl" in late.err
    assert not folder.joined


def test_in_the_background(run: Run, mesh: Coordinator, folder: NodeFolder) -> None:
    """`--detach` returns when the agent is at work; it is stopped by its own command."""
    joined = run("join", mesh.token(), "--detach", "--tpm", "off")
    assert joined.code == 0, joined.err
    state = running_state(folder.path)
    assert state is not None
    assert f"pid {state.pid}" in joined.err
    second = run("join", mesh.token("board-2"))
    assert second.code == 1
    assert "in use by process" in second.err
    assert run("node", "stop").code == 0
    assert running_state(folder.path) is None


def test_in_the_foreground(mesh: Coordinator, folder: NodeFolder, data_dir: Path) -> None:
    """The very process becomes the agent, and Ctrl-C ends it in order."""
    words = [sys.executable, "-m", "spectra", "join", mesh.token(), "--tpm", "off", "--data-dir", str(data_dir)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        state = eventually(lambda: running_state(folder.path))
        assert state is not None
        assert state.pid == process.pid
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out == f"spiffe://{MESH}/node/board-1\n"
    assert wait_for_exit(process.pid, 60)


def test_what_a_machine_lends() -> None:
    """As the settings say; its own do-not-scan list goes along, as far as a command line takes it."""
    settings = Settings(
        worker=WorkerSettings(slots=3, memory_mb=64, relays=["direct"]),
        scan=ScanSettings(do_not_scan=["192.0.2.1"], timeout_s=1.5, concurrency=7),
    )
    lent = lending_of(settings)
    assert (lent.slots, lent.memory_mb, lent.relays, lent.never) == (3, 64, ("direct",), ("192.0.2.1",))
    assert (lent.timeout_s, lent.concurrency) == (1.5, 7)
    assert [Path(name).name for name in lent.never_files] == ["do-not-scan.txt"] * 2
    many = [f"host-{number}.example.org" for number in range(5000)]
    with pytest.raises(BadRequest, match="too long for an agent") as caught:
        lending_of(Settings(scan=ScanSettings(do_not_scan=many)))
    assert "one a line" in caught.value.hint
    with pytest.raises(BadRequest, match="relay"):
        lending_of(Settings(worker=WorkerSettings(relays=["http://proxy:8080"])))
    state = NodeState("mesh-1", "board-1", "worker", "spiffe://mesh-1/node/board-1", "https://c", "https://c")
    relayed = Settings(worker=WorkerSettings(relays=["direct"]))
    assert launch_of(relayed, state).options.relay
    assert not launch_of(Settings(), state).options.relay
