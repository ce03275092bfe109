"""Sections written by fixed rules: what a report says where no model does. Each statement cites the records it is of.

A writer takes the facts and gives statements; which section has which is said by the pattern (`rules:`).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from itertools import groupby, islice
from typing import Final

from spectra.ai.patterns.loading import Pattern, SectionPlan
from spectra.ai.reports.controls import controls
from spectra.ai.reports.facts import Facts
from spectra.ai.reports.words import and_more, count, day, endpoint, product_of, sentence, weight_of, whole_words
from spectra.model.reports import (
    MAX_CITES,
    MAX_STATEMENTS,
    MAX_TEXT,
    ChangeLine,
    FindingLine,
    Section,
    Statement,
    Weight,
)

MOST: Final = 12
"""Statements of a section."""
_CITED: Final = 8
_TELLING: Final = re.compile(
    r"\b(adm|admin|vpn|test|testing|dev|devel|staging|stage|uat|qa|intranet|internal|old|backup|beta|demo|jenkins|git|"
    r"gitlab|grafana|kibana|phpmyadmin|jira|owa|webmail|remote|citrix|db|sql)\d*\b",
    re.IGNORECASE,
)
_LOGIN: Final = re.compile(
    r"\b(log[ -]?in|sign[ -]?in|admin|dashboard|console|panel|phpmyadmin|webmail|router|manager|jenkins|grafana)\b",
    re.IGNORECASE,
)
_DEFAULT: Final = re.compile(
    r"\b(default page|it works|welcome to nginx|test page|apache2 .* default|iis windows|index of /)", re.IGNORECASE
)
_COMMAND: Final = re.compile(r":? *\bspectra (scan|host) .*$")
_WEIGHTS: Final[tuple[Weight, ...]] = ("critical", "high", "medium", "low", "info")

Writer = Callable[[Facts], Iterable[Statement]]


def sections(pattern: Pattern, facts: Facts) -> tuple[Section, ...]:
    """The sections of a pattern, as rules write them; those that no rule writes are left out."""
    shapes = pattern.schema["properties"]
    return tuple(
        _section(plan, WRITERS[plan.rules](facts), shapes[plan.id].get("maxItems", MAX_STATEMENTS))
        for plan in pattern.sections
        if plan.rules in WRITERS
    )


def _section(plan: SectionPlan, said: Iterable[Statement], most: int) -> Section:
    statements = tuple(islice(said, min(most, MAX_STATEMENTS)))
    return Section(id=plan.id, title=plan.title, form=plan.form, by="rules", statements=statements)


def _said(text: str, cites: Iterable[str], title: str = "", weight: Weight = "") -> Statement:
    unique = tuple(dict.fromkeys(cites))[:MAX_CITES]
    return Statement(text=text[:MAX_TEXT], cites=unique, title=title[:300], weight=weight)


# Summary -------------------------------------------------------------------------------------------------------------


def summary(facts: Facts) -> Iterator[Statement]:
    """What there is, the state it is in, and what changed."""
    tables, figures = facts.tables, facts.tables.figures
    hosts = [f"host:{host.ip}" for host in tables.hosts]
    if len(facts.told) == 1:
        yield _said(facts.told[0].summary, hosts)
    else:
        services = Counter(one.service or "not recognised" for one in tables.services)
        listed = and_more([f"{name} ({n})" for name, n in services.most_common()], 5)
        offers = f", most of all {listed}" if listed else ""
        said = (
            f"{count(figures.hosts, 'host')} were looked at, {figures.up} of which answered when last probed. They"
            f" offer {count(figures.endpoints, 'open endpoint')}{offers}."
        )
        yield _said(said, [facts.target.record, *hosts[:_CITED]])
    if tables.findings:
        yield _weaknesses_in_short(facts)
    elif not figures.findings_total:
        yield _said("No known weakness of the software that was recognised is open.", hosts[:_CITED])
    if tables.changes:
        said = "; ".join(f"{_CHANGES.get(kind, kind).lower()}: {n:,}" for kind, n in figures.changed.items())
        yield _said(
            f"In the time that is compared: {said}.", [endpoint(one.ip, one.where) for one in tables.changes[:_CITED]]
        )


def _weaknesses_in_short(facts: Facts) -> Statement:
    figures, findings = facts.tables.figures, facts.tables.findings
    rated = ", ".join(f"{n} {name}" for name, n in figures.findings.items())
    said = f"{count(figures.findings_total, 'known weakness', 'known weaknesses')} are open: {rated}."
    exploited = [one for one in findings if one.kev]
    if exploited:
        said += f" {figures.kev} of them {'is' if figures.kev == 1 else 'are'} known to be exploited."
    first = findings[0]
    where = f"{product_of(first)} at {first.ip} {first.port}/{first.protocol}"
    said += f" The most urgent is {first.cve} of {where}."
    return _said(said, [f"finding:{one.id}" for one in [first, *exploited, *findings[:_CITED]]])


# Weaknesses and risks ------------------------------------------------------------------------------------------------


def weaknesses(facts: Facts) -> Iterator[Statement]:
    """Weaknesses of one piece of software together, the most urgent first."""
    for group in _by_software(facts.tables.findings)[:MOST]:
        yield _weak(group)


def _weak(group: Sequence[FindingLine]) -> Statement:
    first = group[0]
    cves = list(dict.fromkeys(one.cve for one in group))
    places = list(dict.fromkeys(f"{one.ip} {one.port}/{one.protocol}" for one in group))
    facts = [f"CVSS {first.cvss:.1f}" if first.cvss is not None else "", _exploited(first)]
    about = ", ".join(fact for fact in facts if fact)
    says = sentence(f"{first.cve}{f' ({about})' if about else ''}: {whole_words(first.title)}")
    more = f" {count(len(cves) - 1, 'further weakness', 'further weaknesses')} of it." if len(cves) > 1 else ""
    where = f" Found at {and_more(places, 4)}."
    patched = " The distribution may have repaired it without a new version." if first.patched else ""
    sure = " The version is not certain." if first.level == "possible" else ""
    weights: list[Weight] = [weight_of(one.severity) for one in group]
    weight: Weight = "critical" if any(one.kev for one in group) else min(weights, key=_WEIGHTS.index)
    cites = [f"finding:{one.id}" for one in group]
    return _said(f"{says}{more}{where}{patched}{sure}", cites[:_CITED], f"{product_of(first)}", weight)


def _exploited(one: FindingLine) -> str:
    if one.kev:
        return "known to be exploited"
    return f"{one.epss:.0%} likely to be exploited within 30 days" if one.epss and one.epss >= 0.1 else ""


def _by_software(findings: Sequence[FindingLine]) -> list[list[FindingLine]]:
    """Findings by software, in the order of the most urgent of each."""
    groups: dict[tuple[str, str], list[FindingLine]] = defaultdict(list)
    for one in findings:
        groups[one.product.lower() or one.cve, one.version].append(one)
    return list(groups.values())


def risks(facts: Facts) -> Iterator[Statement]:
    """Weaknesses by software, then what rules say of endpoints and hosts; the worst first."""
    found = [*islice(weaknesses(facts), 8), *_ruled(facts)]
    found.sort(key=lambda one: _WEIGHTS.index(one.weight or "info"))
    yield from found[:MOST]


def _ruled(facts: Facts) -> Iterator[Statement]:
    """What rules say, the same of several endpoints once."""
    groups: dict[tuple[str, str], list[tuple[str, str, str]]] = defaultdict(list)
    several = len(facts.told) > 1
    for told in facts.told:
        for risk in told.risks:
            says = _TOGETHER.get(risk.rule, risk.says) if several else risk.says
            groups[risk.rule, says].append((told.ip, risk.where, risk.level))
    for (rule, says), places in groups.items():
        where = and_more([f"{ip} {at}".strip() for ip, at, _ in places], 5)
        cites = [endpoint(ip, at) for ip, at, _ in places][:_CITED]
        title = _TITLES.get(rule, rule.replace("-", " ").capitalize())
        yield _said(f"{says} Seen at {where}.", cites, title, weight_of(places[0][2]))


_TOGETHER: Final = {
    "stale": "What was seen there is older than such services stay as they are.",
    "silent": "It does not answer any more; what it ran is told as it was.",
}
_TITLES: Final = {
    "plain-text": "Unencrypted service",
    "public-database": "Database open to the Internet",
    "public-control": "Remote control open to the Internet",
    "certificate-expired": "Certificate has expired",
    "certificate-expiring": "Certificate expires soon",
    "certificate-early": "Certificate is not valid yet",
    "weak-key": "Weak key",
    "self-signed": "Self-signed certificate",
    "old-tls": "Retired versions of TLS",
    "finding": "A scanner's finding",
    "hearsay": "Told by one source that is not trusted",
    "stale": "Not looked at for long",
    "silent": "Does not answer any more",
}


def steps(facts: Facts) -> Iterator[Statement]:
    """Updates first, by urgency; then what rules advise, what is most often advised first."""
    made = 0
    for group in _by_software(facts.tables.findings)[:6]:
        first, cves = group[0], {one.cve for one in group}
        places = list(dict.fromkeys(f"{one.ip} {one.port}/{one.protocol}" for one in group))
        why = "is exploited" if any(one.kev for one in group) else f"is rated {first.severity or 'unrated'}"
        said = (
            f"Update {product_of(first)} at {and_more(places, 4)} to a release that repairs {first.cve}"
            f"{f' and {len(cves) - 1} more' if len(cves) > 1 else ''}; it {why}."
        )
        yield _said(said, [f"finding:{one.id}" for one in group][:_CITED])
        made += 1
    advised: dict[str, list[str]] = defaultdict(list)  # the endpoints that each advice is for
    for told in facts.told:
        for risk in told.risks:
            if risk.advice:
                advised[_for_all(risk.advice, told.ip, risk.where)].append(endpoint(told.ip, risk.where))
    for advice, cites in sorted(advised.items(), key=lambda one: -len(one[1]))[: MOST - made]:
        places = and_more([cite.partition(":")[2].replace("/tcp/", " ") for cite in cites], 4)
        yield _said(f"{advice.rstrip('.')} ({places}).", cites[:_CITED])
    if not made and not advised:
        yield _said("Nothing stands out in what is known; look again when it is due.", [facts.target.record])


def _for_all(advice: str, ip: str, where: str) -> str:
    """An advice about one endpoint as one about each that it is given for."""
    general = _COMMAND.sub("", advice).replace(ip, "it")
    return re.sub(rf"\b{re.escape(where)}\b", "the endpoint", general) if where else general


# What can be reached -------------------------------------------------------------------------------------------------


def exposure(facts: Facts) -> Iterator[Statement]:
    """Kinds of service, those that are fewest first: what is alone in its kind is what nobody thinks of."""
    services = sorted(facts.tables.services, key=lambda one: one.service or "unknown")
    groups = [(name, list(some)) for name, some in groupby(services, key=lambda one: one.service or "unknown")]
    for name, some in sorted(groups, key=lambda one: (one[0] == "unknown", len(one[1]))):
        makes = Counter(" ".join(p for p in (one.product, one.version) if p) for one in some)
        del makes[""]
        made = f": {and_more([f'{make} ({n})' for make, n in makes.most_common()], 4)}" if makes else ""
        where = and_more([f"{one.ip} {one.port}/{one.protocol}" for one in some], 4)
        title = f"{name if name != 'unknown' else 'Services that were not recognised'}"
        clear = "" if any(one.tls for one in some) else " without TLS"
        said = f"{count(len(some), 'endpoint')}{clear}{made}. Seen at {where}."
        yield _said(said, [one.record for one in some][:_CITED], title)


def web(facts: Facts) -> Iterator[Statement]:
    """Pages that ask for a password, default pages, and web servers without TLS."""
    pages = [one for one in facts.tables.services if one.service.startswith("http") or one.title]
    kinds = (
        ("Pages for signing in", "Who finds them can try passwords.", [p for p in pages if _LOGIN.search(p.title)]),
        ("Pages that come with the software", "They tell what runs, and that nobody looks after it.",
         [p for p in pages if _DEFAULT.search(p.title)]),
        ("Web without TLS", "What is sent there can be read and changed on the way.", [p for p in pages if not p.tls]),
    )  # fmt: skip
    for title, why, some in kinds:
        if some:
            where = and_more(
                [f"{p.ip} {p.port}/{p.protocol}{f' “{p.title[:60]}”' if p.title else ''}" for p in some], 5
            )
            yield _said(f"{count(len(some), 'endpoint')}: {where}. {why}", [p.record for p in some][:_CITED], title)
    makes = Counter(one.product or "unknown software" for one in pages)
    if makes:
        listed = and_more([f"{make} ({n})" for make, n in makes.most_common()], 6)
        yield _said(f"Web servers by make: {listed}.", [p.record for p in pages][:_CITED], "Software")


def names(facts: Facts) -> Iterator[Statement]:
    """Names that tell what a host is for, and hosts that many names lead to."""
    known = facts.tables.names
    telling = [one for one in known if _TELLING.search(one.name.partition(".")[0].replace("_", "-"))]
    if telling:
        listed = and_more([one.name for one in telling], 8)
        said = f"{count(len(telling), 'name')} of {len(known)} tell what a host is for: {listed}."
        yield _said(said, [f"name:{one.name}" for one in telling][:_CITED], "Names that tell of an inner use")
    at: dict[str, list[str]] = defaultdict(list)
    for one in known:
        for ip in one.addresses:
            at[ip].append(one.name)
    shared = sorted(((ip, some) for ip, some in at.items() if len(some) > 2), key=lambda one: -len(one[1]))
    for ip, some in shared[:5]:
        said = f"{count(len(some), 'name')} lead to {ip}: {and_more(some, 5)}."
        yield _said(said, [f"host:{ip}"], "Many names on one host")
    wild = [one for one in known if one.name.startswith("*.")]
    if wild:
        listed = and_more([one.name for one in wild], 5)
        yield _said(f"Wildcards: {listed}.", [f"name:{one.name}" for one in wild][:_CITED], "Wildcard names")


def certificates(facts: Facts) -> Iterator[Statement]:
    """Those that have expired, and who issued the others."""
    known = facts.tables.certificates
    if expired := [one for one in known if one.expired]:
        listed = and_more([f"{one.subject} ({day(one.not_after)})" for one in expired if one.not_after], 5)
        said = f"{count(len(expired), 'certificate')} expired: {listed}."
        yield _said(said, [f"certificate:{one.sha256}" for one in expired][:_CITED], "Expired")
    if issuers := Counter(one.issuer or "unknown" for one in known):
        listed = and_more([f"{name} ({n})" for name, n in issuers.most_common()], 5)
        yield _said(f"Issued by {listed}.", [f"certificate:{one.sha256}" for one in known][:_CITED], "Issuers")


def changes(facts: Facts) -> Iterator[Statement]:
    """What is new, gone or different, newest first; the same of one day and kind together."""
    for (at, kind), some in islice(groupby(facts.tables.changes, key=_day_and_kind), MOST):
        group = list(some)
        told = [f"{one.ip} {one.where}{f' ({one.what})' if one.what else ''}".strip() for one in group]
        said = f"{_CHANGES.get(kind, kind)}: {and_more(told, 4)}."
        yield _said(said, [endpoint(one.ip, one.where) for one in group][:_CITED], f"{at:%Y-%m-%d}")


def _day_and_kind(one: ChangeLine) -> tuple[date, str]:
    return one.at.date(), one.kind


_CHANGES: Final = {
    "new": "Opened",
    "gone": "Closed",
    "changed": "Became something else",
    "host_new": "Seen for the first time",
    "host_back": "Answer again",
    "host_gone": "Stopped answering",
    "finding_new": "Weaknesses that became known",
    "finding_closed": "Weaknesses that were taken back",
}

WRITERS: Final[dict[str, Writer]] = {
    "summary": summary,
    "risks": risks,
    "steps": steps,
    "exposure": exposure,
    "web": web,
    "names": names,
    "certificates": certificates,
    "weaknesses": weaknesses,
    "changes": changes,
    "controls": controls,
}
