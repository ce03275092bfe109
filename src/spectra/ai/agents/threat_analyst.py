"""Threat Analyst: what a heap of alerts amounts to - campaigns, attackers by stage and pace, hosts of ours that attack,
and attacks on weaknesses that are there.

Reads alerts of CrowdSec (`logs/crowdsec.py`). What is ours, and which weaknesses are open, is asked of the store.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from spectra.ai.agents.addresses import is_inside
from spectra.ai.agents.logs import crowdsec
from spectra.ai.agents.logs.crowdsec import Alert
from spectra.ai.agents.logs.lines import Log
from spectra.ai.agents.stats import grouped, newest
from spectra.model.insights import SEVERITIES, Evidence, Feature, Insight, Severity, evidence, feature, insight

CAMPAIGN_SOURCES: Final = 4
"""Sources of one network (as the alert tells it, else /24 or /48) with one scenario within a day."""
SPRAY_USERS: Final = 5
"""Users that one source tried: passwords for many, not many for one."""
FAST_PER_S: Final = 5.0
"""Events a second: no person."""
ATTACKER_SCORE: Final = 40
"""Below this a single source is not told of by itself: the Internet is noisy."""
MOST: Final = 100

Stage = str
OTHER: Final = "other"
"""A scenario of no stage that is known; it makes no attack staged."""
# What a scenario's name says of what is done, the first that matches; and how much that weighs (0 to 40). The names are
# those of CrowdSec's hub: `crowdsecurity/ssh-bf`, `crowdsecurity/http-probing`, `crowdsecurity/CVE-2023-22515`.
STAGES: Final[tuple[tuple[str, re.Pattern[str], int], ...]] = (
    (
        "exploit",
        re.compile(r"cve-?\d{4}|log4j|exploit|rce|backdoor|webshell|shellshock|spring4shell|sqli|xss|path-trav"),
        40,
    ),
    ("credentials", re.compile(r"[-_]bf\b|bf[-_]|brute|user-enum|credential|password|spray|login|auth"), 22),
    ("denial", re.compile(r"dos\b|flood|slowloris"), 20),
    ("scan", re.compile(r"scan|probing|probe|crawl|sensitive-files|bad-user-agent|discovery|iptables|enum"), 12),
    ("abuse", re.compile(r"spam|open-proxy|referer|captcha"), 8),
)
_CVE: Final = re.compile(r"cve[-_](\d{4})[-_](\d{4,7})", re.IGNORECASE)
_DAY: Final = timedelta(days=1)
_SHOWN: Final = 8
_HIGH: Final = 70
_MEDIUM: Final = 50


class Opened(NamedTuple):
    """An open finding that an attack may be about."""

    id: str
    ip: str
    cve: str
    kev: bool


class Knowledge(NamedTuple):
    """What is asked of the store: which of these addresses are hosts of ours, and open findings of these CVEs."""

    hosts: Callable[[Sequence[str]], frozenset[str]]
    findings: Callable[[Sequence[str]], Sequence[Opened]]


class _Source(NamedTuple):
    ip: str
    alerts: list[Alert]
    stages: tuple[Stage, ...]
    score: float
    campaign: str


def run(raw: bytes, now: datetime, knows: Knowledge) -> tuple[list[Insight], Log[Alert]]:
    """The insights of alerts, and what was read. Raises `BadRequest` where it is nothing that is known.

    Alerts of scenarios that only simulate are left out.
    """
    log = crowdsec.read(raw, now)
    alerts = [alert for alert in log.entries if not alert.simulated]
    campaigns, told = _campaigns(alerts, now)
    by_source = grouped((alert.ip, alert) for alert in alerts if alert.ip)
    ours = knows.hosts(list(by_source)) | {
        ip for ip in by_source if is_inside(ip) and not ipaddress.ip_address(ip).is_loopback
    }
    found = [*campaigns, *_attacked(alerts, knows, now)]
    for ip, mine in by_source.items():
        if ip in ours:
            found.append(_own(ip, mine, now))
        elif one := _attacker(ip, mine, told.get(ip, frozenset()), now):
            found.append(one)
    return sorted(found, key=lambda one: (SEVERITIES.index(one.severity), -one.score, one.id))[:MOST], log


def stage(scenario: str) -> tuple[Stage, int]:
    """What a scenario's name says of what was done, and how much that weighs."""
    name = scenario.rpartition("/")[2].lower()
    return next(((word, weight) for word, form, weight in STAGES if form.search(name)), (OTHER, 10))


# Campaigns -----------------------------------------------------------------------------------------------------------


def _campaigns(alerts: Sequence[Alert], now: datetime) -> tuple[list[Insight], dict[str, frozenset[str]]]:
    """Several sources of one network that do the same on one day; and which scenarios of which source that tells."""
    groups = grouped(((_network(alert), alert.scenario), alert) for alert in alerts if alert.ip)
    found: list[Insight] = []
    told: dict[str, frozenset[str]] = {}
    for (network, scenario), mine in groups.items():
        together = _busiest_day(mine, now)
        sources = {alert.ip for alert in together}
        if len(sources) < CAMPAIGN_SOURCES or not network:
            continue
        found.append(_campaign(network, scenario, together, now))
        for ip in sources:
            told[ip] = told.get(ip, frozenset()) | {scenario}
    return found, told


