"""Naming asks for each word once a batch, and remembers by which words a service was named."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from spectra.flow.naming import Naming
from spectra.intel.correlate import Names, NoNames, identify, products_of, word
from spectra.model.findings import Identity, Software
from spectra.model.observation import Service
from spectra.model.vulns import Product
from spectra.store.software import Unnamed, Word
from tests.flow.weaknesses import cpe

FROB = Product("a", "acme", "frobnicator")


class Table:
    """What a product table says; counts how often it is asked."""

    def __init__(self, **words: Word) -> None:
        self.words = words
        self.asked: list[list[str]] = []

    def __call__(self, wanted: Sequence[str]) -> dict[str, Word]:
        self.asked.append(list(wanted))
        return {w: self.words.get(w, Word((), "")) for w in wanted}


def unnamed(*services: Service) -> list[Unnamed]:
    """Services that nobody looked at."""
    return [Unnamed(UUID(int=n), s, None) for n, s in enumerate(services, 1)]


def test_each_word_is_asked_for_once() -> None:
    """A hundred services of one product are one look-up; each knows the words it was named by, and what these said."""
    table = Table(frobnicator=Word(((FROB, 7, 1),), "seven"))
    services = [Service(name="http", product="Frobnicator", version=f"1.{n}") for n in range(100)]
    named = Naming(identify, products_of, word).of(unnamed(*services), table)
    assert len(table.asked) == 1
    assert len({i.fingerprint for i in named.found}) == 100
    assert all("frobnicator" in i.words and i.products == (FROB,) for i in named.found)
    assert named.said["frobnicator"] == "seven"
    assert named.word_of == {FROB: "frobnicator"}


def test_what_is_asked_for_may_depend_on_answers() -> None:
    """It is asked as often as that takes, and no further."""

    def chained(service: Service, names: Names) -> Software:
        found = names.named(["one"])
        if found.get("one"):
            found = names.named(["two"])
        known = found.get("two", ())
        return Software(tuple(Identity(cpe(f"{k.product.vendor}:{k.product.product}"), 0.8, "asked") for k in known))

    table = Table(one=Word(((FROB, 1, 1),), "1"), two=Word(((FROB, 2, 1),), "2"))
    named = Naming(chained, products_of, word).of(unnamed(Service(name="x")), table)
    assert table.asked == [["one"], ["two"]]
    assert named.found[0].products == (FROB,)
    assert named.said == {"one": "1", "two": "2"}


def test_a_service_that_cannot_be_named() -> None:
    """It is nothing that anybody knows; the others are named."""

    def broken(service: Service, names: Names) -> Software:
        if service.name == "bad":
            raise RuntimeError
        return identify(service, names)

    good = Service(name="ssh", cpe=("cpe:/a:openbsd:openssh:9.2p1",))
    named = Naming(broken, products_of, word).of(unnamed(Service(name="bad"), good), Table())
    assert [i.products for i in named.found] == [(), (Product("a", "openbsd", "openssh"),)]


def test_equal_software_is_one() -> None:
    """What a service is does not depend on what was named beside it."""
    services = [Service(name=f"n{n}", cpe=("cpe:/a:openbsd:openssh:9.2p1",)) for n in range(3)]
    named = Naming(identify, products_of, word).of(unnamed(*services), Table())
    assert len({(i.fingerprint, i.body) for i in named.found}) == 1
    assert identify(services[0], NoNames()).fingerprint.hex().startswith(named.found[0].fingerprint)
