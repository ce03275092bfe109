"""Rules, things and what covers them, as they are read and told apart."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from spectra.model.alerts import ABOUT_HOSTS, KINDS, LASTING, Mute, Occurrence, Rule

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
CVE = "CVE-2024-1000"


def test_kinds_are_told_apart() -> None:
    """Each in words; those about hosts, and those that last, are among them."""
    assert all(KINDS.values())
    assert KINDS.keys() > ABOUT_HOSTS
    assert KINDS.keys() > LASTING


@pytest.mark.parametrize(
    "body",
    [
        {"name": "a"},
        {"name": "a", "on": []},
        {"name": "A b", "on": ["host.new"]},
        {"name": "a", "on": ["host.old"]},
        {"name": "a", "on": ["host.new"], "threshold": 0},
        {"name": "a", "on": ["host.new"], "quiet": {"start": "24:00", "end": "07:00"}},
        {"name": "a", "on": ["host.new"], "outlets": ["../x"]},
        {"name": "a", "on": ["host.new"], "color": "red"},
    ],
)
def test_what_is_no_rule(body: dict[str, object]) -> None:
    """Is not read."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(body, Rule)


def test_things_are_told_apart_by_what_they_are_about() -> None:
    """Not by when, or how often."""
    one = Occurrence(kind="finding.new", at=NOON, title="a", ip="192.0.2.1", port=80, protocol="tcp", cve=CVE)
    assert one.key == "finding.new|192.0.2.1/tcp/80|CVE-2024-1000"
    assert Occurrence(kind="worker.lost", at=NOON, title="b", name="edge", times=3).key == "worker.lost|edge"


def test_a_mute_covers_what_all_of_it_holds_for() -> None:
    """One weakness of one service, of one rule; port 0 of a protocol is no other."""
    one = Occurrence(kind="finding.new", at=NOON, title="a", ip="192.0.2.1", port=80, protocol="tcp", cve=CVE)
    told = {"id": "m", "at": NOON, "by": "alice"}
    exact = {"rule": "r", "kind": one.kind, "ip": one.ip, "port": 80, "protocol": "tcp", "cve": one.cve}
    assert msgspec.convert(told | exact, Mute).covers("r", one)
    for other in ({"rule": "s"}, {"kind": "kev.match"}, {"ip": "192.0.2.2"}, {"port": 81}, {"cve": "CVE-2024-2000"}):
        assert not msgspec.convert(told | exact | other, Mute).covers("r", one)
