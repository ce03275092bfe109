"""Whether a rule holds for a software, how sure that is, and because of which of its criteria.

A configuration is evaluated as it is written (NVD's applicability statements, NISTIR 7698 section 5): OR, AND, negated
or not, with a third answer beside yes and no. What a rule asks for beside the product (an operating system, a device,
a module) is seldom seen from outside: it is then not known, which makes a finding less sure and is told with it. What
contradicts what was seen is a no.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from spectra.intel.correlate.rules import name_of, product_of
from spectra.intel.correlate.systems import contradicts
from spectra.intel.correlate.versions import Key, compare_keys, joined, key
from spectra.intel.enrich.cpename import ANY, NA, Cpe
from spectra.model.findings import Affected, Identity, Software
from spectra.model.vulns import Criterion, Node, Product, Rule

# How sure a criterion is that holds: what a name leaves open makes it less so.
_EXACT: Final = 1.0
_ALL_VERSIONS: Final = 0.85  # of a name without version and bounds
_UNTOLD: Final = 0.3  # `-`: the source does not know which versions
_ANY_UPDATE: Final = 0.9  # 1.3.3 for 1.3.3c
_NO_VERSION_SEEN: Final = 0.5  # the software's own version is not known, but all are meant
_ATTRIBUTE_UNSEEN: Final = 0.9  # an edition, a platform, that what was seen does not tell
_SYSTEM_UNSEEN: Final = 0.75  # the system that it has to run on was not seen
_MODULE_UNSEEN: Final = 0.5  # a module or an application that has to be there too was not seen
_LEAST: Final = 0.2  # neither the version nor the module is known: no finding
_DISPUTED: Final = 0.5
_PATCHED: Final = 0.6  # of a distribution's build
_BY_SOURCE: Final = {"nvd": 1.0, "overrides": 0.95, "cve": 0.9, "osv": 0.9}


class _Seen(NamedTuple):
    """One identity, taken apart, and what is known beside it."""

    name: Cpe
    version: Key  # with the update; empty: not known
    software: Software


class Outcome(NamedTuple):
    """What a part of a rule comes to: `holds` None is not known. `strength` (0..1) is how sure a yes is."""

    holds: bool | None
    strength: float = 1.0
    criterion: Criterion | None = None
    requires: tuple[str, ...] = ()


_NO: Final = Outcome(False)


def match(software: Software, rules: Sequence[Sequence[Rule]]) -> list[Affected]:
    """The CVEs that concern `software`, each once, by its most certain reason.

    `rules[i]` are the rules of all products of the family of `software.identities[i]`.
    """
    found: dict[str, Affected] = {}
    for identity, its in zip(software.identities, rules, strict=True):
        name = name_of(identity.cpe)
        if name is None:
            continue
        version = key(joined(name.version, name.update)) if name.version not in (ANY, NA) else ()
        seen = _Seen(name, version, software)
        for rule in its:
            affected = _judged(seen, identity, rule)
            if affected is not None:
                known = found.get(rule.cve)
                if known is None or affected.confidence > known.confidence:
                    found[rule.cve] = affected
    return list(found.values())


def _judged(seen: _Seen, identity: Identity, rule: Rule) -> Affected | None:
    best = _best(_evaluate(seen, rule, node) for node in rule.configurations)
    if best is None or best.criterion is None or best.strength < _LEAST:
        return None
    patched = seen.software.distribution is not None and seen.name.part == "a" and _repairable(best.criterion)
    confidence = identity.confidence * best.strength * _BY_SOURCE.get(rule.source, 0.8)
    confidence *= (_DISPUTED if rule.status == "disputed" else 1.0) * (_PATCHED if patched else 1.0)
    return Affected(
        cve=rule.cve,
        product=rule.product,
        cpe=identity.cpe,
        criterion=best.criterion.cpe,
        range=bounds(best.criterion),
        source=rule.source,
        confidence=round(confidence, 3),
        patched="possibly" if patched else "",
        requires=best.requires,
    )


def _repairable(criterion: Criterion) -> bool:
    """Whether a distribution may have repaired what the criterion says: not where the source names all versions."""
    return bool(bounds(criterion)) or _name(criterion).version not in (ANY, NA)


def _best(outcomes: Iterable[Outcome]) -> Outcome | None:
    """The surest of those that may hold because of the product itself."""
    return max(
        (o for o in outcomes if o.holds is not False and o.criterion is not None),
        key=lambda o: o.strength,
        default=None,
    )


# Trees ---------------------------------------------------------------------------------------------------------------


def _evaluate(seen: _Seen, rule: Rule, node: Node) -> Outcome:
    parts = [_criterion(seen, rule, c) for c in node.criteria]
    parts += [_evaluate(seen, rule, child) for child in node.children]
    outcome = _any(parts) if node.operator == "OR" else _all(parts)
    if not node.negate:
        return outcome
    return Outcome(None if outcome.holds is None else not outcome.holds)


def _any(parts: Sequence[Outcome]) -> Outcome:
    """The surest yes; else not known, if any part is."""
    best = _best(parts)
    if best is not None:
        return best
    if any(p.holds for p in parts):
        return next(p for p in parts if p.holds)
    unknown = [p for p in parts if p.holds is None]
    if not unknown:
        return _NO
    names = tuple(dict.fromkeys(name for p in unknown for name in p.requires))
    return Outcome(None, max(p.strength for p in unknown), None, names)


def _all(parts: Sequence[Outcome]) -> Outcome:
    if not parts or any(p.holds is False for p in parts):
        return _NO
    best = _best(parts)
    strength = 1.0
    requires: dict[str, None] = {}
    for part in parts:
        strength *= part.strength
        requires.update(dict.fromkeys(part.requires))
    holds = True if all(p.holds for p in parts) else None
    return Outcome(holds, strength, best.criterion if best else None, tuple(requires))


def _criterion(seen: _Seen, rule: Rule, criterion: Criterion) -> Outcome:
    if product_of(criterion.cpe) == rule.product:
        strength = _strength(seen, rule, criterion)
        return Outcome(True, strength, criterion if criterion.vulnerable else None) if strength else _NO
    return _beside(seen, criterion)


def _beside(seen: _Seen, criterion: Criterion) -> Outcome:
    """A criterion about something else: whether that is there too."""
    wanted = _name(criterion)
    names = (*seen.software.context, *(i.cpe for i in seen.software.identities))
    for other in (name for text in names if (name := name_of(text)) is not None):
        if other[:3] == wanted[:3] and (other.version == ANY or _version(other, _key(other), criterion)):
            return Outcome(True)
    if contradicts(seen.software, wanted):
        return _NO
    if wanted.part == "h" and seen.name.part == "o" and seen.name.vendor == wanted.vendor:
        return Outcome(None, 0.95)  # the device that the firmware is of
    unseen = _MODULE_UNSEEN if wanted.part == "a" else _SYSTEM_UNSEEN
    return Outcome(None, unseen, None, (criterion.cpe,))


# Names and versions --------------------------------------------------------------------------------------------------


def _name(criterion: Criterion) -> Cpe:
    return name_of(criterion.cpe) or Cpe()


def _key(name: Cpe) -> Key:
    return key(joined(name.version, name.update)) if name.version not in (ANY, NA) else ()


def _strength(seen: _Seen, rule: Rule, criterion: Criterion) -> float:
    """How sure the criterion's name and bounds are those of what was seen; 0: they are not."""
    wanted = _name(criterion)
    strength = _version(seen.name, seen.version, criterion)
    if strength in (_UNTOLD, _ANY_UPDATE) and _said_better(rule, seen.name, strength):
        return 0.0
    for asked, has in zip(wanted[5:], seen.name[5:], strict=True):
        if not strength or asked in (ANY, NA, has):
            continue
        if has in (ANY, NA):
            strength *= _ATTRIBUTE_UNSEEN
        elif not _pattern(asked).fullmatch(has):
            return 0.0
    return strength


