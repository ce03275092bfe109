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
from spectra.collect.processes import family
from spectra.collect.taskmessages import Lending
from spectra.engines.lifecycle import running_state
from spectra.engines.nats import NatsServer
from spectra.errors import SetupError
from spectra.fabric import messages, subjects
from spectra.fabric.errors import MeshError
from spectra.fabric.messages import Lost, Ping
from spectra.fabric.natsconfig import Member, NatsConfig, render
from spectra.fabric.natslink import NatsLink
from spectra.fabric.nodefolder import NodeFolder
from spectra.fabric.subjects import permissions
from spectra.fabric.workmessages import Assign, Ready, encode, from_node
from spectra.identity.names import node_uri
from spectra.model.nodes import Capabilities, FabricPlace, Heartbeat, Standing, Transport
from tests.collect.test_task import order
from tests.support.coordinator import MESH, Coordinator, coordinator, joined, serving
from tests.support.fabrics import Heard
from tests.support.waiting import eventually

ABLE = Capabilities(cores=4, memory_mb=2000, arch="aarch64", os="Debian", software="0.1.0")
LAUNCH = Launch(Options(heartbeat_s=0.5, tpm="off"), "c0" * 32, format="json")
# What a coordinator needs and an agent does not: each costs a small board memory that it scans with.
NOT_LOADED = (
    "pydantic",
    "typer",
    "fastapi",
    "dbos",
    "psycopg",
    "numpy",
    "nats",
    "rich",
    "httpx",
    "lxml",
    "zeroconf",
    "uvloop",
)


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Coordinator]:
    """A coordinator at work, of a mesh without a fabric."""
    with serving(coordinator(tmp_path / "mesh")) as running:
        yield running


@pytest.fixture
def folder(mesh: Coordinator, tmp_path: Path) -> NodeFolder:
    """A node that joined."""
    return joined(mesh, tmp_path / "node")


@contextmanager
def running(folder: NodeFolder, launch: Launch = LAUNCH) -> Generator[subprocess.Popen[str]]:
    """The agent's process, at work; ended with the block."""
    words = call(folder.path, launch)
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


class Broker:
    """A real nats-server of the mesh, and what its coordinator hears there."""

    def __init__(self, mesh: Coordinator, folder: Path) -> None:
        self._mesh = mesh
        self._tls = mesh.server_files("broker")
        self.members: dict[str, Standing] = {}
        self.server = NatsServer(folder)
        self.server.start(self._text())
        mesh.fabric = FabricPlace(nats=self.server.url, mqtt=f"mqtts://127.0.0.1:{self.server.mqtt_port}")
        self.heard = Heard()
        self.link = NatsLink([self.server.url], self._tls, "coordinator", Heard())
        for subject in (subjects.EVERY_PRESENCE, subjects.EVERY_REPLY):
            self.link.subscribe(subject, self.heard)
        eventually(lambda: self.link.connected)

    def allow(self, name: str, standing: Standing) -> None:
        """Change what a node may do, while the server runs."""
        self.members[name] = standing
        self.server.reload(self._text())

    def close(self) -> None:
        """End both."""
        self.link.close()
        self.server.stop()

    def beats(self) -> list[Heartbeat | Lost]:
        """What nodes said of themselves, or was said for them."""
        return [messages.heartbeat(data, subject) for subject, data in self.heard.told if ".presence." in subject]

    def _text(self) -> str:
        """The configuration."""
        members = [
            Member(node_uri(MESH, name), permissions("worker", name, standing))
            for name, standing in self.members.items()
            if standing != "revoked"
        ]
        config = NatsConfig("test", self._tls, self.server.folder / "js", [node_uri(MESH, "coordinator")], members)
        return render(config)


@pytest.fixture
def broker(mesh: Coordinator, tmp_path: Path) -> Iterator[Broker]:
    """A broker at work, which knows the node to come."""
    made = Broker(mesh, tmp_path / "broker")
    made.allow("board-1", "active")
    yield made
    made.close()


