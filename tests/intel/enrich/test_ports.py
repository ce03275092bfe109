"""Labels of common ports."""

from __future__ import annotations

import re

import pytest

from spectra.intel.enrich.ports import COMMON, label


@pytest.mark.parametrize(
    ("port", "protocol", "name"),
    [
        (22, "tcp", "ssh"),
        (80, "tcp", "http"),
        (8080, "tcp", "http"),
        (443, "udp", "quic"),
        (53, "udp", "dns"),
        (27017, "tcp", "mongodb"),
        (36412, "sctp", "s1ap"),
        (22, "udp", ""),
        (61234, "tcp", ""),
        (80, "icmp", ""),
    ],
)
def test_labels(port: int, protocol: str, name: str) -> None:
    """By port and protocol; none for what is not common."""
    assert label(port, protocol) == name


def test_every_label_is_a_word() -> None:
    """Short, lower case, of a port that exists."""
    assert {protocol: len(ports) > 5 for protocol, ports in COMMON.items()} == dict.fromkeys(
        ("tcp", "udp", "sctp"), True
    )
    for ports in COMMON.values():
        for port, name in ports.items():
            assert 0 < port < 65536
            assert re.fullmatch(r"[a-z0-9-]{1,24}", name)