def _busiest_day(alerts: list[Alert], now: datetime) -> list[Alert]:
    """Of all stretches of a day that begin with an alert, the one with the most sources; those without time count."""
    timed = sorted(((alert.start or now, alert.line, alert) for alert in alerts), key=lambda one: one[:2])
    best: list[Alert] = []
    first, most = 0, 0
    inside: Counter[str] = Counter()
    for last, (at, _, alert) in enumerate(timed):
        inside[alert.ip] += 1
        while at - timed[first][0] > _DAY:
            gone = timed[first][2].ip
            inside[gone] -= 1
            if not inside[gone]:
                del inside[gone]
            first += 1
        if len(inside) > most:
            most, best = len(inside), [one for *_, one in timed[first : last + 1]]
    return best


def _campaign(network: str, scenario: str, alerts: list[Alert], now: datetime) -> Insight:
    sources = Counter(alert.ip for alert in alerts)
    events = sum(alert.events for alert in alerts)
    word, weight = stage(scenario)
    score = 35 + weight + min(15, 3 * math.log2(len(sources))) + min(10, math.log2(events))
    asn = next((f" (AS{alert.asn})" for alert in alerts if alert.asn.strip("0").isdigit()), "")
    return insight(
        "threat-analyst",
        "campaign",
        severity=_severity(score),
        title=f"{len(sources)} addresses of {network} do {scenario} together",
        what=f"Within a day {len(sources)} sources of {network}{asn} made {len(alerts)} alerts of {scenario} with"
        f" {events} events: one hand rather than many. What they do is {word}.",
        subjects=[f"network:{network}", *(f"host:{ip}" for ip, _ in sources.most_common(30))],
        at=newest((alert.stop for alert in alerts), now),
        score=score,
        evidence=_some(alerts),
        features=[
            feature("sources", len(sources), CAMPAIGN_SOURCES),
            feature("alerts", len(alerts)),
            feature("events", events),
            feature("stage", word),
        ],
        advice=f"Ban {network} as a whole for a while rather than one address after the other"
        + (", and let nobody sign in by password there." if word == "credentials" else "."),
        key=scenario,
    )


# Single sources ------------------------------------------------------------------------------------------------------


def _attacker(ip: str, alerts: list[Alert], told: frozenset[str], now: datetime) -> Insight | None:
    """A source by itself: what it did beyond the campaigns it is part of."""
    source = _weigh(ip, alerts)
    more = {alert.scenario for alert in alerts} - told
    if source.score < ATTACKER_SCORE or (told and not more):
        return None
    users = {user for alert in alerts for user in alert.users}
    kind = (
        "staged_attack"
        if len({*source.stages} - {OTHER}) > 1
        else "password_spray"
        if _is_spray(alerts)
        else "attacker"
    )
    events = sum(alert.events for alert in alerts)
    scenarios = sorted({alert.scenario for alert in alerts})
    open_ = not any(alert.banned for alert in alerts) and any(alert.banned is False for alert in alerts)
    return insight(
        "threat-analyst",
        kind,
        severity=_severity(source.score),
        title=f"{ip}: {' and '.join(source.stages)}, {events} events",
        what=f"{ip} made {len(alerts)} alerts ({', '.join(scenarios[:5])})"
        + (f", tried {len(users)} users" if users else "")
        + (f", on {len(machines)} machines" if len(machines := {a.machine for a in alerts} - {""}) > 1 else "")
        + (". Nobody has decided about it." if open_ else "."),
        subjects=[f"host:{ip}"],
        at=newest((alert.stop for alert in alerts), now),
        score=source.score,
        evidence=_some(alerts),
        features=[*_features(alerts, source), feature("users", len(users), SPRAY_USERS)],
        advice=f"Ban {ip}." if open_ else f"See whether anything of {ip} got through while it was not banned.",
    )


def _weigh(ip: str, alerts: list[Alert]) -> _Source:
    """The score of a source: the heaviest stage, and something for more stages, events, machines, pace and spread."""
    weights = dict(stage(alert.scenario) for alert in alerts)
    order = [word for word, *_ in STAGES if word in weights] + [word for word in weights if word == OTHER]
    events = sum(alert.events for alert in alerts)
    machines = {alert.machine for alert in alerts if alert.machine}
    score = (
        15
        + max(weights.values())
        + 15 * max(0, len(weights.keys() - {OTHER}) - 1)
        + min(15, 2 * math.log2(events))
        + min(10, 5 * max(0, len(machines) - 1))
        + (5 if _pace(alerts) >= FAST_PER_S else 0)
        + (10 if _is_spray(alerts) else 0)
    )
    return _Source(ip, alerts, tuple(reversed(order)), min(100.0, score), "")


def _pace(alerts: Iterable[Alert]) -> float:
    """Events a second of the fastest alert that lasted."""
    paces = [
        alert.events / max((alert.stop - alert.start).total_seconds(), 0.001)
        for alert in alerts
        if alert.start and alert.stop and alert.events > 1 and alert.stop > alert.start
    ]
    return max(paces, default=0.0)