def _said_better(rule: Rule, name: Cpe, strength: float) -> bool:
    """Whether other criteria of the rule tell what one leaves open.

    Where any names versions, `-` adds nothing. Where the updates of a version are listed one by one, the version alone
    is its first release: 1.3.3, 1.3.3 a and 1.3.3 b do not mean 1.3.3 c.
    """
    names = [(c, _name(c)) for node in rule.configurations for c in _own(rule.product, node)]
    if strength == _UNTOLD:
        return any(_bounded(c) or wanted.version not in (ANY, NA) for c, wanted in names)
    base = key(name.version)
    return any(
        wanted.update not in (ANY, NA) and compare_keys(key(wanted.version), base) == 0
        for _, wanted in names
        if wanted.version not in (ANY, NA)
    )


def _own(product: Product, node: Node) -> Iterator[Criterion]:
    yield from (c for c in node.criteria if c.vulnerable and product_of(c.cpe) == product)
    for child in node.children:
        yield from _own(product, child)


def _version(name: Cpe, version: Key, criterion: Criterion) -> float:
    """How sure the criterion's version is meant; `version` is that of `name`, taken apart, empty if not known."""
    wanted = _name(criterion)
    if wanted.version == NA:
        return _UNTOLD
    if wanted.version == ANY:
        if _bounded(criterion):
            return _by_bounds(name, version, criterion, wanted.update) if version else 0.0
        return _ALL_VERSIONS if version else _NO_VERSION_SEEN
    return _by_name(name, version, wanted) if version else 0.0


