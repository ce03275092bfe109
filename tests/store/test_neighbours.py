"""Hosts beside a host: what they share is told once, bounded and in order."""

from __future__ import annotations

import pytest

from spectra.model.observation import Certificate
from spectra.store.database import Database
from spectra.store.neighbours import MAX_PORTS, Neighbour, neighbours
from tests.store.scribe import T0, Scribe, host, seen

pytestmark = pytest.mark.engine

SHARED = Certificate(sha256="ab" * 32, subject_cn="shared.example.org")


def test_neighbours_share_a_certificate_a_name_or_a_network(database: Database, write: Scribe) -> None:
    """The strongest tie counts; open ports are told; who shares nothing is no neighbour."""
    write([
        host("192.0.2.7", T0, seen(443, "https", certificate=SHARED), names=["www.example.org"]),
        host("192.0.2.8", T0, seen(22, "ssh"), seen(80, "http")),
        host("192.0.2.9", T0, seen(443, "https", certificate=SHARED)),
        host("198.51.100.1", T0, seen(8443, "https", certificate=SHARED)),
        host("198.51.100.2", T0, seen(80, "http"), names=["www.example.org"]),
        host("203.0.113.1", T0, seen(80, "http"), names=["www.example.com"]),
    ])  # fmt: skip
    assert neighbours(database, "192.0.2.7") == (
        Neighbour("192.0.2.9", "certificate", "ab" * 32, (443,)),
        Neighbour("198.51.100.1", "certificate", "ab" * 32, (8443,)),
        Neighbour("198.51.100.2", "name", "www.example.org", (80,)),
        Neighbour("192.0.2.8", "network", "192.0.2.0/24", (22, 80)),
    )
    assert neighbours(database, "203.0.113.1") == ()


def test_neighbours_are_bounded_and_in_order_of_address(database: Database, write: Scribe) -> None:
    """So many of each kind, and so many ports of each; IPv6 has networks of /64."""
    ports = [seen(port, "http") for port in range(1, MAX_PORTS + 3)]
    write([host(f"10.0.0.{n}", T0, *ports) for n in (10, 9, 2, 100, 1)])
    write([host("2001:db8::1", T0, seen(22, "ssh")), host("2001:db8::ffff", T0), host("2001:db8:0:1::1", T0)])
    found = neighbours(database, "10.0.0.1", most=3)
    assert [one.ip for one in found] == ["10.0.0.2", "10.0.0.9", "10.0.0.10"]
    assert {one.ports for one in found} == {tuple(range(1, MAX_PORTS + 1))}
    assert neighbours(database, "2001:db8::1") == (Neighbour("2001:db8::ffff", "network", "2001:db8::/64"),)
    assert neighbours(database, "192.0.2.1") == ()
