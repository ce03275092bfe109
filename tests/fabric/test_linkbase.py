"""What both links promise, over the real server: one suite, two implementations."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Generator
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path

import pytest

from spectra.fabric import mqttlink, natslink, subjects
from spectra.fabric.errors import MeshError
from spectra.fabric.link import MAX_DATA_BYTES, TlsFiles
from spectra.fabric.linkbase import LinkBase
from spectra.fabric.mqttlink import MqttLink
from spectra.fabric.natslink import NatsLink
from tests.support.fabrics import COORDINATOR, Fabric, Heard, fabric
from tests.support.meshcerts import uri
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine

KINDS = ("nats", "mqtt")


class Nodes:
    """Links of nodes to one server, what each heard, and the coordinator's."""

    def __init__(self, served: Fabric, stack: ExitStack) -> None:
        self.fabric = served
        self._stack = stack
        self._told: dict[LinkBase, tuple[Heard, Heard]] = {}
        self.heard = Heard()
        """What the coordinator heard: subject, data."""

        self.coordinator = self.link("nats", COORDINATOR, served.coordinator)
        self.coordinator.subscribe("spectra.>", self.heard)
        self.up(self.coordinator)

    def link(self, kind: str, name: str, files: TlsFiles | None = None) -> LinkBase:
        """A link, closed after the test; `errors` and `changes` of it are in `of`."""
        files = files or self.fabric.authority.node(name)
        errors, changes = Heard(), Heard()
        server = self.fabric.server
        link = (
            NatsLink([server.url], files, name, errors, on_change=changes)
            if kind == "nats"
            else MqttLink("127.0.0.1", server.mqtt_port, files, name, on_error=errors, on_change=changes)
        )
        self._stack.enter_context(closing(link))
        self._told[link] = (errors, changes)
        return link

    def errors(self, link: LinkBase) -> list[str]:
        """The reasons of what a link complained about."""
        return [error.reason for (error,) in self._told[link][0].told]

    def changes(self, link: LinkBase) -> list[bool]:
        """When a link went up and down."""
        return [connected for (connected,) in self._told[link][1].told]

    def up(self, link: LinkBase, times: int = 1) -> None:
        """Wait until a link came up so often, and is up."""
        eventually(lambda: link.connected and self.changes(link).count(True) >= times)


