"""A corpus of CVEs written as a feed's are, and a naive model of which of them a question selects."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from spectra.intel.correlate import rules_of, word
from spectra.intel.priority import risk
from spectra.intel.vulns.merge import merge
from spectra.model.vulnquery import Alternative, Id, ProductName, VulnQuery
from spectra.model.vulns import Criterion, Epss, Kev, Metric, Node, Severity, Status, VulnRecord
from spectra.store.database import Database
from spectra.store.vulnscores import replace_epss, replace_kev
from spectra.store.vulnwrite import Knowledge, Writer

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
KNOWLEDGE = Knowledge(merge, rules_of, word, risk)

# Words that English stemming leaves as they are, and that are no stop words.
VOCABULARY = ("kernel", "daemon", "openssh", "nginx", "apach", "buffer", "heap", "root", "shell", "token")
TEXTS = (
    ("kernel",), ("heap", "buffer"), ("buffer", "heap"), ("openssh", "root"), ("shell",), ("token", "token"),
)  # fmt: skip
PRODUCTS = (("a", "openbsd", "openssh"), ("a", "f5", "nginx"), ("o", "linux", "linux_kernel"), ("a", "c", r"c\+\+"))
WEAKNESSES = ("CWE-79", "CWE-89", "CWE-787")
STATUSES: tuple[Status, ...] = ("", "", "", "awaiting", "deferred", "disputed", "rejected")
SCORES: tuple[tuple[float, Severity], ...] = ((9.8, "critical"), (7.5, "high"), (5.0, "medium"), (2.1, "low"))
IDS = [
    f"CVE-{year}-{number}" for year in (2019, 2021, 2024) for number in (1, 63, 638, 6387, 9999, 10000, 12345, 63870)
]


def cpe(part: str, vendor: str, product: str) -> str:
    """The name of every version of a product."""
    return f"cpe:2.3:{part}:{vendor}:{product}:*:*:*:*:*:*:*:*"


def record(chance: random.Random, cve: str) -> VulnRecord:
    """What a source says of a CVE."""
    score, severity = chance.choice(SCORES)
    status = chance.choice(STATUSES)
    products = chance.sample(PRODUCTS, chance.randint(0, 2)) if status != "rejected" else []
    return VulnRecord(
        padded(cve),
        "nvd",
        status=status,
        title=" ".join(chance.choices(VOCABULARY, k=chance.randint(0, 3))),
        description=" ".join(chance.choices(VOCABULARY, k=chance.randint(1, 9))),
        published=NOW - chance.randint(0, 5) * DAY if chance.random() < 0.8 else None,
        modified=NOW - chance.randint(0, 5) * DAY if chance.random() < 0.8 else None,
        metrics=(Metric("3.1", score, severity),) if chance.random() < 0.8 else (),
        weaknesses=tuple(chance.sample(WEAKNESSES, chance.randint(0, 2))),
        configurations=tuple(Node(criteria=(Criterion(cpe(*names), below="2"),)) for names in products),
    )


def padded(cve: str) -> str:
    """The id with at least four digits, as every one has."""
    head, _, number = cve.rpartition("-")
    return f"{head}-{number:0>4}"


class Corpus:
    """The records, the scores and the catalogue, also as the database has them."""

    def __init__(
        self, database: Database, records: Sequence[VulnRecord], scores: Sequence[Epss], kev: Sequence[Kev]
    ) -> None:
        self.records = {one.cve: one for one in records}
        self.epss = {one.cve: one.score for one in scores}
        self.kev = {one.cve: one for one in kev}
        with database.transaction() as connection:
            replace_kev(connection, kev)
            replace_epss(connection, scores)
            for start in range(0, len(records), 7):  # as a feed's come: a batch at a time
                Writer(connection, KNOWLEDGE, NOW).write(records[start : start + 7])

    @classmethod
    def of(cls, database: Database, seed: int = 3) -> Corpus:
        """Two dozen CVEs with something of everything."""
        chance = random.Random(seed)
        ids = [padded(cve) for cve in IDS]
        scores = [Epss(cve, chance.choice((0.001, 0.5, 0.97)), 0.5) for cve in ids if chance.random() < 0.7]
        kev = [Kev(cve, date(2026, 1, 1), ransomware=chance.random() < 0.5) for cve in ids if chance.random() < 0.4]
        return cls(database, [record(chance, cve) for cve in IDS], scores, kev)

    def found(self, query: VulnQuery) -> set[str]:
        """The CVEs that satisfy `query`."""
        return {cve for cve, one in self.records.items() if self._holds(query, one)}

    def _holds(self, query: VulnQuery, one: VulnRecord) -> bool:
        score = one.metrics[0] if one.metrics else None
        kev, epss = self.kev.get(one.cve), self.epss.get(one.cve)
        return all(
            (
                not query.text or any(_says(alternative, one) for alternative in query.text),
                not query.severities or (score.severity if score else "") in query.severities,
                query.min_cvss is None or (score is not None and score.score >= query.min_cvss),
                query.max_cvss is None or (score is not None and score.score <= query.max_cvss),
                query.min_epss is None or (epss is not None and epss >= query.min_epss),
                query.kev is None or (kev is not None) == query.kev,
                query.ransomware is None or (kev is not None and kev.ransomware) == query.ransomware,
                _between(one.published, query.published_since, query.published_before),
                _between(one.modified, query.modified_since, query.modified_before),
                not query.years or int(one.cve.split("-")[1]) in query.years,
                not query.statuses or one.status in query.statuses,
                not query.products or any(_about(name, one) for name in query.products),
                not query.weaknesses or bool(set(query.weaknesses) & set(one.weaknesses)),
            )
        )


def _between(at: datetime | None, since: datetime | None, before: datetime | None) -> bool:
    if at is None:
        return since is None and before is None
    return (since is None or at >= since) and (before is None or at < before)


def _about(name: ProductName, one: VulnRecord) -> bool:
    told = [tuple(c.cpe.split(":")[2:5]) for node in one.configurations for c in node.criteria]
    return any(
        product == name.product and name.vendor in ("", vendor) and name.part in ("", part)
        for part, vendor, product in told
    )


def _says(alternative: Alternative, one: VulnRecord) -> bool:
    def within(ids: Id) -> bool:
        return ids.low <= one.cve < ids.high

    if alternative.ids and not any(within(ids) for ids in alternative.ids):
        return False
    if any(within(ids) for ids in alternative.without):
        return False
    return all(_has(piece, one) for piece in _pieces(alternative.words))


def _pieces(words: str) -> list[str]:
    """Words, and phrases with their quotes."""
    pieces: list[str] = []
    for index, part in enumerate(words.split('"')):
        if index % 2:
            sign = "-" if pieces and pieces[-1] == "-" else ""
            pieces = pieces[:-1] if sign else pieces
            pieces.append(f'{sign}"{part}"')
        else:
            pieces += part.split()
    return pieces


def _has(piece: str, one: VulnRecord) -> bool:
    if piece.startswith("-"):
        return not _has(piece[1:], one)
    wanted = piece.strip('"').split()
    said = [*one.title.split(), *one.description.split()]
    return any(said[at : at + len(wanted)] == wanted for at in range(len(said) - len(wanted) + 1))


def in_order(corpus: Corpus, cves: set[str], sort: str, risks: Callable[[str], float]) -> list[str]:
    """`cves` by the definition of the sort; what has no value comes last, ties in the order in which they came."""
    place = {cve: number for number, cve in enumerate(corpus.records)}

    def value(cve: str) -> Any:
        one, metrics = corpus.records[cve], corpus.records[cve].metrics
        _, year, number = cve.split("-")
        return {
            "risk": risks(cve),
            "cvss": metrics[0].score if metrics else None,
            "epss": corpus.epss.get(cve),
            "published": one.published.timestamp() if one.published else None,
            "modified": one.modified.timestamp() if one.modified else None,
            "cve": -(int(year) * 10**9 + int(number)),
        }[sort.removeprefix("-")]

    turned = sort.startswith("-")
    known = sorted((c for c in cves if value(c) is not None), key=lambda c: (-value(c), place[c]), reverse=turned)
    unknown = sorted((c for c in cves if value(c) is None), key=lambda c: place[c], reverse=turned)
    return known + unknown
