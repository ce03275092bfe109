"""Counting what was found, missed and false.

Only what the corpus can know counts: an expected CVE of which no source of the corpus says what is affected is neither
missed nor found, and a finding that was published after the label was made is not false.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from spectra.bench.accuracy.corpus import Corpus
from spectra.bench.accuracy.labels import Case, Named
from spectra.intel.correlate.rules import name_of
from spectra.intel.correlate.versions import compare, joined
from spectra.model.findings import Affected, Software
from spectra.model.vulns import Product


class Judged(NamedTuple):
    """One case, what its service is, and all that was found.

    Of that and of the label: the CVEs found rightly, missed, and found wrongly with why they were found; `later` are
    findings that the label is too old to know, `reviewed` false ones that a later version of the label has, `disowned`
    missed ones that its newest version no longer has.
    """

    case: Case
    software: Software
    findings: tuple[Affected, ...]
    found: frozenset[str]
    missed: frozenset[str]
    false: tuple[Affected, ...]
    later: int
    reviewed: frozenset[str]
    disowned: frozenset[str]


class Score(NamedTuple):
    """Sums over cases."""

    found: int
    missed: int
    false: int

    @property
    def precision(self) -> float:
        """Which part of what was found is right; 1 where nothing was found."""
        return self.found / (self.found + self.false) if self.found + self.false else 1.0

    @property
    def recall(self) -> float:
        """Which part of what is right was found; 1 where there is nothing."""
        return self.found / (self.found + self.missed) if self.found + self.missed else 1.0

    @property
    def f1(self) -> float:
        """The harmonic mean of both."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def judge(corpus: Corpus, case: Case) -> Judged:
    """What the matcher makes of one case."""
    software = corpus.identify(case.service)
    findings = {a.cve: a for a in corpus.match(software)}
    known = frozenset(cve for cve in case.expected if cve in corpus.told and corpus.told[cve].configured)
    false = [a for cve, a in sorted(findings.items()) if cve not in case.expected]
    timely = [a for a in false if not case.as_of or corpus.told[a.cve].published <= case.as_of]
    missed = known - findings.keys()
    return Judged(
        case=case,
        software=software,
        findings=tuple(findings.values()),
        found=known & findings.keys(),
        missed=missed,
        false=tuple(timely),
        later=len(false) - len(timely),
        reviewed=frozenset(a.cve for a in timely) & case.accepted,
        disowned=missed & case.disowned,
    )


def total(judged: Iterable[Judged]) -> Score:
    """Of all cases, as the labels stand."""
    items = list(judged)
    return Score(sum(len(j.found) for j in items), sum(len(j.missed) for j in items), sum(len(j.false) for j in items))


def reviewed(judged: Iterable[Judged]) -> Score:
    """Of all cases, each label corrected by its own later versions."""
    items = list(judged)
    right = sum(len(j.found) for j in items)
    return Score(
        right + sum(len(j.reviewed) for j in items),
        sum(len(j.missed) - len(j.disowned) for j in items),
        sum(len(j.false) - len(j.reviewed) for j in items),
    )


class Identified(NamedTuple):
    """Of some banners: how many have the right product, how many of those the right version, how many a wrong one."""

    total: int
    product: int
    version: int
    wrong: int


def identified(corpus: Corpus, items: Sequence[Named]) -> tuple[Identified, list[tuple[Named, str]]]:
    """How many are what they have to be, and those that are not with what was made of them ("" for nothing)."""
    product = version = wrong = 0
    misses: list[tuple[Named, str]] = []
    for item in items:
        software = corpus.identify(item.service)
        names = [name for i in software.identities if (name := name_of(i.cpe)) is not None]
        right = [n for n in names if corpus.same(Product(n.part, n.vendor, n.product), _product(item))]
        if right:
            product += 1
            version += not item.version or compare(joined(right[0].version, right[0].update), item.version) == 0
        else:
            wrong += bool(names)
            misses.append((item, software.identities[0].cpe if software.identities else ""))
    return Identified(len(items), product, version, wrong), misses


def _product(item: Named) -> Product:
    return Product("a", item.vendor, item.product)
