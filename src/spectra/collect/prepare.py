"""From what a user named to what a scanner gets: checked by name, resolved, checked by address."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from spectra.collect.netset import IPAddress, NetSet
from spectra.collect.scope import OutOfScope, Scope
from spectra.collect.targets import MAX_ADDRESSES, BadTarget, Target, TargetSet, resolve, too_many

Resolver = Callable[[Iterable[str]], Awaitable[Mapping[str, tuple[IPAddress, ...]]]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What will be scanned, the law it was checked against (hand it to the scanner), and what was skipped."""

    targets: TargetSet
    scope: Scope
    skipped: tuple[OutOfScope, ...] = ()


async def prepare(
    targets: Iterable[Target], scope: Scope, now: datetime, *, skip: bool = False, resolver: Resolver = resolve
) -> Prepared:
    """Apply the law to `targets` before any packet.

    1. every target by itself: a forbidden name is not even looked up;
    2. do-not-scan hostnames are resolved, so that their addresses are not reached by number;
    3. hostnames are resolved, and all the addresses are checked: these addresses, not the names, are scanned.

    Raises `OutOfScope` for the first part that may not be scanned, or with `skip` only if nothing remains; `BadTarget`
    for a name without address or more than `MAX_ADDRESSES` addresses.
    """
    targets = tuple(targets)
    skipped: list[OutOfScope] = []
    wanted = _by_name(targets, scope, now, skip, skipped)
    law = await _pinned(scope, resolver)
    resolved = await resolver(target.hostname for target in wanted if target.hostname)
    merged = _merged(wanted, resolved)
    if merged.addresses.size > MAX_ADDRESSES:
        raise too_many(merged.addresses.size, "the whole of the targets")
    if not skip:
        law.check(merged, now)
        return Prepared(merged, law)
    cut = law.cut(merged, now)
    skipped += cut.refused
    if not cut.kept.addresses:
        raise skipped[0]
    return Prepared(cut.kept, law, tuple(skipped))


def _by_name(
    targets: tuple[Target, ...], scope: Scope, now: datetime, skip: bool, skipped: list[OutOfScope]
) -> list[Target]:
    kept: list[Target] = []
    for target in targets:
        try:
            if target.hostname or not skip:
                scope.check(target, now)
        except OutOfScope as fault:
            if not skip:
                raise
            skipped.append(fault)
        else:
            kept.append(target)
    return kept


async def _pinned(scope: Scope, resolver: Resolver) -> Scope:
    """`scope` with the addresses of its forbidden hostnames; a name that has none forbids nothing more."""
    found: dict[str, tuple[IPAddress, ...]] = {}
    for name in scope.denied_hostnames:
        try:
            found.update(await resolver([name]))
        except BadTarget:
            continue
    return scope.pin(found) if found else scope


def _merged(targets: Iterable[Target], resolved: Mapping[str, tuple[IPAddress, ...]]) -> TargetSet:
    sets: list[NetSet] = []
    names: dict[IPAddress, tuple[str, ...]] = {}
    for target in targets:
        found = resolved[target.hostname] if target.hostname else ()
        sets += [target.addresses, NetSet.ranges((ip, ip) for ip in found)]
        for ip in found:
            names[ip] = tuple(dict.fromkeys((*names.get(ip, ()), target.hostname)))
    return TargetSet(NetSet.union(sets), names)
