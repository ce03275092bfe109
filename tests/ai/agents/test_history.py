"""What a week of one LAN shows: hardly anything by itself, and what is put into it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from spectra.ai.agents import history
from spectra.ai.agents.history import Look, Scan
from spectra.model.insights import Insight
from tests.ai.agents.week import TCP, looks

HOUR = timedelta(hours=1)
MACS = [f"02:00:00:00:00:{n:02x}" for n in range(40)]


@pytest.fixture(scope="module")
def week(shared_data: Path) -> tuple[Look, ...]:
    """427 scans of 256 addresses."""
    return looks(shared_data)


def kinds(found: Iterable[Insight]) -> Counter[str]:
    """How many of each."""
    return Counter(one.kind for one in found)


def test_a_week_of_one_lan_brings_two_insights(week: tuple[Look, ...]) -> None:
    """Looked at once a day from the third day on: two ports that were open for a day, and are not any more. No false
    alarm of severity medium or above in 109,312 looks.
    """
    assert len(week) == 427 * 256
    first, last = week[0].at, week[-1].at
    found: dict[str, Insight] = {}
    at = first + 48 * HOUR
    while at <= last:
        found |= {one.id: one for one in history.run(week, at)}
        at += 24 * HOUR
    assert {one.severity for one in found.values()} <= {"low"}
    assert kinds(found.values()) == {"port_gone": 2}


def test_what_is_put_into_the_week_is_found(week: tuple[Look, ...]) -> None:
    """On every host that was there almost always: a port of administration, thirty ports at once, and six hours of
    silence. All of them are found, and none of it was told before.
    """
    end = week[-1].at
    since = end - 6 * HOUR
    old = Counter(look.ip for look in week if look.up and look.at <= end - 24 * HOUR)
    lately = Counter(look.ip for look in week if look.up and look.at > since)
    steady = {f"host:{ip}" for ip, n in old.items() if n >= 0.96 * max(old.values()) and lately[ip] > 20}
    assert len(steady) >= 20
    told = [look for look in week if f"host:{look.ip}" in steady and look.at > end - 96 * HOUR]
    assert not {"new_port", "port_burst", "host_gone"} & kinds(history.run(told, end)).keys()
    for ports, kind in (([3389], "new_port"), (range(3000, 3030), "port_burst")):
        added = frozenset(TCP | port for port in ports)
        changed = [look._replace(ports=look.ports | added) if look.at > since and look.up else look for look in told]
        found = [one for one in history.run(changed, end) if one.kind == kind]
        assert {one.subjects[-1] for one in found} == steady
        assert {one.severity for one in found} == {"high" if kind == "new_port" else "medium"}
    silent = [look._replace(up=False, ports=frozenset()) if look.at > since else look for look in told]
    assert {one.subjects[0] for one in history.run(silent, end) if one.kind == "host_gone"} == steady


def series(count: int, *, mac: str = "", up: bool = True, ports: Iterable[int] = (22,), at: int = 0) -> list[Look]:
    """Looks of a quarter of an hour each at one host, from look number `at` on; each asks for the ports to 1000."""
    opened = frozenset(TCP | port for port in ports)
    start = datetime.fromisoformat("2027-01-01T00:00:00+00:00")
    scan = Scan("s", ((TCP, TCP | 1000),))
    return [
        Look("10.0.0.9", start + (at + n) * HOUR / 4, scan._replace(id=f"s{at + n}"), up, opened, mac)
        for n in range(count)
    ]


def run(*parts: list[Look]) -> list[Insight]:
    """The insights at the end of all parts, of which the last is less than a day long."""
    told = [look for part in parts for look in part]
    return history.run(told, told[-1].at)


def test_a_new_host() -> None:
    """That was asked a hundred times and silent; once is a blip, and one that was there before is not new."""
    quiet = series(100, up=False, ports=())
    (one,) = run(quiet, series(90, up=False, ports=(), at=100), series(4, at=190))
    assert (one.kind, one.severity, one.subjects) == (
        "new_host",
        "medium",
        ("host:10.0.0.9", "endpoint:10.0.0.9/tcp/22"),
    )
    assert "0.0" in next(f.value for f in one.features if f.name == "chance_at_most")
    assert not run(quiet, series(90, up=False, ports=(), at=100), series(1, at=190))
    assert not run(series(100), series(90, up=False, ports=(), at=100), series(4, at=190))


def test_what_nobody_asked_for_is_not_new() -> None:
    """A port beyond those that the scans before asked for, and one that systems give out for a while."""
    assert not run(series(150), series(50, ports=(22, 8080), at=150))
    assert not run(series(150), series(50, ports=(22, 49152), at=150))
    assert kinds(run(series(150), series(50, ports=(22, 80), at=150))) == {"new_port": 1}
    blind = [look._replace(scan=Scan(look.scan.id, None)) for look in series(150)]
    assert not run(blind, series(50, ports=(22, 80), at=150))


def test_network_cards() -> None:
    """Another one: low. Both in turn: high. One for three addresses of others: critical, as ARP spoofing is."""
    assert [one.kind for one in run(series(150, mac=MACS[0]), series(9, mac=MACS[1], at=150))] == ["other_card"]
    turns = [look._replace(mac=MACS[n % 2]) for n, look in enumerate(series(9, at=150))]
    (one,) = run(series(150, mac=MACS[0]), turns)
    assert (one.kind, one.severity) == ("two_cards", "high")
    lan = [look._replace(ip=f"10.0.0.{n}", mac=MACS[n]) for look in series(150) for n in range(4)]
    taken = [look._replace(ip=f"10.0.0.{n}", mac=MACS[9]) for look in series(2, at=150) for n in range(4)]
    assert kinds(run(lan, taken))["card_takes_over"] == 1
    assert run(lan, taken)[0].severity == "critical"
