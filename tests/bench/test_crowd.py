"""The simulated nodes: they speak in turn, fall silent when told, and answer as nodes do."""

from __future__ import annotations

import pytest

from spectra.bench.crowd import Crowd
from spectra.fabric import messages, subjects
from spectra.fabric.messages import Lost, Ping
from spectra.model.nodes import Heartbeat
from tests.flow.ears import Wire

NAMES = ["n0", "n1", "n2", "n3"]


@pytest.fixture
def wires() -> list[Wire]:
    """Two connections."""
    return [Wire(), Wire()]


@pytest.fixture
def crowd(wires: list[Wire]) -> Crowd:
    """Four nodes that speak every four seconds."""
    return Crowd(NAMES, wires, 4.0)


def said(wires: list[Wire]) -> list[Heartbeat | Lost]:
    """Every presence message, taken off the wires."""
    found = [messages.heartbeat(data, subject) for wire in wires for subject, data in wire.published]
    for wire in wires:
        wire.published.clear()
    return found


def test_heartbeats_are_spread_over_the_interval(crowd: Crowd, wires: list[Wire]) -> None:
    """One node after the other, each as often as it promises, with abilities in its first heartbeat only."""
    began = crowd.beat(0.0)
    assert said(wires) == []
    assert crowd.beat(began) == began + 1
    assert [one.node for one in said(wires)] == ["n0"]
    crowd.beat(began + 3)
    assert sorted(one.node for one in said(wires)) == ["n1", "n2", "n3"]
    crowd.beat(began + 7)
    again = [one for one in said(wires) if isinstance(one, Heartbeat)]
    assert sorted((one.node, one.seq, one.capabilities) for one in again) == [(name, 1, None) for name in NAMES]


def test_both_connections_are_used(crowd: Crowd, wires: list[Wire]) -> None:
    """A node always speaks over the same."""
    crowd.beat(crowd.beat(0.0) + 3)
    assert [[subjects.node_of(subject) for subject, _ in wire.published] for wire in wires] == [
        ["n0", "n2"],
        ["n1", "n3"],
    ]


def test_who_is_silenced_says_nothing_until_told(crowd: Crowd, wires: list[Wire]) -> None:
    """No heartbeat and no answer; a lost one's broker says so."""
    began = crowd.beat(0.0)
    crowd.obey("silence n0 n1\n")
    crowd.obey("lose n2")
    assert said(wires) == [Lost(1, "n2", incarnation=crowd._incarnation)]
    for name in NAMES:
        crowd.answer(subjects.control(name), messages.encode(Ping("abc")))
    assert [subject for wire in wires for subject, _ in wire.published] == ["spectra.reply.n3"]
    for wire in wires:
        wire.published.clear()
    crowd.beat(began + 3)
    assert [one.node for one in said(wires)] == ["n3"]
    crowd.obey("speak n0 n1 n2")
    crowd.beat(began + 7)
    assert sorted(one.node for one in said(wires)) == NAMES


def test_an_answer_names_the_ping(crowd: Crowd, wires: list[Wire]) -> None:
    """With the node's incarnation; pings of strangers are nobody's."""
    crowd.answer(subjects.control("n1"), messages.encode(Ping("abc")))
    crowd.answer(subjects.control("other"), messages.encode(Ping("abc")))
    ((subject, data),) = wires[1].published
    pong = messages.pong(data, subject)
    assert (pong.id, pong.node, pong.incarnation) == ("abc", "n1", crowd._incarnation)


def test_a_link_that_is_full_is_told_and_no_end(
    crowd: Crowd, wires: list[Wire], capsys: pytest.CaptureFixture[str]
) -> None:
    """It goes on with the next node."""
    wires[0].full = True
    crowd.beat(crowd.beat(0.0) + 3)
    assert [one.node for one in said(wires)] == ["n1", "n3"]
    assert capsys.readouterr().err == "full.\nfull.\n"
