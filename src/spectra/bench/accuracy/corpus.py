"""The feeds in memory, as rules by product: what the store has in tables, without a database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from spectra.intel.correlate import Known, families, identify, match, products_of, rules_of, word
from spectra.intel.correlate.families import today
from spectra.intel.vulns.merge import merge
from spectra.intel.vulns.read import open_feed
from spectra.model.findings import Affected, Software
from spectra.model.observation import Service
from spectra.model.vulns import Node, Product, Rule, Vuln, VulnRecord

_CONFIGURATIONS: Final = msgspec.msgpack.Decoder(tuple[Node, ...])


class Told(NamedTuple):
    """What of a CVE the scoring needs: when it was published (`2024-07-01`, "" if unknown), and whether any source says
    what is affected.
    """

    published: str
    configured: bool


class _Packed(NamedTuple):
    cve: str
    source: str
    status: str
    body: bytes


class Corpus:
    """All rules of some feeds; as `Names`, all their products."""

    def __init__(self, vulns: Iterable[Vuln]) -> None:
        self.told: dict[str, Told] = {}
        self._rules: dict[Product, list[_Packed]] = defaultdict(list)
        for vuln in vulns:
            published = vuln.published.strftime("%Y-%m-%d") if vuln.published else ""
            rules = rules_of(vuln)
            self.told[vuln.cve] = Told(published, bool(vuln.configurations))
            for rule in rules:
                body = msgspec.msgpack.encode(rule.configurations)
                self._rules[rule.product].append(_Packed(rule.cve, rule.source, rule.status, body))
        counts = {product: len(rules) for product, rules in self._rules.items()}
        heads = families(counts)
        self._members: dict[Product, list[Product]] = defaultdict(list)
        self._known: dict[str, list[Known]] = defaultdict(list)
        numbers: dict[Product, int] = {}
        self._heads = heads
        for product, n in counts.items():
            head = heads.get(product, product)
            self._members[head].append(product)
            number = numbers.setdefault(head, len(numbers) + 1)
            self._known[word(product.product)].append(Known(product, n, number))
        self._decoded = lru_cache(maxsize=512)(self._decode)

    def named(self, words: Sequence[str]) -> Mapping[str, Sequence[Known]]:
        """The products of each of `words`."""
        return {w: self._known[w] for w in words if w in self._known}

    def same(self, one: Product, other: Product) -> bool:
        """Whether two products are one software."""
        one, other = today(one), today(other)
        return self._heads.get(one, one) == self._heads.get(other, other)

    def identify(self, service: Service) -> Software:
        """What `service` is, by the products of this corpus."""
        return identify(service, self)

    def match(self, software: Software) -> list[Affected]:
        """Which CVEs of this corpus concern `software`."""
        return match(software, [self._decoded(self._heads.get(p, p)) for p in products_of(software)])

    def _decode(self, head: Product) -> list[Rule]:
        return [
            Rule(packed.cve, packed.source, product, _CONFIGURATIONS.decode(packed.body), packed.status)  # type: ignore[arg-type]
            for product in self._members.get(head, ())
            for packed in self._rules[product]
        ]


def read(paths: Sequence[Path], say: Callable[[str], None]) -> Corpus:
    """The corpus of these feed files; where several tell of one CVE, they are merged as the store merges them."""
    return Corpus(_vulns(paths, say))


def _vulns(paths: Sequence[Path], say: Callable[[str], None]) -> Iterator[Vuln]:
    """The first file is the largest, and read as it streams; what the others say is kept until then."""
    others: dict[str, list[bytes]] = defaultdict(list)
    for path in paths[1:]:
        say(f"reading {path.name}")
        for record in _records(path):
            others[record.cve].append(msgspec.msgpack.encode(record))
    decoder = msgspec.msgpack.Decoder(VulnRecord)
    say(f"reading {paths[0].name}")
    for record in _records(paths[0]):
        yield merge([record, *map(decoder.decode, others.pop(record.cve, ()))])
    for packed in others.values():
        yield merge([decoder.decode(body) for body in packed])


def _records(path: Path) -> Iterator[VulnRecord]:
    with open_feed(path) as feed:
        yield from (item for item in feed.items() if isinstance(item, VulnRecord))
