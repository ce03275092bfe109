"""Scope law: what may be scanned. Pure: no clock, no network, no files.

Asked when a scan is prepared, again by every scanner before its first packet, and by
the built-in scanner for each host.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from spectra.collect.consent import Consent, Permits
from spectra.collect.netset import EMPTY, IPAddress, NetSet, plain, short
from spectra.collect.rules import Rule, matches, parse_rule
from spectra.collect.special import SPECIAL_SET, meaning
from spectra.collect.targets import BadTarget, Target, TargetSet, parse_target
from spectra.errors import BadRequest, SpectraError

Reason = Literal["do_not_scan", "special_use", "no_consent", "bad_target"]


class OutOfScope(SpectraError):
    """A target, or a part of one, that may not be scanned. `rule` is the entry that says so, `part` what it hits."""

    reason = "no_consent"

    def __init__(
        self, message: str, *, reason: Reason, target: str, rule: str = "", part: NetSet = EMPTY, hint: str = ""
    ) -> None:
        super().__init__(message, reason=reason, hint=hint)
        self.target = target
        self.rule = rule
        self.part = part


@dataclass(frozen=True, slots=True)
class Cut:
    """What remains of a target set after the law, and every part that was cut out, with the rule that did it."""

    kept: TargetSet
    refused: tuple[OutOfScope, ...]


class Scope:
    """The law of one machine.

    1. What the do-not-scan list names is never scanned, under any name or translated form of its addresses.
    2. IANA special-purpose space (RFC 6890) needs an explicit `allow`.
    3. Everything needs recorded consent, by address or by hostname.
    """

    def __init__(
        self,
        *,
        allow: Iterable[str] = (),
        do_not_scan: Iterable[str | Rule] = (),
        consents: Iterable[Consent] = (),
    ) -> None:
        """`allow`: networks; `do_not_scan`: networks, addresses, ranges, hostnames. Raises `BadTarget` for others."""
        self._rules = tuple(_rule(entry) for entry in do_not_scan)
        self._allow = tuple(allow)
        self._consents = tuple(consents)
        self._denied = _with_translated(rule.addresses for rule in self._rules)
        self._patterns = tuple(rule for rule in self._rules if rule.pattern)
        self._special = SPECIAL_SET - NetSet.union(_allowed(text) for text in self._allow)
        self._edges = sorted({moment for c in self._consents for moment in (c.granted, c.expires) if moment})
        self._permits: dict[int, Permits] = {}

    def check(self, target: Target | TargetSet | str, now: datetime) -> None:
        """Raise `OutOfScope` for the first rule that `target` or any part of it breaks at `now`.

        A hostname is checked by name; check the `TargetSet` of its addresses too once they are known.
        """
        for fault in self._faults(_parsed(target) if isinstance(target, str) else target, now):
            raise fault

    def cut(self, targets: TargetSet, now: datetime) -> Cut:
        """The part of `targets` that may be scanned at `now`, and all that may not."""
        refused = tuple(self._faults(targets, now))
        kept = targets.addresses - NetSet.union(fault.part for fault in refused)
        return Cut(TargetSet(kept, {ip: names for ip, names in targets.names.items() if ip in kept}), refused)

    def permits(self, address: IPAddress, names: Iterable[str], now: datetime) -> bool:
        """Whether one address, asked for under `names`, may be scanned at `now`: the check before its first packet."""
        address = plain(address)
        if address in self._denied or address in self._special:
            return False
        names = tuple(names)
        if any(self._denied_name(name) for name in names):
            return False
        permits = self._in_force(now)
        return address in permits.addresses or any(permits.name(name) for name in names)

    def pin(self, resolved: Mapping[str, Iterable[IPAddress]]) -> Scope:
        """This law with the addresses of do-not-scan hostnames added, so that they are not reached by number either."""
        extra = [
            Rule(name, NetSet.ranges((ip, ip) for ip in found), where=f"address of {name}")
            for name, found in resolved.items()
        ]
        return Scope(allow=self._allow, do_not_scan=(*self._rules, *extra), consents=self._consents)

    @property
    def denied_hostnames(self) -> tuple[str, ...]:
        """The do-not-scan hostnames that can be looked up (no wildcards), for `pin`."""
        return tuple(rule.pattern for rule in self._patterns if not rule.pattern.startswith("*."))

    def forbids(self, address: IPAddress | None, names: Iterable[str] = ()) -> bool:
        """Whether the law forbids an address or any of the names, whoever consents."""
        by_number = address is not None and (plain(address) in self._denied or plain(address) in self._special)
        return by_number or any(self._denied_name(name) is not None for name in names)

    def forbidden(self) -> Iterator[str]:
        """All that is forbidden, for tools that have a list of their own: networks, and domains with all below them."""
        yield from map(str, (self._denied | self._special).networks())
        yield from sorted({rule.pattern.removeprefix("*.") for rule in self._patterns})

    def _faults(self, target: Target | TargetSet, now: datetime) -> Iterator[OutOfScope]:
        if isinstance(target, TargetSet):
            yield from self._set_faults(target, "", now)
        elif target.hostname:
            yield from self._name_faults(target, now)
        else:
            yield from self._set_faults(TargetSet(target.addresses), target.text, now)

    def _name_faults(self, target: Target, now: datetime) -> Iterator[OutOfScope]:
        rule = self._denied_name(target.hostname)
        permits = self._in_force(now)
        if rule is not None:
            yield _denied(target.hostname, rule, EMPTY)
        elif not permits.addresses and not permits.name(target.hostname):
            yield _unconsented(target.hostname, EMPTY)

    def _set_faults(self, targets: TargetSet, text: str, now: datetime) -> Iterator[OutOfScope]:
        addresses = targets.addresses
        if not addresses:
            yield OutOfScope("there is nothing to scan", reason="bad_target", target=text, hint="Name a target.")
            return
        for ip, names in targets.names.items():
            rule = next(filter(None, map(self._denied_name, names)), None)
            if rule is not None:
                yield _denied(f"{ip} ({names[0]})", rule, _one(ip))
        if addresses & self._denied:
            for rule in self._rules:
                if part := addresses & _with_translated([rule.addresses]):
                    yield _denied(text or short(part), rule, part, whole=part == addresses)
        if special := addresses & self._special:
            yield _special(text or short(special), special, whole=special == addresses)
        permits = self._in_force(now)
        by_name = [_one(ip) for ip, names in targets.names.items() if any(map(permits.name, names))]
        if rest := addresses - permits.addresses - NetSet.union(by_name):
            yield _unconsented(text or short(rest), rest)

    def _denied_name(self, name: str) -> Rule | None:
        return next((rule for rule in self._patterns if matches(rule.pattern, name, apex=True)), None)

    def _in_force(self, now: datetime) -> Permits:
        """The consents in force at `now`; they change only at an edge, so one set serves until the next."""
        stretch = bisect_right(self._edges, now)
        if stretch not in self._permits:
            self._permits[stretch] = Permits.of(self._consents, now)
        return self._permits[stretch]


def _rule(entry: str | Rule) -> Rule:
    return parse_rule(entry, where="do_not_scan") if isinstance(entry, str) else entry


def _allowed(text: str) -> NetSet:
    target = parse_target(text, where="allow")
    if target.hostname:
        hint = "Special-use space is allowed by network, such as 192.168.1.0/24."
        raise BadRequest(f"allow: {text!r} is not a network", reason="bad_target", field="allow", hint=hint)
    return target.addresses


def _with_translated(sets: Iterable[NetSet]) -> NetSet:
    union = NetSet.union(sets)
    return union | union.translated()


def _one(ip: IPAddress) -> NetSet:
    return NetSet.ranges([(ip, ip)])


def _parsed(text: str) -> Target:
    try:
        return parse_target(text)
    except BadTarget as error:
        raise OutOfScope(error.message, reason="bad_target", target=text, hint=error.hint) from error


def _denied(target: str, rule: Rule, part: NetSet, *, whole: bool = True) -> OutOfScope:
    return OutOfScope(
        f"{target} {'is on' if whole else 'overlaps'} the do-not-scan list: {rule}.",
        reason="do_not_scan",
        target=target,
        rule=str(rule),
        part=part,
        hint="Leave it out, or skip what is forbidden and scan the rest.",
    )


def _special(target: str, part: NetSet, *, whole: bool) -> OutOfScope:
    rule = meaning(part)
    allowed = short(part) if len(list(part.networks())) == 1 else "CIDR"
    return OutOfScope(
        f"{target} {'lies in' if whole else 'overlaps'} special-use space: {rule}.",
        reason="special_use",
        target=target,
        rule=rule,
        part=part,
        hint=f"If it is yours to scan: --allow {allowed} for this scan, or `spectra scope allow {allowed}` for all.",
    )


def _unconsented(target: str, part: NetSet) -> OutOfScope:
    uncovered = f" ({short(part)} is not covered)" if part and short(part) != target else ""
    return OutOfScope(
        f"no recorded consent covers {target}{uncovered}.",
        reason="no_consent",
        target=target,
        rule="consent",
        part=part,
        hint="Record who agreed to the scan, why and until when; then scan again.",
    )
