"""The NATS link alone: several brokers, brokers that are none of ours, and those that stop answering."""

from __future__ import annotations

import os
import signal
import socketserver
import threading
from collections.abc import Generator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from spectra.fabric import natslink
from spectra.fabric.natsconfig import Limits
from spectra.fabric.natslink import NatsLink
from tests.support.fabrics import COORDINATOR, Fabric, Heard, fabric
from tests.support.meshcerts import TestAuthority, strangers
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine


@pytest.fixture
def served(tmp_path: Path) -> Generator[Fabric]:
    """A server with the member `w1`."""
    with fabric(tmp_path, "w1") as made:
        yield made


def test_brokers_are_tried_in_turn(served: Fabric) -> None:
    """The first does not answer, the second does, and is tried first the next time."""
    heard, changes, urls = Heard(), Heard(), ["tls://127.0.0.1:1", served.server.url]
    with closing(NatsLink(urls, served.coordinator, COORDINATOR, heard, on_change=changes)) as link:
        eventually(lambda: link.connected)
        assert [error.reason for (error,) in heard.told] == ["unreachable"]
        link.reload()
        eventually(lambda: changes.told == [(True,), (False,), (True,)])
        assert len(heard.told) == 1


def test_of_a_queue_one_hears_each_message(served: Fabric) -> None:
    """Two coordinators that subscribe with one queue share what is said; who subscribes without hears all of it."""
    shared, whole = [Heard(), Heard()], Heard()
    with ExitStack() as stack:
        links = [
            stack.enter_context(closing(NatsLink([served.server.url], served.coordinator, COORDINATOR, Heard())))
            for _ in range(3)
        ]
        for link, heard in zip(links, shared, strict=False):
            link.subscribe("spectra.work.*", heard, queue="coordinators")
        links[2].subscribe("spectra.work.*", whole)
        eventually(lambda: all(link.connected for link in links))
        said = [("spectra.work.w1", str(number).encode()) for number in range(50)]
        eventually(lambda: links[2].publish("spectra.work.w1", b"ready?") or whole.told)  # subscribed by now
        whole.told.clear()
        for subject, data in said:
            links[2].publish(subject, data)
        eventually(lambda: [one for one in whole.told if one in said] == said)
        eventually(lambda: sorted([*_of(shared[0], said), *_of(shared[1], said)]) == sorted(said))


def _of(heard: Heard, said: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    return [one for one in heard.told if one in said]


def test_a_broker_of_another_mesh_is_not_trusted(served: Fabric) -> None:
    """Its certificate is of a root we do not know: nothing is said to it."""
    heard = Heard()
    files = TestAuthority(served.folder / "elsewhere").node("w1")
    with closing(NatsLink([served.server.url], files, "w1", heard)):
        (error,) = heard.wait_for()
    assert (error.reason, error.retryable) == ("untrusted", False)


def test_a_broker_is_called_by_the_name_in_its_certificate(served: Fabric) -> None:
    """A worker's certificate names no host, so no worker can stand in for the coordinator."""
    heard = Heard()
    served.server.reload(
        served.text().replace(str(served.coordinator.cert.parent), str(served.authority.node("w1").cert.parent))
    )
    with closing(NatsLink([served.server.url], served.coordinator, COORDINATOR, heard)):
        (error,) = heard.wait_for()
    assert error.reason == "untrusted"


def test_who_is_not_let_in_is_told_so(served: Fabric) -> None:
    """A certificate of ours that is no member's, and one of somebody else's."""
    heard = Heard()
    with closing(NatsLink([served.server.url], served.authority.node("ghost"), "ghost", heard)):
        (error,) = heard.wait_for()
    assert error.reason == "refused"
    served.refused.wait_for("not_a_member", "ghost")

    heard = Heard()
    files = strangers(served.folder / "elsewhere", served.coordinator, "w1")
    with closing(NatsLink([served.server.url], files, "w1", heard)):
        (error,) = heard.wait_for()
    assert error.reason in ("unreachable", "refused")  # with TLS 1.3 it just hangs up
    served.refused.wait_for("untrusted", "127.0.0.1")


class _Plain(socketserver.StreamRequestHandler):
    """Speaks NATS without TLS, as somebody between a node and its coordinator could."""

    heard = Heard()

    def handle(self) -> None:
        """Welcome, and note what is said beside that."""
        self.wfile.write(b'INFO {"server_id":"X","version":"2.15.1","max_payload":1048576}\r\n')
        for line in self.rfile:
            if line.startswith(b"PING"):
                self.wfile.write(b"PONG\r\n")
            elif not line.startswith(b"CONNECT"):
                self.heard(line)


def test_nothing_is_said_without_tls(served: Fabric) -> None:
    """The other side says that it wants none: whoever sits on the way could say so, and then hear and tell anything."""
    errors = Heard()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Plain) as plain:
        thread = threading.Thread(target=plain.serve_forever, args=(0.01,))
        thread.start()
        url = f"tls://127.0.0.1:{plain.server_address[1]}"
        with closing(NatsLink([url], served.coordinator, COORDINATOR, errors)) as link:
            link.publish("spectra.all", b"secret")
            link.subscribe("spectra.>", Heard())
            (error,) = errors.wait_for()
            assert not link.connected
        plain.shutdown()
        thread.join()
    assert error.reason == "untrusted"
    assert _Plain.heard.told == []


@pytest.mark.fault
def test_a_broker_that_stops_answering_is_left(served: Fabric, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frozen, it takes what is sent and says nothing: the link finds out, and is back when it answers again."""
    monkeypatch.setattr(natslink, "_PING_S", 1)
    pid = served.server.pid
    assert pid is not None
    with closing(NatsLink([served.server.url], served.coordinator, COORDINATOR, Heard())) as link:
        eventually(lambda: link.connected)
        os.kill(pid, signal.SIGSTOP)
        try:
            eventually(lambda: not link.connected)
        finally:
            os.kill(pid, signal.SIGCONT)
        eventually(lambda: link.connected)


def test_what_a_broker_will_not_carry_is_given_up(served: Fabric) -> None:
    """One of a smaller bound than ours: it is told, and the rest arrives."""
    served.limits = Limits(payload_bytes=1000)
    served.reload()
    heard, errors = Heard(), Heard()
    with closing(NatsLink([served.server.url], served.coordinator, COORDINATOR, errors)) as link:
        link.subscribe("spectra.x", heard)
        eventually(lambda: link.connected)
        link.publish("spectra.x", b"x" * 1001)
        link.publish("spectra.x", b"x" * 1000)
        heard.wait_for("spectra.x", b"x" * 1000)
        assert [error.reason for (error,) in errors.told] == ["too_large"]
        assert len(heard.told) == 1
