"""The agent's process: what it loads, that it is alone on its folder, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from spectra.cli.agentmain import REVOKED, Launch, able, alone, call
from spectra.collect import agentstate
from spectra.collect.agent import Options
from spectra.collect.joining import Joining, Wishes
from spectra.engines.lifecycle import running_state
from spectra.errors import SetupError
from spectra.fabric.errors import MeshError
from spectra.fabric.nodefolder import NodeFolder
from spectra.model.nodes import Capabilities
from tests.support.coordinator import Coordinator, coordinator, serving
from tests.support.waiting import eventually

ABLE = Capabilities(cores=4, memory_mb=2000, arch="aarch64", os="Debian", software="0.1.0")
LAUNCH = Launch(Options(heartbeat_s=0.5, tpm="off"), "c0" * 32, format="json")
# What a coordinator needs and an agent does not: each costs a small board memory that it scans with.
NOT_LOADED = ("pydantic", "typer", "fastapi", "dbos", "psycopg", "numpy", "nats", "rich", "httpx", "lxml", "zeroconf", "uvloop")


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Coordinator]:
    """A coordinator at work, of a mesh without a fabric."""
    with serving(coordinator(tmp_path / "mesh")) as running:
        yield running


@pytest.fixture
def folder(mesh: Coordinator, tmp_path: Path) -> NodeFolder:
    """A node that joined."""
    made = NodeFolder(tmp_path / "node")
    Joining(made, now=lambda: mesh.now, pause=lambda _: None).join(mesh.token(), Wishes(), lambda: ABLE, None)
    return made


@contextmanager
def running(folder: NodeFolder) -> Generator[subprocess.Popen[str]]:
    """The agent's process, at work; ended with the block."""
    words = call(folder.path, LAUNCH)
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd="/") as process:
        try:
            eventually(lambda: running_state(folder.path) or process.poll() is not None)
            yield process
        finally:
            process.kill()


def test_it_works_until_it_is_told_to_end(folder: NodeFolder) -> None:
    """A folder has one agent; Ctrl-C ends it in order, and the state file says so."""
    with running(folder) as process:
        state = running_state(folder.path)
        assert state is not None
        assert state.pid == process.pid
        with (
            pytest.raises(SetupError, match=rf"in use by process {process.pid}.*spectra node stop"),
            alone(folder.path),
        ):
            pass
        eventually(lambda: (told := agentstate.read(folder.path)) is not None and told.standing == "active")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert running_state(folder.path) is None
    told = agentstate.read(folder.path)
    assert told is not None
    assert told.ended == "stopped"
    with alone(folder.path):
        pass


def test_it_ends_with_a_code_of_its_own_when_it_is_thrown_out(folder: NodeFolder, mesh: Coordinator) -> None:
    """A service manager must not start it again; started again all the same it says why it does not work."""
    mesh.throw_out("board-1", "stolen")
    for _ in range(2):
        with running(folder) as process:
            assert process.wait(60) == REVOKED
            assert process.stderr is not None
            assert "stolen" in (said := process.stderr.read()) or "thrown out" in said


def test_it_loads_little(folder: NodeFolder) -> None:
    """Neither the settings' library nor the command line's, nor anything of a coordinator."""
    code = "import sys, json; import spectra.cli.agentmain; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert not loaded & set(NOT_LOADED)
    rooms = {name.split(".")[1] for name in loaded if name.startswith("spectra.") and name.count(".") > 1}
    assert rooms == {"cli", "collect", "engines", "fabric", "identity", "model"}


def test_who_may_work(folder: NodeFolder) -> None:
    """Whose join broke off goes on with it; who was thrown out may be invited again."""
    state = folder.state
    assert able(state) == state
    with pytest.raises(MeshError, match="Go on with `spectra join`"):
        able(msgspec.structs.replace(state, registered=False))
    with pytest.raises(MeshError, match="invite this machine again"):
        able(msgspec.structs.replace(state, revoked=datetime(2025, 11, 1, tzinfo=UTC)))


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    """The process says what to do, in a line and not a traceback."""
    done = subprocess.run(call(tmp_path, LAUNCH), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "spectra node token" in done.stderr
    assert "Traceback" not in done.stderr
