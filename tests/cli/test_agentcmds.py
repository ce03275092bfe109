"""`spectra node run`, `status`, `renew` and the like: this machine as a node, from its folder alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from spectra.cli import agentcmds
from spectra.cli.agentcmds import FRESH, NEEDS, NO_CERTIFICATE, UNTOLD
from spectra.cli.agentmain import REVOKED
from spectra.collect import agentstate
from spectra.collect.agentstate import AgentState
from spectra.collect.joining import Joining, Wishes
from spectra.collect.workstate import Scanning, WorkState
from spectra.engines.lifecycle import RunState, remove_state, running_state, write_state
from spectra.fabric.discovery import announce
from spectra.fabric.nodefolder import NodeFolder
from spectra.identity.names import new_mesh, new_name
from spectra.model.nodes import Capabilities
from tests.cli.conftest import Run
from tests.support.coordinator import MESH, Coordinator, coordinator, joined, serving
from tests.support.waiting import eventually

ABLE = Capabilities(cores=4, memory_mb=2000, arch="aarch64", os="Debian", software="0.1.0")


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Coordinator]:
    """A coordinator at work, of a mesh without a fabric."""
    with serving(coordinator(tmp_path / "mesh")) as running:
        yield running


@pytest.fixture
def folder(mesh: Coordinator, data_dir: Path) -> NodeFolder:
    """This machine's node, which joined."""
    return joined(mesh, data_dir / "node", Wishes(tpm="off"))


def old(mesh: Coordinator, folder: NodeFolder, ago: timedelta) -> None:
    """The node's certificate, as if it had been issued that long ago."""
    leaf = mesh.authority.renew(folder.certificate, lifetime=timedelta(hours=24), now=datetime.now(UTC) - ago)
    folder.write_chain([leaf.leaf, *leaf.chain])


@pytest.mark.parametrize("words", [("run",), ("status",), ("renew",), ("leave",)])
def test_a_machine_that_is_no_node(run: Run, data_dir: Path, words: tuple[str, ...]) -> None:
    """Every command says how to become one."""
    result = run("node", *words)
    assert result.code == 1
    assert "spectra node token" in result.err or "there is no certificate" in result.err


def test_an_agent_in_the_background(run: Run, folder: NodeFolder) -> None:
    """Started, looked at, stopped; each says what it found."""
    assert run("node", "stop").err == "No agent runs.\n"
    assert run("node", "status").code == 3
    started = run("node", "run", "--detach")
    assert started.code == 0, started.err
    eventually(lambda: (told := agentstate.read(folder.path)) is not None and told.standing == "active")
    shown = run("node", "status")
    assert shown.code == 0
    state = running_state(folder.path)
    assert state is not None
    for part in (
        f"board-1 of {MESH}, worker",
        f"pid {state.pid}",
        "active",
        "which has no fabric",
        "in 23 h",
        "0 of 2 slots",
    ):
        assert part in shown.out, shown.out
    value = json.loads(run("node", "status", "--json").out)
    assert (value["running"], value["pid"], value["node"]["name"]) == (True, state.pid, "board-1")
    assert value["agent"]["standing"] == "active"
    assert value["agent"]["work"]["slots"] == 2
    assert value["certificate"]["serial"] == str(folder.certificate.serial_number)
    assert run("node", "stop").err == "The agent has stopped.\n"
    assert running_state(folder.path) is None


def test_status_tells_what_is_wrong(run: Run, folder: NodeFolder, mesh: Coordinator) -> None:
    """An agent that does not run, a certificate that is due, a node that was thrown out; nothing acts on a terminal."""
    old(mesh, folder, timedelta(hours=20))
    told = AgentState(
        7, datetime.now(UTC), "board-1", MESH, standing="quarantined", standing_reason="\x1b[31mits state"
    )
    agentstate.write(folder.path, told)
    shown = run("node", "status")
    assert shown.code == 3
    for part in ("does not run", "due for renewal", r"quarantined: \x1b[31mits state"):
        assert part in shown.out, shown.out
    folder.write_state(msgspec.structs.replace(folder.state, revoked=datetime.now(UTC)))
    assert "revoked: " in run("node", "status").out
    assert [run("node", "run", *words).code for words in ((), ("--detach",))] == [REVOKED, REVOKED]
    folder.write_state(msgspec.structs.replace(folder.state, revoked=None, registered=False))
    assert "not registered yet" in run("node", "status").out


