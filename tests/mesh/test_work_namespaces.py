"""Work over a real network whose wires are pulled: machines that are cut off, and a coordinator that loses half."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.mesh.netns import Net, net, run
from tests.mesh.test_namespaces import Hq
from tests.mesh.town import Board
from tests.mesh.yard import Yard
from tests.support.clusters import roomy_folder
from tests.support.running import SPECTRA
from tests.support.waiting import eventually

pytestmark = [pytest.mark.engine, pytest.mark.fault, pytest.mark.slow]

WORKERS = ("n1", "n2", "n3", "n4")


class Fields(Yard):
    """A yard whose machines are in namespaces of a net, each with something of its own to scan on loopback."""

    def __init__(self, net: Net, folder: Path) -> None:
        super().__init__(folder)
        self.net = net
        self.answers: list[subprocess.Popen[bytes]] = []
        self.inside: dict[str, tuple[str, ...]] = {}
        environment = self.running.environment
        self.running = Hq(net, self.running.folder)
        self.running.environment |= {k: v for k, v in environment.items() if k.startswith("SPECTRA_WORK__")}

    def begin(self, name: str, **variables: str) -> Board:
        """Have a machine join in a namespace of its own, where all of loopback answers, too."""
        board = self.workers[name] = self.board(name, **{"SPECTRA_WORKER__SLOTS": "2", **variables})
        inside = self.inside[name] = self.net.board(name)
        answer = [*inside, sys.executable, "-m", "tests.mesh.yard", str(self.answering.port)]
        self.answers.append(subprocess.Popen(answer, stdin=subprocess.DEVNULL, start_new_session=True))
        words = [*inside, *SPECTRA, "join", self.token(name)]
        with board.log.open("ab") as log:
            board.process = subprocess.Popen(
                words, stdout=log, stderr=log, env=board.environment, start_new_session=True
            )
        self.wait(name, presence="alive", standing="active")
        return board

    def post(self, path: str, body: object = None) -> object:
        """The JSON of a POST that succeeds."""
        return self.net.inside(lambda: Yard.post(self, path, body))

    def reach(self, name: str, *, results: bool) -> None:
        """Whether a machine gets to the coordinator's listener, where results go; it hears the fabric all the same."""
        port = self.running.get("/v0/status")["mesh"]["url"].rpartition(":")[2]
        rules = "add table inet t; flush table inet t; add chain inet t out { type filter hook output priority 0; };"
        rules += "" if results else f"add rule inet t out tcp dport {port} reject with tcp reset;"
        done = run(*self.inside[name], "nft", rules)
        assert done.returncode == 0, done.stderr

    def work_of(self, name: str) -> dict[str, Any]:
        """What the coordinator knows of a machine's work."""
        return next(one for one in self.running.get("/v0/work")["workers"] if one["node"] == name)

    def done(self, job: str) -> int:
        """How many of its targets are done."""
        return self.net.inside(lambda: Yard.done(self, job))

    def close(self) -> None:
        """End everything."""
        for answer in self.answers:
            answer.kill()
            answer.wait(10)
        super().close()


@pytest.fixture(scope="module")
def fields() -> Iterator[Fields]:
    """A coordinator and four workers, each on a wire."""
    with net() as made:
        folder = roomy_folder()
        folder.chmod(0o755)
        ground = Fields(made, folder)
        try:
            ground.running.start()
            for name in WORKERS:
                ground.begin(name)
            yield ground
        finally:
            ground.close()


def _spooled(board: Board) -> int:
    return len(list((board.node.path / "spool").glob("*.bundle")))


def test_a_worker_is_cut_off_and_comes_back(fields: Fields) -> None:
    """What it was at goes to others; what it found meanwhile waits on its disk, is taken when the wire is back, and
    ends nothing twice.
    """
    job = fields.ask("127.9.1.1-40")
    fields.until(job, 5)
    fields.net.cut("n1")
    eventually(lambda: _spooled(fields.workers["n1"]) > 0)
    fields.until(job, 40)
    fields.net.heal("n1")
    eventually(lambda: _spooled(fields.workers["n1"]) == 0)
    ends = fields.ended_once(job)
    assert ends["done"] == 40
    assert ends["late"] >= 1, ends


def test_the_coordinator_loses_half_of_its_workers(fields: Fields) -> None:
    """The other half does all of it; those who come back are given work again."""
    job = fields.ask("127.9.2.1-40")
    fields.until(job, 5)
    fields.net.cut("n1", "n2")
    fields.until(job, 40)
    fields.net.heal()
    for name in WORKERS:
        fields.wait(name, presence="alive")
    fields.ended_once(job)
    again = fields.ask("127.9.3.1-20")
    fields.until(again, 20)
    workers = {one["node"] for target in fields.targets(again) for one in fields.history(target["target"])}
    assert workers == set(WORKERS)


def test_a_full_spool(fields: Fields) -> None:
    """A machine that may keep one result and cannot send it asks for nothing more, loses nothing, and goes on as soon
    as it is rid of that.
    """
    fields.begin("n5", SPECTRA_WORKER__SLOTS="1", SPECTRA_WORKER__SPOOL_MB="1", SPECTRA_WORKER__OUTPUT_MB="1")
    fields.reach("n5", results=False)
    job = fields.ask("127.9.4.1-4", constraints={"node": "n5"})
    eventually(lambda: fields.work_of("n5").get("spool_full", False))
    assert _spooled(fields.workers["n5"]) == 1
    assert fields.done(job) == 0
    fields.reach("n5", results=True)
    fields.until(job, 4)
    assert fields.ended_once(job)["done"] == 4
    assert not fields.work_of("n5").get("spooled", 0)
