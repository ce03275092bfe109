"""Finding out what stored services are, a batch at a time: words are looked up together, once a batch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from spectra.intel.correlate import Known, Names
from spectra.model.findings import Software
from spectra.model.observation import Service
from spectra.model.vulns import Product
from spectra.store.rows import content_id
from spectra.store.software import Is, Unnamed, Word

_log = logging.getLogger("spectra.flow")

_ROUNDS: Final = 10  # what is asked for may depend on the answers; two rounds are usual

Lookup = Callable[[Sequence[str]], Mapping[str, Word]]
"""What the product table says of words."""
Identify = Callable[[Service, Names], Software]
ProductsOf = Callable[[Software], Sequence[Product]]


class Named(NamedTuple):
    """What services are, what each word said by which that was found out, and the word of each of their products."""

    found: list[Is]
    said: dict[str, str]
    word_of: dict[Product, str]


class Naming:
    """How services are named."""

    def __init__(self, identify: Identify, products_of: ProductsOf, word: Callable[[str], str]) -> None:
        self._identify = identify
        self._products_of = products_of
        self._word = word

    def of(self, services: Sequence[Unnamed], lookup: Lookup) -> Named:
        """What these services are."""
        names = _Asked()
        told: dict[UUID, tuple[Software, tuple[str, ...]]] = {}
        left = list(services)
        for _ in range(_ROUNDS):
            for unnamed in left:
                names.asked.clear()
                told[unnamed.id] = self._software(unnamed, names), tuple(names.asked)
            left = [unnamed for unnamed in left if names.missing.intersection(told[unnamed.id][1])]
            if not left:
                break
            names.look_up(lookup)
        found = [self._is(unnamed, *told[unnamed.id]) for unnamed in services]
        said = {word: names.words[word].said for i in found for word in i.words if word in names.words}
        return Named(found, said, {p: self._word(p.product) for i in found for p in i.products})

    def _software(self, unnamed: Unnamed, names: Names) -> Software:
        try:
            return self._identify(unnamed.service, names)
        except Exception:  # noqa: BLE001 - one service that cannot be read must not keep all others from being named
            _log.exception("a service could not be named", extra={"spectra.service": str(unnamed.id)})
            return Software()

    def _is(self, unnamed: Unnamed, software: Software, words: tuple[str, ...]) -> Is:
        return Is(
            service=unnamed.id,
            fingerprint=content_id(software.fingerprint),
            body=msgspec.json.encode(software).decode(),
            products=tuple(self._products_of(software)),
            words=words,
            before=unnamed.software,
        )


class _Asked:
    """A `Names` that answers from what was looked up so far, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.words: dict[str, Word] = {}
        self.missing: set[str] = set()
        self.asked: dict[str, None] = {}
        self._known: dict[str, list[Known]] = {}

    def named(self, words: Sequence[str]) -> Mapping[str, Sequence[Known]]:
        """The products of each of `words`; none yet of what was not looked up."""
        self.asked.update(dict.fromkeys(words))
        self.missing.update(word for word in words if word not in self.words)
        return {word: self._known[word] for word in words if word in self._known}

    def look_up(self, lookup: Lookup) -> None:
        """Look up what is missing."""
        found = lookup(sorted(self.missing))
        self.words.update(found)
        for word, told in found.items():
            self._known[word] = [Known(*known) for known in told.products]
        self.missing.clear()
