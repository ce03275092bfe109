"""`scope`: the law, rule by rule, and against an address-by-address model."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.collect.consent import Consent
from spectra.collect.netset import NetSet, nets
from spectra.collect.scope import OutOfScope, Scope
from spectra.collect.targets import TargetSet, parse_target
from spectra.errors import BadRequest

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def law(*, allow: list[str] | None = None, deny: list[str] | None = None, consent: list[str] | None = None) -> Scope:
    """A scope whose consents hold for an hour from NOW."""
    expires = NOW + timedelta(hours=1)
    consents = [Consent((text,), by="owner", reason="test", granted=NOW, expires=expires) for text in consent or []]
    return Scope(allow=allow or [], do_not_scan=deny or [], consents=consents)


def reason(scope: Scope, target: str, now: datetime = NOW) -> str:
    """Why `target` is refused, or `ok`."""
    try:
        scope.check(target, now)
    except OutOfScope as fault:
        return fault.reason if fault.hint and fault.target == target else f"{fault.reason} without a target or a hint"
    return "ok"


def test_the_rules_in_their_order() -> None:
    """Do-not-scan beats allow and consent; special space needs an allow; all else needs consent."""
    everything = law(allow=["10.0.0.0/8"], deny=["10.1.0.0/16", "8.8.4.4"], consent=["10.0.0.0/8", "8.8.0.0/16"])
    assert reason(everything, "10.0.0.1") == "ok"
    assert reason(everything, "10.1.0.1") == "do_not_scan"
    assert reason(everything, "8.8.4.4") == "do_not_scan"
    assert reason(everything, "8.8.8.8") == "ok"
    assert reason(everything, "9.9.9.9") == "no_consent"
    assert reason(everything, "192.168.1.1") == "special_use"
    assert reason(everything, "1.2.3") == "bad_target"
    assert reason(law(), "8.8.8.8") == "no_consent"
    assert reason(law(consent=["127.0.0.0/8"]), "127.0.0.1") == "special_use"
    assert reason(law(allow=["127.0.0.0/8"]), "127.0.0.1") == "no_consent"


def test_a_network_that_overlaps_is_refused_as_a_whole() -> None:
    """One forbidden address in a /24 refuses the /24, and the error names the target, the rule and the part."""
    scope = law(deny=["8.8.8.8"], consent=["8.8.8.0/24"])
    with pytest.raises(OutOfScope) as caught:
        scope.check("8.8.8.0/24", NOW)
    assert str(caught.value).startswith("8.8.8.0/24 overlaps the do-not-scan list: 8.8.8.8 (do_not_scan).")
    assert caught.value.part == nets("8.8.8.8/32")


def test_other_forms_of_an_address_do_not_get_around_the_list() -> None:
    """IPv4-mapped, NAT64 and 6to4 forms of a forbidden address are forbidden, even where their space is allowed."""
    scope = law(allow=["::/0", "10.0.0.0/8"], deny=["10.1.0.0/16"], consent=["::/0", "0.0.0.0/0"])
    for text in ("::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "2002:a01:203::1", "10.1.2.3", "::/0"):
        assert reason(scope, text) == "do_not_scan"
    assert reason(scope, "::ffff:10.2.0.1") == "ok"


def test_consent_ends() -> None:
    """The same scope refuses before the grant and from the expiry on."""
    scope = law(consent=["8.8.8.8", "dns.example"])
    for target in ("8.8.8.8", "dns.example"):
        assert reason(scope, target) == "ok"
        assert reason(scope, target, NOW + timedelta(hours=1)) == "no_consent"
        assert reason(scope, target, NOW - timedelta(seconds=1)) == "no_consent"


def test_hostnames_are_checked_by_name_and_by_address() -> None:
    """A consented name that points into forbidden or special space is refused by its address (DNS rebinding)."""
    scope = law(deny=["*.example.org", "8.8.4.4"], consent=["www.example.net", "8.8.8.8"])
    assert reason(scope, "a.example.org") == "do_not_scan"
    assert reason(scope, "example.org") == "do_not_scan"
    assert reason(scope, "www.example.net") == "ok"
    good, denied, inside = ip_address("9.9.9.9"), ip_address("8.8.4.4"), ip_address("127.0.0.1")
    for address, expected in ((good, "ok"), (denied, "do_not_scan"), (inside, "special_use")):
        targets = TargetSet(NetSet.ranges([(address, address)]), {address: ("www.example.net",)})
        if expected == "ok":
            scope.check(targets, NOW)
        else:
            with pytest.raises(OutOfScope) as caught:
                scope.check(targets, NOW)
            assert caught.value.reason == expected
        assert scope.permits(address, ("www.example.net",), NOW) == (expected == "ok")
    allowed = ip_address("8.8.8.8")
    with pytest.raises(OutOfScope, match=r"8\.8\.8\.8 \(a\.example\.org\) is on the do-not-scan list"):
        scope.check(TargetSet(nets("8.8.8.8/32"), {allowed: ("a.example.org",)}), NOW)
    assert not scope.permits(allowed, ("a.example.org",), NOW)
    assert not scope.permits(good, (), NOW)


def test_forbidden_names_are_pinned_to_their_addresses() -> None:
    """After `pin`, the addresses of a do-not-scan name are not reached by number either."""
    scope = law(deny=["vpn.example.org", "*.example.net"], consent=["8.8.8.0/24"])
    assert scope.denied_hostnames == ("vpn.example.org",)
    pinned = scope.pin({"vpn.example.org": [ip_address("8.8.8.8")]})
    assert reason(scope, "8.8.8.8") == "ok"
    assert reason(pinned, "8.8.8.8") == "do_not_scan"
    assert reason(pinned, "8.8.8.9") == "ok"


def test_an_empty_set_is_no_target() -> None:
    """Nothing to scan is said, not silently done."""
    with pytest.raises(OutOfScope) as caught:
        law().check(TargetSet(), NOW)
    assert caught.value.reason == "bad_target"


def test_settings_that_are_wrong_name_themselves() -> None:
    """A bad allow or do-not-scan entry fails when the law is made, not when it is needed."""
    with pytest.raises(BadRequest, match="allow: "):
        law(allow=["example.org"])
    with pytest.raises(BadRequest, match="do_not_scan: "):
        law(deny=["10.0.0.0/99"])


_BASE = int(IPv4Address("9.9.0.0"))


@st.composite
def small_networks(draw: st.DrawFn) -> str:
    """A network of at most 32 addresses within 9.9.0.0/24 (ordinary) or 10.9.0.0/24 (special)."""
    bits = draw(st.integers(0, 5))
    base = _BASE + (draw(st.booleans()) << 24)
    return str(IPv4Network((base + (draw(st.integers(0, 255 >> bits)) << bits), 32 - bits)))


lists = st.lists(small_networks(), max_size=5)


@given(lists, lists, lists, st.lists(small_networks(), min_size=1, max_size=5))
def test_cutting_equals_asking_each_address(
    allow: list[str], deny: list[str], consent: list[str], wanted: list[str]
) -> None:
    """What `cut` keeps is what single addresses are permitted, and `check` passes exactly when nothing is cut."""
    scope = law(allow=allow, deny=deny, consent=consent)
    targets = TargetSet(NetSet.union(parse_target(text).addresses for text in wanted))
    naive = set[IPv4Address]()
    for address in {a for text in wanted for a in IPv4Network(text)}:
        denied = any(address in IPv4Network(text) for text in deny)
        special = address in IPv4Network("10.0.0.0/8") and not any(address in IPv4Network(text) for text in allow)
        consented = any(address in IPv4Network(text) for text in consent)
        if consented and not denied and not special:
            naive.add(address)
        assert scope.permits(address, (), NOW) == (address in naive)
    cut = scope.cut(targets, NOW)
    assert set(cut.kept.addresses) == naive
    assert NetSet.union(fault.part for fault in cut.refused) == targets.addresses - cut.kept.addresses
    try:
        scope.check(targets, NOW)
    except OutOfScope:
        assert cut.refused
    else:
        assert not cut.refused


def test_what_is_forbidden_is_forbidden_whoever_consents() -> None:
    """By number (also as the translated form of one), by name, and special space; consent plays no part."""
    scope = law(allow=["10.0.0.0/8"], deny=["10.1.0.0/16", "*.secret.example", "vpn.example"])
    assert scope.forbids(ip_address("10.1.2.3"))
    assert scope.forbids(ip_address("::ffff:10.1.2.3"))
    assert scope.forbids(ip_address("192.168.0.1"))
    assert not scope.forbids(ip_address("10.2.0.1"))
    assert not scope.forbids(ip_address("8.8.8.8"), ("www.example",))
    assert scope.forbids(None, ("a.secret.example",))
    assert not scope.forbids(None)
    listed = list(scope.forbidden())
    assert {"10.1.0.0/16", "192.168.0.0/16", "secret.example", "vpn.example"} <= set(listed)
    assert "10.0.0.0/8" not in listed
