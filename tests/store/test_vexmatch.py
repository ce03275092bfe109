"""Hosts, endpoints and software that a VEX document may name, in the store."""

from __future__ import annotations

import pytest

from spectra.model.vulns import Product
from spectra.store import vexmatch
from spectra.store.database import Database
from spectra.store.vexmatch import Maker
from tests.flow.vexworld import CVE, IPS, NGINX, populate


@pytest.fixture
def world(database: Database) -> Database:
    """Three hosts."""
    populate(database)
    return database


def test_places(world: Database) -> None:
    """Endpoints that were seen, and the addresses of names."""
    with world.connection() as connection:
        asked = [(IPS[0], 22, "tcp"), (IPS[0], 22, "udp"), ("192.0.2.9", 22, "tcp")]
        assert vexmatch.known_endpoints(connection, asked) == {asked[0]}
        assert vexmatch.known_endpoints(connection, []) == set()
        found = vexmatch.addresses(connection, ["www.example.org", "example.org"])
        assert found == {"www.example.org": [IPS[0], IPS[1]]}


def test_software(world: Database) -> None:
    """By maker and product, of the whole family, or by a word; with the services of it and where they run."""
    with world.connection() as connection:
        asked = [Maker("nginx", "nginx"), Maker("*", "openssh"), Maker("x", "openssh")]
        found = vexmatch.wares(connection, asked)
        assert found.keys() == set(asked[:2])
        assert found[asked[0]].products == {Product("a", "f5", "nginx"), Product("a", "nginx", "nginx")}
        assert [s.identities[0].cpe for s in found[asked[0]].software.values()] == [NGINX]
        assert len(found[asked[1]].software) == 3
        assert vexmatch.worded(connection, ["openssh", "x"]).keys() == {"openssh"}
        services = vexmatch.services(connection, found[asked[0]].software)
        (listed,) = services.values()
        assert [one.version for one in listed] == ["1.2"]
        assert vexmatch.runs(connection, listed) == [(IPS[0], 80, "tcp"), (IPS[1], 8080, "tcp")]
        assert (vexmatch.wares(connection, []), vexmatch.runs(connection, [])) == ({}, [])


def test_other_names_of_weaknesses(world: Database) -> None:
    """Whole ones alone; what is a CVE, or has characters of a pattern, is none."""
    with world.connection() as connection:
        asked = ["GHSA-2x8c-95vh-gfv4", "GHSA-2x8c", "GHSA%", "GHSA-2x8c_95vh-gfv4", CVE, ""]
        assert vexmatch.cves(connection, asked) == {asked[0]: [CVE]}
        assert vexmatch.cves(connection, [CVE]) == {}
