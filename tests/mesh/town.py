"""A mesh of real processes: `spectra up` on a folder of its own, and machines that join it with `spectra join`."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from spectra.collect import agentstate
from spectra.collect.agentstate import AgentState
from spectra.engines import natsprocess
from spectra.fabric.nodefolder import NodeFolder
from spectra.identity import jointokens
from spectra.identity.provisioner import Provisioner
from tests.support.clusters import roomy_folder
from tests.support.running import SPECTRA, Running
from tests.support.waiting import eventually

HEARTBEAT_S = 0.5


class Board(Running):
    """One machine with a home of its own."""

    def __init__(self, folder: Path, **variables: str) -> None:
        folder.mkdir()
        own = {"HOME": str(folder), "SPECTRA_NODE__HEARTBEAT_S": str(HEARTBEAT_S), "SPECTRA_NODE__TPM": "off"}
        super().__init__(folder, **own, **variables)
        self.node = NodeFolder(self.data_dir / "node")

    def begin(self, *words: str, **variables: str) -> Board:
        """`spectra WORDS`, which becomes the agent; returns once that reaches the mesh."""
        with self.log.open("ab") as log:
            process = self.process = subprocess.Popen(
                [*SPECTRA, *words],
                stdout=log,
                stderr=log,
                env=self.environment | variables,
                start_new_session=True,
            )
        eventually(lambda: self.connected or process.poll() is not None)
        assert process.poll() is None, self.logged[-4000:]
        return self

    @property
    def told(self) -> AgentState | None:
        """What the agent that runs now told."""
        told = agentstate.read(self.node.path)
        return told if told and self.process and told.pid == self.process.pid else None

    @property
    def connected(self) -> bool:
        """Whether that agent has the fabric."""
        return (told := self.told) is not None and told.connected

    @property
    def renewals(self) -> int:
        """How often that agent has renewed."""
        return told.renewals if (told := self.told) else 0

    def signal(self, number: signal.Signals) -> None:
        """Signal the agent and go on."""
        assert self.process is not None
        self.process.send_signal(number)

    @property
    def end_of_certificate(self) -> datetime:
        """Until when it is good."""
        return self.node.certificate.not_valid_after_utc


class Town:
    """A coordinator that runs, and the boards around it."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.running = Running(folder / "coordinator", HOME=str(folder), **variables)
        self.running.folder.mkdir()
        self.running.folder.chmod(0o755)
        self._folder = folder
        self._boards: list[Board] = []

    # --- machines ---

    def board(self, name: str, **variables: str) -> Board:
        """Another machine, which has not joined yet."""
        board = Board(self._folder / name, **variables)
        self._boards.append(board)
        return board

    def joined(self, name: str, role: str = "worker", **variables: str) -> Board:
        """Another machine, whose agent is heard."""
        board = self.board(name, **variables).begin("join", self.token(name, role=role))
        self.wait(name, presence="alive", standing="active")
        return board

    # --- what its operator does ---

    def invite(self, name: str = "", **asked: Any) -> dict[str, Any]:
        """A join token and all that is said with it."""
        return self.post("/v0/nodes/tokens", {"name": name, **asked})

    def token(self, name: str = "", **asked: Any) -> str:
        """A join token."""
        return self.invite(name, **asked)["token"]

    def post(self, path: str, body: Any = None) -> Any:
        """The JSON of a POST that succeeds."""
        with self.running.client() as client:
            response = client.post(path, json=body)
        assert response.is_success, response.text
        return response.json()

    def node(self, name: str) -> dict[str, Any]:
        """What the coordinator knows of a node."""
        return self.running.get(f"/v0/nodes/{name}")

    def wait(self, name: str, *, after: datetime | None = None, **fields: str) -> dict[str, Any]:
        """A node as soon as it has these fields, and was heard after a moment."""

        def it() -> dict[str, Any] | None:
            node = self.node(name)
            fits = all(node.get(field) == value for field, value in fields.items())
            heard = after is None or ("last_seen" in node and datetime.fromisoformat(node["last_seen"]) > after)
            return node if fits and heard else None

        try:
            found = eventually(it, every_s=0.2)
        except AssertionError as error:
            raise AssertionError(f"{fields} and heard after {after}: {self.node(name)}") from error
        assert found is not None
        return found

    def refused(self, kind: str) -> int:
        """How often something of this kind was refused; it is written a second later."""
        return sum(one["count"] for one in self.running.get("/v0/nodes/refusals", kind=kind)["refusals"])

    # --- behind the scenes ---

    @property
    def nats(self) -> int:
        """The pid of nats-server; 0 while there is none."""
        found = natsprocess.servers_on((self.running.data_dir / "nats" / "nats.conf").resolve())
        return found[0] if found else 0

    def turns(self, *names: str, presence: str = "dead") -> list[str]:
        """The log's lines on nodes that were found `presence`, over all starts."""
        lines = [line for line in self.running.logged.splitlines() if f" is {presence}: " in line]
        return [line for line in lines if any(f"node {name} is " in line for name in names)]

    def forged(self, name: str, *, age: timedelta = timedelta(0), fingerprint: str = "", ca_url: str = "") -> str:
        """A join token as our own CA signs them: older, for another CA, or for another place."""
        provisioner = Provisioner.from_json((self.running.data_dir / "ca" / "provisioner.json").read_bytes())
        true = jointokens.peek(self.token(name))
        return jointokens.mint(
            provisioner,
            ca_url=ca_url or true.ca_url,
            api_url=ca_url or true.api_url,
            mesh=true.mesh,
            role="worker",
            fingerprint=fingerprint or true.fingerprint,
            now=datetime.now(UTC) - age,
            ttl=timedelta(hours=1),
            name=name,
            jti=true.id,
        )

    def close(self) -> None:
        """End every process, by its pid, and remove the folder."""
        for board in self._boards:
            board.clean_up()
        process = self.running.process
        if process is not None and process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.running.end()
        self.running.clean_up()
        shutil.rmtree(self._folder, ignore_errors=True)


@contextlib.contextmanager
def town(**variables: str) -> Generator[Town]:
    """A mesh at work, until the block ends."""
    folder = roomy_folder()
    folder.chmod(0o755)  # PostgreSQL's own account has to pass where the tests run as root
    made = Town(folder, **variables)
    try:
        made.running.start()
        yield made
    finally:
        made.close()


def lines(text: str) -> list[Any]:
    """JSON lines."""
    return [json.loads(line) for line in text.splitlines()]


def kill(pid: int) -> None:
    """As the kernel does where memory is short."""
    os.kill(pid, signal.SIGKILL)
