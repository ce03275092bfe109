"""The MQTT link alone: wills, keepalive, sessions, at nats-server and at Debian's Mosquitto."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from spectra.fabric import linkbase, subjects
from spectra.fabric.errors import MeshError
from spectra.fabric.link import TlsFiles
from spectra.fabric.mqttlink import MqttLink
from spectra.fabric.natsconfig import Limits
from spectra.fabric.natslink import NatsLink
from tests.support.fabrics import COORDINATOR, Fabric, Heard, fabric
from tests.support.meshcerts import TestAuthority, strangers, uri
from tests.support.mosquittos import Mosquitto, mosquitto
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine

HOLDER = Path(__file__).with_name("mqttholder.py")
WILL = (subjects.presence("w1"), b"lost")


@pytest.fixture
def served(tmp_path: Path) -> Generator[Fabric]:
    """A server with the members `w1` and `w2`."""
    with fabric(tmp_path, "w1", "w2") as made:
        yield made


@pytest.fixture
def heard(served: Fabric) -> Generator[Heard]:
    """What the coordinator hears of presence."""
    told = Heard()
    with closing(NatsLink([served.server.url], served.coordinator, COORDINATOR, Heard())) as link:
        link.subscribe(subjects.EVERY_PRESENCE, told)
        eventually(lambda: link.connected)
        yield told


@pytest.fixture
def broker(tmp_path: Path) -> Generator[Mosquitto]:
    """Debian's Mosquitto; skips where it is not installed."""
    with mosquitto(tmp_path) as made:
        yield made


@contextmanager
def holder(port: int, name: str, files: TlsFiles, of: str) -> Generator[subprocess.Popen[str]]:
    """A connected link in a process of its own, with a will that says `lost` of a node."""
    command = [sys.executable, str(HOLDER), str(port), name, str(files.cert), str(files.key), str(files.roots), of]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        yield process


def at(served: Fabric | Mosquitto, name: str, errors: Heard | None = None, **options: object) -> MqttLink:
    """A link to a broker, with new files of its node."""
    port = served.port if isinstance(served, Mosquitto) else served.server.mqtt_port
    files = options.pop("files", None) or served.authority.node(name)
    return MqttLink("127.0.0.1", port, files, name, on_error=errors or Heard(), **options)  # type: ignore[arg-type]


@pytest.mark.fault
def test_the_will_of_a_killed_process_is_told(served: Fabric, heard: Heard) -> None:
    """SIGKILL: the broker says at once what the node could not."""
    with holder(served.server.mqtt_port, "w1", served.authority.node("w1"), "w1") as process:
        assert heard.told == []
        process.kill()
        heard.wait_for("spectra.presence.w1", b"lost")


def test_who_says_good_bye_leaves_no_will(served: Fabric, heard: Heard) -> None:
    """Neither closing nor a renewed certificate is a loss."""
    changes = Heard()
    with closing(at(served, "w1", will=WILL, on_change=changes)) as link:
        eventually(lambda: link.connected)
        link.reload()
        eventually(lambda: changes.told == [(True,), (False,), (True,)])
    with closing(at(served, "w1")) as link:
        link.publish(WILL[0], b"here")
        heard.wait_for("spectra.presence.w1", b"here")
    assert heard.told == [("spectra.presence.w1", b"here")]


@pytest.mark.fault
def test_a_will_in_the_name_of_another_is_refused(served: Fabric, heard: Heard) -> None:
    """It is told by the broker, and still by whom it is: nobody can declare another node dead."""
    with holder(served.server.mqtt_port, "w2", served.authority.node("w2"), "w1") as process:
        process.kill()
        served.refused.wait_for("forbidden_publish", uri("w2"), "spectra.presence.w1")
    with holder(served.server.mqtt_port, "w2", served.authority.node("w2"), "w2") as process:
        process.kill()
        heard.wait_for("spectra.presence.w2", b"lost")
    assert ("spectra.presence.w1", b"lost") not in heard.told


def test_two_links_of_one_node_do_not_push_each_other_out(served: Fabric) -> None:
    """A session is known by an id that nobody can guess: no member can take over another one's."""
    changes = Heard()
    with closing(at(served, "w1", on_change=changes)) as first, closing(at(served, "w1", on_change=changes)) as second:
        eventually(lambda: first.connected and second.connected)
        for link in (first, second):
            link.publish("spectra.reply.w2", b"a lie")
        eventually(lambda: len(served.refused.told) == 2)
        assert changes.told == [(True,), (True,)]