@pytest.fixture
def nodes(tmp_path: Path) -> Generator[Nodes]:
    """A server with the members `w1` and `w2`, and the coordinator's link."""
    with ExitStack() as stack:
        yield Nodes(stack.enter_context(fabric(tmp_path, "w1", "w2")), stack)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Which link."""
    return request.param


def test_messages_go_both_ways(nodes: Nodes, kind: str) -> None:
    """Heartbeats, answers, what is for one node and what is for all; binary data and none."""
    link, heard = nodes.link(kind, "w1"), Heard()
    link.subscribe(subjects.control("w1"), heard)
    link.subscribe(subjects.ALL, heard)
    nodes.up(link)
    for subject, data in (
        ("spectra.presence.w1", b"\x00\xff"),
        ("spectra.reply.w1", b""),
        ("spectra.reply.w1", b"x" * 99_999),
    ):
        link.publish(subject, data)
        nodes.heard.wait_for(subject, data)
    for subject in ("spectra.ctl.w1", "spectra.ctl.w2", "spectra.all"):
        nodes.coordinator.publish(subject, b"to you")
    heard.wait_for("spectra.all", b"to you")
    assert {subject for subject, _ in heard.told} == {"spectra.ctl.w1", "spectra.all"}
    assert nodes.errors(link) == []


def test_order_is_kept(nodes: Nodes, kind: str) -> None:
    """What one node says is heard in the order it said it."""
    link = nodes.link(kind, "w1")
    sent = [b"%d" % number for number in range(300)]
    for data in sent:
        link.publish("spectra.reply.w1", data)
    nodes.heard.wait_for("spectra.reply.w1", sent[-1])
    assert [data for _, data in nodes.heard.told] == sent


@pytest.mark.parametrize(
    ("subject", "kind_of_refusal"),
    [
        ("spectra.presence.w2", "forbidden_publish"),
        ("spectra.all", "forbidden_publish"),
        ("other", "forbidden_publish"),
    ],
)
def test_nobody_speaks_for_another(nodes: Nodes, kind: str, subject: str, kind_of_refusal: str) -> None:
    """It reaches nobody, the server tells who it was by its certificate, and the link goes on."""
    link = nodes.link(kind, "w1")
    nodes.coordinator.subscribe("other", nodes.heard)
    nodes.up(link)
    link.publish(subject, b"a lie")
    nodes.fabric.refused.wait_for(kind_of_refusal, uri("w1"), subject)
    link.publish("spectra.reply.w1", b"the truth")
    nodes.heard.wait_for("spectra.reply.w1")
    assert nodes.heard.told == [("spectra.reply.w1", b"the truth")]
    assert nodes.changes(link) == [True]
    if kind == "nats":  # MQTT acknowledges what it refuses
        assert nodes.errors(link) == ["refused"]


@pytest.mark.parametrize("subject", ["spectra.ctl.w2", "spectra.*.w2", "spectra.>", ">"])
def test_nobody_hears_what_is_for_another(nodes: Nodes, kind: str, subject: str) -> None:
    """The link is told, the server tells who it was, and nothing arrives."""
    link, heard = nodes.link(kind, "w1"), Heard()
    link.subscribe(subject, heard)
    mine = Heard()
    link.subscribe("spectra.ctl.w1", mine)
    nodes.up(link)
    nodes.fabric.refused.wait_for("forbidden_subscribe", uri("w1"), subject)
    eventually(lambda: nodes.errors(link) == ["refused"])
    nodes.coordinator.publish("spectra.ctl.w2", b"for w2")
    nodes.coordinator.publish("spectra.ctl.w1", b"for w1")
    mine.wait_for("spectra.ctl.w1")
    assert heard.told == []


def test_what_is_no_subject_or_too_large_is_refused_at_once(nodes: Nodes, kind: str) -> None:
    """Neither protocol could carry it, and it would stop what comes after it."""
    link = nodes.link(kind, "w1")
    for subject in ("", "a b", "a.*", "a.>", "a/b", "a..b", "é", "a" * 300):
        with pytest.raises(MeshError, match="no subject"):
            link.publish(subject, b"")
    for subject in ("", "a b", "a.>.b", "a#", "a/b"):
        with pytest.raises(MeshError, match="no subject"):
            link.subscribe(subject, Heard())
    with pytest.raises(MeshError) as told:
        link.publish("spectra.reply.w1", b"x" * (MAX_DATA_BYTES + 1))
    assert told.value.reason == "too_large"
    link.publish("spectra.reply.w1", b"x" * MAX_DATA_BYTES)
    nodes.heard.wait_for("spectra.reply.w1", b"x" * MAX_DATA_BYTES)


def test_a_receiver_that_fails_does_not_end_the_link(nodes: Nodes, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is told and logged, and the next message comes; so with callbacks of errors."""
    link, heard = nodes.link(kind, "w1"), Heard()

    def fail(subject: str, data: bytes) -> None:
        heard(subject, data)
        raise RuntimeError("not our problem")

    link.subscribe("spectra.ctl.w1", fail)
    nodes.up(link)
    with caplog.at_level(logging.ERROR):
        for data in (b"1", b"2"):
            nodes.coordinator.publish("spectra.ctl.w1", data)
            heard.wait_for("spectra.ctl.w1", data)
        eventually(lambda: nodes.errors(link) == ["mesh", "mesh"])
    assert "not our problem" in caplog.text
    assert nodes.changes(link) == [True]


