"""The supervised nats-server: start, stop, other configurations, deaths of every kind, and who is refused.

What links do with it is tested in `tests/fabric`.
"""

from __future__ import annotations

import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from spectra.engines.backoff import RestartBudget
from spectra.engines.natsprocess import servers_on
from spectra.engines.processes import alive, wait_for_exit
from spectra.errors import SetupError
from spectra.fabric.link import TlsFiles
from spectra.fabric.mqttlink import MqttLink
from spectra.fabric.natsconfig import Member, NatsConfig, render
from spectra.fabric.natslink import NatsLink
from spectra.fabric.subjects import permissions
from tests.support.fabrics import COORDINATOR, Fabric, Heard
from tests.support.meshcerts import strangers, uri
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


def served_certificate(files: TlsFiles, port: int, *, nats: bool, shows: bool = True) -> bytes:
    """The certificate (DER) that a port shows to somebody with these files, who may show none."""
    context = files.context() if shows else ssl.create_default_context(cafile=files.roots)
    with socket.create_connection(("127.0.0.1", port), 60) as plain:
        if nats:
            assert plain.recv(4096).startswith(b"INFO")  # before TLS, which the client begins
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as sock:
            return sock.getpeercert(binary_form=True) or b""


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
    with pytest.raises(SetupError, match="keeps its configuration"):
        fabric.reload()  # before any start
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


def test_without_a_certificate_of_ours_nobody_gets_in_and_each_is_heard(fabric: Fabric) -> None:
    """No certificate, one of another CA in a member's name, one of ours that is nobody's: at both ports."""
    fabric.start()
    server, refused = fabric.server, fabric.refused
    ghost = fabric.authority.node("ghost")
    foreign = strangers(fabric.folder / "elsewhere", fabric.coordinator, "w1", common_name='x"\n[1] \x1b[2J')
    for times, (port, nats) in enumerate(((server.port, True), (server.mqtt_port, False)), 1):
        served_certificate(ghost, port, nats=nats, shows=False)
        eventually(
            lambda times=times: [told[:2] for told in refused.told].count(("no_certificate", "127.0.0.1")) == times
        )
    for files, name, expected in (
        (foreign, "w1", ("untrusted", "127.0.0.1")),
        (ghost, "ghost", ("not_a_member", "ghost")),
    ):
        for kind in ("nats", "mqtt"):
            before = [told[:2] for told in refused.told].count(expected)
            errors = Heard()
            with closing(
                NatsLink([server.url], files, name, errors)
                if kind == "nats"
                else MqttLink("127.0.0.1", server.mqtt_port, files, name, on_error=errors)
            ) as link:
                errors.wait_for()
                eventually(lambda e=expected, b=before: [told[:2] for told in refused.told].count(e) > b)
                assert not link.connected
    assert all(text.isprintable() for told in refused.told for text in told)
    assert {told[0] for told in refused.told} == {"no_certificate", "untrusted", "not_a_member"}
    assert all(line.startswith("[") for line in server.log_file.read_text().splitlines())


def test_members_come_and_go_by_reload_and_others_stay(fabric: Fabric) -> None:
    """Who is taken out is disconnected and kept out, who is put in gets in, and nobody else notices."""
    second = fabric.node("w2")
    fabric.start()
    server = fabric.server
    first = fabric.authority.node("w1")
    with ExitStack() as stack:

        def link(name: str, files: TlsFiles) -> tuple[MqttLink, Heard]:
            changes = Heard()
            made = MqttLink("127.0.0.1", server.mqtt_port, files, name, on_change=changes)
            return stack.enter_context(closing(made)), changes

        heard = Heard()
        coordinator = NatsLink([server.url], fabric.coordinator, COORDINATOR, Heard(), on_change=heard)
        stack.enter_context(closing(coordinator))
        (one, one_changed), (two, two_changed) = link("w1", first), link("w2", second)
        eventually(lambda: coordinator.connected and one.connected and two.connected)

        del fabric.members["w2"]
        third = fabric.node("w3")
        fabric.reload()
        eventually(lambda: two_changed.told[:2] == [(True,), (False,)])
        fabric.refused.wait_for("not_a_member", "w2")
        three, _ = link("w3", third)
        eventually(lambda: three.connected)
        assert not two.connected

        fabric.node("w2")
        fabric.reload()
        two.reload()
        eventually(lambda: two.connected)
        assert (one_changed.told, heard.told) == ([(True,)], [(True,)])
        assert server.restarts == 0


