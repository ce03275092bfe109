"""`paths`: scans through real SOCKS5 servers in namespaces, and a network that begins to drop one of them."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from spectra.bench.labscan import Task
from spectra.model.work import Endpoint, Loss
from tests.collect.scanners.relaynet import (
    ASKED,
    FIRST,
    FIRST_RELAY,
    NETWORK,
    PORT,
    SCANNER,
    SECOND,
    SECOND_RELAY,
    TARGETS,
    RelayNet,
    opened,
    relay_net,
)

pytestmark = pytest.mark.fault

BEGINS = "tcp flags & (syn | ack) == syn"


@pytest.fixture
def net() -> Generator[RelayNet]:
    """A network of its own for every test."""
    with relay_net() as made:
        yield made


def task(*relays: str, known: int = 0) -> Task:
    """A scan of all targets; `known`: how many of them are known to serve."""
    endpoints = [Endpoint(ip, PORT, "tcp") for ip in TARGETS[:known]]
    return Task(targets=list(TARGETS), ports=ASKED, timeout_s=0.6, relays=list(relays), known=endpoints)


def test_a_network_that_begins_to_drop_a_relay_is_scanned_to_the_end_by_the_other(net: RelayNet) -> None:
    """After nine connections nothing of the first gets through: all is found, and what was lost is told."""
    net.socks("first", "second")
    net.drop(f"ip saddr {SCANNER}", f"ip saddr {FIRST} {BEGINS} limit rate over 1/day burst 9 packets")
    told = net.scan(task(FIRST_RELAY, SECOND_RELAY))
    (output,) = told.outputs
    assert opened(told) == set(TARGETS)
    loss = output.loss
    assert loss is not None
    assert (loss.via, loss.vantage, loss.dropping) == (FIRST_RELAY, SECOND_RELAY, (NETWORK,))
    assert 0 < loss.answered <= loss.compared
    assert loss.rotated == 1
    assert any("answered by" in note for note in output.notes)
    assert [(one.relay, one.network, one.times) for one in told.memory.setbacks] == [(FIRST_RELAY, NETWORK, 1)]


def test_a_way_that_is_left_is_found_when_two_relays_are_dropped(net: RelayNet) -> None:
    """Endpoints known to be open are silent by both: the third way answers, and both are left one after the other."""
    net.socks("first", "second")
    net.drop(f"ip saddr {{ {FIRST}, {SECOND} }}")
    told = net.scan(task(FIRST_RELAY, SECOND_RELAY, "direct", known=6))
    loss = told.outputs[0].loss
    assert opened(told) == set(TARGETS)
    assert loss is not None
    assert (loss.rotated, loss.dropping) == (2, (NETWORK,))
    assert {one.relay for one in told.memory.setbacks} == {FIRST_RELAY, SECOND_RELAY}


def test_a_relay_that_is_down_makes_place_for_the_next(net: RelayNet) -> None:
    """Nothing listens where the first should be; nothing is lost, and it waits for every network from now on."""
    net.socks("second")
    told = net.scan(task(FIRST_RELAY, SECOND_RELAY))
    assert opened(told) == set(TARGETS)
    assert [(one.relay, one.network) for one in told.memory.setbacks] == [(FIRST_RELAY, "")]


def test_without_any_relay_that_works_the_scan_fails(net: RelayNet) -> None:
    """It does not say that the targets are silent, and does not go straight, where that was not allowed."""
    said = net.failure(task(FIRST_RELAY))
    assert "no relay works" in said
    assert f"the SOCKS server at {FIRST} cannot be reached" in said


def test_with_one_relay_alone_loss_is_said_not_to_be_measured(net: RelayNet) -> None:
    """Half of the targets drop it: they are silent, and the note says what that is worth."""
    net.socks("first")
    net.drop(f"ip daddr {{ {', '.join(TARGETS[3:])} }} ip saddr {FIRST}")
    told = net.scan(task(FIRST_RELAY))
    (output,) = told.outputs
    assert opened(told) == set(TARGETS[:3])
    assert output.loss == Loss(via=FIRST_RELAY)
    assert any("was not measured" in note for note in output.notes)


def test_a_firewall_is_not_taken_for_a_network_that_drops(net: RelayNet) -> None:
    """Ports that are filtered for everybody are compared, and nobody is made to wait."""
    net.socks("first", "second")
    net.drop("tcp dport 1000-1002")
    told = net.scan(task(FIRST_RELAY, SECOND_RELAY, known=6))
    loss = told.outputs[0].loss
    assert opened(told) == set(TARGETS)
    assert loss is not None
    assert loss.compared > 0
    assert (loss.answered, loss.rotated, loss.dropping) == (0, 0, ())
    assert told.memory.setbacks == ()