@pytest.mark.fault
def test_a_broker_that_stops_answering_is_left(served: Fabric) -> None:
    """Frozen, it takes what is sent and says nothing: the link finds out, and is back when it answers again."""
    pid = served.server.pid
    assert pid is not None
    with closing(at(served, "w1", keepalive_s=1)) as link:
        eventually(lambda: link.connected)
        os.kill(pid, signal.SIGSTOP)
        try:
            eventually(lambda: not link.connected)
        finally:
            os.kill(pid, signal.SIGCONT)
        eventually(lambda: link.connected)


def _at_once(failures: int) -> float:
    """No pause to speak of, after whatever failures."""
    return 0.01 if failures else 0.0


def test_what_a_broker_will_not_carry_is_given_up(served: Fabric, monkeypatch: pytest.MonkeyPatch) -> None:
    """It breaks the connection each time; after some it is told and left, and the link is up again."""
    monkeypatch.setattr(linkbase, "pause", _at_once)
    served.limits = Limits(payload_bytes=1000)
    served.reload()
    errors = Heard()
    with closing(at(served, "w1", errors)) as link:
        link.publish("spectra.reply.w1", b"x" * 2000)
        errors.wait_until(lambda told: told[0].reason == "overflow")
        served.refused.wait_for("too_large", uri("w1"))
        eventually(lambda: link.connected)


def test_who_is_not_let_in_is_told_so(served: Fabric) -> None:
    """A certificate of ours that is no member's, and one of somebody else's; whom we do not trust is not talked to."""
    for name, files, reason, kind in (
        ("ghost", served.authority.node("ghost"), "refused", "not_a_member"),
        ("w1", strangers(served.folder / "a", served.coordinator, "w1"), "refused", "untrusted"),
        ("w1", TestAuthority(served.folder / "b").node("w1"), "untrusted", "handshake"),
    ):
        errors = Heard()
        with closing(at(served, name, errors, files=files)) as link:
            (error,) = errors.wait_for()
            assert error.reason == reason
            assert not link.connected
        served.refused.wait_for(kind)


def test_there_are_no_queues_in_mqtt(served: Fabric) -> None:
    """Who asks for one is told, instead of hearing what another heard, too."""
    with closing(at(served, "w1")) as link, pytest.raises(MeshError, match="no queue"):
        link.subscribe("spectra.ctl.w1", lambda subject, data: None, queue="coordinators")


def test_mosquitto_carries_it_both_ways(broker: Mosquitto) -> None:
    """Mutual TLS, each node its own topics, at a broker of another make."""
    heard, mine = Heard(), Heard()
    with (
        closing(at(broker, COORDINATOR, files=broker.coordinator)) as coordinator,
        closing(at(broker, "w1")) as link,
    ):
        coordinator.subscribe("spectra.>", heard)
        link.subscribe(subjects.control("w1"), mine)
        link.subscribe(subjects.ALL, mine)
        eventually(lambda: coordinator.connected and link.connected)
        link.publish("spectra.presence.w2", b"a lie")
        link.publish("spectra.presence.w1", b"here")
        link.publish("spectra.reply.w1", b"x" * 99_999)
        heard.wait_for("spectra.presence.w1", b"here")
        heard.wait_for("spectra.reply.w1", b"x" * 99_999)
        coordinator.publish("spectra.ctl.w1", b"to you")
        coordinator.publish(subjects.ALL, b"to all")
        mine.wait_for("spectra.ctl.w1", b"to you")
        mine.wait_for("spectra.all", b"to all")
        assert ("spectra.presence.w2", b"a lie") not in heard.told


@pytest.mark.fault
def test_mosquitto_tells_the_will_of_a_killed_process(broker: Mosquitto) -> None:
    """SIGKILL, as at nats-server."""
    heard = Heard()
    with closing(at(broker, COORDINATOR, files=broker.coordinator)) as coordinator:
        coordinator.subscribe(subjects.EVERY_PRESENCE, heard)
        eventually(lambda: coordinator.connected)
        with holder(broker.port, "w1", broker.authority.node("w1"), "w1") as process:
            process.kill()
            heard.wait_for("spectra.presence.w1", b"lost")


def test_mosquitto_refuses_certificates_of_others(broker: Mosquitto, tmp_path: Path) -> None:
    """And the link says so, and goes on trying."""
    errors = Heard()
    files = strangers(tmp_path / "elsewhere", broker.coordinator, "w1")
    with closing(at(broker, "w1", errors, files=files)) as link:
        eventually(lambda: len(errors.told) >= 2)
        assert {error.reason for (error,) in errors.told} <= {"refused", "unreachable"}  # it may just hang up
        assert not link.connected
