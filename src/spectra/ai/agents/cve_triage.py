"""CVE Triage: which weaknesses to repair first, and by when; one insight a CVE, over all hosts that have it.

A decision in the manner of SSVC's tree for deployers (CISA, 2022), from what findings tell: whether it is exploited
(KEV, SSVC, EPSS), whether it can be reached from the Internet, and how sure it is that it is there. The words on it in
docs/agents.md have how often the thresholds are right.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from spectra.ai.agents.stats import grouped
from spectra.model.ai import Label
from spectra.model.findingrecords import FindingRecord
from spectra.model.insights import SEVERITIES, Insight, Severity, evidence, feature, insight

EPSS_HIGH: Final = 0.5
"""With KEV: 98 % of the CVEs that CISA calls actively exploited, one in three of those named (docs/agents.md)."""
EPSS_NOTABLE: Final = 0.1
CVSS_CRITICAL: Final = 9.0
CVSS_HIGH: Final = 7.0
SURE: Final = 0.5
"""Confidence of a finding below which it is to be verified before anything is done."""

MOST: Final = 200
_SHOWN: Final = 30


class Verdict(NamedTuple):
    """What to do about a CVE: the word, how grave that is, and within how many days (0: with the next update)."""

    word: str
    severity: Severity
    days: int


ACT: Final = Verdict("act", "critical", 3)
ATTEND: Final = Verdict("attend", "high", 14)
TRACK_CLOSELY: Final = Verdict("track_closely", "medium", 30)
TRACK: Final = Verdict("track", "low", 0)
_ORDER: Final = (ACT, ATTEND, TRACK_CLOSELY, TRACK)


class Group(NamedTuple):
    """A CVE and all findings of it."""

    cve: str
    findings: Sequence[FindingRecord]

    @property
    def exposed(self) -> list[FindingRecord]:
        """Those at addresses of the Internet."""
        return [one for one in self.findings if ipaddress.ip_address(one.ip).is_global]

    @property
    def sure(self) -> bool:
        """Whether one of them is more than possible."""
        return any(one.confidence >= SURE and not one.patched for one in self.findings)


def run(findings: Sequence[FindingRecord], now: datetime, *, all_read: bool = True) -> list[Insight]:
    """One insight a CVE that is more than to be tracked, the worst first, and one about all of them.

    `all_read`: whether `findings` are all that are open; else the most urgent.
    """
    groups = [Group(cve, mine) for cve, mine in grouped((one.cve, one) for one in findings).items()]
    told = [(group, verdict(group)) for group in groups]
    found = [_told(group, decided, now) for group, decided in told if decided is not TRACK]
    found.sort(key=lambda one: (SEVERITIES.index(one.severity), -one.score, one.id))
    return [*found[:MOST], *_overview(told, findings, now, all_read=all_read)]


def verdict(group: Group) -> Verdict:
    """What to do. Exploited and reachable: act. Exploited, or reachable and likely to be: attend. A step less where no
    finding of it is more than possible, or a distribution may have repaired them.
    """
    first = group.findings[0]
    active = first.kev is not None or first.ransomware
    epss, cvss, exposed = first.epss or 0.0, first.cvss or 0.0, bool(group.exposed)
    if active and exposed:
        step = 0
    elif active or (epss >= EPSS_HIGH and exposed) or (cvss >= CVSS_CRITICAL and epss >= EPSS_NOTABLE and exposed):
        step = 1
    elif epss >= EPSS_NOTABLE or (exposed and cvss >= CVSS_HIGH) or cvss >= CVSS_CRITICAL:
        step = 2
    else:
        step = 3
    return _ORDER[step if group.sure else min(step + 1, 3)]


def _told(group: Group, decided: Verdict, now: datetime) -> Insight:
    first = group.findings[0]
    hosts = sorted({one.ip for one in group.findings})
    software = Counter(" ".join(filter(None, (one.product, one.version))) for one in group.findings).most_common(3)
    known = min(one.known for one in group.findings)
    due = max(known + timedelta(days=decided.days), now)
    late = decided.days and known + timedelta(days=decided.days) < now
    return insight(
        "cve-triage",
        decided.word,
        severity=decided.severity,
        title=f"{first.cve} on {len(hosts)} host{'s' if len(hosts) > 1 else ''}: {decided.word.replace('_', ' ')}",
        what=f"{first.title or first.description or first.cve} Known of {', '.join(one for one, _ in software) or 'it'}"
        f" for {(now - known).days} days. {_because(group)}",
        subjects=[f"cve:{first.cve}", *(f"finding:{one.id}" for one in group.findings[:60])],
        at=max(one.known for one in group.findings),
        score=max(one.priority.score for one in group.findings),
        label=Label.SANITIZED,
        evidence=[
            evidence(f"{one.reason or one.level}: {one.ip}", f"finding:{one.id}") for one in group.findings[:_SHOWN]
        ],
        features=[
            feature("exploited", _exploited(first)),
            feature("epss", first.epss or 0.0, EPSS_HIGH),
            feature("cvss", first.cvss or 0.0, CVSS_HIGH),
            feature("hosts", len(hosts)),
            feature("exposed", len({one.ip for one in group.exposed})),
            feature("confidence", max(one.confidence for one in group.findings), SURE),
            feature("known_days", (now - known).days, decided.days or ""),
        ],
        advice=("Verify that it is there, then repair it" if not group.sure else "Repair it")
        + (f"; it is late by {(now - known).days - decided.days} days." if late else f" until {due:%Y-%m-%d}."),
        key="verdict",
    )


def _because(group: Group) -> str:
    """Why, in words."""
    first = group.findings[0]
    exposed = len({one.ip for one in group.exposed})
    told = [
        f"In CISA's catalogue of exploited ones since {first.kev:%Y-%m-%d}." if first.kev else "",
        "Used by ransomware." if first.ransomware else "",
        f"EPSS gives {first.epss:.0%} for 30 days." if first.epss else "",
        f"{exposed} of the hosts can be reached from the Internet." if exposed else "No host is of the Internet.",
        "" if group.sure else "No finding of it is sure.",
    ]
    return " ".join(filter(None, told))


def _exploited(first: FindingRecord) -> str:
    return "ransomware" if first.ransomware else "kev" if first.kev else "none_known"


def _overview(
    told: Sequence[tuple[Group, Verdict]], findings: Sequence[FindingRecord], now: datetime, *, all_read: bool
) -> list[Insight]:
    """How many there are of each, and how likely it is that at least one is exploited within 30 days."""
    if not findings:
        return []
    counts = Counter(decided.word for _, decided in told)
    quiet = 1.0
    for group, _ in told:
        quiet *= 1 - (group.findings[0].epss or 0.0)
    worst = next(step for step in _ORDER if counts[step.word])
    return [
        insight(
            "cve-triage",
            "overview",
            severity="info",
            title=f"{len(told)} CVEs on {len({one.ip for one in findings})} hosts: {counts[ACT.word]} to act on",
            what=", ".join(f"{counts[step.word]} {step.word.replace('_', ' ')}" for step in _ORDER)
            + f". By EPSS the chance that none of them is exploited anywhere within 30 days is {quiet:.1%}"
            + ("." if all_read else "; only the most urgent findings were read."),
            subjects=["input:open-findings"],
            at=now,
            score=100 - 25 * _ORDER.index(worst),
            label=Label.SANITIZED,
            features=[
                *(feature(step.word, counts[step.word]) for step in _ORDER),
                feature("findings", len(findings)),
                feature("none_exploited", quiet),
            ],
        )
    ]
