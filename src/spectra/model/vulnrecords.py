"""What the store answers about CVEs, and the API and the command line print. Times are UTC."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Final

import msgspec

from spectra.model.findings import Patched
from spectra.model.vulns import Criterion, Kev, Metric, Node, Reference, Severity, Ssvc, Status

CUT: Final = 300
"""Characters of a description that a list gives."""
MAX_CRITERIA: Final = 200
"""Criteria that are told of one CVE; some have thousands."""


class VulnSummary(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A CVE in a list. `description` is cut to 300 characters, `products` are the first five.

    `cvss` is of the newest version of CVSS that any source gives, `epss` and `epss_percentile` are 0..1, `kev` is since
    when CISA knows of exploitation, `exploitation` what its SSVC says, `risk` 0..100. `relevance` is how well the text
    matches that was looked for, and means nothing but the order.
    """

    cve: str
    title: str = ""
    description: str = ""
    status: Status = ""
    severity: Severity = ""
    cvss: float | None = None
    cvss_version: str = ""
    epss: float | None = None
    epss_percentile: float | None = None
    kev: date | None = None
    ransomware: bool = False
    exploitation: str = ""
    risk: float = 0.0
    published: datetime | None = None
    modified: datetime | None = None
    products: tuple[str, ...] = ()
    relevance: float | None = None


class VulnTotal(msgspec.Struct, frozen=True):
    """How many CVEs match; an estimate from a sample where not `exact`."""

    count: int
    exact: bool


class VulnPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A page of CVEs. It may hold fewer than asked for: the list ends where `next_cursor`, which is opaque, is empty.

    `total`, if it was asked for, is of all matches.
    """

    vulns: tuple[VulnSummary, ...]
    next_cursor: str = ""
    total: VulnTotal | None = None


class Configuration(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is affected, in words such as `openbsd:openssh >= 8.5p1, < 9.8p1`.

    Any of `affected` is, but only beside (running on, running with) one of `beside` where there are any. `all_of`: not
    one but several of `affected` have to be there together.
    """

    affected: tuple[str, ...]
    beside: tuple[str, ...] = ()
    all_of: bool = False


class VulnSource(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one source says: its title and status, how many scores, references and criteria; when it last changed that,
    and when we took it.
    """

    source: str
    taken: datetime
    modified: datetime | None = None
    status: Status = ""
    title: str = ""
    metrics: int = 0
    references: int = 0
    criteria: int = 0


class VulnHost(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An endpoint whose software a CVE concerns, as it is now, and why: `cpe` is the software's name that matched,
    `range` what it met, `confidence` 0..1 how sure that is. `patched`: a distribution may have repaired this version.
    """

    ip: str
    port: int
    protocol: str
    service: str = ""
    product: str = ""
    version: str = ""
    hostnames: tuple[str, ...] = ()
    cpe: str = ""
    criterion: str = ""
    range: str = ""
    source: str = ""
    confidence: float = 0.0
    patched: Patched = ""
    requires: tuple[str, ...] = ()
    since: datetime | None = None
    last_seen: datetime | None = None


class VulnHosts(msgspec.Struct, frozen=True, omit_defaults=True):
    """Open endpoints that a CVE concerns, in order of address: a page of them, and how many there are (`endpoints`)."""

    hosts: tuple[VulnHost, ...]
    endpoints: int
    next_cursor: str = ""


class VulnDetail(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """All that is known of a CVE.

    `metrics` has one for each version of CVSS, the newest first; `kev` is the entry of CISA's catalogue. `configured`
    is the source that `configurations` are of, which hold the first 200 of `criteria` criteria. `hosts` are the first
    endpoints it concerns; left out for who may not see findings.
    """

    cve: str
    title: str = ""
    description: str = ""
    status: Status = ""
    severity: Severity = ""
    cvss: float | None = None
    cvss_version: str = ""
    epss: float | None = None
    epss_percentile: float | None = None
    kev: Kev | None = None
    ssvc: Ssvc | None = None
    risk: float = 0.0
    published: datetime | None = None
    modified: datetime | None = None
    changed: datetime | None = None
    metrics: tuple[Metric, ...] = ()
    weaknesses: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    configured: str = ""
    configurations: tuple[Configuration, ...] = ()
    criteria: int = 0
    sources: tuple[VulnSource, ...] = ()
    hosts: VulnHosts | None = None


# Criteria in words ---------------------------------------------------------------------------------------------------

_PARTS: Final = re.compile(r"(?<!\\):")
_ESCAPED: Final = re.compile(r"\\(.)")
_EXTRA: Final = ("update", "edition", "language", "software edition", "target software", "target hardware", "other")


def told(configurations: Sequence[Node], most: int = MAX_CRITERIA) -> tuple[tuple[Configuration, ...], int]:
    """The first `most` criteria of `configurations` in words, and how many there are. Negated ones say `not` before."""
    found: list[Configuration] = []
    left = most
    for node in configurations:
        criteria = list(_flat(node))
        vulnerable = [words for words, affected in criteria if affected]
        beside = [words for words, affected in criteria if not affected]
        if left > 0 and criteria:
            shown = tuple(vulnerable[:left])
            found.append(Configuration(shown, tuple(beside[: max(left - len(shown), 0)]), _together(node)))
        left -= len(criteria)
    return tuple(found), most - left


def _flat(node: Node, negated: bool = False) -> Iterator[tuple[str, bool]]:
    negated ^= node.negate
    for criterion in node.criteria:
        yield ("not " if negated else "") + in_words(criterion), criterion.vulnerable
    for child in node.children:
        yield from _flat(child, negated)


def _together(node: Node) -> bool:
    """Whether several parts of `node` that are vulnerable have to hold at once."""
    if node.operator != "AND":
        return any(_together(child) for child in node.children)
    direct = sum(criterion.vulnerable for criterion in node.criteria)
    return direct + sum(any(affected for _, affected in _flat(child)) for child in node.children) > 1


def in_words(criterion: Criterion) -> str:
    """`openbsd:openssh >= 8.5p1, < 9.8p1`; what cannot be read as a CPE 2.3 name is given as it is."""
    parts = [_ESCAPED.sub(r"\1", part) for part in _PARTS.split(criterion.cpe)]
    if len(parts) != 13 or parts[:2] != ["cpe", "2.3"]:
        return " ".join(part for part in (criterion.cpe, bounds(criterion)) if part)
    vendor, product, version, *rest = parts[3:]
    said = [f"{vendor}:{product}", _versions(version, rest[0], bounds(criterion))]
    extra = [f"{name} {value}" for name, value in zip(_EXTRA[1:], rest[1:], strict=True) if value not in ("*", "-")]
    return " ".join(said) + (f" ({', '.join(extra)})" if extra else "")


def _versions(version: str, update: str, range: str) -> str:
    if version == "*":
        return range or "every version"
    if version == "-":
        return "of no version"
    return " ".join([version, *([update] if update not in ("*", "-") else [])])


def bounds(criterion: Criterion) -> str:
    """The bounds of a criterion's version: `>= 8.5p1, < 9.8p1`; empty where there are none."""
    said = ((">=", criterion.at_least), (">", criterion.above), ("<=", criterion.at_most), ("<", criterion.below))
    return ", ".join(f"{sign} {version}" for sign, version in said if version)
