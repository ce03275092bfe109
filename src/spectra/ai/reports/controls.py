"""Measures that a scan bears on, with the evidence for or against each.

A scan can show that a measure is not met, hardly ever that it is: `met` is said only where all that a measure asks for
of what was scanned was seen; else `unknown`. Articles are of Directive (EU) 2022/2555 (NIS2), Article 21(2), and of
Regulation (EU) 2016/679 (GDPR), Article 32(1); numbers of ANSSI are of its guide d'hygiène informatique (2017).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

from spectra.ai.reports.facts import Facts
from spectra.ai.reports.words import and_more, count, endpoint
from spectra.model.reports import MAX_CITES, Statement, Verdict

IN_TIME: Final = timedelta(days=30)
"""How long a weakness rated critical or high may stay open."""
_CITED: Final = 8
_CLEAR: Final = frozenset({"plain-text"})
_TRANSPORT: Final = frozenset({"old-tls", "weak-key", "certificate-expired", "certificate-early"})
_REACHABLE: Final = frozenset({"public-database", "public-control"})


class _Seen(NamedTuple):
    """What counts against a measure, in words and as ids of records."""

    words: Sequence[str]
    cites: Sequence[str]


def controls(facts: Facts) -> Iterator[Statement]:
    """Each measure with its verdict; what is not met comes first."""
    found = [
        _inventory(facts),
        _repaired(facts),
        _exploited(facts),
        _encrypted(facts, _CLEAR, "No service that sends in clear", "sent in clear",
                   "NIS2 21(2)(h), GDPR 32(1)(a)"),
        _encrypted(facts, _TRANSPORT, "Transport encryption of today", "with retired, weak or expired encryption",
                   "NIS2 21(2)(h), GDPR 32(1)(a)"),
        _reachable(facts),
        _looked_at(facts),
    ]  # fmt: skip
    order: tuple[Verdict, ...] = ("not met", "unknown", "met")
    yield from sorted(found, key=lambda one: order.index(one.verdict or "unknown"))


def _statement(title: str, verdict: Verdict, text: str, cites: Iterable[str]) -> Statement:
    return Statement(text=text, cites=tuple(dict.fromkeys(cites))[:MAX_CITES], title=title, verdict=verdict)


def _inventory(facts: Facts) -> Statement:
    figures, services = facts.tables.figures, facts.tables.services
    unknown = [one for one in services if not one.service]
    said = f"{count(figures.hosts, 'host')} with {count(figures.endpoints, 'open endpoint')} are on record"
    said += f"; what runs on {len(unknown)} of them is not known." if unknown else ", each with what runs there."
    cites = [one.record for one in unknown or services][:_CITED] or [facts.target.record]
    return _statement("Inventory of assets (NIS2 21(2)(i), ANSSI 4)", "not met" if unknown else "met", said, cites)


def _repaired(facts: Facts) -> Statement:
    title = f"Weaknesses repaired within {IN_TIME.days} days (NIS2 21(2)(e), ANSSI 34)"
    severe = [one for one in facts.tables.findings if one.severity in ("critical", "high")]
    late = [one for one in severe if facts.at - one.opened > IN_TIME]
    if late:
        listed = and_more([f"{one.cve} at {one.ip} {one.port}/{one.protocol}" for one in late], 4)
        have = count(len(late), "critical or high one has", "critical or high ones have")
        said = f"{have} been open for longer: {listed}."
        return _statement(title, "not met", said, [f"finding:{one.id}" for one in late][:_CITED])
    if severe:
        said = f"{count(len(severe), 'critical or high one is', 'critical or high ones are')} open, none for so long."
        return _statement(title, "unknown", said, [f"finding:{one.id}" for one in severe][:_CITED])
    said = "None that is rated critical or high is open in software that was recognised; what was not seen is not told."
    return _statement(title, "unknown", said, [facts.target.record])


def _exploited(facts: Facts) -> Statement:
    title = "No weakness that is exploited elsewhere (NIS2 21(2)(e), CISA KEV)"
    found = [one for one in facts.tables.findings if one.kev]
    if found:
        listed = and_more([f"{one.cve} at {one.ip} {one.port}/{one.protocol}" for one in found], 4)
        return _statement(title, "not met", f"Open: {listed}.", [f"finding:{one.id}" for one in found][:_CITED])
    return _statement(title, "unknown", "None was found in software that was recognised.", [facts.target.record])


def _against(facts: Facts, rules: frozenset[str]) -> _Seen:
    places = [(told.ip, risk.where, risk.says) for told in facts.told for risk in told.risks if risk.rule in rules]
    return _Seen([f"{ip} {where}: {says.rstrip('.')}" for ip, where, says in places],
                 [endpoint(ip, where) for ip, where, _ in places])  # fmt: skip


def _encrypted(facts: Facts, rules: frozenset[str], what: str, against: str, articles: str) -> Statement:
    title, seen = f"{what} ({articles})", _against(facts, rules)
    if seen.words:
        said = f"{count(len(seen.words), 'endpoint')} {against}: {and_more(seen.words, 3)}."
        return _statement(title, "not met", said, seen.cites[:_CITED])
    return _statement(title, "unknown", "Nothing that was seen speaks against it.", [facts.target.record])


def _reachable(facts: Facts) -> Statement:
    title, seen = (
        "Administration and databases are not open to everybody (NIS2 21(2)(i), ANSSI 28)",
        _against(facts, _REACHABLE),
    )
    if seen.words:
        return _statement(title, "not met", f"{and_more(seen.words, 3)}.", seen.cites[:_CITED])
    return _statement(title, "unknown", "None was seen at a public address.", [facts.target.record])


def _looked_at(facts: Facts) -> Statement:
    title = "Effectiveness is tested regularly (NIS2 21(2)(f), GDPR 32(1)(d))"
    scans = facts.tables.scans
    recent = [one for one in scans if facts.at - one.seen_at <= IN_TIME]
    hosts = [f"host:{host.ip}" for host in facts.tables.hosts][:_CITED]
    if len(recent) > 1:
        said = f"{count(len(recent), 'scan')} in the last {IN_TIME.days} days saw these hosts."
        return _statement(title, "met", said, hosts)
    newest = f", the newest on {scans[0].seen_at:%Y-%m-%d}" if scans else ""
    said = f"{count(len(recent), 'scan')} in the last {IN_TIME.days} days saw these hosts{newest}."
    return _statement(title, "unknown" if recent else "not met", said, hosts)
