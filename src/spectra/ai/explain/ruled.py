"""A summary by rules alone: what the rules say of hosts, what a query counted, and the open findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

from spectra.ai.explain.checking import Parts
from spectra.ai.retrieval.context import Context
from spectra.ai.retrieval.weaknesslines import rated, repaired
from spectra.model.explanations import LEVELS, Explanation, Level
from spectra.model.findingrecords import FindingRecord
from spectra.model.records import HostRecord
from spectra.model.summaries import Claim, RiskClaim

Rules = Callable[[HostRecord, datetime], Explanation]
"""What the facts of a host amount to by fixed rules, at a moment."""

MAX_RISKS: Final = 20
MAX_STEPS: Final = 8
_FINDINGS: Final = 10
_REPAIRS: Final = 4
_HOSTS: Final = 5
_LEVEL: Final[dict[str, Level]] = {"critical": "high", "high": "high", "medium": "medium"}


def ruled(context: Context, rules: Rules, now: datetime) -> Parts:
    """The three parts, each sentence with the records it rests on; never empty but for risks."""
    told = [rules(host, now) for host in context.hosts[:_HOSTS]]
    summary = [*_counted(context), *(Claim(one.summary, (f"host:{one.ip}",)) for one in told)]
    summary += _weaknesses(context.findings)
    risks = [*_found(context.findings), *(risk for one in told for risk in _risks(one))]
    risks.sort(key=lambda one: LEVELS.index(one.level))
    steps = [*_repairs(context.findings), *_steps(told)]
    if not steps:
        steps = [Claim("Nothing is known that asks for anything to be done.", (context.target.record,))]
    return Parts(tuple(summary), tuple(risks[:MAX_RISKS]), tuple(steps[:MAX_STEPS]))


def _counted(context: Context) -> Iterator[Claim]:
    """What a query found, by its own lines."""
    record = context.target.record
    if context.target.kind == "query":
        said = (item.fragment.text for item in context.items if item.record == record)
        yield Claim(f"{'. '.join(said)}.", (record,))


def _weaknesses(findings: Sequence[FindingRecord]) -> Iterator[Claim]:
    if not findings:
        return
    exploited = sum(1 for one in findings if one.kev)
    first = findings[0]
    known = f", {exploited} of them known to be exploited" if exploited else ""
    count = f"{len(findings)} weaknesses are open" if len(findings) > 1 else "1 weakness is open"
    yield Claim(f"{count}{known}; the most urgent is {first.cve} on {_where(first)}.", (f"finding:{first.id}",))


def _found(findings: Sequence[FindingRecord]) -> Iterator[RiskClaim]:
    for one in findings[:_FINDINGS]:
        runs = f" ({' '.join((one.product, one.version)).strip()})" if one.product else ""
        says = f"{one.cve} on {_where(one)}{runs}: {rated(one)}; {one.level}{repaired(one.range)}."
        yield RiskClaim(says, (f"finding:{one.id}",), _LEVEL.get(one.priority.level, "low"))


def _risks(told: Explanation) -> Iterator[RiskClaim]:
    for one in told.risks:
        where = f"{told.ip} {one.where}".strip()
        yield RiskClaim(f"{where}: {one.says}", (_record(told.ip, one.where),), one.level)


def _repairs(findings: Sequence[FindingRecord]) -> Iterator[Claim]:
    """The software to bring up to date, the most urgent first."""
    told: dict[tuple[str, int, str], list[FindingRecord]] = {}
    for one in findings:
        told.setdefault((one.ip, one.port, one.protocol), []).append(one)
    for same in list(told.values())[:_REPAIRS]:
        first, count = same[0], len(same) - 1
        more = f" and {count} more" if count else ""
        what = first.product or first.service or "the software"
        says = f"Bring {what} on {_where(first)} up to date: {first.cve}{more}{repaired(first.range)}."
        yield Claim(says, tuple(f"finding:{one.id}" for one in same[:3]))


def _steps(told: Iterable[Explanation]) -> Iterator[Claim]:
    for one in told:
        places = {risk.advice: _record(one.ip, risk.where) for risk in reversed(one.risks) if risk.advice}
        for step in one.next_steps:
            yield Claim(step, (places.get(step, f"host:{one.ip}"),))


def _where(one: FindingRecord) -> str:
    return f"{one.ip} {one.port}/{one.protocol}"


def _record(ip: str, where: str) -> str:
    """The id of the endpoint at `where` (`443/tcp`), or of the host where that is empty."""
    port, _, protocol = where.partition("/")
    return f"endpoint:{ip}/{protocol}/{port}" if where else f"host:{ip}"
