"""The supervised nats-server: start, stop, other configurations, deaths of every kind.

Who may connect and say what is tested with what connects, in `tests/fabric`.
"""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pytest

from spectra.engines.backoff import RestartBudget
from spectra.engines.natsprocess import servers_on
from spectra.engines.processes import alive, wait_for_exit
from spectra.errors import SetupError
from tests.support.fabrics import Fabric, Heard
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine

HOLDER = Path(__file__).with_name("natsholder.py")


@pytest.fixture
def fabric(tmp_path: Path) -> Generator[Fabric]:
    """A server that does not run yet, with one member; stopped after the test."""
    made = Fabric(tmp_path, budget=RestartBudget(first_s=0.01))
    made.node("w1")
    yield made
    made.server.stop()


def listens(port: int) -> bool:
    """Whether somebody answers on a port of this machine."""
    try:
        socket.create_connection(("127.0.0.1", port), 10).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_first_start_is_private_and_serves_both_protocols(fabric: Fabric) -> None:
    """Two ports of the server's own choice, files for our eyes only, no copy of what was tried."""
    server = fabric.server
    assert (server.url, server.running, server.pid) == ("", False, None)
    url = server.start(fabric.text())
    assert url == server.url == f"tls://127.0.0.1:{server.port}"
    assert server.running
    assert listens(server.port)
    assert listens(server.mqtt_port)
    assert stat.S_IMODE(server.folder.stat().st_mode) == 0o700
    for path in (server.folder / "nats.conf", server.log_file):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(path.name for path in server.folder.iterdir()) == ["jetstream", "lock", "nats.conf"]
    said = server.log_file.read_text()
    assert "Server is ready" in said
    assert "[DBG]" not in said


def test_stop_leaves_nothing_and_the_next_start_has_the_same_ports(fabric: Fabric) -> None:
    """No process, no lock; stopping twice is harmless; clients find it where it was."""
    server = fabric.server
    fabric.start()
    pid, url, mqtt = server.pid, server.url, server.mqtt_port
    assert pid is not None
    server.stop()
    server.stop()
    assert not alive(pid)
    assert (server.running, server.pid) == (False, None)
    assert not listens(server.port)
    fabric.start()
    assert (server.url, server.mqtt_port) == (url, mqtt)
    assert server.pid != pid


def test_starting_a_running_server_is_a_reload(fabric: Fabric) -> None:
    """The same process, with the new configuration."""
    fabric.start()
    pid = fabric.server.pid
    fabric.node("w2")
    fabric.start()
    assert fabric.server.pid == pid
    assert "w2" in (fabric.server.folder / "nats.conf").read_text()


def test_a_wrong_configuration_is_refused_before_the_running_one_is_touched(fabric: Fabric) -> None:
    """What the server would not take, and what it takes only at a start: each time the old one stays, on disk too."""
    fabric.start()
    server, good = fabric.server, fabric.text()
    pid = server.pid
    for bad, words in (
        ("accounts {", "does not take"),
        (good.replace("jetstream: enabled", "no_such_field: 1"), "no_such_field"),
        (good.replace("tls.crt", "absent.crt"), r"absent\.crt"),
        (good.replace("port: $SPECTRA_NATS_PORT", "port: 1"), "not supported for Port"),
    ):
        with pytest.raises(SetupError, match=words):
            server.reload(bad)
        assert (server.folder / "nats.conf").read_text() == good
        assert (server.pid, server.running) == (pid, True)
    fabric.node("w2")
    fabric.reload()


def test_a_server_that_cannot_start_says_why(fabric: Fabric) -> None:
    """A wrong configuration, a store that cannot be made, a port that is taken; afterwards it starts as if new."""
    server = fabric.server
    with pytest.raises(SetupError, match="does not take"):
        server.start("accounts {")
    with pytest.raises(SetupError, match="storage directory"):
        server.start(fabric.text().replace('store_dir: "', 'store_dir: "/proc/none'))
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SetupError, match="address already in use"):
            server.start(fabric.text().replace("port: $SPECTRA_NATS_PORT", f"port: {port}"))
    assert (server.running, server.pid, server.restarts) == (False, None, 0)
    fabric.start()
    assert server.running


@pytest.mark.fault
def test_a_killed_server_comes_back_on_its_ports(tmp_path: Path) -> None:
    """SIGKILL, twice, with a callback that raises: it returns with the configuration in force, and says so."""
    back = Heard()

    def restarted(seconds: float) -> None:
        back(seconds)
        raise RuntimeError("not our problem")

    fabric = Fabric(tmp_path, on_restart=restarted, budget=RestartBudget(first_s=0.01))
    server = fabric.server
    try:
        fabric.start()
        fabric.node("w2")
        fabric.reload()
        ports = server.url, server.mqtt_port
        for times in (1, 2):
            pid = server.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            eventually(lambda times=times: len(back.told) == times)
            assert (server.running, server.restarts, server.failed) == (True, times, False)
            assert server.pid != pid
            assert (server.url, server.mqtt_port) == ports
            fabric.reload()
    finally:
        server.stop()


@pytest.mark.fault
def test_it_gives_up_and_says_so(tmp_path: Path) -> None:
    """A server that cannot come back is tried a bounded number of times; a later start serves again."""
    gone = Heard()
    fabric = Fabric(tmp_path, on_failure=gone, budget=RestartBudget(limit=2, first_s=0.01))
    server = fabric.server
    try:
        fabric.start()
        pid = server.pid
        assert pid is not None
        (server.folder / "nats.conf").write_text("no_such_field: 1\n")
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: gone.told)
        assert "no_such_field" in str(gone.told[0][0])
        eventually(lambda: server.pid is None)
        assert (server.failed, server.running) == (True, False)
        fabric.start()
        assert (server.failed, server.running) == (False, True)
    finally:
        server.stop()


@pytest.mark.fault
def test_a_reload_while_it_is_down_is_kept_for_its_return(fabric: Fabric) -> None:
    """Nobody waits for a dead server, and what was said meanwhile is in force when it is back."""
    fabric.start()
    server, pid = fabric.server, fabric.server.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)  # it does not answer
    fabric.node("w2")
    reload = threading.Thread(target=fabric.reload)
    reload.start()
    eventually(lambda: "node/w2" in (server.folder / "nats.conf").read_text())
    os.kill(pid, signal.SIGKILL)
    reload.join()
    eventually(lambda: server.running and server.pid != pid)
    assert "node/w2" in (server.folder / "nats.conf").read_text()


@pytest.mark.fault
def test_the_server_of_a_killed_supervisor_does_not_stand_in_the_way(fabric: Fabric) -> None:
    """SIGKILL of the supervisor's process: while it lives the folder is its own, then the next start takes over."""
    config = fabric.folder / "mine.conf"
    config.write_text(fabric.text())
    command = [sys.executable, str(HOLDER), str(fabric.folder / "data"), str(config)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        orphan = int(holder.stdout.readline())
        with pytest.raises(SetupError, match=f"in use by process {holder.pid}"):
            fabric.start()
        assert alive(orphan)
        holder.kill()
        holder.wait()
    assert servers_on(fabric.server.folder / "nats.conf") == [orphan]
    fabric.start()
    assert wait_for_exit(orphan, 0)
    assert servers_on(fabric.server.folder / "nats.conf") == [fabric.server.pid]
