"""Of all rules of a family what may hold for one version: nothing else of them need be evaluated.

A criterion about a rule's own product holds only where the version is within its bounds, is the one it names, or where
it leaves the version open. That is checked here for all rules at once. A rule without any such criterion does not
hold; in what an OR lists, a criterion that does not hold may as well not be there. So whatever `match` finds in all
rules, it finds in these, and for the same reasons.

Versions that compare in the same way with everything that the rules name are of one kind: what is found for one of them
is found for all. There are as many kinds as a family has releases that matter, however many versions are about.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterator, Sequence
from typing import Final, NamedTuple

from spectra.intel.correlate.rules import name_of, product_of
from spectra.intel.correlate.versions import Key, compare_keys, joined, key
from spectra.intel.enrich.cpename import ANY, NA, Cpe
from spectra.model.findings import Software
from spectra.model.vulns import Criterion, Node, Rule

_REMEMBERED: Final = 2048  # kinds of versions of a family
_NO_BOUND: Final = 0
_NUMBER: Final = key("1")[0][0]
_WORD: Final = r"[a-z0-9][a-z0-9._]*"
_PLAIN: Final = re.compile(rf"cpe:2\.3:[aoh](?::{_WORD}){{2}}(?::(?:{_WORD}|[*-])){{2}}(?::\*){{6}}", re.ASCII)


_Sight = tuple[Key, tuple[int, ...]]
"""The version, if a rule names it; and how it compares with each bound."""


class _Tree(NamedTuple):
    """A node with the number of each of its criteria: -1 is one that always stays."""

    node: Node
    numbers: tuple[int, ...]
    children: tuple[_Tree, ...]


class Cut(NamedTuple):
    """What may hold for a version, in the order of the rules, and the number of its kind; -1: it is like no other."""

    rules: tuple[Rule, ...]
    kind: int


_NOTHING: Final = Cut((), -1)


class Candidates:
    """The rules of one family, by versions."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        self._of: list[int] = []  # the rule of each criterion
        self._open: set[int] = set()  # rules that may hold for any version
        self._spelled = False  # whether any asks for how a version is written
        self._exact: dict[Key, list[int]] = {}
        self._spans: list[tuple[int, int, int]] = []  # criterion; lower and upper bound by their places in `_bounds`
        self._bounds: dict[Key, int] = {(): _NO_BOUND}
        self._trees = [tuple(self._tree(i, rule, node) for node in rule.configurations) for i, rule in enumerate(rules)]
        self._numbers = sorted(bound for bound in self._bounds if bound and _is_number(bound))
        self._places = [self._bounds[bound] for bound in self._numbers]
        self._others = [(bound, at) for bound, at in self._bounds.items() if bound and not _is_number(bound)]
        self._cuts: dict[tuple[_Sight, ...], Cut] = {}
        self._kinds = 0

    def of(self, cpe: str) -> Cut:
        """What may hold for software of this name."""
        name = _attributes(cpe) if self._rules else None
        if name is None:
            return _NOTHING
        sights: tuple[_Sight, ...] = ()
        if name.version not in (ANY, NA):
            whole, base = key(joined(name.version, name.update)), key(name.version)
            sight = self._sight(whole)
            sights = (sight, sight if base == whole else self._sight(base))
        found = self._cuts.get(sights)
        if found is None:
            if len(self._cuts) >= _REMEMBERED:
                self._cuts.clear()
            found = self._cuts[sights] = self._cut(sights)
        return found

    def _cut(self, sights: tuple[_Sight, ...]) -> Cut:
        within = {number for sight in set(sights) for number in self._within(sight)}
        wanted = sorted({self._of[number] for number in within} | self._open)
        self._kinds += 1
        return Cut(tuple([self._without(i, within) for i in wanted]), -1 if self._spelled else self._kinds)

    def _without(self, i: int, within: set[int]) -> Rule:
        """Rule `i` without criteria that do not hold."""
        rule = self._rules[i]
        if i in self._open:  # what leaves the version open counts only where nothing else of the rule tells it
            return rule
        nodes = tuple([_cut(tree, within) for tree in self._trees[i]])
        return Rule(rule.cve, rule.source, rule.product, nodes, rule.status)

    # What there is ------------------------------------------------------------------------------------------------

    def _tree(self, i: int, rule: Rule, node: Node) -> _Tree:
        either = node.operator == "OR"
        numbers: list[int] = []
        for criterion in node.criteria:
            own = criterion.vulnerable and product_of(criterion.cpe) == rule.product
            number = self._add(i if own else None, criterion)
            numbers.append(number if either else -1)
        return _Tree(node, tuple(numbers), tuple([self._tree(i, rule, child) for child in node.children]))

    def _add(self, i: int | None, criterion: Criterion) -> int:
        """Take in a criterion, for kinds alone where it is not about the product of a rule `i`; its number, or -1."""
        wanted = name_of(criterion.cpe) or Cpe()
        lower = [key(bound) for bound in (criterion.at_least, criterion.above) if bound]
        upper = [bound for bound in (criterion.at_most, criterion.below) if bound]
        bounded = wanted.version == ANY and (lower or upper)
        wild = wanted.version != ANY and ("*" in wanted.version or "?" in wanted.version)
        # A bound that is no version compares with versions in ways that are not looked at here.
        self._spelled = self._spelled or wild or not all([*lower, *(key(bound) for bound in upper)])
        if not bounded and (wild or wanted.version in (ANY, NA)):
            if i is not None:
                self._open.add(i)
            return -1
        number = -1
        if i is not None:
            number = len(self._of)
            self._of.append(i)
        if bounded:
            lows = [self._bound(bound) for bound in lower] or [_NO_BOUND]
            ends = [key(bound) for bound in upper] + [key(joined(bound, wanted.update)) for bound in upper]
            highs = [self._bound(end) for end in dict.fromkeys(ends)] or [_NO_BOUND]
            # Of several bounds on one side any will do here: it lets through more than is meant.
            self._spans += [(number, low, high) for low in lows for high in highs if number >= 0]
        else:
            for named in {key(joined(wanted.version, wanted.update)), key(wanted.version)}:
                self._exact.setdefault(named, []).extend([number] if number >= 0 else [])
        return number

    def _bound(self, bound: Key) -> int:
        return self._bounds.setdefault(bound, len(self._bounds))

    # What holds ---------------------------------------------------------------------------------------------------

    def _sight(self, version: Key) -> _Sight:
        """What is seen of a version from here."""
        return version if version in self._exact else (), self._signs(version)

    def _within(self, sight: _Sight) -> Iterator[int]:
        """The criteria that name the version, or within whose bounds it is."""
        version, signs = sight
        yield from self._exact.get(version, ())
        yield from [number for number, low, high in self._spans if signs[low] >= 0 >= signs[high]]

    def _signs(self, version: Key) -> tuple[int, ...]:
        """How the version compares with each bound; with none, it is as if equal."""
        signs = [0] * len(self._bounds)
        if not _is_number(version):
            for bound, at in self._bounds.items():
                if bound:
                    signs[at] = compare_keys(version, bound)
            return tuple(signs)
        # Versions of numbers alone are in the order of their tuples; where there are letters that is not certain.
        first, last = bisect_left(self._numbers, version), bisect_right(self._numbers, version)
        for at in self._places[:first]:
            signs[at] = 1
        for at in self._places[last:]:
            signs[at] = -1
        for bound, at in self._others:
            signs[at] = compare_keys(version, bound)
        return tuple(signs)


