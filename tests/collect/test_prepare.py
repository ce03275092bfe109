"""`prepare`: from words to a checked set of addresses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from ipaddress import ip_address

import pytest

from spectra.collect.consent import Consent
from spectra.collect.netset import IPAddress, nets
from spectra.collect.prepare import Prepared, prepare
from spectra.collect.scope import OutOfScope, Scope
from spectra.collect.targets import BadTarget, parse_targets

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ZONE = {
    "www.example.org": ("9.9.9.9", "2600::9"),
    "alias.example.org": ("9.9.9.9",),
    "inside.example.org": ("127.0.0.1",),
    "vpn.example.org": ("9.9.9.10",),
}


class Zone:
    """A DNS of our own, that remembers what it was asked: the law says what may be looked up."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, names: Iterable[str]) -> Mapping[str, tuple[IPAddress, ...]]:
        names = list(names)
        self.asked += names
        unknown = [name for name in names if name not in ZONE]
        if unknown:
            raise BadTarget(f"{unknown[0]} has no address")
        return {name: tuple(ip_address(text) for text in ZONE[name]) for name in names}


def law(*deny: str, consent: tuple[str, ...] = ("9.9.9.0/24", "*.example.org")) -> Scope:
    """Consent for the zone and its network."""
    return Scope(do_not_scan=deny, consents=[Consent(consent, by="owner", reason="test", granted=NOW)])


def run(words: list[str], scope: Scope, *, skip: bool = False, zone: Zone | None = None) -> Prepared:
    """`prepare` with our zone."""
    return asyncio.run(prepare(parse_targets(words), scope, NOW, skip=skip, resolver=zone or Zone()))


def test_names_become_all_their_addresses_and_are_kept() -> None:
    """Every address of a name is scanned, with each name it was asked under."""
    prepared = run(["www.example.org", "alias.example.org", "9.9.9.1"], law())
    assert prepared.targets.addresses == nets("9.9.9.1/32", "9.9.9.9/32", "2600::9/128")
    assert prepared.targets.names[ip_address("9.9.9.9")] == ("www.example.org", "alias.example.org")
    assert prepared.skipped == ()


def test_a_forbidden_name_is_not_looked_up_as_a_target() -> None:
    """The do-not-scan list is asked before the DNS."""
    zone = Zone()
    with pytest.raises(OutOfScope) as caught:
        run(["www.example.org"], law("*.example.org"), zone=zone)
    assert caught.value.reason == "do_not_scan"
    assert zone.asked == []


def test_a_name_that_points_inside_is_refused_by_its_address() -> None:
    """A consented name with a loopback address is refused: consent to a name is no leave to scan special space."""
    with pytest.raises(OutOfScope) as caught:
        run(["inside.example.org"], law())
    assert caught.value.reason == "special_use"


def test_the_address_of_a_forbidden_name_is_refused_by_number() -> None:
    """A do-not-scan hostname also forbids what it points to; one that points nowhere forbids only its name."""
    scope = law("vpn.example.org", "gone.example.org")
    with pytest.raises(OutOfScope, match=r"vpn\.example\.org"):
        run(["9.9.9.10"], scope)
    prepared = run(["9.9.9.11"], scope)
    assert not prepared.scope.permits(ip_address("9.9.9.10"), (), NOW)


def test_skipping_cuts_out_what_is_forbidden_and_says_so() -> None:
    """With `skip` the rest is scanned and every refused part is reported with its reason."""
    words = ["9.9.9.8/30", "www.example.org", "vpn.example.org", "10.0.0.1", "7.7.7.7"]
    prepared = run(words, law("vpn.example.org"), skip=True)
    assert prepared.targets.addresses == nets("9.9.9.8/31", "9.9.9.11/32", "2600::9/128")
    assert {fault.reason for fault in prepared.skipped} == {"do_not_scan", "special_use", "no_consent"}
    with pytest.raises(OutOfScope):
        run(["7.7.7.7"], law(), skip=True)


def test_the_whole_is_bounded() -> None:
    """Targets that are each small enough may still be too many together."""
    consent = ("11.0.0.0/8", "12.0.0.0/8")
    with pytest.raises(BadTarget, match="the whole of the targets"):
        run(["11.0.0.0/8", "12.0.0.0/8"], law(consent=consent))
