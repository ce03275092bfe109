"""Holding software against rules: each family's rules are read and decoded once, however much software is of it."""

from __future__ import annotations

import itertools
import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from spectra.intel.correlate.candidates import Candidates, Cut, alike
from spectra.model.findings import Affected, Identity, Software
from spectra.model.vulns import Product, Rule
from spectra.store import affected
from spectra.store.affected import Differences, Finding, Reason, Stored, StoredRule
from spectra.store.database import Connection

_log = logging.getLogger("spectra.flow")

_REMEMBERED: Final = 30_000  # rules, about 80 MB; what a slice needs is held in any case
_RESULTS: Final = 1_000_000  # findings of software that is like no other, about 60 MB
_FINDINGS: Final = 100_000  # findings that are like no other, with their reasons: about 60 MB

Match = Callable[[Software, Sequence[Sequence[Rule]]], Sequence[Affected]]
ProductsOf = Callable[[Software], Sequence[Product]]
_software: Final = msgspec.json.Decoder(Software).decode
_serials: Final = itertools.count()


class Ruleset(NamedTuple):
    """Rules of one family, with the numbers of their CVEs and products; `serial` is that of this very reading."""

    rules: tuple[Rule, ...]
    candidates: Candidates
    nums: Mapping[str, int]
    products: Mapping[Product, int]
    serial: int


def ruleset(stored: Sequence[StoredRule]) -> Ruleset:
    """What a matcher needs of them."""
    rules = tuple(s.rule for s in stored)
    nums, products = {s.rule.cve: s.num for s in stored}, {s.rule.product: s.product for s in stored}
    return Ruleset(rules, Candidates(rules), nums, products, next(_serials))


_NONE: Final = ruleset(())


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


class Sight(NamedTuple):
    """What may hold for one name, and the rules that it is of."""

    of: Ruleset
    cut: Cut


class _Name(msgspec.Struct):
    cpe: str


class _Names(msgspec.Struct):
    """As much of a `Software` as is needed to see that nothing holds for it."""

    identities: tuple[_Name, ...] = ()


_names: Final = msgspec.json.Decoder(_Names).decode
_CLEAN: Final[Mapping[int, Finding]] = {}


class Evaluation:
    """How software is held against rules. Software that differs in nothing that rules ask for is evaluated once."""

    def __init__(self, match: Match, products_of: ProductsOf) -> None:
        self._match = match
        self._products_of = products_of
        self._forget()

    def compare(
        self,
        software: Sequence[Stored],
        families: Mapping[Product, int],
        rules: Mapping[int, Ruleset],
        stored: Mapping[int, Mapping[int, Finding]],
        differences: Differences,
        *,
        seen: dict[str, Sight] | None = None,
    ) -> None:
        """Note in `differences` what of these software is otherwise than `stored`; `families` has their products'.

        `seen` is what was found of names under the same `families` and `rules` before, and more is noted in it.
        """
        if self._held > _RESULTS or len(self._findings) > _FINDINGS:
            self._forget()
        seen = {} if seen is None else seen
        for one in software:
            try:
                sights = [
                    seen.get(n.cpe) or self._look(n.cpe, families, rules, seen) for n in _names(one.body).identities
                ]
                found = self._found(_software(one.body), sights) if any(s.cut.rules for s in sights) else _CLEAN
            except Exception:  # noqa: BLE001 - what cannot be matched keeps the findings it has, and keeps nobody else
                _log.exception("a software could not be matched", extra={"spectra.software": one.id})
                continue
            if found != stored[one.id]:
                differences.compare(one.id, found, stored[one.id])
                differences.reasons.update((f.reason, self._reasons[f.reason]) for f in found.values())

    def _look(
        self, cpe: str, families: Mapping[Product, int], rules: Mapping[int, Ruleset], seen: dict[str, Sight]
    ) -> Sight:
        """What may hold for a name; noted in `seen`."""
        products = self._products_of(Software((Identity(cpe, 1.0, ""),)))
        of = rules.get(families.get(products[0], -1), _NONE) if products else _NONE
        sight = seen[cpe] = Sight(of, of.candidates.of(cpe))
        return sight

    def _found(self, software: Software, sights: Sequence[Sight]) -> Mapping[int, Finding]:
        like = alike(software, [s.cut for s in sights])
        like = like and (like, tuple([s.of.serial for s in sights]))
        known = self._results.get(like) if like is not None else None
        if known is not None:
            return known
        found = self._evaluated(software, sights)
        if like is not None:
            self._held += len(found) + 1
            self._results[like] = found
        return found

    def _evaluated(self, software: Software, sights: Sequence[Sight]) -> dict[int, Finding]:
        found: dict[int, Finding] = {}
        names = [identity.cpe for identity in software.identities]
        for a in self._match(software, [s.cut.rules for s in sights]):
            of = next(s.of for s in sights if a.cve in s.of.nums and a.product in s.of.products)
            reason = Reason(of.products[a.product], a.criterion, a.range, a.source, a.requires)
            key = self._ids.get(reason)
            if key is None:
                key = self._ids[reason] = reason.id
                self._reasons[key] = reason
            finding = Finding(key, round(a.confidence, 4), names.index(a.cpe), a.patched)
            found[of.nums[a.cve]] = self._findings.setdefault(finding, finding)  # most are equal to many others
        return found

    def _forget(self) -> None:
        """Begin with an empty memory."""
        self._results: dict[Hashable, Mapping[int, Finding]] = {}
        self._held = 0
        self._ids: dict[Reason, int] = {}
        self._reasons: dict[int, Reason] = {}
        self._findings: dict[Finding, Finding] = {}
