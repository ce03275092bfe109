"""What a mesh goes through: processes that are killed, machines that start anew, clocks that are wrong."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.mesh.town import Board, Town, kill, town
from tests.support.waiting import eventually

pytestmark = [pytest.mark.engine, pytest.mark.fault]

OFF_S = 600


@pytest.fixture(scope="module")
def mesh() -> Iterator[Town]:
    """One coordinator for this file."""
    with town() as made:
        yield made


@pytest.fixture(scope="module")
def boards(mesh: Town) -> dict[str, Board]:
    """A worker over MQTT and a full node over NATS, which nobody touches."""
    return {"attic": mesh.joined("attic"), "vault": mesh.joined("vault", role="full")}


def _at_another_time(off_s: int) -> dict[str, str]:
    """What a process needs around it to live so many seconds ahead. Debian's program would be in between."""
    path = shutil.which("faketime")
    if path is None:
        pytest.skip("Debian's package faketime is not installed")
    done = subprocess.run([path, "-f", f"{off_s:+d}s", "env"], capture_output=True, text=True, timeout=60, check=True)
    told = [line.partition("=") for line in done.stdout.splitlines()]
    around = {name: value for name, _, value in told if name in ("LD_PRELOAD", "FAKETIME")}
    return around | {"FAKETIME_DONT_FAKE_MONOTONIC": "1"}


@pytest.mark.parametrize(("name", "off_s"), [("ahead", OFF_S), ("behind", -OFF_S)])
def test_a_clock_that_is_wrong(mesh: Town, name: str, off_s: int) -> None:
    """A machine whose clock is ten minutes off is told so when it joins; one whose clock goes wrong later is heard,
    and by how much it is off is shown."""
    wrong = _at_another_time(off_s)
    board, token = mesh.board(name), mesh.token(name)
    refused = board.run("join", token, "--no-start", **wrong)
    assert refused.returncode == 1, refused.stdout + refused.stderr
    assert "clock" in refused.stderr
    board.cli("join", token, "--no-start")
    board.begin("node", "run", **wrong)
    node = mesh.wait(name, presence="alive", standing="active")
    assert abs(node["skew_s"] - off_s) < 60
    assert "clock" in mesh.running.cli("node", "show", name)
    assert board.end() == 0


def test_a_machine_starts_anew(mesh: Town) -> None:
    """One that loses power is missed, asked and dead; it is alive as soon as it is back, without joining again."""
    board = mesh.joined("porch")
    assert board.end(signal.SIGKILL) == -signal.SIGKILL
    mesh.wait("porch", presence="dead")
    assert mesh.turns("porch", presence="suspect")
    gone = datetime.now(UTC)
    board.begin("node", "run")
    mesh.wait("porch", after=gone, presence="alive", standing="active")
    assert board.end() == 0
    mesh.wait("porch", presence="left", standing="active")
    back = datetime.now(UTC)
    board.begin("node", "run")
    mesh.wait("porch", after=back, presence="alive")
    assert board.run("node", "run").returncode == 1, "one agent on one folder"


def _heard_again(mesh: Town, boards: dict[str, Board], after: datetime) -> None:
    """The very same agents are heard after a moment, and none was taken for dead."""
    for name, board in boards.items():
        mesh.wait(name, after=after, presence="alive", standing="active")
        assert board.process is not None
        assert board.process.poll() is None
        eventually(lambda board=board: board.connected)
    assert not mesh.turns(*boards)


def test_the_fabric_is_killed(mesh: Town, boards: dict[str, Board]) -> None:
    """nats-server comes back by itself at the same place, and every node with it."""
    before = mesh.nats
    assert before
    kill(before)
    eventually(lambda: mesh.nats not in (0, before))
    _heard_again(mesh, boards, datetime.now(UTC))


def test_the_coordinator_is_killed(mesh: Town, boards: dict[str, Board]) -> None:
    """It is started again and knows everybody; what it left running does not stand in its way."""
    assert mesh.running.end(signal.SIGKILL) == -signal.SIGKILL
    orphan = mesh.nats
    mesh.running.start()
    assert mesh.nats not in (0, orphan)
    _heard_again(mesh, boards, datetime.now(UTC))


def test_the_coordinator_does_not_get_to_listen(mesh: Town, boards: dict[str, Board]) -> None:
    """It stands still for longer than a node may be silent: its own lateness is no node's death."""
    assert mesh.running.process is not None
    until = time.monotonic() + 6
    mesh.running.process.send_signal(signal.SIGSTOP)
    try:
        eventually(lambda: time.monotonic() > until)
    finally:
        mesh.running.process.send_signal(signal.SIGCONT)
    _heard_again(mesh, boards, datetime.now(UTC))
