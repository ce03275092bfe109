"""Holding software against rules: each family's rules are read and decoded once, however much software is of it."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from spectra.model.findings import Affected, Software
from spectra.model.vulns import Product, Rule
from spectra.store import affected
from spectra.store.affected import Differences, Finding, Reason, Stored, StoredRule
from spectra.store.database import Connection

_log = logging.getLogger("spectra.flow")

_REMEMBERED: Final = 60_000  # rules, about 100 MB; what a slice needs is held in any case
_REASONS: Final = 200_000  # about 50 MB

Match = Callable[[Software, Sequence[Sequence[Rule]]], Sequence[Affected]]
ProductsOf = Callable[[Software], Sequence[Product]]
_software: Final = msgspec.json.Decoder(Software).decode


class Ruleset(NamedTuple):
    """Rules of one family, with the numbers of their CVEs and products."""

    rules: tuple[Rule, ...] = ()
    nums: Mapping[str, int] = {}
    products: Mapping[Product, int] = {}


_NONE: Final = Ruleset()


def ruleset(stored: Sequence[StoredRule]) -> Ruleset:
    """What a matcher needs of them."""
    rules = tuple(s.rule for s in stored)
    return Ruleset(rules, {s.rule.cve: s.num for s in stored}, {s.rule.product: s.product for s in stored})


class Rules:
    """The rules of families that were used last. What was read under another token (`store.software.Alone`) is not
    used: it may be out of date.
    """

    def __init__(self, remembered: int = _REMEMBERED) -> None:
        self._remembered = remembered
        self._token = -1
        self._families: OrderedDict[int, Ruleset] = OrderedDict()
        self._held = 0

    def of(self, connection: Connection, token: int, families: Collection[int]) -> dict[int, Ruleset]:
        """The rules of these families."""
        if token != self._token:
            self._families.clear()
            self._token, self._held = token, 0
        wanted = dict.fromkeys(families)
        missing = [family for family in wanted if family not in self._families]
        if missing:
            for family, stored in affected.rules(connection, missing).items():
                self._families[family] = ruleset(stored)
                self._held += len(stored)
        for family in wanted:
            self._families.move_to_end(family)
        found = {family: self._families[family] for family in wanted}
        while self._held > self._remembered and len(self._families) > 1:
            _, oldest = self._families.popitem(last=False)
            self._held -= len(oldest.rules)
        return found


class Evaluation:
    """How software is held against rules."""

    def __init__(self, match: Match, products_of: ProductsOf) -> None:
        self._match = match
        self._products_of = products_of
        self._reasons: dict[Reason, int] = {}

    def compare(
        self,
        software: Sequence[Stored],
        families: Mapping[Product, int],
        rules: Mapping[int, Ruleset],
        stored: Mapping[int, Mapping[int, Finding]],
        differences: Differences,
    ) -> None:
        """Note in `differences` what of these software is otherwise than `stored`; `families` has their products'."""
        for one in software:
            try:
                found = self._found(_software(one.body), families, rules, differences)
            except Exception:  # noqa: BLE001 - what cannot be matched keeps the findings that it has, and keeps nobody else
                _log.exception("a software could not be matched", extra={"spectra.software": one.id})
                continue
            differences.compare(one.id, found, stored[one.id])

    def _found(
        self,
        software: Software,
        families: Mapping[Product, int],
        rules: Mapping[int, Ruleset],
        differences: Differences,
    ) -> dict[int, Finding]:
        products = self._products_of(software)
        sets = [rules.get(families.get(product, -1), _NONE) for product in products]
        if not any(s.rules for s in sets):
            return {}
        found: dict[int, Finding] = {}
        nth = {identity.cpe: i for i, identity in reversed(list(enumerate(software.identities)))}
        for a in self._match(software, [s.rules for s in sets]):
            of = next(s for s in sets if a.cve in s.nums and a.product in s.products)
            reason = Reason(of.products[a.product], a.criterion, a.range, a.source, a.requires)
            key = self._reasons.get(reason)
            if key is None:
                key = self._remember(reason)
            differences.reasons[key] = reason
            found[of.nums[a.cve]] = Finding(key, round(a.confidence, 4), nth[a.cpe], a.patched)
        return found

    def _remember(self, reason: Reason) -> int:
        if len(self._reasons) >= _REASONS:
            self._reasons.clear()
        key = self._reasons[reason] = reason.id
        return key