def test_status_tells_of_work(run: Run, folder: NodeFolder) -> None:
    """What it scans, what waits to be brought, and why nothing is scanned."""
    now = datetime.now(UTC)
    told = AgentState(os.getpid(), now, "board-1", MESH, standing="active")
    one = Scanning("a" * 32, 7, "192.0.2.0/24", "services", now - timedelta(minutes=3), 0.42, 17)
    told.work = WorkState(slots=2, scanning=(one,), spooled=3, spooled_bytes=5 * 2**20, spool_full=True, refused=1)
    told.work = msgspec.structs.replace(told.work, done=1234, failed=5, problem="the disk is full")
    agentstate.write(folder.path, told)
    write_state(folder.path, RunState.of_this_process("", "0"))
    shown = run("node", "status").out
    for part in (
        "1 of 2 slots taken; 1,234 targets done, 5 failed",
        "192.0.2.0/24 (services), 42%, 17 found, 3 min",
        "3 wait to be brought (5.0 MiB), which is all the room there is; 1 refused",
        "do-not-scan list is not known yet",
        "the disk is full",
    ):
        assert part in shown, shown
    remove_state(folder.path)


def test_renewal_by_hand(run: Run, folder: NodeFolder, mesh: Coordinator) -> None:
    """Now, or only where it is due."""
    first = folder.certificate
    assert "Not needed yet" in run("node", "renew", "--if-needed").err
    assert folder.certificate == first
    renewed = run("node", "renew")
    assert renewed.code == 0
    assert "Renewed: the certificate holds until" in renewed.err
    assert folder.certificate.serial_number != first.serial_number
    old(mesh, folder, timedelta(hours=20))
    assert "Renewed" in run("node", "renew", "--if-needed").err
    mesh.throw_out("board-1")
    refused = run("node", "renew")
    assert refused.code == 1
    assert "revoked" in refused.err


def test_needs_renewal_is_an_exit_code(run: Run, folder: NodeFolder, mesh: Coordinator) -> None:
    """The same as `step certificate needs-renewal` has, so that its scripts go on working."""
    assert run("node", "needs-renewal").code == FRESH
    old(mesh, folder, timedelta(hours=18))
    assert run("node", "needs-renewal").code == NEEDS
    folder.tls.cert.chmod(0o644)
    assert run("node", "needs-renewal").code == UNTOLD
    folder.tls.cert.unlink()
    assert run("node", "needs-renewal").code == NO_CERTIFICATE
    assert (NEEDS, FRESH, NO_CERTIFICATE, UNTOLD) == (0, 1, 2, 255)


def test_leaving(run: Run, folder: NodeFolder, mesh: Coordinator) -> None:
    """The agent ends, the mesh revokes the node, its keys are gone; afterwards it may join anew."""
    assert run("node", "run", "--detach").code == 0
    left = run("node", "leave")
    assert left.code == 0, left.err
    assert mesh.members["board-1"].standing == "revoked"
    assert running_state(folder.path) is None
    assert not folder.joined
    assert not folder.tls.key.exists()


def test_leaving_a_mesh_that_is_away(run: Run, folder: NodeFolder, mesh: Coordinator) -> None:
    """The keys stay until the mesh was told, or the person says that it does not matter; who is revoked just goes."""
    mesh.away.add("/v0/mesh/self")
    refused = run("node", "leave")
    assert refused.code == 3
    assert "--force" in refused.err
    assert folder.joined
    assert run("node", "leave", "--force").code == 0
    assert not folder.joined
    mesh.away.clear()
    Joining(folder, now=lambda: mesh.now, pause=lambda _: None).join(mesh.token("b-2"), Wishes(), lambda: ABLE, None)
    mesh.throw_out("b-2")
    assert run("node", "leave").code == 0
    assert not folder.joined


def test_discovery(run: Run, data_dir: Path) -> None:
    """What is announced is listed, with the word that joining takes a token; nothing heard is no failure."""
    mesh, name = new_mesh(), new_name("coordinator")
    words = ("node", "discover", "--interface", "127.0.0.1", "--timeout", "0.5")
    with announce(mesh, name, 8766, "ab" * 32, addresses=["127.0.0.1"]):
        shown = eventually(lambda: found if mesh in (found := run(*words)).out else None)
        assert shown is not None
        assert f"{mesh}  {name}  https://127.0.0.1:8766  root {'ab' * 8}..." in shown.lines
        assert "takes a token" in shown.err
        rows = [json.loads(line) for line in run(*words, "--json").lines]
        assert mesh in {row["mesh"] for row in rows}
    broken = run("node", "discover", "--interface", "203.0.113.7")
    assert broken.code == 1
    assert "multicast DNS does not work here" in broken.err


def test_the_commands_have_examples() -> None:
    """Each of them, in its help."""
    assert all(epilog.startswith("Examples:") for _, _, epilog in agentcmds.COMMANDS)
