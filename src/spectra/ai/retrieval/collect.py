"""Hybrid retrieval: the neighbourhood of a target in the graph, its findings, and CVEs by words and by vectors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from spectra.ai.retrieval import hostlines, patience, querylines, ranking, weaknesslines
from spectra.ai.retrieval.assembling import assembled
from spectra.ai.retrieval.context import BUDGET, Context, Sources
from spectra.ai.retrieval.lines import Focus, Line
from spectra.ai.retrieval.publicwords import names_of
from spectra.errors import BadRequest, NotFound
from spectra.model.findingrecords import FindingRecord, read_address
from spectra.model.query import parse
from spectra.model.records import HostRecord, Match
from spectra.model.summaries import Target
from spectra.model.vulnrecords import VulnSummary
from spectra.store import host as hosts
from spectra.store import vulntexts
from spectra.store.findingask import Filters
from spectra.store.findinglist import findings as listed_findings
from spectra.store.hostfindings import of_host
from spectra.store.neighbours import neighbours
from spectra.store.vulntexts import Named

MAX_HOSTS: Final = 5
"""Hosts of a name or a query that are looked at whole."""
MAX_FINDINGS: Final = 300
MAX_MATCHES: Final = 40
ALIKE: Final = 100
"""CVEs that are asked for by words and vectors."""
MAX_CVES: Final = 40
"""CVEs whose texts are candidates of a context."""
_URGENCY: Final = 0.4  # weight of the ranking by urgency, which knows nothing of a question that was asked
_PRODUCTS: Final = 6  # that are looked for among CVEs


class Found(NamedTuple):
    """What the graph has of a target: whole hosts, open findings by urgency, and what a query matched."""

    hosts: tuple[HostRecord, ...] = ()
    findings: tuple[FindingRecord, ...] = ()
    matches: tuple[Match, ...] = ()
    lines: tuple[Line, ...] = ()

    @property
    def cpes(self) -> Iterable[str]:
        """The CPE names of everything that runs there."""
        for host in self.hosts:
            for endpoint in host.endpoints:
                yield from (*endpoint.cpe23, *(endpoint.service.cpe if endpoint.service else ()))
        for match in self.matches:
            yield from (*match.cpe23, *match.cpe)
        yield from (finding.cpe for finding in self.findings)


class Ranked(NamedTuple):
    """CVEs, the best first: by urgency in the graph, by the question's words there, by words and by vectors anywhere;
    what is told of each; why a ranking is missing; and whether a question was asked.
    """

    graph: tuple[str, ...] = ()
    question: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    vector: tuple[str, ...] = ()
    told: dict[str, VulnSummary] = {}  # noqa: RUF012 - never written
    note: str = ""
    asked: bool = False

    @property
    def fused(self) -> list[str]:
        """All of them as one ranking."""
        weights = (_URGENCY if self.asked else 1.0, 1.0, 1.0, 1.0)
        return ranking.fused(self.graph, self.question, self.text, self.vector, weights=weights)


def gather(
    sources: Sources,
    target: Target,
    question: str = "",
    *,
    now: datetime,
    budget: int = BUDGET,
    findings: bool = True,
    patience_s: float = 0.8,
) -> Context:
    """What is known of `target` at `now` (aware), of which as much as `budget` bytes hold, by priority.

    `findings`: whether weaknesses may be told of. CVEs that are like it are waited for `patience_s` at most, and left
    out where they take longer (`note` says so). Raises `NotFound` where nothing is known, `BadRequest` for what is no
    target.
    """
    found = look(sources, target, now, findings=findings)
    published = vulntexts.published(sources.database, names_of(found.cpes))
    ranked = rank(sources, found, question, published, patience_s) if findings else Ranked()
    focus = Focus(question)
    lines = [*found.lines, *_lines(sources, found, published, now)]
    urgent = {one.cve: one.priority.score for one in reversed(found.findings)}
    chosen = ranked.fused[:MAX_CVES]
    lines += weaknesslines.of_cves(chosen, ranked.told, urgent, asked=bool(focus))
    items, left_out = assembled(lines, focus, budget)
    return Context(
        target=target,
        items=items,
        hosts=found.hosts,
        findings=found.findings,
        left_out=left_out,
        note=ranked.note,
    )


# The graph -----------------------------------------------------------------------------------------------------------


def look(sources: Sources, target: Target, now: datetime, *, findings: bool = True) -> Found:
    """What the graph has of `target`; raises as `gather`."""
    if target.kind == "query":
        return _of_query(sources, target, now, findings=findings)
    if target.kind == "ip":
        address = read_address(target.value.strip())
        if not address:
            raise BadRequest(f"{target.value[:80]!r} is not an IP address.", field="target", hint="A name is a host.")
        return _of_addresses(sources, [address], now, findings=findings)
    record = hosts.hostname(sources.database, target.value.strip())
    if not record.addresses:
        raise NotFound(f"No address is known for {record.name[:253]}.", hint="Scan it: spectra scan NAME --submit")
    return _of_addresses(sources, record.addresses[:MAX_HOSTS], now, findings=findings)


def _of_addresses(sources: Sources, ips: Sequence[str], now: datetime, *, findings: bool) -> Found:
    whole = tuple(hosts.host(sources.database, ip, lifetimes=sources.lifetimes) for ip in ips)
    return Found(whole, _findings(sources, ips, now) if findings else ())


def _findings(sources: Sources, ips: Sequence[str], now: datetime) -> tuple[FindingRecord, ...]:
    if sources.judge is None:
        return ()
    found = [one for ip in ips for one in of_host(sources.database, ip, sources.judge, now).findings]
    return tuple(sorted(found, key=lambda one: (-one.priority.score, one.id))[:MAX_FINDINGS])


def _of_query(sources: Sources, target: Target, now: datetime, *, findings: bool) -> Found:
    query = parse(target.value, now)
    matches, lines = querylines.of_query(sources.database, query, target, MAX_MATCHES)
    weak: tuple[FindingRecord, ...] = ()
    if findings and sources.judge:
        page = listed_findings(sources.database, Filters(query), sources.judge, now, limit=MAX_MATCHES)
        weak = page.findings
    ips = list(dict.fromkeys([*(one.ip for one in weak), *(match.ip for match in matches)]))[:MAX_HOSTS]
    whole: list[HostRecord] = []
    for ip in ips:
        with contextlib.suppress(NotFound):
            whole.append(hosts.host(sources.database, ip, lifetimes=sources.lifetimes))
    return Found(tuple(whole), weak, matches, tuple(lines))


def _lines(sources: Sources, found: Found, published: frozenset[Named], now: datetime) -> Iterable[Line]:
    matched = bool(found.lines)
    for number, match in enumerate(found.matches):
        yield hostlines.of_match(match, published, number * 0.5)
    for place, host in enumerate(found.hosts):
        less = 3.0 * place + (20.0 if matched else 0.0)  # of a query the matches themselves count for more
        for line in hostlines.of_host(host, published, now):
            yield line._replace(score=max(line.score - less, 1.0))
    for host in () if matched else found.hosts[:1]:
        yield from hostlines.of_neighbours(host.ip, neighbours(sources.database, host.ip))
    yield from weaknesslines.of_findings(found.findings, published)


# Weaknesses ----------------------------------------------------------------------------------------------------------


def rank(sources: Sources, found: Found, question: str, published: frozenset[Named], patience_s: float = 0.8) -> Ranked:
    """The CVEs that concern a target or are like what is asked of it, by each way of finding them.

    Where a text leaves the machine to be made a vector of, names of products alone are looked for.
    """
    graph = tuple(dict.fromkeys(one.cve for one in found.findings))
    nearest, page, note = sources.nearest, None, ""
    if nearest is not None:
        products = [f"{vendor} {product}" for vendor, product in names_of(found.cpes) if (vendor, product) in published]
        asks = "" if nearest.leaves else question
        text = "\n".join(part for part in (asks, " ".join(products[:_PRODUCTS])) if part.strip())
        if text:
            page, note = patience.asked(nearest, text, ALIKE, patience_s)
    alike: dict[str, VulnSummary] = {one.cve: one for one in page.similar} if page else {}
    told = alike | {one.cve: one for one in vulntexts.of(sources.database, graph)}
    focus = Focus(question)
    texts = {cve: weaknesslines.words_of(told[cve]) for cve in graph if cve in told}
    asked = tuple(ranking.by_question(focus, texts))
    text, vector = (tuple(ranking.by_words(page)), tuple(ranking.by_vectors(page))) if page else ((), ())
    return Ranked(graph, asked, text, vector, told, note or (page.note if page else ""), bool(focus))
