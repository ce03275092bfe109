"""Tests of spectra.flow.law, on a real database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spectra.collect.netset import NetSet
from spectra.collect.targets import BadTarget
from spectra.errors import BadRequest
from spectra.flow.law import Law
from spectra.model.work import Permission
from spectra.store import do_not_scan
from spectra.store.database import Database
from tests.flow.desk import Clock
from tests.flow.yards import NoSystems

pytestmark = pytest.mark.engine


def permission(clock: Clock, *allow: str, hours: int = 1) -> Permission:
    """Ann's, for an hour."""
    return Permission("ann", "ticket 4711", clock(), clock() + timedelta(hours=hours), allow)


def test_the_list_is_in_force_when_it_is_written(database: Database, clock: Clock) -> None:
    """Without a restart; the version that machines are told grows, and their list has the settings' entries too."""
    law = Law(database, NoSystems(), do_not_scan=["192.0.2.7", "*.example.org"], clock=clock)
    before = law.for_machines()
    assert before.rules == ("192.0.2.7", "*.example.org")
    granted = permission(clock, "192.0.2.0/24", "198.51.100.0/24")
    assert law.still(["198.51.100.1"], granted, clock()).refused == ()
    do_not_scan.add(database, network="198.51.100.0/24", reason="asked", by="ann", now=clock())
    after = law.for_machines()
    assert after.version > before.version
    assert after.rules == (*before.rules, "198.51.100.0/24")
    (fault,) = law.still(["198.51.100.1"], granted, clock()).refused
    assert (fault.reason, fault.rule) == ("do_not_scan", "198.51.100.0/24 (do-not-scan list)")


def test_what_may_be_scanned_is_what_is_left(database: Database, clock: Clock) -> None:
    """Names by name, addresses by number, each with the rule that forbids it."""
    law = Law(database, NoSystems(), do_not_scan=["192.0.2.128/25", "vpn.example.org"], clock=clock)
    law.version()
    granted = permission(clock, "192.0.2.0/24")
    remains = law.still(["192.0.2.0/24", "vpn.example.org", "www.example.org"], granted, clock())
    assert remains.targets == ("www.example.org", "192.0.2.0/25")
    assert [fault.target for fault in remains.refused] == ["vpn.example.org", "192.0.2.128/25"]
    (fault,) = law.still(["10.0.0.1"], granted, clock()).refused
    assert fault.reason == "special_use"
    ended = law.still(["192.0.2.1", "www.example.org"], granted, clock() + timedelta(hours=2))
    assert ended.targets == ()
    assert {fault.reason for fault in ended.refused} == {"no_consent"}


def test_autonomous_systems_are_the_networks_that_feeds_know(database: Database, clock: Clock) -> None:
    """What no feed knows forbids nothing, and is told in the log; feeds that learn more are asked again."""
    systems = NoSystems()
    law = Law(database, systems, clock=clock)
    with database.transaction() as connection:
        connection.execute(
            "INSERT INTO block (id, asn, targets, reason, added, added_by)"
            " VALUES (gen_random_uuid(), 64500, true, 'x', now(), 'ann')"
        )
    granted = permission(clock, "198.51.100.0/24")
    law.version()
    assert law.still(["198.51.100.1"], granted, clock()).refused == ()
    systems.known[64500] = ["198.51.100.0/24"]
    clock.advance(timedelta(minutes=10))
    law.version()
    (fault,) = law.still(["198.51.100.1"], granted, clock()).refused
    assert fault.rule == "198.51.100.0/24 (AS64500)"
    assert law.for_machines().rules == ("198.51.100.0/24",)


def test_special_networks_are_allowed_by_who_asks_or_by_the_settings(database: Database, clock: Clock) -> None:
    """Of the settings' only what the targets need goes on record; a name or nonsense is no network."""
    law = Law(database, NoSystems(), allow=["10.0.0.0/8", "192.168.0.0/16"], clock=clock)
    targets = NetSet.of([])
    assert law.allowed(["127.0.0.0/8"], targets) == ("127.0.0.0/8",)
    from ipaddress import ip_network

    assert law.allowed([], NetSet.of([ip_network("10.1.0.0/16")])) == ("10.0.0.0/8",)
    with pytest.raises(BadRequest, match="not a network"):
        law.allowed(["www.example.org"], targets)
    with pytest.raises(BadTarget):
        Law(database, NoSystems(), do_not_scan=["1.2.3"], clock=clock)
