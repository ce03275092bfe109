"""A mesh over a real network: the coordinator in one namespace, machines in others, and wires that are pulled."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.mesh.netns import HQ, Net, net
from tests.mesh.town import Board, Town
from tests.support.clusters import roomy_folder
from tests.support.running import SPECTRA, Running
from tests.support.waiting import eventually

pytestmark = [pytest.mark.engine, pytest.mark.fault, pytest.mark.slow]

BOARDS = ("b1", "b2", "b3", "b4", "b5", "b6")
FULL = ("b5", "b6")  # these speak NATS, the others MQTT
HEARTBEAT_S = 1.0
LONG = timedelta(
    seconds=4 * HEARTBEAT_S + 4
)  # from the first suspicion on, a node that is cut off alone is dead by then


class Hq(Running):
    """The coordinator in its namespace, asked from inside it."""

    def __init__(self, net: Net, folder: Path) -> None:
        super().__init__(folder, SPECTRA_MESH__HOST=HQ, HOME=str(folder))
        self._net = net

    def launch(self) -> subprocess.Popen[bytes]:
        """Start `spectra up` there."""
        self.prepare()
        with self.log.open("ab") as log:
            words = [*self._net.enter(self._net.hq), *SPECTRA, "up"]
            self.process = subprocess.Popen(words, stdout=log, stderr=log, env=self.environment, start_new_session=True)
        return self.process

    def get(self, path: str, **params: Any) -> Any:
        """The JSON of a GET that succeeds."""
        return self._net.inside(lambda: Running.get(self, path, **params))


class Towns(Town):
    """A mesh whose machines are in namespaces of a net."""

    def __init__(self, net: Net, folder: Path) -> None:
        super().__init__(folder)
        self.net = net
        self.running = Hq(net, self.running.folder)
        self.boards: dict[str, Board] = {}

    def begin(self, name: str) -> None:
        """Have a machine join in a namespace of its own; it need not be through when this returns."""
        board = self.boards[name] = self.board(name)
        board.environment["SPECTRA_NODE__HEARTBEAT_S"] = str(HEARTBEAT_S)
        token = self.token(name, role="full" if name in FULL else "worker")
        words = [*self.net.board(name), *SPECTRA, "join", token]
        with board.log.open("ab") as log:
            board.process = subprocess.Popen(
                words, stdout=log, stderr=log, env=board.environment, start_new_session=True
            )

    def pid(self, name: str) -> int:
        """Of the agent that runs there."""
        process = self.boards[name].process
        assert process is not None
        assert process.poll() is None
        return process.pid

    def post(self, path: str, body: Any = None) -> Any:
        """The JSON of a POST that succeeds."""
        return self.net.inside(lambda: Town.post(self, path, body))

    def presences(self) -> dict[str, str]:
        """Who is believed to be what."""
        return {node["name"]: node["presence"] for node in self.running.get("/v0/nodes")["nodes"]}

    def are(self, presence: str, *names: str) -> None:
        """Wait until all of them are this."""

        def they() -> bool:
            found = self.presences()
            return all(found[name] == presence for name in names)

        try:
            eventually(they, 90, every_s=0.1)
        except AssertionError as error:
            raise AssertionError(f"{names} {presence}: {self.presences()}\n{self.running.logged[-4000:]}") from error


@pytest.fixture(scope="module")
def mesh() -> Generator[Towns]:
    """One mesh for all tests: a coordinator and six boards that joined across the wires."""
    with net() as made:
        folder = roomy_folder()
        folder.chmod(0o755)
        town = Towns(made, folder)
        try:
            town.running.start()
            for name in BOARDS:
                town.begin(name)
            town.are("alive", *BOARDS)
            yield town
        finally:
            made.heal()
            town.close()


def test_machines_join_across_the_network(mesh: Towns) -> None:
    """By the address of the bridge, which the token, the certificate and the fabric's places all name."""
    status = mesh.running.get("/v0/status")["mesh"]
    assert all(f"//{HQ}:" in status[where] for where in ("url", "nats", "mqtt"))
    for name in BOARDS:
        node = mesh.wait(name, presence="alive", standing="active")
        assert node["transport"] == ("nats" if name in FULL else "mqtt")
    assert mesh.presences()[status["node"]] == "alive"
    assert not mesh.turns(*BOARDS)


def test_a_mesh_is_found_and_nothing_secret_told(mesh: Towns) -> None:
    """`spectra node discover` on a machine that is no node: where the mesh is, and how its root begins; no token."""
    words = (*mesh.net.enter(mesh.net.board("newcomer")[-1]), *SPECTRA, "node", "discover", "--timeout", "2", "--json")

    def found() -> str:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=60, check=True, env=mesh.running.environment
        )
        return done.stdout

    said = eventually(found)
    (one,) = [json.loads(line) for line in said.splitlines()]
    status, authority = mesh.running.get("/v0/status")["mesh"], mesh.running.get("/v0/nodes/ca")
    assert (one["mesh"], one["name"], one["urls"]) == (status["name"], status["node"], [status["url"]])
    assert set(one) == {"mesh", "name", "urls", "fingerprint"}
    assert authority["fingerprint"].startswith(one["fingerprint"])
    assert len(one["fingerprint"]) < len(authority["fingerprint"]) / 2  # no pin to be taken from hearsay
    assert "eyJ" not in said


def test_who_is_cut_off_is_missed_and_comes_back(mesh: Towns) -> None:
    """One of each protocol: suspect, then dead; the others stay alive; plugged in again, both come back alone."""
    gone = ("b1", "b6")
    others = [name for name in BOARDS if name not in gone]
    pids, before = [mesh.pid(name) for name in gone], len(mesh.turns(*others))
    mesh.net.cut(*gone)
    mesh.are("dead", *gone)
    assert all(mesh.turns(name, presence="suspect") for name in gone)
    assert {mesh.presences()[other] for other in others} == {"alive"}
    mesh.net.heal(*gone)
    mesh.are("alive", *gone)
    assert len(mesh.turns(*others)) == before
    assert [mesh.pid(name) for name in gone] == pids


def test_a_coordinator_that_is_cut_off_declares_nobody_dead(mesh: Towns) -> None:
    """All fall silent at once: that is the network. It says so, waits, and has everybody back afterwards."""
    before = len(mesh.turns(*BOARDS))
    own = mesh.running.get("/v0/status")["mesh"]["node"]
    mesh.net.cut(*BOARDS)
    mesh.are("suspect", *BOARDS)
    mesh.wait(own, after=datetime.now(UTC) + LONG)
    assert {mesh.presences()[name] for name in BOARDS} == {"suspect"}
    eventually(lambda: "nobody is declared dead" in mesh.running.logged)
    mesh.net.heal(*BOARDS)
    mesh.are("alive", *BOARDS)
    assert len(mesh.turns(*BOARDS)) == before
