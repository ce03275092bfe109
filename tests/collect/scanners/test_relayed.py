"""`relayed`: real tools and the built-in scanner through a WireGuard tunnel, and loss measured for both."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest

from spectra.bench.labscan import Task
from spectra.collect.relays import Relays
from spectra.collect.scanners import relayed
from spectra.collect.scanners.nmap import NmapScanner
from spectra.errors import BadRequest
from spectra.model.work import Endpoint
from tests.collect.scanners.conftest import ignore, request
from tests.collect.scanners.relaynet import NETWORK, PORT, SCANNER, TARGETS, RelayNet, opened, relay_net

pytestmark = pytest.mark.fault


@pytest.fixture(scope="module")
def net() -> Generator[RelayNet]:
    """One network for all tests: they end by dropping more."""
    with relay_net() as made:
        yield made


@pytest.fixture(scope="module")
def tunnel(net: RelayNet, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The interface of a tunnel; the targets drop what comes straight from the scanner."""
    folder: Path = tmp_path_factory.mktemp("wireguard")
    made = net.tunnel(folder)
    net.drop(f"ip saddr {SCANNER}")
    return made


def task(*relays: str) -> Task:
    """A scan of two targets that are known to serve."""
    known = [Endpoint(ip, PORT, "tcp") for ip in TARGETS[:2]]
    return Task(targets=list(TARGETS[:2]), ports="22", timeout_s=1.0, relays=list(relays), known=known)


def test_the_built_in_scanner_sends_through_a_tunnel(net: RelayNet, tunnel: str) -> None:
    """Straight nothing answers; out of the tunnel's interface everything does."""
    assert opened(net.scan(task("direct"))) == set()
    assert opened(net.scan(task(f"interface:{tunnel}"))) == set(TARGETS[:2])


def test_a_network_that_drops_us_is_entered_by_the_tunnel(net: RelayNet, tunnel: str) -> None:
    """The straight way is tried first, found to be dropped, and left."""
    told = net.scan(task("direct", f"interface:{tunnel}"))
    loss = told.outputs[0].loss
    assert opened(told) == set(TARGETS[:2])
    assert loss is not None
    assert (loss.via, loss.vantage, loss.dropping) == ("direct", f"interface:{tunnel}", (NETWORK,))
    assert loss.rotated == 1


@pytest.mark.skipif(shutil.which("nmap") is None, reason="nmap is not installed")
def test_a_tool_gets_the_interface_and_its_loss_is_measured(net: RelayNet, tunnel: str) -> None:
    """nmap by the way that is dropped finds nothing, and that is told; the next task takes the tunnel."""
    told = net.scan(task("direct", f"interface:{tunnel}"), "nmap")
    loss = told.outputs[-1].loss
    assert opened(told) == set()
    assert loss is not None
    assert (loss.via, loss.compared, loss.answered, loss.dropping) == ("direct", 2, 2, (NETWORK,))
    assert any("2 of 2 endpoints" in note for note in told.outputs[-1].notes)
    assert [one.network for one in told.memory.setbacks] == [NETWORK]
    assert opened(net.scan(task(f"interface:{tunnel}", "direct"), "nmap")) == set(TARGETS[:2])


def test_a_tool_that_knows_no_socks_is_not_run_without_its_relay() -> None:
    """An error that says what to do, before any packet."""
    with pytest.raises(BadRequest, match="SOCKS"):
        asyncio.run(relayed.run(NmapScanner(), request("22", relays=Relays.parse(["socks5://127.0.0.1:9"])), ignore))
