"""Lines about weaknesses: findings of the target, and what is publicly said of CVEs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from spectra.ai.retrieval import publicwords
from spectra.ai.retrieval.lines import Line, address, day, line, raw
from spectra.model.ai import Part
from spectra.model.findingrecords import FindingRecord
from spectra.model.observation import Service
from spectra.model.vulnrecords import VulnSummary
from spectra.store.vulntexts import Named

_REPAIRED: Final = re.compile(r"(?:^|[\s,])(<=?)\s*([^\s,]{1,60})")
_MORE: Final = 4
"""Further endpoints with the same CVE that are named."""
_STEP: Final = 0.5
_ASKED: Final = 84.0
"""Priority of the CVE that is most like a question; each further one has `_FURTHER` less."""
_FURTHER: Final = 3.0
_ALIKE: Final = 26.0
"""Priority of one that is like the software, where nothing was asked."""


def of_findings(findings: Iterable[FindingRecord], published: Collection[Named]) -> Iterator[Line]:
    """One line for each CVE of each host, the most urgent first; the endpoints that have it are named in it."""
    groups: dict[tuple[str, str], list[FindingRecord]] = {}
    for finding in findings:
        groups.setdefault((finding.ip, finding.cve), []).append(finding)
    for number, (first, *others) in enumerate(groups.values()):
        score = 62.0 + 0.36 * first.priority.score - number * _STEP
        title = f"{first.cve} at {first.ip} {first.port}/{first.protocol}"
        yield line(f"finding:{first.id}", title, _finding(first, others, published), max(score, 20.0))


def _finding(one: FindingRecord, others: Sequence[FindingRecord], published: Collection[Named]) -> Iterator[Part]:
    yield from (f"Finding {one.cve} at ", address(one.ip), f" {one.port}/{one.protocol}")
    if others:
        ports = ", ".join(f"{other.port}/{other.protocol}" for other in others[:_MORE])
        yield f", also {ports}" + (f" and {len(others) - _MORE} more" if len(others) > _MORE else "")
    service = Service(one.service, one.product, one.version)
    if product := publicwords.product(service, [one.cpe], published):
        yield f" ({product} {publicwords.version(one.version)}".rstrip() + ")"
    yield f": {rated(one)}; {one.level}"
    yield f", {one.range}{repaired(one.range)}" if one.range else ""
    yield ", a distribution may have repaired it" if one.patched else ""
    yield f"; priority {one.priority.score:.0f} ({one.priority.level}); {one.state} since {day(one.opened)}"
    yield f"; triage: {one.triage.status.replace('_', ' ')}" if one.triage else ""


def repaired(range: str) -> str:
    """What bounds of versions say about a repair, as a further clause: `, repaired from 9.8p1 on`; "" where nothing."""
    bounds = _REPAIRED.findall(range)
    if not bounds:
        return ""
    sign, version = bounds[-1]
    return f", repaired from {version} on" if sign == "<" else f", repaired after {version}"


def rated(one: FindingRecord | VulnSummary) -> str:
    """Severity, CVSS, EPSS and whether it is exploited, in words."""
    said = [f"severity {one.severity or 'not rated'}"]
    said += [f"CVSS {one.cvss:g}"] if one.cvss is not None else []
    said += [f"EPSS {one.epss:.0%}"] if one.epss is not None else []
    said += [f"known to be exploited (KEV, {one.kev.isoformat()})"] if one.kev else []
    said += ["used by ransomware"] if one.ransomware else []
    return ", ".join(said)


def of_cves(
    ranked: Sequence[str], told: Mapping[str, VulnSummary], urgent: Mapping[str, float], *, asked: bool
) -> Iterator[Line]:
    """What is said of CVEs, in the order `ranked`. `urgent` has the priority (0..100) of those that concern the target;
    the others are told of as what they are. `asked`: the order is by what was asked.
    """
    for number, cve in enumerate(cve for cve in ranked if cve in told):
        one = told[cve]
        concerns = cve in urgent
        like = _ASKED - _FURTHER * number if asked else _ALIKE - number
        score = max(like, 54.0 + 0.2 * urgent[cve] - number * _STEP) if concerns else like
        yield line(f"cve:{cve}", cve, [_cve(one, concerns=concerns)], max(score, 1.0))


def words_of(one: VulnSummary) -> str:
    """All that is said of a CVE, for words of a question to be looked for in it."""
    return f"{one.title} {one.description} {rated(one)}"


def _cve(one: VulnSummary, *, concerns: bool) -> str:
    said = raw(f"{one.title}. {one.description}" if one.title else one.description, 360)
    products = f" Affects {', '.join(one.products[:3])}." if one.products else ""
    known = "" if concerns else " Like what was asked; not known to concern the target."
    return f"{one.cve} ({rated(one)}): {said}{products}{known}"