def _cut(tree: _Tree, within: set[int]) -> Node:
    node = tree.node
    kept = [c for c, number in zip(node.criteria, tree.numbers, strict=True) if number < 0 or number in within]
    return Node(node.operator, node.negate, tuple(kept), tuple([_cut(child, within) for child in tree.children]))


def _attributes(cpe: str) -> Cpe | None:
    """As `name_of`; in a fraction of the time for names that need nothing but to be taken apart, as most do."""
    return Cpe(*cpe.split(":")[2:]) if _PLAIN.fullmatch(cpe) else name_of(cpe)


def _is_number(version: Key) -> bool:
    return all(kind == _NUMBER for kind, _, _ in version)


def alike(software: Software, cuts: Sequence[Cut]) -> tuple[Hashable, ...] | None:
    """Equal for software of which `match` finds the same in the same rules (`cuts[i]` of identity i); None: unlike all.

    That is all of it but how its names were found out, which of a distribution's builds it is, and of a version all but
    its kind. Where there are several names, each may be asked for beside another one, by its version.
    """
    build = software.distribution and software.distribution.name
    if len(cuts) > 1:
        names = tuple([(i.cpe, i.confidence) for i in software.identities])
        return names, software.context, build
    (identity,), (cut,) = software.identities, cuts
    name = _attributes(identity.cpe)
    if name is None or cut.kind < 0:
        return None
    told = name._replace(
        version=name.version if name.version in (ANY, NA) else "",
        update=name.update if name.update in (ANY, NA) else "",
    )
    return told, cut.kind, identity.confidence, software.context, build
