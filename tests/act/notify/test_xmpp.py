"""XMPP, with a real Prosody: to somebody who is there or not, into a room, and past the death of the server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from spectra.act.notify.outlets import OutletError
from spectra.act.notify.xmpp import Xmpp
from spectra.model.outlets import OutletKind
from spectra.settings.notify import XmppSettings
from tests.act.notify.messages import HOSTILE, ORIGIN, message, outlet
from tests.support.waiting import eventually
from tests.support.xmpp import DOMAIN, ROOMS, Prosody, Reader, prosody

ROOM = f"ops@{ROOMS}"


@dataclass
class Place:
    """A server with accounts, and the settings of one of them."""

    server: Prosody
    bob: str
    settings: XmppSettings


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One server for all of these tests."""
    with prosody(tmp_path_factory.mktemp("prosody")) as server:
        jid, bob = server.account("spectra", "geheim"), server.account("bob", "bob")
        server.account("eve", "eve")
        yield Place(server, bob, XmppSettings(jid=jid, host="127.0.0.1", port=server.port, ca_file=server.roots))


@pytest.fixture
def back() -> threading.Event:
    """Set when the server can be reached again."""
    return threading.Event()


@pytest.fixture
def sender(place: Place, back: threading.Event) -> Iterator[Xmpp]:
    """The way out."""
    made = Xmpp(place.settings, password=lambda: "geheim", origin=ORIGIN, back=back.set)
    yield made
    made.close()


def test_to_a_person(place: Place, sender: Xmpp) -> None:
    """Who is away gets it later; who is there at once; as text, whatever a scan put into it, by the message's id."""
    sender.send(outlet("xmpp", place.bob), message(1, title=HOSTILE))
    with Reader(place.server, place.bob, "bob") as bob:
        bob.wait(1)
        sender.send(outlet("xmpp", place.bob), message(2))
        first, second = bob.wait(2)
    assert (first.id, first.kind, second.id) == ("note-1", "chat", "note-2")
    assert first.text.startswith("[high] a Bcc: eve@example.org [31m")
    assert second.sender.startswith(f"spectra@{DOMAIN}/")
    assert second.text.endswith(f"{ORIGIN}/alerts/alert-1")


def test_into_a_room(place: Place, sender: Xmpp) -> None:
    """It is made where there is none, and everybody in it hears; two ways at once do not mix."""
    sender.send(outlet("xmpp-room", ROOM), message(1))
    with Reader(place.server, place.bob, "bob", ROOM) as bob:
        ways: tuple[tuple[OutletKind, str], ...] = (("xmpp-room", ROOM), ("xmpp", place.bob))
        threads = [
            threading.Thread(target=sender.send, args=[outlet(kind, target), message(number)])
            for number in range(2, 8)
            for kind, target in ways
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        heard = bob.wait(12)
    assert sorted(one.id for one in heard if one.kind == "groupchat") == [f"note-{n}" for n in range(2, 8)]
    assert {one.sender for one in heard if one.kind == "groupchat"} == {f"{ROOM}/spectra"}


def test_past_the_death_of_the_server(place: Place, sender: Xmpp, back: threading.Event) -> None:
    """What cannot be sent is told at once; the connection comes back by itself and says so, as do rooms."""
    sender.send(outlet("xmpp-room", ROOM), message(1))
    place.server.kill()
    with pytest.raises(OutletError) as failed:
        sender.send(outlet("xmpp", place.bob), message(2))
    assert (failed.value.retryable, failed.value.away) == (True, True)
    place.server.start()
    eventually(back.is_set)
    sender.send(outlet("xmpp-room", ROOM), message(3))
    sender.send(outlet("xmpp", place.bob), message(4))
    with Reader(place.server, place.bob, "bob") as bob:
        assert [one.id for one in bob.wait(1)] == ["note-4"]


def test_who_is_not_there(place: Place, sender: Xmpp) -> None:
    """An account that does not exist is not reached, a room that lets nobody in says why; others are, still."""
    with pytest.raises(OutletError, match="service-unavailable") as failed:
        sender.send(outlet("xmpp", f"nobody@{DOMAIN}"), message())
    assert (failed.value.retryable, failed.value.away) == (True, False)
    with pytest.raises(OutletError, match="does not let us in"):
        sender.send(outlet("xmpp-room", f"ops@nowhere.{DOMAIN}"), message())
    with Reader(place.server, place.bob, "bob") as bob:
        sender.send(outlet("xmpp", place.bob), message(5))
        bob.wait(1)


def test_who_is_not_let_in(place: Place) -> None:
    """A wrong password is not in what is said of it, and there is no account without settings."""
    wrong = Xmpp(place.settings, password=lambda: "wr0ng")
    try:
        with pytest.raises(OutletError, match="does not let us in") as failed:
            wrong.send(outlet("xmpp", place.bob), message())
    finally:
        wrong.close()
    assert "wr0ng" not in str(failed.value)
    with pytest.raises(OutletError, match="This node ends"):
        wrong.send(outlet("xmpp", place.bob), message())
    assert "notify.xmpp.jid" in Xmpp(XmppSettings(), password=str).lacks()
