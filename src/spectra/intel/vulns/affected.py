"""What a CVE record 5.x says is affected (vendor, product, versions), as configurations of CPE names and bounds.

Rules of versions: https://github.com/CVEProject/cve-schema/blob/main/schema/docs/versions.md
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from spectra.intel.enrich import cpename
from spectra.intel.vulns import naming
from spectra.intel.vulns.spans import NOWHERE, Span, plain, series, understood, version
from spectra.intel.vulns.texts import MAX_CRITERIA
from spectra.model.vulns import Criterion, Node

_MAX_CPES: Final = 2000
_SCHEMES: Final = frozenset({"semver", "rpm", "maven", "python", "date", "deb", "dpkg", "npm", "gem", "nuget", "go"})
_COMMITS: Final = frozenset({"git", "original_commit_for_fix"})
_EVERY: Final = "*"
_NONE: Final[Mapping[str, cpename.Cpe]] = {}


class Change(msgspec.Struct, gc=False):
    """From version `at` on the status is another."""

    at: str = ""
    status: str = ""


class Version(msgspec.Struct, gc=False, rename="camel"):
    """One version, or with a bound those from `version` on. `changes` are in the order of versions."""

    version: str = ""
    status: str = ""
    version_type: str | None = None
    less_than: str | None = None
    less_than_or_equal: str | None = None
    changes: list[Change] = []


class Affected(msgspec.Struct, rename="camel"):
    """An entry of `affected`."""

    vendor: str | None = None
    product: str | None = None
    package_name: str | None = None
    collection_url: str | None = msgspec.field(default=None, name="collectionURL")
    default_status: str | None = None
    cpes: list[str] = []
    versions: list[Version] = []


class Told(NamedTuple):
    """What the versions of an entry say. `whole`: all of it was understood, but for commits of git."""

    affected: tuple[tuple[Span, str], ...]  # with the scheme by which they compare
    spared: tuple[tuple[Span, str], ...]
    whole: bool

    @property
    def bounded(self) -> bool:
        """Whether anything less than everything is affected."""
        return bool(self.affected or self.spared) and not any(span.everything for span, _ in self.affected)


def configurations(entries: Iterable[Affected], named: Iterable[Affected] = ()) -> tuple[Node, ...]:
    """The configurations of `entries`, any of which is enough.

    `named` are entries of somebody who looked up the CPE names (CISA): they go first, and are all that counts as soon
    as one of them says something. Where they say no more than "all versions" of their one product, and `entries` know
    which, the name is theirs and the versions are the entries'.
    """
    named, entries = tuple(named), tuple(entries)
    made = _nodes((entry, told(entry)) for entry in named)
    if not made:
        return _nodes((entry, told(entry)) for entry in entries)
    if len(named) == 1 and len(entries) == 1 and not told(named[0]).bounded:
        better = told(entries[0])
        if better.bounded:
            return _nodes([(named[0], better)]) or made
    return made


def _nodes(entries: Iterable[tuple[Affected, Told]]) -> tuple[Node, ...]:
    plain_ones: list[Criterion] = []
    nodes: list[Node] = []
    budget = MAX_CRITERIA
    for entry, versions in entries:
        bases = naming.names(
            entry.vendor, entry.product, entry.package_name, entry.collection_url, entry.cpes[:_MAX_CPES]
        )
        if not bases:
            continue
        criteria, spared = _criteria(entry, bases, versions)
        budget -= len(criteria) + len(spared)
        if budget < 0:
            break
        if not spared:
            plain_ones += criteria
        elif criteria:
            either = Node(criteria=tuple(criteria)), Node(negate=True, criteria=tuple(spared))
            nodes.append(Node("AND", children=either))
    if plain_ones:
        nodes.insert(0, Node(criteria=tuple(dict.fromkeys(plain_ones))))
    return tuple(nodes)


def _criteria(entry: Affected, bases: Sequence[cpename.Cpe], versions: Told) -> tuple[list[Criterion], list[Criterion]]:
    """What an entry says is affected, and what of that is not."""
    affected = ((Span(), ""),) if _all_but(entry, versions) else versions.affected
    if not affected:
        # Names that tell their version say it all where nothing else was understood.
        told_by_name = [name for text in entry.cpes[:_MAX_CPES] if (name := _versioned(text))]
        usable = entry.default_status != "unaffected" and not versions.spared
        return ([Criterion(str(name)) for name in told_by_name] if usable else []), []
    exact = {name.version: name for text in entry.cpes[:_MAX_CPES] if (name := _versioned(text))}
    criteria = [criterion(base, span, scheme, exact) for base in bases for span, scheme in affected]
    spared = [criterion(base, span, scheme) for base in bases for span, scheme in _exceptions(versions, affected)]
    return list(dict.fromkeys(criteria)), list(dict.fromkeys(spared))


def _all_but(entry: Affected, versions: Told) -> bool:
    """Whether everything is affected but for what is excepted, as the Linux kernel tells: up to where it was repaired.

    Where ranges are told they are what is meant: many who write `affected` for a default do not mean it.
    """
    if entry.default_status != "affected" or not versions.whole:
        return False
    repaired = any((span.at_least or span.above) and not (span.at_most or span.below) for span, _ in versions.spared)
    return not entry.versions or (repaired and all(span.exact for span, _ in versions.affected))


def _exceptions(versions: Told, affected: Sequence[tuple[Span, str]]) -> Iterator[tuple[Span, str]]:
    """The unaffected versions that may lie within what is affected: single versions hold no others, and the first
    version behind a range is in none."""
    if all(span.exact for span, _ in affected):
        return
    ends = {span.below for span, _ in affected} - {""}
    for span, scheme in versions.spared:
        if not span.everything and (span.exact or span.at_least) not in ends:
            yield span, scheme


def _versioned(text: str) -> cpename.Cpe | None:
    name = naming.parsed(text)
    return name if name and name.version not in (cpename.ANY, cpename.NA) and "*" not in name.version else None


def criterion(base: cpename.Cpe, span: Span, scheme: str, exact: Mapping[str, cpename.Cpe] = _NONE) -> Criterion:
    """The versions `span` of the product `base`; `exact` are names known to be right, by their version."""
    if not span.exact:
        bounds = span.at_least, span.above, span.at_most, span.below
        return Criterion(str(base), True, *bounds, scheme)
    if span.exact == cpename.NA:
        return Criterion(str(base._replace(version=cpename.NA)))
    number, update = naming.updated(span.exact)
    known = exact.get(cpename.quoted(span.exact)) or exact.get(cpename.quoted(number))
    if known and known[:3] == base[:3] and known.update in (cpename.ANY, cpename.NA, cpename.quoted(update or "")):
        return Criterion(str(known))
    told_update = cpename.quoted(update) if update else cpename.ANY
    return Criterion(str(base._replace(version=cpename.quoted(number), update=told_update)))


def told(entry: Affected) -> Told:
    """What the versions of an entry say, those of git left out."""
    affected: list[tuple[Span, str]] = []
    spared: list[tuple[Span, str]] = []
    whole = True
    for one in entry.versions:
        kind = (one.version_type or "").strip().lower()
        if one.status == "unknown":
            continue
        if kind in _COMMITS and not (kind != "git" and version(one.version)):
            whole = whole and one.status != "unaffected"
            continue
        scheme = kind if kind in _SCHEMES else ""
        parts = list(_segments(one))
        whole = whole and bool(parts)
        affected += [(span, scheme) for span, status in parts if status == "affected"]
        spared += [(span, scheme) for span, status in parts if status == "unaffected"]
    return Told(tuple(affected), tuple(spared), whole)


def _segments(one: Version) -> Iterator[tuple[Span, str]]:
    """The versions of one statement with their status; none where it is not understood."""
    spans = _spans(one)
    if not one.changes or len(spans) != 1 or spans[0].exact:
        yield from ((span, one.status) for span in spans)
        return
    span, status = spans[0], one.status
    for change in one.changes:
        at = version(change.at)
        if not at:
            return  # what was said up to here stands
        if change.status == status:
            continue
        yield Span(at_least=span.at_least, above=span.above, below=at), status
        span, status = Span(at_least=at, at_most=span.at_most, below=span.below), change.status
    if not (span.at_least and span.at_least in (span.below, span.at_most)) and not _beyond(span):
        yield span, status


def _beyond(span: Span) -> bool:
    """Whether the last change comes just behind the end, as in `<= 1.4, fixed at 1.5`: nothing is left there."""
    return bool(span.at_most) and not span.below and span.at_most != _EVERY


def _spans(one: Version) -> tuple[Span, ...]:
    bound = one.less_than if one.less_than is not None else one.less_than_or_equal
    if bound is None:
        text = plain(one.version)
        return (Span(exact=cpename.NA),) if text == cpename.NA else understood(one.version)
    made = _range(one.version, bound, inclusive=one.less_than is None)
    if made:
        return made
    # Some write all of it into the version, and again or nothing into the bound.
    return tuple(span for span in understood(one.version) if span.at_most or span.below)


def _range(lower: str, upper: str, *, inclusive: bool) -> tuple[Span, ...]:
    start = plain(lower)
    begin = "" if start in NOWHERE or start in ("all", "previous", "prior", "earlier") else version(lower)
    if not begin and start not in NOWHERE and start not in ("all", "previous", "prior", "earlier"):
        wild = series(lower)
        if not wild:
            return ()
        begin = wild[0]
    end = plain(upper).removeprefix("<=").removeprefix("<").strip()
    if end == _EVERY:
        # From where it is not said to where it is not said is everything, if it is said so.
        said = start in ("0", "*", "all", "any", "0.0", "0.0.0")
        return (Span(at_least=begin),) if begin or said else ()
    wild = series(end)
    if wild:
        return (Span(at_least=begin, below=wild[1] if inclusive or "*" in upper else wild[0]),)
    last = version(end)
    if not last or last in NOWHERE:
        return ()
    if inclusive:
        return (Span(at_least=begin, at_most=last),)
    # `1.2`, below `1.2` would be nothing; those who write it mean what is before.
    return (Span(at_least="" if begin == last else begin, below=last),)
