"""Where a coordinator is reached: what its certificate names, and ports that are the same after a restart."""

from __future__ import annotations

import stat
from ipaddress import ip_address
from pathlib import Path

import pytest

from spectra.identity import x509
from spectra.listening import listening, port_of
from spectra.meshplaces import Ports, hosts_of, own_addresses


@pytest.mark.parametrize(
    ("host", "addresses", "first"),
    [
        ("127.0.0.1", [], "127.0.0.1"),
        ("192.0.2.4", [], "192.0.2.4"),
        ("192.0.2.4", ["mesh.example.org", "203.0.113.9"], "mesh.example.org"),
        ("0.0.0.0", ["mesh.example.org"], "mesh.example.org"),
    ],
)
def test_the_first_is_where_machines_are_sent(host: str, addresses: list[str], first: str) -> None:
    """What the settings name, then what is bound; this machine itself always reaches it by loopback."""
    found = hosts_of(host, addresses)
    assert found[0] == first
    assert {*addresses, "localhost", "127.0.0.1", "::1"} <= set(found)
    assert ("0.0.0.0" in found) is False
    assert len(set(found)) == len(found)
    x509.alternative_names(x509.sort_names(found))


def test_who_listens_everywhere_names_its_own_addresses() -> None:
    """Those by which it would reach the Internet: no loopback, none with a zone."""
    own = list(own_addresses())
    assert all(not ip_address(address).is_loopback for address in own)
    assert hosts_of("0.0.0.0", [])[: len(own)] == tuple(own)


def test_ports_by_chance_stay_the_same(tmp_path: Path) -> None:
    """Until somebody else has one; a port that is set is never replaced. The file is for its owner alone."""
    ports = Ports(tmp_path)
    with listening("127.0.0.1", 0, hint="") as listener:
        port = port_of(listener)
        ports.remember("nats", port)
        assert Ports(tmp_path).choose("nats", 0, "127.0.0.1") == 0
    assert Ports(tmp_path).choose("nats", 0, "127.0.0.1") == port
    assert Ports(tmp_path).choose("nats", 4222, "127.0.0.1") == 4222
    assert Ports(tmp_path).choose("mqtt", 0, "127.0.0.1") == 0
    assert stat.S_IMODE((tmp_path / "mesh" / "ports.json").stat().st_mode) == 0o600


def test_a_damaged_record_is_no_reason_not_to_start(tmp_path: Path) -> None:
    """Others are picked, and remembered."""
    ports = Ports(tmp_path)
    ports.remember("mqtt", 1)
    (tmp_path / "mesh" / "ports.json").write_text("{")
    assert ports.choose("mqtt", 0, "127.0.0.1") == 0
    ports.remember("mqtt", 2)
    assert "2" in (tmp_path / "mesh" / "ports.json").read_text()