def test_subscriptions_can_be_exchanged(nodes: Nodes, kind: str) -> None:
    """A second receiver of a subject takes the first one's place; nothing comes twice."""
    link, first, second = nodes.link(kind, "w1"), Heard(), Heard()
    link.subscribe("spectra.ctl.w1", first)
    nodes.up(link)
    link.subscribe("spectra.ctl.w1", second)

    def arrives() -> bool:
        nodes.coordinator.publish("spectra.ctl.w1", b"who?")
        return bool(second.told)

    eventually(arrives)
    count = len(first.told)
    nodes.coordinator.publish("spectra.ctl.w1", b"last")
    second.wait_for("spectra.ctl.w1", b"last")
    assert len(first.told) == count
    assert len([data for _, data in second.told if data == b"last"]) == 1


@pytest.mark.fault
def test_a_killed_server_is_found_again(nodes: Nodes, kind: str) -> None:
    """SIGKILL of nats-server: the links come back by themselves, hear again, and send what was said meanwhile."""
    link, heard = nodes.link(kind, "w1"), Heard()
    link.subscribe("spectra.ctl.w1", heard)
    nodes.up(link)
    pid = nodes.fabric.server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: False in nodes.changes(link))
    link.publish("spectra.reply.w1", b"meanwhile")
    nodes.up(link, 2)
    nodes.up(nodes.coordinator, 2)
    assert nodes.changes(link) == [True, False, True]
    nodes.coordinator.publish("spectra.ctl.w1", b"again")
    heard.wait_for("spectra.ctl.w1", b"again")
    assert "unreachable" in nodes.errors(link)


@pytest.mark.fault
def test_of_heartbeats_that_waited_the_newest_is_said(nodes: Nodes, kind: str) -> None:
    """After an hour without a server, the others would tell of the past, and look like a flood."""
    link = nodes.link(kind, "w1")
    nodes.up(link)
    nodes.fabric.server.stop()
    eventually(lambda: not link.connected)
    for number in range(20):
        link.publish("spectra.presence.w1", b"%d" % number)
    link.publish("spectra.reply.w1", b"an answer")
    _start_again(nodes, link)
    nodes.heard.wait_for("spectra.reply.w1", b"an answer")
    assert [data for subject, data in nodes.heard.told if subject == "spectra.presence.w1"] == [b"19"]


def _start_again(nodes: Nodes, link: LinkBase) -> None:
    """The server, where the coordinator hears before `w1` is let in."""
    del nodes.fabric.members["w1"]
    nodes.fabric.start()
    nodes.up(nodes.coordinator, 2)
    nodes.fabric.members["w1"] = "active"
    nodes.fabric.reload()
    link.reload()


@pytest.mark.fault
def test_what_was_said_while_the_server_was_away_arrives(nodes: Nodes, kind: str) -> None:
    """In order, and heartbeats give way where there is too much of it; that is told."""
    server = nodes.fabric.server
    link = nodes.link(kind, "w1")
    nodes.up(link)
    server.stop()
    eventually(lambda: not link.connected)
    for number in range(1100):
        link.publish("spectra.presence.w1", b"%d" % number)
        link.publish("spectra.reply.w1", b"%d" % number)
    _start_again(nodes, link)
    nodes.heard.wait_for("spectra.reply.w1", b"1099")
    answers = [int(data) for subject, data in nodes.heard.told if subject == "spectra.reply.w1"]
    assert answers == sorted(answers)
    eventually(lambda: "overflow" in nodes.errors(link))


def test_closing_sends_what_waits_and_is_quick_whatever_happens(nodes: Nodes, kind: str) -> None:
    """The last words arrive; closing twice, or a link that never connected, is harmless; after it nothing is sent."""
    link = nodes.link(kind, "w1")
    nodes.up(link)
    for number in range(50):
        link.publish("spectra.reply.w1", b"%d" % number)
    link.close()
    link.close()
    nodes.heard.wait_for("spectra.reply.w1", b"49")
    assert not link.connected
    assert nodes.changes(link) == [True, False]
    link.publish("spectra.reply.w1", b"too late")
    nodes.fabric.server.stop()
    away = nodes.link(kind, "w2")
    eventually(lambda: nodes.errors(away))
    away.close()
    assert _threads("w1") == _threads("w2") == []
    assert (b"too late",) not in [told[1:] for told in nodes.heard.told]