@pytest.mark.engine
@pytest.mark.parametrize("transport", ["mqtt", "nats"])
def test_it_lives_on_a_real_broker(broker: Broker, folder: NodeFolder, mesh: Coordinator, transport: Transport) -> None:
    """It is heard with what it can do, answers a ping, and is back by itself after its broker was away.

    Thrown out, it is dropped by the broker's reload, learns why from the coordinator, and ends.
    """
    launch = Launch(Options(heartbeat_s=0.3, transport=transport, tpm="off"), "c0" * 32, format="json")
    with running(folder, launch) as process:
        assert process.poll() is None
        able_ = eventually(lambda: [b for b in broker.beats() if isinstance(b, Heartbeat) and b.capabilities])[0]
        assert able_.node == "board-1"
        broker.link.publish(subjects.control("board-1"), messages.encode(Ping("p-1")))
        broker.heard.wait_until(lambda told: told[0] == subjects.reply("board-1") and b'"p-1"' in told[1])
        before = len(broker.beats())
        broker.allow("board-1", "quarantined")  # the broker drops it: it comes back by itself
        eventually(lambda: len(broker.beats()) > before + 2)
        mesh.throw_out("board-1", "stolen")
        broker.allow("board-1", "revoked")
        assert process.wait(60) == REVOKED


@pytest.mark.engine
def test_a_killed_one_is_missed(broker: Broker, folder: NodeFolder, mesh: Coordinator) -> None:
    """The broker tells its last will; one that ends in order says good-bye instead."""
    launch = Launch(Options(heartbeat_s=0.3, tpm="off"), "c0" * 32, format="json")
    with running(folder, launch) as process:
        eventually(broker.beats)
        process.kill()
        lost = eventually(lambda: [beat for beat in broker.beats() if isinstance(beat, Lost)])[0]
        assert lost.node == "board-1"
    process.wait(60)
    with running(folder, launch) as process:
        heard = len(broker.beats())
        eventually(lambda: len(broker.beats()) > heard)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        eventually(lambda: [beat for beat in broker.beats() if isinstance(beat, Heartbeat) and beat.leaving])
    assert len([beat for beat in broker.beats() if isinstance(beat, Lost)]) == 1


@pytest.mark.engine
def test_a_killed_one_leaves_no_scan(broker: Broker, folder: NodeFolder, mesh: Coordinator) -> None:
    """Its task ends with it; the next agent says that it holds nothing, is told again, and brings the result."""
    work = Lending(slots=1)
    launch = Launch(Options(heartbeat_s=0.3, tpm="off", work=work), "c0" * 32, format="json")
    slow = order(targets=("127.0.0.0/24",), ports="1-1000", rate=10, deadline_s=300.0, law=1)
    broker.link.subscribe(subjects.EVERY_WORK, broker.heard)

    def ready() -> list[Ready]:
        told = (data for subject, data in broker.heard.told if ".work." in subject)
        said = (from_node(data, "spectra.work.board-1") for data in told)
        return [one for one in said if isinstance(one, Ready)]

    with running(folder, launch) as process:
        eventually(lambda: [one for one in ready() if one.free == 1 and one.law == 1])
        broker.link.publish(subjects.assign("board-1"), encode(Assign(slow)))
        eventually(lambda: [one for one in ready() if one.scanning == (slow.lease,)])
        tasks = eventually(lambda: [pid for pid in family(process.pid) if b"taskmain" in cmdline(pid)])
        process.kill()
        process.wait()
        eventually(lambda: not any(b"taskmain" in cmdline(pid) for pid in tasks))
    before = len(ready())
    quick = msgspec.structs.replace(slow, targets=("127.0.0.1",), ports="9")
    with running(folder, launch) as process:
        eventually(lambda: [one for one in ready()[before:] if one.free == 1 and not one.scanning])
        broker.link.publish(subjects.assign("board-1"), encode(Assign(quick)))
        (said,) = eventually(mesh.said)
        assert (said.lease, said.outcome) == (slow.lease, "done")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def cmdline(pid: int) -> bytes:
    """The words of a process; none for one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_it_loads_little(folder: NodeFolder) -> None:
    """Neither the settings' library nor the command line's, nor anything of a coordinator."""
    code = "import sys, json; import spectra.cli.agentmain; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert not loaded & set(NOT_LOADED)
    assert not {"asyncio", "spectra.collect.scanners", "spectra.collect.task"} & loaded
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


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    """A file in its place is a clear error."""
    (tmp_path / "node").write_text("")
    with pytest.raises(SetupError, match="cannot use"), alone(tmp_path / "node"):
        pass


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    """The process says what to do, in a line and not a traceback."""
    done = subprocess.run(call(tmp_path, LAUNCH), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "spectra node token" in done.stderr
    assert "Traceback" not in done.stderr
