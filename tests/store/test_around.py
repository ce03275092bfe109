"""The hosts around a host: every kind of tie, the rarest first, bounded, and never itself."""

from __future__ import annotations

import msgspec
import pytest

from spectra.errors import NotFound
from spectra.model.around import REACH, RELATIONS, AroundHost, Tie
from spectra.model.facts import HostFacts, Place
from spectra.model.observation import Certificate, Evidence
from spectra.store.around import MAX_PORTS, around
from spectra.store.database import Database
from tests.store.scribe import T0, Scribe, host, seen

pytestmark = pytest.mark.engine

SHARED = Certificate(sha256="ab" * 32, subject_cn="shared.example.org")
KEY = Evidence("nse:ssh-hostkey", "2048 aa:bb (RSA)\n256 cc:dd (ED25519)")
HERE = Place(asn=64500, org="Example", country="FR")


def test_every_kind_of_tie(database: Database, write: Scribe) -> None:
    """Each names what is shared, where the host has it, who shares it and the question that finds all."""
    card = {"mac": "00:1b:21:00:00:01", "vendor": "Intel"}
    write([
        HostFacts("192.0.2.7", 1, HERE), HostFacts("198.51.100.2", 1, HERE), HostFacts("198.51.100.3", 1, Place(asn=1)),
        msgspec.structs.replace(
            host(
                "192.0.2.7", T0, seen(22, "ssh", evidence=[KEY]), seen(443, "https", certificate=SHARED),
                seen(80, "http", title="Camera"), seen(8080, "http", title="Camera"), names=["www.example.org"],
            ),
            **card,
        ),
        host("192.0.2.8", T0, seen(80, "http"), names=["alone.example.org"]),
        host("198.51.100.1", T0, seen(8443, "https", certificate=SHARED), os="Linux"),
        msgspec.structs.replace(host("198.51.100.2", T0), **card),
        host("198.51.100.3", T0, seen(2222, "ssh", evidence=[KEY])),
        host("198.51.100.4", T0, seen(81, "http", title="Camera"), names=["www.example.org"]),
    ])  # fmt: skip
    found = around(database, "192.0.2.7")
    assert [(tie.relation, [one.ip for one in tie.hosts]) for tie in found.ties] == [
        ("certificate", ["198.51.100.1"]),
        ("key", ["198.51.100.3"]),
        ("mac", ["198.51.100.2"]),
        ("name", ["198.51.100.4"]),
        ("banner", ["198.51.100.4"]),
        ("network", ["192.0.2.8"]),
        ("asn", ["198.51.100.2"]),
    ]
    ties = {tie.relation: tie for tie in found.ties}
    assert ties["certificate"] == Tie(
        relation="certificate",
        what="ab" * 32,
        label="shared.example.org",
        total=1,
        endpoints=("443/tcp",),
        hosts=(AroundHost(ip="198.51.100.1", last_seen=T0, os="Linux", ports=(8443,)),),
        query=f"cert.sha256:{'ab' * 32}",
    )
    assert (ties["key"].label, ties["key"].endpoints) == ("2048 aa:bb (RSA) 256 cc:dd (ED25519)", ("22/tcp",))
    assert (ties["banner"].label, ties["banner"].endpoints) == ("Camera", ("80/tcp", "8080/tcp"))
    assert [ties[one].query for one in ("mac", "name", "banner", "network", "asn")] == [
        "mac:00:1b:21:00:00:01", "hostname:www.example.org", "", "net:192.0.2.0/24", "asn:64500",
    ]  # fmt: skip
    assert ties["asn"].label == "AS64500 Example"
    for relation in RELATIONS:
        assert around(database, "192.0.2.7", relation=relation).ties == (ties[relation],)


def test_what_very_many_share_is_counted_no_further(database: Database, write: Scribe) -> None:
    """At least so many; the rarest tie comes first; hosts and ports are bounded."""
    ports = [seen(port, "http", title="Default page") for port in range(1, MAX_PORTS + 3)]
    write([host(f"10.{n // 250}.0.{n % 250}", T0, seen(80, "http", title="Default page")) for n in range(REACH + 9)])
    write([host("10.9.9.1", T0, *ports, seen(443, title="Rare")), host("10.9.9.2", T0, seen(443, title="Rare"))])
    rare, common = around(database, "10.9.9.1", relation="banner", most=3).ties
    assert (rare.label, rare.total, rare.exact) == ("Rare", 1, True)
    assert (common.label, common.exact, len(common.hosts)) == ("Default page", False, 3)
    assert common.total >= REACH - len(ports)
    (network,) = around(database, "10.9.9.2", relation="network").ties
    assert network.hosts[0].ports == tuple(range(1, MAX_PORTS + 1))


def test_alone_and_unknown(database: Database, write: Scribe) -> None:
    """What nobody shares is no tie; IPv6 has networks of /64; of an address never seen nothing is told."""
    write([host("2001:db8::1", T0, seen(22, "ssh", banner="only here"), names=["one.example.org"])])
    assert around(database, "2001:db8::1").ties == ()
    write([host("2001:db8::ffff", T0), host("2001:db8:0:1::1", T0)])
    (tie,) = around(database, "2001:db8::1").ties
    assert (tie.what, [one.ip for one in tie.hosts]) == ("2001:db8::/64", ["2001:db8::ffff"])
    with pytest.raises(NotFound, match="No host"):
        around(database, "192.0.2.200")