def _by_name(name: Cpe, version: Key, wanted: Cpe) -> float:
    if "*" in wanted.version or "?" in wanted.version:
        return _EXACT if _pattern(wanted.version).fullmatch(name.version) else 0.0
    if compare_keys(key(joined(wanted.version, wanted.update)), version) == 0:
        return _EXACT
    if (
        wanted.update == ANY
        and name.update not in (ANY, NA)
        and compare_keys(key(wanted.version), key(name.version)) == 0
    ):
        return _ANY_UPDATE
    return 0.0


def _by_bounds(name: Cpe, version: Key, criterion: Criterion, update: str) -> float:
    """An update beside bounds is that of the upper one: `*:d` up to 1.3.5 is up to 1.3.5d."""
    if update not in (ANY, NA):
        criterion = msgspec.structs.replace(
            criterion,
            at_most=criterion.at_most and joined(criterion.at_most, update),
            below=criterion.below and joined(criterion.below, update),
        )
    if _within(version, criterion):
        return _EXACT
    base = key(name.version)
    ends = bool(criterion.at_most) and compare_keys(base, key(criterion.at_most)) == 0
    if ends and update == ANY and name.update not in (ANY, NA) and _within(base, criterion):
        return _ANY_UPDATE
    return 0.0


def _bounded(criterion: Criterion) -> bool:
    return bool(criterion.at_least or criterion.above or criterion.at_most or criterion.below)


def _within(version: Key, c: Criterion) -> bool:
    return (
        (not c.at_least or compare_keys(version, key(c.at_least)) >= 0)
        and (not c.above or compare_keys(version, key(c.above)) > 0)
        and (not c.at_most or compare_keys(version, key(c.at_most)) <= 0)
        and (not c.below or compare_keys(version, key(c.below)) < 0)
    )


@lru_cache(maxsize=1 << 12)
def _pattern(value: str) -> re.Pattern[str]:
    """A value of a name with its wildcards: `?` is one character or none at the end, `*` any (NISTIR 7696)."""
    pieces: list[tuple[str, str, str]] = re.findall(r"(\\.)|([*?])|(.)", value)
    return re.compile("".join({"*": ".*", "?": ".?"}.get(w, "") if w else re.escape(e + p) for e, w, p in pieces))


def bounds(criterion: Criterion) -> str:
    """The bounds of a criterion in words: `>= 8.5p1, < 9.8p1`; empty where it has none."""
    said = ((">=", criterion.at_least), (">", criterion.above), ("<=", criterion.at_most), ("<", criterion.below))
    return ", ".join(f"{sign} {value}" for sign, value in said if value)