def test_a_link_may_be_closed_by_what_it_calls(nodes: Nodes, kind: str) -> None:
    """From its own thread, without waiting for itself."""
    link = nodes.link(kind, "w1")
    link.subscribe("spectra.ctl.w1", lambda subject, data: link.close())
    nodes.up(link)
    nodes.coordinator.publish("spectra.ctl.w1", b"end")
    eventually(lambda: _threads("w1") == [])


def _threads(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == f"link-{name}"]


def test_a_renewed_certificate_is_shown_after_reload(nodes: Nodes, kind: str) -> None:
    """One that is expired is refused and heard; renewed, the same link gets in."""
    files = nodes.fabric.authority.node("w1", lifetime=-timedelta(seconds=30))
    link = nodes.link(kind, "w1", files)
    nodes.fabric.refused.wait_for("expired", "127.0.0.1")
    assert not link.connected
    nodes.fabric.authority.node("w1")
    link.reload()
    nodes.up(link)


def test_reload_is_a_short_absence(nodes: Nodes, kind: str) -> None:
    """Down and up again, with everything it heard, and what was said around it."""
    link, heard = nodes.link(kind, "w1"), Heard()
    link.subscribe("spectra.ctl.w1", heard)
    nodes.up(link)
    nodes.fabric.authority.node("w1")
    link.publish("spectra.reply.w1", b"before")
    link.reload()
    link.publish("spectra.reply.w1", b"after")
    nodes.up(link, 2)
    nodes.heard.wait_for("spectra.reply.w1", b"before")
    nodes.heard.wait_for("spectra.reply.w1", b"after")
    nodes.coordinator.publish("spectra.ctl.w1", b"again")
    heard.wait_for("spectra.ctl.w1", b"again")
    assert nodes.changes(link) == [True, False, True]
    assert nodes.errors(link) == []


def test_files_that_do_not_fit_are_told_and_tried_again(nodes: Nodes, kind: str) -> None:
    """A renewal that is half written breaks no link: as soon as the files fit, it is there."""
    files = nodes.fabric.authority.node("w1")
    key = files.key.read_bytes()
    files.key.write_bytes(b"")
    link = nodes.link(kind, "w1", files)
    eventually(lambda: nodes.errors(link)[:1] == ["mesh"])
    files.key.write_bytes(key)
    link.reload()
    nodes.up(link)


def test_standing_follows_the_server_without_a_new_link(
    nodes: Nodes, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Quarantined while connected: it hears no more what is for all. Released: it does again, by itself."""
    monkeypatch.setattr({"nats": natslink, "mqtt": mqttlink}[kind], "SUBSCRIBE_AGAIN_S", 0.2)
    link, heard, asked = nodes.link(kind, "w1"), Heard(), Heard()
    link.subscribe(subjects.ALL, heard)
    link.subscribe("spectra.ctl.w1", asked)
    nodes.up(link)

    nodes.fabric.members["w1"] = "quarantined"
    nodes.fabric.reload()
    nodes.coordinator.publish(subjects.ALL, b"1")
    nodes.coordinator.publish("spectra.ctl.w1", b"1")
    asked.wait_for("spectra.ctl.w1", b"1")
    link.publish("spectra.work.w1", b"work?")
    nodes.fabric.refused.wait_for("forbidden_publish", uri("w1"), "spectra.work.w1")
    assert heard.told == []

    nodes.fabric.members["w1"] = "active"
    nodes.fabric.reload()

    def arrives() -> bool:
        nodes.coordinator.publish(subjects.ALL, b"2")
        return bool(heard.told)

    eventually(arrives)
    assert nodes.changes(link) == [True]
