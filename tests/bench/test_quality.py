"""The built-in scanner finds on the lab what `nmap -sV` finds, and everything that is there. No time is judged."""

from __future__ import annotations

import os
import shutil

import msgspec
import pytest

from spectra.bench import quality
from spectra.bench.lab import LabError, Packets
from spectra.bench.quality import Result, Run
from spectra.model.observation import Service

KEYS = {
    *("hosts", "ports", "endpoints", "better", "worse"),
    *(f"{side}recall{kind}" for side in ("", "nmap_") for kind in ("", "_limited")),
    *(f"{side}{what}" for side in ("", "nmap_") for what in ("false_open", "named", "versioned", "seconds")),
    *(f"{side}packets_{way}" for side in ("", "nmap_") for way in ("sent", "received")),
}


@pytest.fixture(scope="module")
def result() -> Result:
    """One run of both, on all fifty hosts."""
    if os.geteuid() != 0 or shutil.which("nmap") is None:
        pytest.skip("root and nmap are needed")
    said: list[str] = []
    try:
        found = quality.run(say=said.append, at_once=True)
    except LabError as error:
        pytest.skip(str(error))
    assert said
    return found


@pytest.mark.engine
@pytest.mark.fault
@pytest.mark.slow
def test_the_built_in_scanner_finds_everything(result: Result) -> None:
    """Every open endpoint of fifty hosts, behind limits and on lossy lines too, and none that is not open."""
    assert set(msgspec.structs.asdict(result)) == KEYS
    assert result.hosts == 50
    assert result.endpoints > 100
    assert (result.recall, result.recall_limited, result.false_open) == (1.0, 1.0, 0)
    assert result.recall >= result.nmap_recall


@pytest.mark.engine
@pytest.mark.fault
@pytest.mark.slow
def test_services_are_named_as_well_as_by_nmap(result: Result) -> None:
    """No service that nmap names rightly goes unnamed or misnamed, nearly all that is there is named, packets are seen.

    A line that loses a tenth of all packets may eat an answer or two.
    """
    assert result.named >= result.nmap_named
    assert result.named >= result.endpoints - 3
    assert result.worse <= 2
    assert result.versioned >= result.nmap_versioned - 3
    assert min(result.packets_sent, result.packets_received, result.nmap_packets_sent) > 1000


@pytest.mark.parametrize(
    ("service", "truth", "right"),
    [
        (Service(name="http", tunnel="tls"), "http in tls", True),
        (Service(name="https", tunnel="tls"), "http in tls", True),
        (Service(name="https-alt"), "http in tls", True),
        (Service(name="http"), "http in tls", False),
        (Service(name="mosquitto version 2.0.11"), "mqtt", True),
        (Service(name="tcpwrapped"), "ssh", False),
        (Service(), "ssh", False),
    ],
)
def test_nmaps_words_for_the_same_are_right_too(service: Service, truth: str, right: bool) -> None:
    """The peer is not called worse for another habit of naming."""
    place = ("10.251.0.1", 1)
    scan = Run({place: service}, Packets(0, 0), 0.0, 0)
    assert quality.rightly({place: truth}, scan) == ({place} if right else set())
    assert quality.missed({place, ("10.251.0.2", 1)}, scan) == [("10.251.0.2", 1)]
