"""The lab is what it says: hosts, what they serve, and what stands before them."""

from __future__ import annotations

import shutil
from collections.abc import Generator

import pytest

from spectra.bench import lab as labs
from spectra.bench.lab import EXTRA, Lab, LabError, LabHost, hosts
from spectra.bench.labscan import Task
from spectra.bench.quality import scanned

pytestmark = [pytest.mark.fault, pytest.mark.engine]

SMALL = [
    LabHost("10.251.0.1", {22: "openssh", 443: "nginx-tls"}, ""),
    LabHost("10.251.0.2", {22: "openssh"}, "filtered"),
    LabHost("10.251.0.3", {22: "openssh"}, "dark"),
    LabHost("10.251.0.4", {80: "python-http"}, "tight"),
]


@pytest.fixture(scope="module")
def lab() -> Generator[Lab]:
    """Four hosts."""
    try:
        with labs.lab(SMALL) as made:
            yield made
    except LabError as error:
        pytest.skip(str(error))


def test_there_are_fifty_hosts_of_every_kind() -> None:
    """Each service is there behind no rule, and every rule stands before some host; the last serves nothing."""
    made = hosts()
    assert len({host.ip for host in made}) == len(made) == 50
    plain = {name for host in made if host.rule == "" for name in host.services.values()}
    assert plain == {name for host in made for name in host.services.values()}
    assert {host.rule for host in made} == {"", "filtered", "limited", "tight", "guarded", "lossy", "dark"}
    assert made[-1].services == {}


def test_the_lab_tells_what_is_open(lab: Lab) -> None:
    """What a scanner can reach, by what it is; ports on which nobody serves are asked, too."""
    assert lab.truth == {
        ("10.251.0.1", 22): "ssh",
        ("10.251.0.1", 443): "http in tls",
        ("10.251.0.2", 22): "ssh",
        ("10.251.0.4", 80): "http",
    }
    assert set(lab.ports) == {22, 80, 443, *EXTRA}
    assert lab.rules("dark", "tight") == {"10.251.0.3", "10.251.0.4"}


def test_a_scan_of_it_finds_that_and_is_counted(lab: Lab) -> None:
    """Recall is one; packets are counted on the wire, and anew for every scan."""
    ports = ",".join(map(str, lab.ports))
    scan = scanned(lab, "connect", task=Task(targets=lab.targets, ports=ports, timeout_s=1.0))
    assert scan.found.keys() == lab.open
    assert scan.packets.sent > scan.probes > len(lab.ports) * len(SMALL)
    assert scan.packets.received > 0
    assert lab.counted().sent < scan.packets.sent


def nowhere(_: str) -> None:
    """No program is installed."""


def test_without_the_means_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """No root, or no nft: an error with a hint, and nothing is left behind."""
    monkeypatch.setattr(shutil, "which", nowhere)
    with pytest.raises(LabError), labs.lab([]):
        pass
