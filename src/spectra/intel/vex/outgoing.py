"""From findings and what was decided about them to the statements of a VEX document.

A decision is told once, for the place that it holds for, with the findings that it was met by. What nobody decided is
told as affected where it is confirmed or likely, with what there is to do, and as under investigation where it is only
possible.
"""

from __future__ import annotations

from collections.abc import Iterable

from spectra.model.findingrecords import FindingRecord, TriageRecord
from spectra.model.triage import Target, Verdict
from spectra.model.vex import Product, Statement


def statements(findings: Iterable[FindingRecord], *, decided: bool = False) -> tuple[Statement, ...]:
    """In the order of `findings`; `decided`: without what nobody decided."""
    found: dict[tuple[object, ...], tuple[Statement, dict[Product, None]]] = {}
    for finding in findings:
        if finding.triage is None and decided:
            continue
        one = _undecided(finding) if finding.triage is None else _decided(finding, finding.triage)
        key = (one.cve, one.verdict, one.sure, one.action)
        first, products = found.get(key, (one, {}))
        products |= dict.fromkeys(one.products)
        found[key] = first._replace(said=max(first.said, one.said)), products
    return tuple(first._replace(products=tuple(products)) for first, products in found.values())


def _decided(finding: FindingRecord, told: TriageRecord) -> Statement:
    verdict = Verdict(told.status, told.note, told.justification, told.until)
    target = Target("", told.ip, told.port, told.protocol, told.cpe)
    product = _product(finding, target) if target.scope == "endpoint" else Product(target, cpe=told.cpe)
    return Statement(finding.cve, verdict, told.at, (product,))


def _undecided(finding: FindingRecord) -> Statement:
    target = Target("", finding.ip, finding.port, finding.protocol)
    sure = finding.level != "possible"
    action = _action(finding) if sure else ""
    return Statement(finding.cve, None, finding.known, (_product(finding, target),), sure, action)


def _product(finding: FindingRecord, target: Target) -> Product:
    return Product(target, finding.product or finding.service, finding.version, finding.cpe)


def _action(finding: FindingRecord) -> str:
    """What there is to do, in a sentence that is the same for all findings that it is the same for."""
    name = finding.product or finding.service or "It"
    what = f"{name} {finding.range}" if finding.range else f"{name} {finding.version}".rstrip()
    words = f"Nobody decided yet. {what} is affected"
    words += f" as {finding.source} says." if finding.source else "."
    if finding.patched:
        return f"{words} Look whether the distribution repaired its build, or update it."
    return f"{words} Update it to a version that is not, or keep it from being reached."
