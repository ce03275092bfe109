"""The coordinator's law: what machines may scan, asked when a job is made and again when a target is handed out.

It is the store's do-not-scan list, the networks of the autonomous systems on it as far as feeds know them, and what the
settings of this coordinator forbid. Machines are told all of it, and ask it once more before each packet.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol

from spectra.collect.consent import Consent
from spectra.collect.netset import NetSet
from spectra.collect.rules import Rule, parse_rule
from spectra.collect.scope import OutOfScope, Scope
from spectra.collect.special import SPECIAL_SET
from spectra.collect.targets import Target, TargetSet, parse_target
from spectra.model.lawbook import LawBook
from spectra.model.work import Permission
from spectra.store import do_not_scan, workstate
from spectra.store.database import Database

_log = logging.getLogger("spectra.work")

_LONGEST: Final = 2000  # characters of a consent's words
_READ_AGAIN: Final = timedelta(minutes=5)
_SCOPES: Final = 64  # permissions whose law is kept made


class Systems(Protocol):
    """What is known of autonomous systems: `api.networks.FeedNetworks`."""

    def prefixes(self, asn: int) -> Sequence[str]:
        """The networks (CIDR) that an AS announces; none where it is unknown."""
        ...


class Remains(NamedTuple):
    """What may be scanned of some targets: as text, one address, network or hostname each; and all that may not."""

    targets: tuple[str, ...]
    refused: tuple[OutOfScope, ...]


class Law:
    """The law as it stands in the store, read anew when its version says so. Thread-safe."""

    def __init__(
        self,
        database: Database,
        systems: Systems,
        *,
        do_not_scan: Sequence[str | Rule] = (),
        allow: Sequence[str] = (),
        clock: Callable[[], datetime],
    ) -> None:
        """`do_not_scan` and `allow` are this coordinator's settings. Raises `BadTarget` where one is no target."""
        self._database = database
        self._systems = systems
        self._own = tuple(parse_rule(r, where="scan.do_not_scan") if isinstance(r, str) else r for r in do_not_scan)
        self._allow = tuple(allow)
        self._clock = clock
        self._lock = threading.Lock()
        self._rules: tuple[Rule, ...] = self._own
        self._version = -1
        self._at: datetime | None = None
        self._scopes: dict[Permission, Scope] = {}

    def version(self) -> int:
        """The version of the list that is in force now, after reading it where it is a new one.

        Raises `Unavailable`. Feeds that learn more of an autonomous system make no new version: all is read again once
        in a while.
        """
        now = self._clock()
        version = workstate.law_version(self._database, now)
        with self._lock:
            if version != self._version or self._at is None or not timedelta(0) <= now - self._at < _READ_AGAIN:
                self._rules = (*self._own, *self._read(now))
                self._scopes.clear()
                self._version, self._at = version, now
        return version

    def for_machines(self) -> LawBook:
        """All of it, as text."""
        version = self.version()
        with self._lock:
            rules = dict.fromkeys(rule.text for rule in self._rules)
        return LawBook(version, tuple(rules))

    def allowed(self, allow: Sequence[str], targets: NetSet) -> tuple[str, ...]:
        """`allow`, and what the settings allow of the special-use space in `targets`. Raises `BadRequest`."""
        wanted = targets & SPECIAL_SET
        own = [text for text in self._allow if wanted & parse_target(text, where="scan.allow").addresses]
        Scope(allow=allow)  # what is no network is told before it is on record
        return tuple(dict.fromkeys((*allow, *own)))

    def cut(self, targets: TargetSet, names: Sequence[str], permission: Permission, now: datetime) -> Remains:
        """What may be scanned of `targets` and `names` at `now` under `permission`, by the list as it was read."""
        scope = self._scope(permission)
        refused: list[OutOfScope] = []
        kept: list[str] = []
        for name in names:
            fault = _fault(scope, Target(name, hostname=name), now)
            if fault is None:
                kept.append(name)
            else:
                refused.append(fault)
        if targets.addresses:
            cut = scope.cut(targets, now)
            refused += cut.refused
            kept += cut.kept.lines()
        return Remains(tuple(kept), tuple(refused))

    def still(self, targets: Sequence[str], permission: Permission, now: datetime) -> Remains:
        """The same of a target as a job has it: when it is handed out, and when its result comes."""
        parsed = [parse_target(text) for text in targets]
        addresses = NetSet.union(target.addresses for target in parsed)
        names = [target.hostname for target in parsed if target.hostname]
        return self.cut(TargetSet(addresses), names, permission, now)

    def _scope(self, permission: Permission) -> Scope:
        with self._lock:
            scope = self._scopes.get(permission)
            if scope is None:
                if len(self._scopes) >= _SCOPES:
                    self._scopes.clear()
                scope = Scope(allow=permission.allow, do_not_scan=self._rules, consents=[_consent(permission)])
                self._scopes[permission] = scope
        return scope

    def _read(self, now: datetime) -> list[Rule]:
        with self._database.connection() as connection:
            found = do_not_scan.excluded(connection, now)
        rules = [parse_rule(network, where="do-not-scan list") for network in found.networks]
        for asn in found.asns:
            prefixes = self._systems.prefixes(asn)
            if not prefixes:
                _log.warning("AS%d may not be scanned, and no feed knows its networks", asn)
            rules += [parse_rule(prefix, where=f"AS{asn}") for prefix in prefixes]
        return rules


def _consent(permission: Permission) -> Consent:
    """Everything that the job's targets are: what they are was decided when the job was made, for all of them."""
    return Consent(
        targets=("0.0.0.0/0", "::/0"),
        by=permission.by[:_LONGEST] or "-",
        reason=permission.reason[:_LONGEST] or "-",
        granted=permission.granted,
        expires=permission.expires,
    )


def _fault(scope: Scope, target: Target, now: datetime) -> OutOfScope | None:
    try:
        scope.check(target, now)
    except OutOfScope as error:
        return error
    return None