def test_an_older_key_of_the_same_name_is_dropped(fabric: Fabric) -> None:
    """A node that enrolled again with another key: the old certificate holds still, and is nobody's any more."""
    keys = {"old": "0000.keys.mesh-test", "new": "1111.keys.mesh-test"}

    def config(word: str) -> str:
        member = Member(uri("w1"), permissions("worker", "w1", "active"), keys[word])
        return render(
            NatsConfig(
                server_name="test",
                tls=fabric.coordinator,
                store_dir=fabric.server.folder / "jetstream",
                coordinators=[uri(COORDINATOR)],
                members=[member],
            )
        )

    server = fabric.server
    server.start(config("old"))
    with ExitStack() as stack:
        files = fabric.authority.node("w1", dns=[keys["old"]])
        old = TlsFiles(
            *(path.rename(path.with_name(f"old.{path.name}")) for path in (files.cert, files.key, files.roots))
        )
        olds = [
            stack.enter_context(closing(MqttLink("127.0.0.1", server.mqtt_port, old, "w1"))),
            stack.enter_context(closing(NatsLink([server.url], old, "w1", Heard()))),
        ]
        eventually(lambda: all(link.connected for link in olds))
        new = fabric.authority.node("w1", dns=[keys["new"]])
        server.reload(config("new"))
        eventually(lambda: not any(link.connected for link in olds))
        fabric.refused.wait_for("not_a_member", "w1")
        link = stack.enter_context(closing(MqttLink("127.0.0.1", server.mqtt_port, new, "w1")))
        eventually(lambda: link.connected)
        link.publish("spectra.all", b"a lie")
        fabric.refused.wait_for("forbidden_publish", keys["new"])
        assert not any(link.connected for link in olds)


def test_a_renewed_certificate_of_the_server_is_shown_after_a_reload(fabric: Fabric) -> None:
    """At both ports, with the same configuration, and nobody is disconnected."""
    fabric.start()
    server, changes = fabric.server, Heard()
    files = fabric.authority.node("w1")
    ports = ((server.port, True), (server.mqtt_port, False))
    with closing(MqttLink("127.0.0.1", server.mqtt_port, files, "w1", on_change=changes)) as link:
        eventually(lambda: link.connected)
        old = {served_certificate(files, port, nats=nats) for port, nats in ports}
        fabric.authority.server()
        fabric.reload()
        new = {served_certificate(files, port, nats=nats) for port, nats in ports}
        assert len(old) == len(new) == 1
        assert old != new
        assert changes.told == [(True,)]


def test_roots_change_without_anybody_being_dropped(fabric: Fabric) -> None:
    """The CA's rotation: who knows one root or both, and has a certificate of the old or the new one, gets in."""
    authority = fabric.authority
    fabric.node("w2")
    fabric.node("w3")
    old = {name: authority.node(name, key="ed25519" if name == "w1" else "p256") for name in ("w1", "w2")}
    fabric.start()
    server = fabric.server
    with ExitStack() as stack:

        def link(name: str, files: TlsFiles) -> tuple[MqttLink, Heard]:
            changes = Heard()
            made = MqttLink("127.0.0.1", server.mqtt_port, files, name, on_change=changes)
            stack.enter_context(closing(made))
            eventually(lambda: made.connected)
            return made, changes

        staying, changes = link("w1", old["w1"])
        authority.rotate()
        authority.server()
        fabric.reload()
        link("w2", old["w2"])  # knows the old root only
        link("w3", authority.node("w3"))
        coordinator = stack.enter_context(closing(NatsLink([server.url], fabric.coordinator, COORDINATOR, Heard())))
        eventually(lambda: coordinator.connected)
        assert (staying.connected, changes.told) == (True, [(True,)])
        authority.node("w1")
        staying.reload()
        eventually(lambda: changes.told == [(True,), (False,), (True,)])
    assert fabric.refused.told == []


def test_a_client_that_hides_its_name_is_known_by_its_certificate(fabric: Fabric) -> None:
    """A client's name is a format to the server's log: it distorts what is said, not of whom."""
    fabric.start()
    files = fabric.authority.node("w1")
    name = 'a" - %s %[1]q\n[1] 2026/11/27 18:00:00.000000 [DBG] 1.1.1.1:1 - cid:1 - x'
    with closing(NatsLink([fabric.server.url], files, name, Heard())) as link:
        eventually(lambda: link.connected)
        link.publish("spectra.all", b"a lie")
        fabric.refused.wait_for("forbidden_publish", uri("w1"))
