"""Measuring what holds services against CVEs: alone in memory, and after feeds told something new."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, NamedTuple

import msgspec

from spectra.bench.load import Spread, spread
from spectra.bench.saying import Say
from spectra.flow.correlation import Correlation
from spectra.flow.evaluation import Evaluation, ruleset
from spectra.flow.vulnsync import knowledge
from spectra.intel.correlate import Known, identify, match, products_of, word
from spectra.intel.correlate.rules import name_of
from spectra.intel.enrich.cpename import ANY, NA
from spectra.model.observation import Service
from spectra.model.vulns import Criterion, Node, Product, VulnRecord
from spectra.store import affected, software, vulns
from spectra.store.affected import Differences, Stored
from spectra.store.database import Database, one
from spectra.store.vulnwrite import Writer

ROUNDS: Final = 20
CHANGED: Final = 100
"""CVEs that change in one round."""
SAMPLE: Final = 20_000
"""Services that are held against all rules in memory."""
_SLICE: Final = 250

_CONCERNED: Final = """
WITH family AS MATERIALIZED (
  SELECT DISTINCT p.family FROM software_product sp JOIN product p ON p.id = sp.product)
SELECT DISTINCT v.cve FROM family JOIN product p ON p.family = family.family
  JOIN vuln_rule r ON r.product = p.id JOIN vuln v ON v.num = r.num
WHERE v.status <> 'rejected' ORDER BY v.cve"""
_COUNTS: Final = """
SELECT (SELECT count(*) FROM service), (SELECT count(*) FROM software),
  (SELECT count(*) FROM affected WHERE until IS NULL)"""


class Counts(NamedTuple):
    """How many distinct services and software are stored, and how many findings software has."""

    services: int
    software: int
    findings: int


def counts(database: Database) -> Counts:
    """Of a database."""
    with database.connection() as connection:
        return Counts(*one(connection.execute(_COUNTS)))


class _Names:
    """Every product by its word, in memory."""

    def __init__(self, products: Mapping[Product, software.Family]) -> None:
        self._known: dict[str, list[Known]] = defaultdict(list)
        for product, stored in products.items():
            if stored.vulns:
                self._known[word(product.product)].append(Known(product, stored.vulns))

    def named(self, words: Sequence[str]) -> Mapping[str, Sequence[Known]]:
        """The products of each of `words`."""
        return {w: self._known[w] for w in words if w in self._known}


class Matched(NamedTuple):
    """Services a second that are identified and held against all rules of their families, and findings of each."""

    per_s: float
    findings: float


def in_memory(database: Database, services: Sequence[Service]) -> Matched:
    """One thread, with names and rules in memory; `SAMPLE` of the services in no order."""
    chosen = random.Random(1).sample(services, min(SAMPLE, len(services)))  # noqa: S311 - repeatable, not secret
    with database.transaction() as connection:
        products = software.counted(connection)
        names = _Names(products)
        wanted = {products[p].family for s in set(chosen) for p in products_of(identify(s, names)) if p in products}
        rules = {family: ruleset(told) for family, told in affected.rules(connection, sorted(wanted)).items()}
    families = {product: stored.family for product, stored in products.items()}
    evaluation, found = Evaluation(match, products_of), 0
    began = time.perf_counter()
    for first in range(0, len(chosen), _SLICE):
        differences, part = Differences(), chosen[first : first + _SLICE]
        bodies = [msgspec.json.encode(identify(service, names)).decode() for service in part]
        stored = [Stored(i, body) for i, body in enumerate(bodies)]
        evaluation.compare(stored, families, rules, {one.id: {} for one in stored}, differences)
        found += len(differences.opened)
    return Matched(len(chosen) / (time.perf_counter() - began), found / len(chosen))


class Followed(NamedTuple):
    """Milliseconds of the rounds: writing what changed, the evaluation of the news, and learning the families anew;
    how much software a round looked at, and how many findings it opened, changed or closed, both on average.
    """

    written: Spread
    evaluated: Spread
    learned: Spread
    software: float
    findings: float


def news(database: Database, say: Say, *, rounds: int = ROUNDS, changed: int = CHANGED) -> Followed:
    """In each round other CVEs that concern stored software get other bounds, and what follows from that is done."""
    correlation = Correlation(database)
    while correlation.step(hurry=True) is not None:  # what was left
        pass
    with database.connection() as connection:
        cves = [cve for (cve,) in connection.execute(_CONCERNED)]
    random.Random(2).shuffle(cves)  # noqa: S311 - repeatable, not secret
    written: list[float] = []
    evaluated: list[float] = []
    learned: list[float] = []
    looked = found = 0
    for turn in range(rounds):
        say(f"news of {changed} CVEs, round {turn + 1}/{rounds}")
        turned = turn * changed % max(len(cves), 1)
        wanted = (cves[turned:] + cves[:turned])[:changed]
        written.append(_ms(partial(_change, database, wanted)))
        began = time.perf_counter()
        done = correlation.evaluate_news()
        evaluated.append((time.perf_counter() - began) * 1000)
        learned.append(_ms(correlation.learn))
        looked, found = looked + done.evaluated, found + done.opened + done.changed + done.closed
    return Followed(spread(written), spread(evaluated), spread(learned), looked / rounds, found / rounds)


def _ms(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def _change(database: Database, cves: Sequence[str]) -> None:
    """Have the source that says what each of these CVEs affects say something else."""
    with database.transaction() as connection:
        by_source: dict[str, list[VulnRecord]] = defaultdict(list)
        for cve in cves:
            configured = vulns.get(connection, cve).vuln.configured
            by_source[configured] += [_changed(r) for r in vulns.records(connection, cve) if r.source == configured]
        writer = Writer(connection, knowledge(), datetime.now(UTC))
        for records in by_source.values():
            writer.write(records)


def _changed(record: VulnRecord) -> VulnRecord:
    nodes = tuple(_node(node) for node in record.configurations)
    modified = record.modified and record.modified + timedelta(seconds=1)
    return msgspec.structs.replace(record, configurations=nodes, modified=modified)


def _node(node: Node) -> Node:
    criteria = tuple(_criterion(c) for c in node.criteria)
    return msgspec.structs.replace(node, criteria=criteria, children=tuple(_node(child) for child in node.children))


def _criterion(told: Criterion) -> Criterion:
    """Other versions: the last one that is affected becomes the first that is not, or the other way round."""
    if told.at_most or told.below:
        return msgspec.structs.replace(told, at_most=told.below, below=told.at_most)
    name = name_of(told.cpe)
    if name is None or name.version == NA:
        return told
    if name.version == ANY:
        return msgspec.structs.replace(told, below="9999")
    return msgspec.structs.replace(told, cpe=str(name._replace(version=f"{name.version}.1")))