def _is_spray(alerts: Iterable[Alert]) -> bool:
    return len({user for alert in alerts for user in alert.users}) >= SPRAY_USERS


def _own(ip: str, alerts: list[Alert], now: datetime) -> Insight:
    """A host of ours that attacks: somebody else has it, or it is badly set up."""
    source = _weigh(ip, alerts)
    score = min(100.0, source.score + 30)
    severity: Severity = "critical" if source.stages[-1] == "exploit" else "high"
    return insight(
        "threat-analyst",
        "own_host_attacks",
        severity=severity,
        title=f"{ip} is ours, and attacks: {', '.join(source.stages)}",
        what=f"{len(alerts)} alerts name {ip}, which is a host of this network, as their source"
        f" ({', '.join(sorted({alert.scenario for alert in alerts})[:5])}).",
        subjects=[f"host:{ip}"],
        at=newest((alert.stop for alert in alerts), now),
        score=score,
        evidence=[evidence("a host of this network", f"host:{ip}"), *_some(alerts)],
        features=_features(alerts, source),
        advice=f"Take {ip} off the network, keep its memory and disk as they are, and find out who uses it.",
    )


def _features(alerts: list[Alert], source: _Source) -> list[Feature]:
    return [
        feature("score", source.score, ATTACKER_SCORE),
        feature("alerts", len(alerts)),
        feature("events", sum(alert.events for alert in alerts)),
        feature("stages", ", ".join(source.stages)),
        feature("per_second", _pace(alerts), FAST_PER_S),
        feature("machines", len({alert.machine for alert in alerts} - {""})),
    ]


# What is attacked ----------------------------------------------------------------------------------------------------


def _attacked(alerts: Sequence[Alert], knows: Knowledge, now: datetime) -> list[Insight]:
    """Attacks on a CVE that hosts of ours have: by CVE."""
    by_cve = grouped((cve, alert) for alert in alerts for cve in cves(alert.scenario))
    if not by_cve:
        return []
    opened = grouped((one.cve, one) for one in knows.findings(sorted(by_cve)))
    return [_on_weakness(cve, by_cve[cve], mine, now) for cve, mine in opened.items() if cve in by_cve]


def cves(scenario: str) -> tuple[str, ...]:
    """The CVEs that a scenario's name tells of."""
    return tuple(f"CVE-{year}-{number}" for year, number in _CVE.findall(scenario))


def _on_weakness(cve: str, alerts: list[Alert], opened: Sequence[Opened], now: datetime) -> Insight:
    targets = {ip for alert in alerts for ip in alert.targets}
    hit = [one for one in opened if one.ip in targets]
    return insight(
        "threat-analyst",
        "attack_on_weakness",
        severity="critical" if hit or any(one.kev for one in opened) else "high",
        title=f"{cve} is attacked, and {len({one.ip for one in opened})} hosts have it",
        what=f"{len(alerts)} alerts from {len({alert.ip for alert in alerts})} sources are about {cve}, which is open"
        f" on {', '.join(sorted({one.ip for one in opened})[:5])}."
        + (f" {', '.join(sorted({one.ip for one in hit})[:5])} was among the targets." if hit else ""),
        subjects=[f"cve:{cve}", *(f"finding:{one.id}" for one in opened[:40])],
        at=newest((alert.stop for alert in alerts), now),
        score=85 + 10 * bool(hit),
        evidence=[*(evidence(f"{one.ip} has {cve}", f"finding:{one.id}") for one in opened[:20]), *_some(alerts)],
        features=[
            feature("alerts", len(alerts)),
            feature("findings", len(opened), 1),
            feature("targets_hit", len(hit)),
        ],
        advice="Patch these hosts now, or take them off the Internet, and look for signs that it has worked already.",
    )


def _some(alerts: Sequence[Alert]) -> Iterator[Evidence]:
    for alert in alerts[:_SHOWN]:
        who = f" on {', '.join(alert.users[:3])}" if alert.users else ""
        when = f" at {alert.start:%Y-%m-%d %H:%M:%S} UTC" if alert.start else ""
        record = f"host:{alert.ip}" if alert.ip else ""
        yield evidence(f"{alert.source}: {alert.scenario}{who}, {alert.events} events{when}", record, alert.line)


def _network(alert: Alert) -> str:
    """The network of the source: as the alert tells it, where that is one of the Internet and no larger than /16
    (IPv6: /32); else its /24 (/48).
    """
    address = ipaddress.ip_address(alert.ip)
    width, least = (24, 16) if address.version == 4 else (48, 32)
    try:
        told = ipaddress.ip_network(alert.network, strict=False)
        if told.prefixlen >= least and told.num_addresses > 1 and address in told:
            return str(told)
    except (ValueError, TypeError):
        pass
    return str(ipaddress.ip_network(f"{address}/{width}", strict=False))


def _severity(score: float) -> Severity:
    return "high" if score >= _HIGH else "medium" if score >= _MEDIUM else "low"
